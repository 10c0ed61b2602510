//! A tile of nine rows, which has more sums than AVX2 has registers: scripts/check-tiles.mjs must not pass it.

use std::arch::x86_64::*;

pub mod avx2 {
    use super::*;

    /// # Safety
    /// Nine lines at `to` and `b`, nine elements at `a` for each of `depth` terms; AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn tile(to: *mut f32, a: *const f32, b: *const f32, depth: usize) {
        let mut sums = [[_mm256_setzero_ps(); 2]; 9];
        for k in 0..depth {
            let (low, high) = (_mm256_loadu_ps(b.add(k * 16)), _mm256_loadu_ps(b.add(k * 16 + 8)));
            for (row, sums) in sums.iter_mut().enumerate() {
                let a = _mm256_broadcast_ss(&*a.add(k * 16 + row));
                sums[0] = _mm256_fmadd_ps(a, low, sums[0]);
                sums[1] = _mm256_fmadd_ps(a, high, sums[1]);
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            _mm256_storeu_ps(to.add(row * 16), sums[0]);
            _mm256_storeu_ps(to.add(row * 16 + 8), sums[1]);
        }
    }
}
