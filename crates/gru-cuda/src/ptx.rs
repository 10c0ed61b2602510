//! The PTX that is carried: a text for each module of kernels, and what loads it.

use crate::kernel::Module;
use crate::recurrence::Exchange;

/// A module of kernels, as `npm run build:kernels` compiled it.
pub struct Ptx {
    /// Which kernels are in it.
    pub module: Module,
    /// Its name, as users see it.
    pub name: &'static str,
    /// The text.
    pub text: &'static str,
    /// The oldest compute capability that runs it.
    pub capability: (i32, i32),
    /// The oldest driver that reads it, as the version of CUDA that it supports: 12010 is 12.1.
    pub cuda_version: i32,
}

impl Ptx {
    /// That of a module.
    pub fn of(module: Module) -> Self {
        let (name, text, capability, cuda_version) = match module {
            Module::Plain => ("gru_sm80", include_str!("../kernels/gru_sm80.ptx"), (8, 0), 12_000),
            Module::ProductsTf32 => {
                ("products_tf32", include_str!("../kernels/products_tf32.ptx"), (8, 0), 12_000)
            }
            Module::ProductsBf16 => {
                ("products_bf16", include_str!("../kernels/products_bf16.ptx"), (8, 0), 12_000)
            }
            Module::Persistent(pair) => match pair.exchange {
                Exchange::Cluster => (pair.name(), pair.ptx(), (9, 0), 12_010),
                Exchange::Words => (pair.name(), pair.ptx(), (8, 0), 12_000),
            },
        };
        Self { module, name, text, capability, cuda_version }
    }

    /// All of it; the first is for all devices.
    pub fn all() -> impl Iterator<Item = Self> {
        Module::all().map(Self::of)
    }

    /// Whether a device of this compute capability with such a driver can load it.
    pub fn is_for(&self, capability: (i32, i32), cuda_version: i32) -> bool {
        capability >= self.capability && cuda_version >= self.cuda_version
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kernel;

    /// What can be loaded: only what every device loads, or clusters too.
    fn has_clusters(capability: (i32, i32), cuda_version: i32) -> bool {
        let loaded: Vec<Ptx> = Ptx::all().filter(|ptx| ptx.is_for(capability, cuda_version)).collect();
        assert_eq!(loaded[0].name, "gru_sm80");
        loaded.iter().any(|ptx| ptx.name.starts_with("cluster_"))
    }

    #[test]
    fn clusters_are_for_new_devices_with_new_drivers() {
        assert!(!has_clusters((8, 0), 13_000));
        assert!(!has_clusters((8, 9), 12_040));
        assert!(!has_clusters((9, 0), 12_000));
        assert!(has_clusters((9, 0), 12_010));
        assert!(has_clusters((12, 0), 12_080));
    }

    #[test]
    fn every_kernel_is_an_entry_of_its_module() {
        for kernel in Kernel::all() {
            let ptx = Ptx::of(kernel.module());
            let entry = format!(".entry {}(", kernel.name());
            assert!(ptx.text.contains(&entry), "{} is not in {}", kernel.name(), ptx.name);
        }
    }
}
