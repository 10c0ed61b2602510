//! How this addon was built and which kernels for GPUs are in it, for `doctor`. The same source and compiler give the
//! same facts: no times, no paths.

use crate::device::capability_text;
use gru_cuda::probe::version_text;
use gru_cuda::ptx::Ptx;
use napi_derive::napi;

/// How the addon was built, and which PTX it carries.
#[napi(object, object_from_js = false)]
pub struct BuildInfo {
    /// The target that it was built for, such as `x86_64-unknown-linux-gnu`.
    pub target: String,
    /// The profile of its build, `release` or `debug`.
    pub profile: String,
    /// The version of the Rust compiler, such as `1.89.0`.
    pub rustc: String,
    /// The PTX that it carries: a GPU loads the first, and of the others what its network uses.
    pub ptx: Vec<CarriedPtx>,
}

/// Kernels for GPUs that are part of the addon.
#[napi(object, object_from_js = false)]
pub struct CarriedPtx {
    /// Its name, such as `gru_sm80`.
    pub name: String,
    /// The oldest compute capability that it runs on, such as `8.0`.
    pub minimum_capability: String,
    /// The version of CUDA that the driver must support, such as `12.0`.
    pub minimum_cuda: String,
}

/// How the addon was built, and which PTX it carries.
#[napi(catch_unwind)]
pub fn build_info() -> BuildInfo {
    BuildInfo {
        target: env!("GRU_NATIVE_TARGET").into(),
        profile: env!("GRU_NATIVE_PROFILE").into(),
        rustc: env!("GRU_NATIVE_RUSTC").into(),
        ptx: Ptx::all()
            .map(|ptx| CarriedPtx {
                name: ptx.name.into(),
                minimum_capability: capability_text(ptx.capability),
                minimum_cuda: version_text(ptx.cuda_version),
            })
            .collect(),
    }
}
