//! What the methods of a network give, as JavaScript sees it.

use gru_core::{Forward, Layout, Sizes, Update};
use napi::bindgen_prelude::Float32Array;
use napi_derive::napi;

/// A tensor's place in the flat array of parameters.
#[napi(object, object_from_js = false)]
pub struct ParameterTensor {
    /// `W_x`, `W_h`, `b`, `b_q`, `W_y` or `b_y`; gate columns in the order r, z, n.
    #[napi(ts_type = "'W_x' | 'W_h' | 'b' | 'b_q' | 'W_y' | 'b_y'")]
    pub name: &'static str,
    /// Rows; 1 for a bias.
    pub rows: u32,
    /// Columns; 0 for b_q where the network has none.
    pub columns: u32,
    /// Index of its first element; row-major from there.
    pub offset: u32,
}

impl ParameterTensor {
    /// The tensors of a network in memory order.
    pub fn table(sizes: &Sizes) -> Vec<Self> {
        let tensors = Layout::new(sizes).tensors.into_iter();
        let place = |tensor: gru_core::Tensor| Self {
            name: tensor.name,
            rows: tensor.rows as u32,
            columns: tensor.columns as u32,
            offset: tensor.range.start as u32,
        };
        tensors.map(place).collect()
    }
}

/// What a forward run gave.
#[napi(object, object_from_js = false)]
pub struct ForwardResult {
    /// Logits of every step, `[ids.length, vocabSize]` row-major.
    pub logits: Float32Array,
    /// Hidden state after the last step, `[hiddenSize]`.
    pub state: Float32Array,
}

impl From<Forward> for ForwardResult {
    fn from(forward: Forward) -> Self {
        Self { logits: Float32Array::new(forward.logits), state: Float32Array::new(forward.state) }
    }
}

/// Loss and gradient of one update.
#[napi(object, object_from_js = false)]
pub struct GradientResult {
    /// Cross-entropy summed over the update's predictions, in nats.
    pub loss_sum: f64,
    /// Number of predictions.
    pub tokens: u32,
    /// L2 norm of the gradient over all parameters together.
    pub gradient_norm: f64,
    /// Gradient of `lossSum`, not clipped, laid out like the parameters, `[parameterCount]`.
    pub gradient: Float32Array,
}

impl From<(Update, Vec<f32>)> for GradientResult {
    fn from((update, gradient): (Update, Vec<f32>)) -> Self {
        Self {
            loss_sum: update.loss_sum,
            tokens: update.tokens as u32,
            gradient_norm: update.gradient_norm,
            gradient: Float32Array::new(gradient),
        }
    }
}
