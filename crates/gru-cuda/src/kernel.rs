//! The table of kernels: names, as in `kernels/*.cu`, threads of a block, and what is compiled together.

use crate::Precision;
use crate::recurrence::{Exchange, Persistent};

/// A kernel. Each stands in a file of its own name in `kernels/`, which says what it computes; that of a product is for
/// every precision, and the persistent ones stand in `forward_*.cuh` and `backward_*.cuh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Gathers the update's characters and the hidden state it begins from.
    BeginUpdate,
    /// One time step forward: recurrent product, gates, hidden state.
    StepForward,
    /// Logits of every row.
    Projection(Precision),
    /// Softmax, cross-entropy and the gradient of the logits, in place.
    SoftmaxLoss,
    /// Gradient that reaches the hidden state from its own logits.
    HiddenGradient(Precision),
    /// One time step of BPTT.
    StepBackward,
    /// Gradient of W_h.
    RecurrentGradient(Precision),
    /// Gradient of W_y.
    OutputGradient(Precision),
    /// Gradient of the rows of W_x that the update used.
    InputGradient,
    /// Gradients of b, b_q and b_y.
    BiasGradients,
    /// Loss and norm of the update; whether it counts; by how much to step.
    ReportUpdate,
    /// SGD.
    Descend,
    /// The state after the update becomes the carried state.
    CarryState,
    /// All time steps forward.
    Forward(Persistent),
    /// All time steps of BPTT.
    Backward(Persistent),
}

/// Kernels that are compiled together. A device loads those that its network uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Module {
    /// `gru_sm80.ptx`: every kernel of one operation, of the products those in fp32; for every network.
    Plain,
    /// The products on tensor cores, operands in tf32.
    ProductsTf32,
    /// The products on tensor cores, operands in bf16.
    ProductsBf16,
    /// A pair of persistent kernels, in a file of its own.
    Persistent(Persistent),
}

impl Module {
    /// The one that holds the products of a precision.
    pub const fn of_products(precision: Precision) -> Self {
        match precision {
            Precision::Fp32 => Self::Plain,
            Precision::Tf32 => Self::ProductsTf32,
            Precision::Bf16 => Self::ProductsBf16,
        }
    }

    /// All of them; the first is for every network.
    pub fn all() -> impl Iterator<Item = Self> {
        Precision::ALL.into_iter().map(Self::of_products).chain(Persistent::all().map(Self::Persistent))
    }
}

impl Kernel {
    /// Those of one operation each that are not products, in the order in which an update runs them.
    const PLAIN: [Self; 9] = [
        Self::BeginUpdate,
        Self::StepForward,
        Self::SoftmaxLoss,
        Self::StepBackward,
        Self::InputGradient,
        Self::BiasGradients,
        Self::ReportUpdate,
        Self::Descend,
        Self::CarryState,
    ];

    /// All of them.
    pub fn all() -> Vec<Self> {
        let persistent = Persistent::all().flat_map(|pair| [Self::Forward(pair), Self::Backward(pair)]);
        let products = Precision::ALL.into_iter().flat_map(|precision| {
            [Self::Projection, Self::HiddenGradient, Self::RecurrentGradient, Self::OutputGradient]
                .map(|product| product(precision))
        });
        Self::PLAIN.into_iter().chain(products).chain(persistent).collect()
    }

    /// The module that it is in.
    pub const fn module(self) -> Module {
        match self {
            Self::Forward(pair) | Self::Backward(pair) => Module::Persistent(pair),
            Self::Projection(precision)
            | Self::HiddenGradient(precision)
            | Self::RecurrentGradient(precision)
            | Self::OutputGradient(precision) => Module::of_products(precision),
            _ => Module::Plain,
        }
    }

    /// The pair that it is one of, if it is persistent.
    pub const fn persistent(self) -> Option<Persistent> {
        match self {
            Self::Forward(pair) | Self::Backward(pair) => Some(pair),
            _ => None,
        }
    }

    /// Whether all blocks of a launch must be on the GPU together, since they wait for each other: such a launch is
    /// cooperative, and refused where they do not fit.
    pub const fn is_cooperative(self) -> bool {
        matches!(self, Self::Forward(pair) | Self::Backward(pair) if matches!(pair.exchange, Exchange::Words))
    }

    /// The name of the entry in the module.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeginUpdate => "begin_update",
            Self::StepForward => "step_forward",
            Self::Projection(precision) => {
                ["projection_fp32", "projection_tf32", "projection_bf16"][precision as usize]
            }
            Self::SoftmaxLoss => "softmax_loss",
            Self::HiddenGradient(precision) => {
                ["hidden_gradient_fp32", "hidden_gradient_tf32", "hidden_gradient_bf16"][precision as usize]
            }
            Self::StepBackward => "step_backward",
            Self::RecurrentGradient(precision) => {
                ["recurrent_gradient_fp32", "recurrent_gradient_tf32", "recurrent_gradient_bf16"]
                    [precision as usize]
            }
            Self::OutputGradient(precision) => {
                ["output_gradient_fp32", "output_gradient_tf32", "output_gradient_bf16"][precision as usize]
            }
            Self::InputGradient => "input_gradient",
            Self::BiasGradients => "bias_gradients",
            Self::ReportUpdate => "report_update",
            Self::Descend => "descend",
            Self::CarryState => "carry_state",
            Self::Forward(pair) => pair.forward_name(),
            Self::Backward(pair) => pair.backward_name(),
        }
    }

    /// Threads of a block, all in x; `KERNEL(name, threads, Task)` in its file says the same number.
    pub const fn threads(self) -> u32 {
        match self {
            Self::Forward(pair) | Self::Backward(pair) => pair.threads() as u32,
            _ => 256,
        }
    }
}
