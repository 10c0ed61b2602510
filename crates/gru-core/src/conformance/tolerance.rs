//! How close to the oracle is close enough, and why.

/// How far a backend may be from the oracle.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Of losses (relative) and of logits and states (to the largest).
    pub values: f64,
    /// Of each gradient tensor, relative to its largest element.
    pub gradients: f64,
    /// Of parameters after training, relative to the L2 norm of their change.
    pub training: f64,
    /// Whether the backend computes in f64: then a state that goes out and in again is rounded, and what overflows
    /// an f32 does not overflow.
    pub wide: bool,
}

impl Tolerance {
    /// Backends in f32: rounding is 6e-8; sums of a few thousand terms and 35 recurrent steps cost about
    /// thirty times that. Training magnifies it from update to update.
    pub const F32: Self = Self { values: 2e-6, gradients: 5e-6, training: 1e-3, wide: false };

    /// The oracle itself: only what goes out is rounded, to f32.
    pub const ORACLE: Self = Self { values: 2e-7, gradients: 1.2e-7, training: 1e-6, wide: true };

    /// Backends whose products have operands in tf32 and sums in f32: rounding is at most 4.9e-4 an operand, a quarter of
    /// bf16's, and so are the errors; states carry theirs from step to step.
    pub const TF32: Self = Self { values: 7e-4, gradients: 2e-3, training: 5e-3, wide: false };

    /// Backends whose products have operands in bf16 (rounding 2e-3) and sums in f32: errors of single terms average
    /// out in sums, and those of a small gradient are as large as those of the largest it is computed from.
    pub const BF16: Self = Self { values: 3e-3, gradients: 1e-2, training: 2e-2, wide: false };
}
