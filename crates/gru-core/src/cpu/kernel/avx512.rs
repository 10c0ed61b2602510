//! The tile in AVX-512: one register a row, sixteen rows and one line of B in half of the registers, which leaves
//! the machine room to load ahead. Elements of A are broadcast by the multiply-adds themselves.

use super::super::memory::LINE;
use super::{Left, Start};
use std::arch::x86_64::{
    __m512, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

/// See [`super::Path::max_rows`].
pub const MAX_ROWS: usize = 16;

/// See [`super::Path::tile`].
///
/// # Safety
/// As for [`super::Path::tile`], on a machine that has the instructions.
#[target_feature(enable = "avx512f")]
pub unsafe fn tile(to: &mut [f32], start: Start, left: *const f32, how: Left, right: &[f32]) {
    // SAFETY: the caller's promise, and the number of rows is that of `to`.
    unsafe {
        match to.len() / LINE {
            1 => rows::<1>(to, start, left, how, right),
            2 => rows::<2>(to, start, left, how, right),
            3 => rows::<3>(to, start, left, how, right),
            4 => rows::<4>(to, start, left, how, right),
            5 => rows::<5>(to, start, left, how, right),
            6 => rows::<6>(to, start, left, how, right),
            7 => rows::<7>(to, start, left, how, right),
            8 => rows::<8>(to, start, left, how, right),
            9 => rows::<9>(to, start, left, how, right),
            10 => rows::<10>(to, start, left, how, right),
            11 => rows::<11>(to, start, left, how, right),
            12 => rows::<12>(to, start, left, how, right),
            13 => rows::<13>(to, start, left, how, right),
            14 => rows::<14>(to, start, left, how, right),
            15 => rows::<15>(to, start, left, how, right),
            _ => rows::<MAX_ROWS>(to, start, left, how, right),
        }
    }
}

/// # Safety
/// As for [`tile`]; `to` holds `ROWS` lines.
#[target_feature(enable = "avx512f")]
unsafe fn rows<const ROWS: usize>(to: &mut [f32], start: Start, left: *const f32, how: Left, right: &[f32]) {
    let mut sums = [_mm512_setzero_ps(); ROWS];
    let lines = to.as_mut_ptr();
    for (row, sum) in sums.iter_mut().enumerate() {
        // SAFETY: `to` holds ROWS lines of one register each, and a start is one.
        *sum = unsafe {
            _mm512_loadu_ps(start.map_or(lines.add(row * LINE).cast_const(), |line| line.as_ptr()))
        };
    }
    let depth = right.len() / LINE;
    let (mut a, mut b) = (left, right.as_ptr());
    match how {
        Left::Along { block } => {
            for _ in 0..depth / LINE {
                for k in 0..LINE {
                    // The next panel's lines of these rows, far away in memory, come while this one's are used.
                    if k < ROWS {
                        super::prefetch(a.wrapping_add(block + k * LINE));
                    }
                    // SAFETY: the caller's promise for `a`; `right` holds `depth` lines.
                    unsafe { step::<ROWS, LINE>(&mut sums, a.add(k), b.add(k * LINE)) };
                }
                a = a.wrapping_add(block);
                b = b.wrapping_add(LINE * LINE);
            }
        }
        Left::Across => {
            for _ in 0..depth {
                // SAFETY: as above.
                unsafe { step::<ROWS, 1>(&mut sums, a, b) };
                a = a.wrapping_add(LINE);
                b = b.wrapping_add(LINE);
            }
        }
    }
    for (row, sum) in sums.iter().enumerate() {
        // SAFETY: as for the loads.
        unsafe { _mm512_storeu_ps(lines.add(row * LINE), *sum) };
    }
}

/// One k: `sums[i] += a[i * STRIDE] * b`.
///
/// # Safety
/// `a` and `b` point to what is read.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn step<const ROWS: usize, const STRIDE: usize>(
    sums: &mut [__m512; ROWS],
    a: *const f32,
    b: *const f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let b = _mm512_loadu_ps(b);
        for (row, sum) in sums.iter_mut().enumerate() {
            *sum = _mm512_fmadd_ps(_mm512_set1_ps(*a.add(row * STRIDE)), b, *sum);
        }
    }
}

/// See [`super::Path::row`]: at most four panels.
///
/// # Safety
/// As there, on a machine that has the instructions.
#[target_feature(enable = "avx512f")]
pub unsafe fn row(to: &mut [f32], left: *const f32, block: usize, right: &[f32]) {
    // SAFETY: the caller's promise, and the number of panels is that of `to`.
    unsafe {
        match to.len() / LINE {
            1 => panels::<1>(to, left, block, right),
            2 => panels::<2>(to, left, block, right),
            3 => panels::<3>(to, left, block, right),
            _ => panels::<4>(to, left, block, right),
        }
    }
}

/// # Safety
/// As for [`row`]; `to` holds `PANELS` lines.
#[target_feature(enable = "avx512f")]
unsafe fn panels<const PANELS: usize>(to: &mut [f32], left: *const f32, block: usize, right: &[f32]) {
    let panel = right.len() / PANELS;
    let lines = to.as_mut_ptr();
    let mut sums = [_mm512_setzero_ps(); PANELS];
    // SAFETY: `to` holds PANELS lines of one register each; `right` as many panels; the caller's promise for
    // `left`.
    unsafe {
        for (index, sum) in sums.iter_mut().enumerate() {
            *sum = _mm512_loadu_ps(lines.add(index * LINE));
        }
        for k in 0..panel / LINE {
            let a = _mm512_set1_ps(*left.add(k / LINE * block + k % LINE));
            for (index, sum) in sums.iter_mut().enumerate() {
                *sum =
                    _mm512_fmadd_ps(a, _mm512_loadu_ps(right.as_ptr().add(index * panel + k * LINE)), *sum);
            }
        }
        for (index, sum) in sums.iter().enumerate() {
            _mm512_storeu_ps(lines.add(index * LINE), *sum);
        }
    }
}
