//! The tile as plain loops, for every machine: a product and a sum for each term.

use super::super::memory::LINE;
use super::{Left, Start};

/// Rows whose sums fit in the registers of any machine.
const FEW: usize = 2;

/// # Safety
/// As for [`super::Path::tile`].
pub unsafe fn tile(to: &mut [f32], start: Start, left: *const f32, how: Left, right: &[f32]) {
    let row_step = if matches!(how, Left::Across) { 1 } else { LINE };
    for (index, to) in to.chunks_mut(FEW * LINE).enumerate() {
        let left = left.wrapping_add(index * FEW * row_step);
        // SAFETY: the caller's promise, for some of the rows.
        unsafe {
            if to.len() == FEW * LINE {
                rows::<FEW>(to, start, left, how, right);
            } else {
                rows::<1>(to, start, left, how, right);
            }
        }
    }
}

/// # Safety
/// As for [`tile`]; `to` holds `ROWS` lines.
unsafe fn rows<const ROWS: usize>(to: &mut [f32], start: Start, left: *const f32, how: Left, right: &[f32]) {
    let mut sums = [[0.0f32; LINE]; ROWS];
    for (sums, to) in sums.iter_mut().zip(to.chunks_exact(LINE)) {
        sums.copy_from_slice(start.map_or(to, |line| &line[..]));
    }
    for (k, line) in right.chunks_exact(LINE).enumerate() {
        for (i, sums) in sums.iter_mut().enumerate() {
            let place = match how {
                Left::Along { block } => k / LINE * block + i * LINE + k % LINE,
                Left::Across => k * LINE + i,
            };
            // SAFETY: the caller's promise.
            let a = unsafe { *left.add(place) };
            for (sum, b) in sums.iter_mut().zip(line) {
                *sum += a * b;
            }
        }
    }
    for (sums, to) in sums.iter().zip(to.chunks_exact_mut(LINE)) {
        to.copy_from_slice(sums);
    }
}
