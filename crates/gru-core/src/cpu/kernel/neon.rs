//! The tile in NEON: four registers a row, so that six rows, their next four elements of A and a piece of a line
//! of B fill the thirty-two registers. The multiply-adds take an element of A out of a register by its number.

use super::super::memory::LINE;
use super::{Left, Start};
use std::arch::aarch64::{
    float32x4_t, vdupq_n_f32, vfmaq_f32, vfmaq_lane_f32, vfmaq_laneq_f32, vld1_f32, vld1q_dup_f32, vld1q_f32,
    vst1q_f32,
};

/// See [`super::Path::max_rows`].
pub const MAX_ROWS: usize = 6;

/// f32 elements of a register.
const WIDTH: usize = 4;

/// A line of sums.
type Line = [float32x4_t; LINE / WIDTH];

/// See [`super::Path::tile`].
///
/// # Safety
/// As for [`super::Path::tile`], on a machine that has the instructions.
#[target_feature(enable = "neon")]
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
#[target_feature(enable = "neon")]
unsafe fn rows<const ROWS: usize>(to: &mut [f32], start: Start, left: *const f32, how: Left, right: &[f32]) {
    let mut sums = [[vdupq_n_f32(0.0); LINE / WIDTH]; ROWS];
    // SAFETY: `to` holds ROWS lines, and a start is one.
    match start {
        None => unsafe { load(&mut sums, to) },
        Some(line) => sums.iter_mut().for_each(|sums| unsafe { load(std::array::from_mut(sums), line) }),
    }
    let depth = right.len() / LINE;
    let (mut a, mut b) = (left, right.as_ptr());
    match how {
        Left::Along { block } => {
            for _ in 0..depth / LINE {
                for k in (0..LINE).step_by(WIDTH) {
                    // SAFETY: the caller's promise for `a`; `right` holds `depth` lines.
                    unsafe { four_along(&mut sums, a.add(k), b.add(k * LINE)) };
                }
                a = a.wrapping_add(block);
                b = b.wrapping_add(LINE * LINE);
            }
        }
        Left::Across => {
            for _ in 0..depth {
                // SAFETY: as above.
                unsafe { one_across(&mut sums, a, b) };
                a = a.wrapping_add(LINE);
                b = b.wrapping_add(LINE);
            }
        }
    }
    // SAFETY: as for the loads.
    unsafe { store(to, &sums) };
}

/// Four k: `sums[i] += a[i * LINE + k] * b[k * LINE..]`.
///
/// # Safety
/// `a` and `b` point to what is read.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn four_along<const ROWS: usize>(sums: &mut [Line; ROWS], a: *const f32, b: *const f32) {
    // SAFETY: the caller's promise.
    unsafe {
        let a = std::array::from_fn(|row| vld1q_f32(a.add(row * LINE)));
        term::<ROWS, 0>(sums, &a, b);
        term::<ROWS, 1>(sums, &a, b.add(LINE));
        term::<ROWS, 2>(sums, &a, b.add(2 * LINE));
        term::<ROWS, 3>(sums, &a, b.add(3 * LINE));
    }
}

/// One k: `sums[i] += a[i][K] * b`, a piece of B at a time.
///
/// # Safety
/// `b` points to a line.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn term<const ROWS: usize, const K: i32>(
    sums: &mut [Line; ROWS],
    a: &[float32x4_t; ROWS],
    b: *const f32,
) {
    for piece in 0..LINE / WIDTH {
        // SAFETY: the caller's promise.
        let b = unsafe { vld1q_f32(b.add(piece * WIDTH)) };
        for (sums, a) in sums.iter_mut().zip(a) {
            sums[piece] = vfmaq_laneq_f32::<K>(sums[piece], b, *a);
        }
    }
}

/// One k: `sums[i] += a[i] * b`, two rows at a time.
///
/// # Safety
/// `a` points to ROWS elements, `b` to a line.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn one_across<const ROWS: usize>(sums: &mut [Line; ROWS], a: *const f32, b: *const f32) {
    // SAFETY: the caller's promise.
    unsafe {
        let b: Line = std::array::from_fn(|piece| vld1q_f32(b.add(piece * WIDTH)));
        for (pair, sums) in sums.chunks_mut(2).enumerate() {
            let a = a.add(2 * pair);
            if let [first, second] = sums {
                let a = vld1_f32(a);
                for ((first, second), b) in first.iter_mut().zip(second).zip(b) {
                    *first = vfmaq_lane_f32::<0>(*first, b, a);
                    *second = vfmaq_lane_f32::<1>(*second, b, a);
                }
            } else {
                let a = vld1q_dup_f32(a);
                for (sum, b) in sums[0].iter_mut().zip(b) {
                    *sum = vfmaq_f32(*sum, b, a);
                }
            }
        }
    }
}

/// See [`super::Path::row`]: at most four panels.
///
/// # Safety
/// As there, on a machine that has the instructions.
#[target_feature(enable = "neon")]
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
#[target_feature(enable = "neon")]
unsafe fn panels<const PANELS: usize>(to: &mut [f32], left: *const f32, block: usize, right: &[f32]) {
    let panel = right.len() / PANELS;
    let mut sums = [[vdupq_n_f32(0.0); LINE / WIDTH]; PANELS];
    // SAFETY: `to` holds PANELS lines, `right` as many panels; the caller's promise for `left`.
    unsafe {
        load(&mut sums, to);
        for k in 0..panel / LINE {
            let a = vld1q_dup_f32(left.add(k / LINE * block + k % LINE));
            for (index, sums) in sums.iter_mut().enumerate() {
                let b = right.as_ptr().add(index * panel + k * LINE);
                for (piece, sum) in sums.iter_mut().enumerate() {
                    *sum = vfmaq_f32(*sum, vld1q_f32(b.add(piece * WIDTH)), a);
                }
            }
        }
        store(to, &sums);
    }
}

/// # Safety
/// `to` holds `LINES` lines.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load<const LINES: usize>(sums: &mut [Line; LINES], to: &[f32]) {
    for (index, sum) in sums.as_flattened_mut().iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *sum = unsafe { vld1q_f32(to.as_ptr().add(index * WIDTH)) };
    }
}

/// # Safety
/// As for [`load`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn store<const LINES: usize>(to: &mut [f32], sums: &[Line; LINES]) {
    for (index, sum) in sums.as_flattened().iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { vst1q_f32(to.as_mut_ptr().add(index * WIDTH), *sum) };
    }
}
