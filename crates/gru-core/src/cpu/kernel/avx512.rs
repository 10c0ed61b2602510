//! The tile in AVX-512: one register a row, sixteen rows and one line of B in half of the registers, which leaves
//! the machine room to load ahead. Elements of A are broadcast by the multiply-adds themselves.

use std::arch::x86_64::{
    __m512, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

super::registers::tile_of_registers! {
    features: "avx512f",
    register: __m512,
    zero: _mm512_setzero_ps,
    load: _mm512_loadu_ps,
    store: _mm512_storeu_ps,
    same: _mm512_set1_ps,
    multiply_add: _mm512_fmadd_ps,
    few: [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15],
    max_rows: 16,
}

super::registers::row_of_registers! {
    features: "avx512f",
    zero: _mm512_setzero_ps,
    same: _mm512_set1_ps,
    multiply_add: _mm512_fmadd_ps,
}
