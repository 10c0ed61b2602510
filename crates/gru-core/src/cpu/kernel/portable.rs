//! The tile as plain loops, for every machine: a product and a sum for each term, or two for each pair of bf16.

use super::super::memory::LINE;
use super::{Left, Start};

/// Rows whose sums fit in the registers of any machine.
const FEW: usize = 2;

/// One term.
#[inline(always)]
pub fn multiply_add(a: f32, b: f32, sum: f32) -> f32 {
    a * b + sum
}

/// Two terms, the second one first, as the instruction of AVX-512 takes them. A product of two bf16 is exact in f32.
#[inline(always)]
pub fn multiply_add_pairs(a: f32, b: f32, sum: f32) -> f32 {
    let second = |cell: f32| f32::from_bits(cell.to_bits() & 0xffff_0000);
    let first = |cell: f32| f32::from_bits(cell.to_bits() << 16);
    first(a) * first(b) + (second(a) * second(b) + sum)
}

/// # Safety
/// As for [`super::Path::tile`].
pub unsafe fn tile(
    to: &mut [f32],
    start: Start,
    left: *const f32,
    how: Left,
    right: &[f32],
    term: impl Fn(f32, f32, f32) -> f32 + Copy,
) {
    let row_step = if matches!(how, Left::Across) { 1 } else { LINE };
    for (index, to) in to.chunks_mut(FEW * LINE).enumerate() {
        let left = left.wrapping_add(index * FEW * row_step);
        // SAFETY: the caller's promise, for some of the rows.
        unsafe {
            if to.len() == FEW * LINE {
                rows::<FEW>(to, start, left, how, right, term);
            } else {
                rows::<1>(to, start, left, how, right, term);
            }
        }
    }
}

/// # Safety
/// As for [`tile`]; `to` holds `ROWS` lines.
unsafe fn rows<const ROWS: usize>(
    to: &mut [f32],
    start: Start,
    left: *const f32,
    how: Left,
    right: &[f32],
    term: impl Fn(f32, f32, f32) -> f32,
) {
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
                *sum = term(a, *b, *sum);
            }
        }
    }
    for (sums, to) in sums.iter().zip(to.chunks_exact_mut(LINE)) {
        to.copy_from_slice(sums);
    }
}
