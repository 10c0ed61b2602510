//! What the methods of a network give, as JavaScript sees it.

use gru_core::{Forward, Layout, Sizes, Update};
use napi::bindgen_prelude::Float32Array;
use napi_derive::napi;

/// A tensor's place in the flat array of parameters.
///
/// @example
/// ```ts
/// import { Network, type ParameterTensor } from 'gru-native';
///
/// const network = new Network({ vocabSize: 3, hiddenSize: 8, batchSize: 2, numSteps: 4 });
/// await network.initialize(0, 0.01);
/// const flat = await network.parameters();
/// const of = ({ rows, columns, offset }: ParameterTensor) => flat.subarray(offset, offset + rows * columns);
/// for (const tensor of network.parameterTensors) console.log(tensor.name, of(tensor).length);
/// network.dispose();
/// ```
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
///
/// @example
/// ```ts
/// import { type ForwardResult, Network } from 'gru-native';
///
/// const network = new Network({ vocabSize: 3, hiddenSize: 8, batchSize: 2, numSteps: 4 });
/// await network.initialize(0, 0.01);
/// const read: ForwardResult = await network.forward(Uint32Array.of(0, 1, 2));
/// const next: ForwardResult = await network.forward(Uint32Array.of(0), read.state); // reads on
/// console.log(read.logits.length, next.logits.length); // 9 3
/// network.dispose();
/// ```
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
///
/// @example
/// ```ts
/// import { type GradientResult, Network } from 'gru-native';
///
/// const network = new Network({ vocabSize: 3, hiddenSize: 8, batchSize: 2, numSteps: 4 });
/// await network.initialize(0, 0.01);
/// await network.loadCorpus(Uint32Array.from({ length: 40 }, (_, at) => at % 3));
/// const plan = {
///   starts: Int32Array.of(0, 20, 4, 24), // two updates of two lanes
///   numSteps: 4,
///   learningRate: Float32Array.of(0.2, 0.2),
///   maxGradNorm: 5,
///   carryState: true,
/// };
/// const { gradient, gradientNorm }: GradientResult = await network.gradient(plan);
/// console.log(gradient.length === network.parameterCount, gradientNorm);
/// network.dispose();
/// ```
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
