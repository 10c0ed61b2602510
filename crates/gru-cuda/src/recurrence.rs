//! Which kernels run the recurrence: one launch a time step, or one for all of them.
//!
//! Persistent kernels keep W_h in registers over all steps. Each of a group of blocks owns [`UNITS`] hidden units of
//! a slice of the batch, and the blocks of a group hand each other what the next step needs. [`Recurrence::choose`]
//! is the only place that decides.

use crate::device::Device;
use crate::{Kernel, Precision};
use gru_core::Error;

/// Hidden units of a block of a persistent kernel.
pub const UNITS: usize = 32;

/// How the blocks of a group hand on hidden states and gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exchange {
    /// Stores into each other's shared memory, in a cluster: compute capability 9.0 and newer.
    Cluster,
    /// Words with tags in device memory, which all groups wait for together: any GPU that holds them all.
    Words,
}

/// A pair of persistent kernels, forward and backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Persistent {
    /// How its blocks exchange.
    pub exchange: Exchange,
    /// Operands of its products.
    pub precision: Precision,
    /// Most hidden units. Those that a network has less are zeros.
    pub capacity: usize,
}

/// What is compiled of a pair.
struct Compiled {
    pair: Persistent,
    /// The file and its PTX, without the ending.
    name: &'static str,
    forward: &'static str,
    backward: &'static str,
    ptx: &'static str,
}

/// Every pair; the first that holds a network is used.
const PAIRS: [Compiled; 14] = {
    macro_rules! pair {
        ($exchange:ident $name:literal, $precision:ident $operands:literal, $capacity:literal) => {
            Compiled {
                pair: Persistent {
                    exchange: Exchange::$exchange,
                    precision: Precision::$precision,
                    capacity: $capacity,
                },
                name: concat!($name, "_", $operands, "_", $capacity),
                forward: concat!("forward_", $name, "_", $operands, "_", $capacity),
                backward: concat!("backward_", $name, "_", $operands, "_", $capacity),
                ptx: include_str!(concat!("../kernels/", $name, "_", $operands, "_", $capacity, ".ptx")),
            }
        };
    }
    [
        pair!(Cluster "cluster", Fp32 "fp32", 128),
        pair!(Cluster "cluster", Fp32 "fp32", 256),
        pair!(Cluster "cluster", Tf32 "tf32", 128),
        pair!(Cluster "cluster", Tf32 "tf32", 256),
        pair!(Cluster "cluster", Bf16 "bf16", 128),
        pair!(Cluster "cluster", Bf16 "bf16", 256),
        pair!(Cluster "cluster", Bf16 "bf16", 512),
        pair!(Words "words", Fp32 "fp32", 128),
        pair!(Words "words", Fp32 "fp32", 256),
        pair!(Words "words", Tf32 "tf32", 128),
        pair!(Words "words", Tf32 "tf32", 256),
        pair!(Words "words", Bf16 "bf16", 128),
        pair!(Words "words", Bf16 "bf16", 256),
        pair!(Words "words", Bf16 "bf16", 512),
    ]
};

impl Persistent {
    /// Every pair.
    pub fn all() -> impl Iterator<Item = Self> {
        PAIRS.iter().map(|compiled| compiled.pair)
    }

    fn compiled(self) -> Option<&'static Compiled> {
        const ALL: &[Compiled] = &PAIRS;
        ALL.iter().find(|compiled| compiled.pair == self)
    }

    /// The name of its file in `kernels/`, without the ending; empty for a pair that is not compiled.
    pub fn name(self) -> &'static str {
        self.compiled().map_or("", |compiled| compiled.name)
    }

    /// The name of the kernel that runs forward.
    pub fn forward_name(self) -> &'static str {
        self.compiled().map_or("", |compiled| compiled.forward)
    }

    /// The name of the kernel that runs backward.
    pub fn backward_name(self) -> &'static str {
        self.compiled().map_or("", |compiled| compiled.backward)
    }

    /// Its PTX, as `npm run build:kernels` compiled it.
    pub fn ptx(self) -> &'static str {
        self.compiled().map_or("", |compiled| compiled.ptx)
    }

    /// Blocks of a group.
    pub const fn blocks(self) -> usize {
        self.capacity / UNITS
    }

    /// Lanes of the batch that a group computes.
    pub const fn lanes(self) -> usize {
        match self.precision {
            Precision::Fp32 => 4,
            Precision::Tf32 | Precision::Bf16 => 8,
        }
    }

    /// Threads of a block.
    pub const fn threads(self) -> usize {
        match self.precision {
            Precision::Fp32 => 384,
            Precision::Tf32 | Precision::Bf16 => 256,
        }
    }

    /// Groups for a batch.
    pub const fn groups(self, batch_size: usize) -> usize {
        batch_size.div_ceil(self.lanes())
    }

    /// Groups for a batch that must be on the GPU at the same time.
    const fn groups_at_once(self, batch_size: usize) -> usize {
        match self.exchange {
            // A cluster waits for its own blocks alone, and those start together.
            Exchange::Cluster => 1,
            Exchange::Words => self.groups(batch_size),
        }
    }

    /// Words of 8 bytes of device memory through which the blocks exchange: two buffers of a share from each block
    /// of a group to each. The forward pass needs less, and has the same.
    pub const fn words(self, batch_size: usize) -> usize {
        match self.exchange {
            Exchange::Cluster => 0,
            Exchange::Words => {
                2 * self.groups(batch_size) * self.blocks() * self.blocks() * UNITS * self.lanes()
            }
        }
    }
}

/// How the time steps of an update are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Recurrence {
    /// `step_forward` and `step_backward`, one launch a step: any size, any GPU; always in f32.
    #[default]
    Steps,
    /// One launch for all steps.
    Persistent(Persistent),
}

impl Recurrence {
    /// The fastest that the device runs for a network with so many hidden units and a batch of so many lanes.
    ///
    /// # Errors
    /// What the device reports.
    pub fn choose(
        device: &impl Device,
        hidden_size: usize,
        batch_size: usize,
        precision: Precision,
    ) -> Result<Self, Error> {
        Self::choose_by(|kernel| device.resident_groups(kernel), hidden_size, batch_size, precision)
    }

    /// [`Recurrence::choose`] where `resident_groups` tells of each kernel what a device would.
    ///
    /// # Errors
    /// Those of `resident_groups`.
    pub fn choose_by(
        resident_groups: impl Fn(Kernel) -> Result<u32, Error>,
        hidden_size: usize,
        batch_size: usize,
        precision: Precision,
    ) -> Result<Self, Error> {
        let fitting =
            Persistent::all().filter(|pair| pair.precision == precision && pair.capacity >= hidden_size);
        for pair in fitting {
            let kernels = [Kernel::Forward(pair), Kernel::Backward(pair)];
            let runs = kernels.map(&resident_groups);
            let [forward, backward] = [runs[0].clone()?, runs[1].clone()?];
            if forward.min(backward) as usize >= pair.groups_at_once(batch_size) {
                return Ok(Self::Persistent(pair));
            }
        }
        Ok(Self::Steps)
    }

    /// Words of 8 bytes of device memory that it needs for a batch: see [`Persistent::words`].
    pub const fn words(self, batch_size: usize) -> usize {
        match self {
            Self::Steps => 0,
            Self::Persistent(pair) => pair.words(batch_size),
        }
    }

    /// The kernels that run the time steps: forward, backward.
    pub const fn kernels(self) -> [Kernel; 2] {
        match self {
            Self::Steps => [Kernel::StepForward, Kernel::StepBackward],
            Self::Persistent(pair) => [Kernel::Forward(pair), Kernel::Backward(pair)],
        }
    }
}
