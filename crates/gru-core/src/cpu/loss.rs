//! Softmax, cross-entropy and the gradient of the logits, in place.

use super::forward::PROJECTION_ROWS;
use super::functions::exp;
use super::memory::{LINE, Shared};
use std::ops::Range;

/// Some rows of the logits, at most [`PROJECTION_ROWS`].
pub struct Rows<'a> {
    logits: Shared<'a>,
    vocab: usize,
    rows: Range<usize>,
    /// The largest logit of every sixteenth column, then the sum of their powers.
    lanes: [[f32; LINE]; PROJECTION_ROWS],
}

impl<'a> Rows<'a> {
    /// Rows of `[R, vocab]`, whose panels are still to be seen.
    pub fn new(logits: Shared<'a>, vocab: usize, rows: Range<usize>) -> Self {
        Self { logits, vocab, rows, lanes: [[f32::NEG_INFINITY; LINE]; PROJECTION_ROWS] }
    }

    /// Takes note of the largest logits of a panel, best while it is in the first cache.
    ///
    /// # Safety
    /// Nobody writes these rows.
    #[inline(always)]
    pub unsafe fn see(&mut self, panel: usize) {
        // SAFETY: the caller's promise.
        let lines = unsafe { self.logits.read(panel, self.rows.clone()) };
        for (maxima, line) in self.lanes.iter_mut().zip(lines.chunks_exact(LINE)) {
            for (max, &logit) in maxima.iter_mut().zip(line) {
                // A NaN logit is passed over here and reaches the loss by the sum.
                *max = if logit > *max { logit } else { *max };
            }
        }
    }

    /// Loss of each row in nats, once every panel was seen; with `gradient`, the logits become softmax(logits) -
    /// one_hot(target). Panel by panel, so that memory is read straight through.
    ///
    /// # Safety
    /// Nobody else touches these rows.
    #[inline(always)]
    pub unsafe fn cross_entropy(mut self, targets: &[u32], losses: &mut [f64], gradient: bool) {
        let Self { logits, vocab, rows, lanes } = &mut self;
        // SAFETY: the caller's promise; each panel is held through one slice at a time.
        let lines = |panel| unsafe { logits.lines(panel, rows.clone()) };
        let mut maxima = [0.0f32; PROJECTION_ROWS];
        for ((row, max), (lane, target)) in maxima.iter_mut().enumerate().zip(lanes.iter_mut().zip(targets)) {
            *max = lane.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            *lane = [0.0; LINE];
            let at_target = lines(*target as usize / LINE)[row * LINE + *target as usize % LINE];
            losses[row] = f64::from(*max) - f64::from(at_target);
        }
        for panel in 0..*vocab / LINE {
            for ((totals, max), line) in
                lanes.iter_mut().zip(&maxima).zip(lines(panel).chunks_exact_mut(LINE))
            {
                for (total, logit) in totals.iter_mut().zip(line) {
                    let power = exp(*logit - max);
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
        for panel in 0..*vocab / LINE {
            for (scale, line) in scales.iter().zip(lines(panel).chunks_exact_mut(LINE)) {
                line.iter_mut().for_each(|power| *power *= scale);
            }
        }
        for (row, &target) in targets.iter().enumerate() {
            lines(target as usize / LINE)[row * LINE + target as usize % LINE] -= 1.0;
        }
    }
}
