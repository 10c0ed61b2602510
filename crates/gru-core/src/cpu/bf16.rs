//! The operands of the products in bf16. Two numbers that follow each other along K are one 32-bit cell, the first in
//! its low half; so a matrix of cells lies in panels and is multiplied just as one of f32 with half as many terms.
//! State, gates, gradients, sums and the parameters themselves stay f32: these copies are written anew from them.

use super::kernel::Path;
use super::memory::{LINE, Panels, Shared};
use super::tensors::Padded;
use super::vectorised;
use crate::backend::Error;
use crate::sizes::Sizes;
use std::ops::Range;

/// Numbers that hidden units and characters are padded to: a line of cells.
pub const CELLS: usize = 2 * LINE;

/// Every operand of the seven products. Cells along units, characters or gate columns:
pub struct Pairs {
    /// `[R + batch_size, hidden]`
    pub h: Panels,
    /// `[R, vocab]`
    pub dlogits: Panels,
    /// `[R, 3 * hidden]`
    pub dq: Panels,
    pub weights: Weights,
    /// Cells along rows, for the gradients of the weights: the states before each step, `[R, hidden]`,
    pub h_before: Panels,
    /// those after it,
    pub h_after: Panels,
    /// `[R, vocab]`,
    pub dlogits_rows: Panels,
    /// `[R, 3 * hidden]`
    pub dq_rows: Panels,
}

/// The weights, cells along their rows.
pub struct Weights {
    /// `[hidden, 3 * hidden]`
    pub w_h: Panels,
    /// `[hidden, vocab]`
    pub w_y: Panels,
    /// `[3 * hidden, hidden]`
    pub turned_h: Panels,
    /// `[vocab, hidden]`
    pub turned_y: Panels,
}

impl Pairs {
    /// Zeros.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn zeros(sizes: &Sizes, Padded { hidden, vocab }: Padded) -> Result<Self, Error> {
        let rows = sizes.rows();
        let weights = Weights {
            w_h: Panels::zeros(hidden / 2, 3 * hidden)?,
            w_y: Panels::zeros(hidden / 2, vocab)?,
            turned_h: Panels::zeros(3 * hidden / 2, hidden)?,
            turned_y: Panels::zeros(vocab / 2, hidden)?,
        };
        Ok(Self {
            h: Panels::spaced(rows + sizes.batch_size, hidden / 2)?,
            dlogits: Panels::spaced(rows, vocab / 2)?,
            dq: Panels::spaced(rows, 3 * hidden / 2)?,
            weights,
            h_before: Panels::spaced(rows.div_ceil(2), hidden)?,
            h_after: Panels::spaced(rows.div_ceil(2), hidden)?,
            dlogits_rows: Panels::spaced(rows.div_ceil(2), vocab)?,
            dq_rows: Panels::spaced(rows.div_ceil(2), 3 * hidden)?,
        })
    }

    /// What is written anew in every update becomes NaN.
    pub fn poison(&mut self) {
        let Self { h, dlogits, dq, weights, h_before, h_after, dlogits_rows, dq_rows } = self;
        let Weights { w_h, w_y, turned_h, turned_y } = weights;
        let all = [h, dlogits, dq, h_before, h_after, dlogits_rows, dq_rows, w_h, w_y, turned_h, turned_y];
        for panels in all {
            panels.elements_mut().fill(f32::NAN);
        }
    }
}

/// The bf16 nearest to a number, ties to even, in the low bits; subnormal numbers become zero, as they are for the
/// instructions that multiply them.
#[inline(always)]
fn bf16(value: f32) -> u32 {
    let bits = value.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let number = if value.is_nan() { 0x7fc0 } else { nearest };
    if bits & 0x7f80_0000 == 0 { bits >> 16 & 0x8000 } else { number }
}

/// Writes rows of some panels of `from` as cells along those columns: two panels become one of `to`, in which the
/// columns of `from` begin at panel `first` of theirs.
///
/// # Safety
/// Nobody else uses those rows of these panels of `to`, nor writes those of `from`.
pub unsafe fn pair_columns(
    path: Path,
    (from, panels): (Shared, Range<usize>),
    rows: Range<usize>,
    (to, first): (Shared, usize),
) {
    for panel in panels.clone().step_by(2) {
        // SAFETY: the caller's promise.
        let (low, high, to) = unsafe {
            let place = (panel - panels.start + first) / 2;
            (
                from.read(panel, rows.clone()),
                from.read(panel + 1, rows.clone()),
                to.lines(place, rows.clone()),
            )
        };
        vectorised(
            path,
            #[inline(always)]
            || {
                let lines = low.chunks_exact(LINE).zip(high.chunks_exact(LINE));
                for ((low, high), to) in lines.zip(to.chunks_exact_mut(LINE)) {
                    let (first, second) = bytemuck::cast_slice_mut::<f32, u16>(to).split_at_mut(LINE);
                    first.iter_mut().zip(low).for_each(|(to, &value)| *to = bf16(value) as u16);
                    second.iter_mut().zip(high).for_each(|(to, &value)| *to = bf16(value) as u16);
                }
            },
        );
    }
}

/// Writes lines as cells along rows: two lines of `from` become one of `to`; a last one alone is followed by zeros.
pub fn pair_rows(path: Path, from: &[f32], to: &mut [f32]) {
    vectorised(
        path,
        #[inline(always)]
        || {
            for (from, to) in from.chunks(2 * LINE).zip(to.chunks_exact_mut(LINE)) {
                let (even, odd) = from.split_at(LINE);
                let odd: &[f32] = if odd.is_empty() { &[0.0; LINE] } else { odd };
                for ((to, &even), &odd) in to.iter_mut().zip(even).zip(odd) {
                    *to = f32::from_bits(bf16(even) | bf16(odd) << 16);
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_the_nearest_and_ties_to_even() {
        for (value, expected) in [
            (1.0, 0x3f80),
            (-2.0, 0xc000),
            (f32::from_bits(0x3f80_7fff), 0x3f80),
            (f32::from_bits(0x3f80_8000), 0x3f80),
            (f32::from_bits(0x3f81_8000), 0x3f82),
            (f32::from_bits(0x3f80_8001), 0x3f81),
            (f32::MAX, 0x7f80),
            (f32::NEG_INFINITY, 0xff80),
            (f32::from_bits(0x0000_ffff), 0),
            (-f32::from_bits(0x007f_ffff), 0x8000),
            (f32::MIN_POSITIVE, 0x0080),
        ] {
            assert_eq!(bf16(value), expected, "{value}");
        }
        assert_eq!(bf16(f32::NAN), 0x7fc0);
        assert_eq!(bf16(-f32::from_bits(0xffff_ffff)), 0x7fc0);
    }
}
