//! Softmax, cross-entropy and the gradient of the logits, in place.

use super::forward::PROJECTION_ROWS;
use super::functions::{Arithmetic, Loop, exp};
use super::memory::{LINE, Shared};
use std::ops::Range;

/// Some rows of the logits, at most [`PROJECTION_ROWS`], and what becomes of them.
///
/// As a [`Loop`], once every panel was seen, it computes the loss of each row in nats; with `gradient`, the logits
/// become softmax(logits) - one_hot(target). Panel by panel, so that memory is read straight through.
pub struct Rows<'a> {
    logits: Shared<'a>,
    vocab: usize,
    rows: Range<usize>,
    targets: &'a [u32],
    losses: &'a mut [f64],
    gradient: bool,
    /// The largest logit of every sixteenth column, then the sum of their powers.
    lanes: [[f32; LINE]; PROJECTION_ROWS],
}

impl<'a> Rows<'a> {
    /// Rows of `[R, vocab]`, whose panels are still to be seen, their targets and the places of their losses.
    ///
    /// # Safety
    /// While this lives, nobody else writes these rows, nor reads them while it runs as a loop.
    pub unsafe fn new(
        (logits, vocab): (Shared<'a>, usize),
        rows: Range<usize>,
        targets: &'a [u32],
        losses: &'a mut [f64],
        gradient: bool,
    ) -> Self {
        let lanes = [[f32::NEG_INFINITY; LINE]; PROJECTION_ROWS];
        Self { logits, vocab, rows, targets, losses, gradient, lanes }
    }

    /// Takes note of the largest logits of a panel, best while it is in the first cache.
    #[inline(always)]
    pub fn see(&mut self, panel: usize) {
        // SAFETY: promised to `new`.
        let lines = unsafe { self.logits.read(panel, self.rows.clone()) };
        for (maxima, line) in self.lanes.iter_mut().zip(lines.chunks_exact(LINE)) {
            for (max, &logit) in maxima.iter_mut().zip(line) {
                // A NaN logit is passed over here and reaches the loss by the sum.
                *max = if logit > *max { logit } else { *max };
            }
        }
    }
}

impl Loop for Rows<'_> {
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let Self { logits, vocab, rows, targets, losses, gradient, mut lanes } = self;
        // SAFETY: promised to `new`; each panel is held through one slice at a time.
        let lines = |panel| unsafe { logits.lines(panel, rows.clone()) };
        let mut maxima = [0.0f32; PROJECTION_ROWS];
        for ((row, max), (lane, target)) in maxima.iter_mut().enumerate().zip(lanes.iter_mut().zip(targets)) {
            *max = lane.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            *lane = [0.0; LINE];
            let at_target = lines(*target as usize / LINE)[row * LINE + *target as usize % LINE];
            losses[row] = f64::from(*max) - f64::from(at_target);
        }
        for panel in 0..vocab / LINE {
            for ((totals, max), line) in
                lanes.iter_mut().zip(&maxima).zip(lines(panel).chunks_exact_mut(LINE))
            {
                for (total, logit) in totals.iter_mut().zip(line) {
                    let power = exp::<A>(*logit - max);
                    *logit = power;
                    *total += power;
                }
            }
        }
        let mut scales = [0.0f32; PROJECTION_ROWS];
        for ((scale, totals), loss) in scales.iter_mut().zip(lanes.iter()).zip(losses) {
            let total: f32 = totals.iter().sum();
            *scale = 1.0 / total;
            *loss += f64::from(total).ln();
        }
        if !gradient {
            return;
        }
        for panel in 0..vocab / LINE {
            for (scale, line) in scales.iter().zip(lines(panel).chunks_exact_mut(LINE)) {
                line.iter_mut().for_each(|power| *power *= scale);
            }
        }
        for (row, &target) in targets.iter().enumerate() {
            lines(target as usize / LINE)[row * LINE + target as usize % LINE] -= 1.0;
        }
    }
}
