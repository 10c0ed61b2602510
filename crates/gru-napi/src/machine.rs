//! What the machine and this build offer, for `doctor`.

use crate::error::{self, Result};
use gru_core::Error;
use gru_core::cpu::kernel::Path;
use napi_derive::napi;
use std::num::NonZero;

/// Forces a path of the CPU backend.
const FORCE_PATH: &str = "GRU_NATIVE_CPU";

/// The path that a network on the CPU takes: the fastest of this machine, or the one that `GRU_NATIVE_CPU` names.
///
/// # Errors
/// `GRU_USAGE` for a name that is no path of this machine.
pub fn path() -> Result<Path> {
    forced(Path::available()).map(|forced| forced.unwrap_or_else(Path::detect))
}

/// The same with operands in bf16: `GRU_NATIVE_CPU` may name an emulation, which gives the same results slowly.
///
/// # Errors
/// `GRU_USAGE` as for [`path`], `GRU_DEVICE` where no instruction multiplies bf16.
pub fn bf16_path() -> Result<Path> {
    let all = [Path::available(), Path::available_bf16()].concat();
    let chosen = forced(all)?.map_or_else(Path::detect_bf16, |path| Some(path).filter(|path| path.is_bf16()));
    chosen.ok_or_else(|| {
        error::core(&Error::Unavailable {
            expected: "a processor with avx512bf16 for --precision bf16".into(),
            received: format!("one with {}", cpu_features().join(", ")),
            hint: "Use --precision fp32".into(),
        })
    })
}

/// The one of these paths that the environment names.
fn forced(paths: Vec<Path>) -> Result<Option<Path>> {
    let Some(name) = std::env::var_os(FORCE_PATH).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let found = paths.iter().copied().find(|path| name == path.name());
    found.map(Some).ok_or_else(|| {
        let names: Vec<&str> = paths.iter().map(|path| path.name()).collect();
        let received = name.to_string_lossy();
        error::usage(format!("expected {} for {FORCE_PATH}, received {received}", names.join(" or ")))
    })
}

/// The instructions that the CPU backend's products use here, the fastest of the machine: `portable`, `avx2`,
/// `avx512` or `neon`. The environment variable `GRU_NATIVE_CPU` forces one. All but `portable` give the same bits.
///
/// @throws code `GRU_USAGE` where it names one that is not here.
#[napi(catch_unwind, ts_return_type = "'portable' | 'avx2' | 'avx512' | 'neon'")]
pub fn cpu_path() -> Result<&'static str> {
    Ok(path()?.name())
}

/// The vector extensions of this processor that the CPU backend can use: of avx2, fma, avx512f, avx512bf16
/// and neon, those that are there.
#[napi(catch_unwind)]
pub fn cpu_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let features = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        ("avx512bf16", std::arch::is_x86_feature_detected!("avx512bf16")),
    ];
    #[cfg(target_arch = "aarch64")]
    let features = [("neon", std::arch::is_aarch64_feature_detected!("neon"))];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let features = [];
    features.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
}

/// The number of threads that this process may use at once, by its affinity and its container's quota.
#[napi(catch_unwind)]
pub fn available_threads() -> u32 {
    std::thread::available_parallelism()
        .map_or(1, |threads| u32::try_from(NonZero::get(threads)).unwrap_or(u32::MAX))
}

/// The version of the addon, equal to the package's.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
