//! The tile of `avx512.rs` with operands in bf16: an instruction takes two terms of every element, the second one
//! first, and rounds to nearest after each.

use std::arch::x86_64::{
    __m512, __m512bh, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

/// Two terms of every element.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn multiply_add_pairs(a: __m512, b: __m512, sum: __m512) -> __m512 {
    // SAFETY: both are 512 bits of which every pattern is a value.
    let cells = |cells: __m512| unsafe { std::mem::transmute::<__m512, __m512bh>(cells) };
    _mm512_dpbf16_ps(sum, cells(a), cells(b))
}

super::registers::tile_of_registers! {
    features: "avx512f,avx512bf16",
    register: __m512,
    zero: _mm512_setzero_ps,
    load: _mm512_loadu_ps,
    store: _mm512_storeu_ps,
    same: _mm512_set1_ps,
    multiply_add: multiply_add_pairs,
    few: [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15],
    max_rows: 16,
}
