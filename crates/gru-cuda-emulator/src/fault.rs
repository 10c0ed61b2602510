//! What a launch can be stopped by.

use std::fmt;

/// Kinds of faults. Mirrors `enum class Fault` in `cpp/machine.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// An access outside of a region, a shared array, or what is allocated.
    OutOfBounds,
    /// An address that is no multiple of the element's size.
    Misaligned,
    /// Two accesses to one word, one of them a write, that nothing orders.
    Race,
    /// Threads that should wait together at one barrier do not.
    DivergentBarrier,
    /// No thread can go on.
    Deadlock,
    /// A cluster, an mbarrier or a store to a peer is used in a way that is not allowed.
    Misuse,
    /// A launch that a driver would refuse, or that is beyond the emulator's limits.
    Launch,
    /// A kernel reads device memory that nobody wrote, or a NaN that came from such.
    Unwritten,
}

impl FaultKind {
    pub(crate) fn from_number(number: i32) -> Self {
        match number {
            1 => Self::OutOfBounds,
            2 => Self::Misaligned,
            3 => Self::Race,
            4 => Self::DivergentBarrier,
            5 => Self::Deadlock,
            6 => Self::Misuse,
            8 => Self::Unwritten,
            _ => Self::Launch,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::OutOfBounds => "access out of bounds",
            Self::Misaligned => "misaligned access",
            Self::Race => "data race",
            Self::DivergentBarrier => "divergent barrier",
            Self::Deadlock => "deadlock",
            Self::Misuse => "misuse",
            Self::Launch => "wrong launch",
            Self::Unwritten => "unwritten memory",
        }
    }
}

/// Why a launch was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Of what kind.
    pub kind: FaultKind,
    /// Kernel, block, thread, and what happened.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind.words(), self.message)
    }
}

impl std::error::Error for Fault {}
