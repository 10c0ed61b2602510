//! Where the time of an update goes, part by part, for the benchmarks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A part of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Part {
    /// Gather, recurrent products and gates of all steps.
    Recurrence,
    /// Logits.
    Projection,
    /// Softmax, cross-entropy and the gradient of the logits.
    Loss,
    /// What the logits send back to the hidden states.
    StateGradient,
    /// BPTT.
    Bptt,
    /// Gradient of W_y and b_y.
    OutputGradient,
    /// Gradient of W_h, b and b_q.
    RecurrentGradient,
    /// Gradient of W_x.
    InputGradient,
    /// Clipped SGD and the transposed copies.
    Descent,
}

impl Part {
    /// All parts, in the order of an update.
    pub const ALL: [Self; 9] = [
        Self::Recurrence,
        Self::Projection,
        Self::Loss,
        Self::StateGradient,
        Self::Bptt,
        Self::OutputGradient,
        Self::RecurrentGradient,
        Self::InputGradient,
        Self::Descent,
    ];

    /// The part's name in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recurrence => "recurrence forward and gates",
            Self::Projection => "projection",
            Self::Loss => "softmax and dlogits",
            Self::StateGradient => "dh from the logits",
            Self::Bptt => "BPTT",
            Self::OutputGradient => "dW_y",
            Self::RecurrentGradient => "dW_h",
            Self::InputGradient => "dW_x",
            Self::Descent => "clip, SGD, transposes",
        }
    }
}

/// Time spent in each part since the network was made, summed over its threads.
#[derive(Default)]
pub struct Parts([AtomicU64; Part::ALL.len()]);

impl Parts {
    /// Does a piece of work that belongs to a part: some tasks of some microseconds an update, so that looking at
    /// the clock costs nothing to speak of.
    #[inline(always)]
    pub fn time<R>(&self, part: Part, work: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = work();
        let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0[part as usize].fetch_add(nanoseconds, Ordering::Relaxed);
        result
    }

    /// Time of a part, of all threads together.
    pub fn of(&self, part: Part) -> Duration {
        Duration::from_nanos(self.0[part as usize].load(Ordering::Relaxed))
    }
}
