//! The tile in AVX2: two registers a row, so that six rows, one line of B and one element of A fill fifteen of the
//! sixteen registers. A line of two loads and six broadcasts feeds twelve multiply-adds, which bound it.

use super::super::memory::LINE;
use super::{Left, Start};
use std::arch::x86_64::{
    __m256, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

/// See [`super::Path::max_rows`].
pub const MAX_ROWS: usize = 6;

/// See [`super::Path::tile`].
///
/// # Safety
/// As for [`super::Path::tile`], on a machine that has the instructions.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn tile(to: &mut [f32], start: Start, left: *const f32, how: Left, right: &[f32]) {
    // SAFETY: the caller's promise, and the number of rows is that of `to`.
    unsafe {
        match to.len() / LINE {
            1 => rows::<1>(to, start, left, how, right),
            2 => rows::<2>(to, start, left, how, right),
            3 => rows::<3>(to, start, left, how, right),
            4 => rows::<4>(to, start, left, how, right),
            5 => rows::<5>(to, start, left, how, right),
            _ => rows::<MAX_ROWS>(to, start, left, how, right),
        }
    }
}

/// # Safety
/// As for [`tile`]; `to` holds `ROWS` lines.
#[target_feature(enable = "avx2,fma")]
unsafe fn rows<const ROWS: usize>(to: &mut [f32], start: Start, left: *const f32, how: Left, right: &[f32]) {
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    let lines = to.as_mut_ptr();
    // SAFETY: `to` holds ROWS lines of two registers each, and a start is one.
    unsafe {
        for (row, sums) in sums.iter_mut().enumerate() {
            let from = start.map_or(lines.add(row * LINE).cast_const(), |line| line.as_ptr());
            *sums = [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))];
        }
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
    // SAFETY: as for the loads.
    unsafe {
        for (row, sums) in sums.iter().enumerate() {
            _mm256_storeu_ps(lines.add(row * LINE), sums[0]);
            _mm256_storeu_ps(lines.add(row * LINE + 8), sums[1]);
        }
    }
}

/// One k: `sums[i] += a[i * STRIDE] * b`.
///
/// # Safety
/// `a` and `b` point to what is read.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn step<const ROWS: usize, const STRIDE: usize>(
    sums: &mut [[__m256; 2]; ROWS],
    a: *const f32,
    b: *const f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let (low, high) = (_mm256_loadu_ps(b), _mm256_loadu_ps(b.add(8)));
        for (row, sums) in sums.iter_mut().enumerate() {
            let a = _mm256_broadcast_ss(&*a.add(row * STRIDE));
            sums[0] = _mm256_fmadd_ps(a, low, sums[0]);
            sums[1] = _mm256_fmadd_ps(a, high, sums[1]);
        }
    }
}

/// See [`super::Path::row`]: at most four panels.
///
/// # Safety
/// As there, on a machine that has the instructions.
#[target_feature(enable = "avx2,fma")]
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
#[target_feature(enable = "avx2,fma")]
unsafe fn panels<const PANELS: usize>(to: &mut [f32], left: *const f32, block: usize, right: &[f32]) {
    let panel = right.len() / PANELS;
    let lines = to.as_mut_ptr();
    let mut sums = [[_mm256_setzero_ps(); 2]; PANELS];
    // SAFETY: `to` holds PANELS lines of two registers each; `right` as many panels; the caller's promise for
    // `left`.
    unsafe {
        for (index, sums) in sums.iter_mut().enumerate() {
            *sums = [_mm256_loadu_ps(lines.add(index * LINE)), _mm256_loadu_ps(lines.add(index * LINE + 8))];
        }
        for k in 0..panel / LINE {
            let a = _mm256_broadcast_ss(&*left.add(k / LINE * block + k % LINE));
            for (index, sums) in sums.iter_mut().enumerate() {
                let b = right.as_ptr().add(index * panel + k * LINE);
                sums[0] = _mm256_fmadd_ps(a, _mm256_loadu_ps(b), sums[0]);
                sums[1] = _mm256_fmadd_ps(a, _mm256_loadu_ps(b.add(8)), sums[1]);
            }
        }
        for (index, sums) in sums.iter().enumerate() {
            _mm256_storeu_ps(lines.add(index * LINE), sums[0]);
            _mm256_storeu_ps(lines.add(index * LINE + 8), sums[1]);
        }
    }
}
