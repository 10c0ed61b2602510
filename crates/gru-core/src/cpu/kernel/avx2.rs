//! The tile in AVX2: two registers a row, so that six rows, one line of B and one element of A fill fifteen of the
//! sixteen registers. A line of two loads and six broadcasts feeds twelve multiply-adds, which bound it.

use std::arch::x86_64::{
    __m256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

super::registers::tile_of_registers! {
    features: "avx2,fma",
    register: __m256,
    zero: _mm256_setzero_ps,
    load: _mm256_loadu_ps,
    store: _mm256_storeu_ps,
    same: _mm256_set1_ps,
    multiply_add: _mm256_fmadd_ps,
    few: [1 2 3 4 5],
    max_rows: 6,
}

super::registers::row_of_registers! {
    features: "avx2,fma",
    zero: _mm256_setzero_ps,
    same: _mm256_set1_ps,
    multiply_add: _mm256_fmadd_ps,
}
