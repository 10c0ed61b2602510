//! The tile in AVX2 with operands in bf16, which it has no instructions for: the bits of `avx512_bf16.rs`, to train
//! and test in bf16 on more machines than have those.

use std::arch::x86_64::{
    __m256, _mm256_and_ps, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_slli_epi32, _mm256_storeu_ps,
};

/// Two terms of every element, the second one first.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn multiply_add_pairs(a: __m256, b: __m256, sum: __m256) -> __m256 {
    let second = _mm256_castsi256_ps(_mm256_set1_epi32(0xffff_0000_u32.cast_signed()));
    let sum = _mm256_fmadd_ps(_mm256_and_ps(a, second), _mm256_and_ps(b, second), sum);
    let [a, b] = [a, b].map(|cells| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(cells))));
    _mm256_fmadd_ps(a, b, sum)
}

super::registers::tile_of_registers! {
    features: "avx2,fma",
    register: __m256,
    zero: _mm256_setzero_ps,
    load: _mm256_loadu_ps,
    store: _mm256_storeu_ps,
    same: _mm256_set1_ps,
    multiply_add: multiply_add_pairs,
    few: [1 2 3],
    max_rows: 4,
}
