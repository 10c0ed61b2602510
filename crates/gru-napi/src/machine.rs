//! What the machine and this build offer, for `doctor`.

use napi_derive::napi;
use std::num::NonZero;

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
