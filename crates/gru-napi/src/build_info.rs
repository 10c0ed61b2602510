//! How this addon was built and which kernels for GPUs are in it, for `doctor`. The same source and compiler give the
//! same facts: no times, no paths.

use gru_cuda::probe::{MINIMUM_CAPABILITY, MINIMUM_DRIVER, PTX_NAME, version_text};
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
    /// The PTX that it carries, the one to prefer first.
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
    let (major, minor) = MINIMUM_CAPABILITY;
    BuildInfo {
        target: env!("GRU_NATIVE_TARGET").into(),
        profile: env!("GRU_NATIVE_PROFILE").into(),
        rustc: env!("GRU_NATIVE_RUSTC").into(),
        ptx: vec![CarriedPtx {
            name: PTX_NAME.into(),
            minimum_capability: format!("{major}.{minor}"),
            minimum_cuda: version_text(MINIMUM_DRIVER),
        }],
    }
}
