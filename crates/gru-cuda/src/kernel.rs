//! The table of kernels: names, as in `kernels/*.cu`, and threads of a block.

/// A kernel. Each stands in a file of its own name in `kernels/`, which says what it computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Gathers the update's characters and the hidden state it begins from.
    BeginUpdate,
    /// One time step forward: recurrent product, gates, hidden state.
    StepForward,
    /// Logits of every row.
    Projection,
    /// Softmax, cross-entropy and the gradient of the logits, in place.
    SoftmaxLoss,
    /// Gradient that reaches the hidden state from its own logits.
    HiddenGradient,
    /// One time step of BPTT.
    StepBackward,
    /// Gradient of W_h.
    RecurrentGradient,
    /// Gradient of W_y.
    OutputGradient,
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
}

impl Kernel {
    /// All of them, in the order in which an update runs them.
    pub const ALL: [Self; 13] = [
        Self::BeginUpdate,
        Self::StepForward,
        Self::Projection,
        Self::SoftmaxLoss,
        Self::HiddenGradient,
        Self::StepBackward,
        Self::RecurrentGradient,
        Self::OutputGradient,
        Self::InputGradient,
        Self::BiasGradients,
        Self::ReportUpdate,
        Self::Descend,
        Self::CarryState,
    ];

    /// The name of the entry in the module, and of its file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeginUpdate => "begin_update",
            Self::StepForward => "step_forward",
            Self::Projection => "projection",
            Self::SoftmaxLoss => "softmax_loss",
            Self::HiddenGradient => "hidden_gradient",
            Self::StepBackward => "step_backward",
            Self::RecurrentGradient => "recurrent_gradient",
            Self::OutputGradient => "output_gradient",
            Self::InputGradient => "input_gradient",
            Self::BiasGradients => "bias_gradients",
            Self::ReportUpdate => "report_update",
            Self::Descend => "descend",
            Self::CarryState => "carry_state",
        }
    }

    /// Threads of a block, all in x; `KERNEL(name, threads, Task)` in its file says the same number.
    pub const fn threads(self) -> u32 {
        256
    }
}
