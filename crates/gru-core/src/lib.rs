//! The arithmetic of gru-native: pure Rust, no Node, no CUDA.
//!
//! # The model
//!
//! A character-level language model: one reset-after GRU layer and a linear projection to the vocabulary.
//! "Reset-after" means that the reset gate multiplies the product `h W_h`, as in cuDNN and
//! `torch.nn.GRU`; a reset-before GRU is another model. For one lane of the batch, with `id_t` the
//! character at step t, `*` element-wise and row vectors throughout:
//!
//! ```text
//! r_t = sigmoid(W_x[id_t, r] + h_{t-1} W_h[:, r] + b_r)            reset gate
//! z_t = sigmoid(W_x[id_t, z] + h_{t-1} W_h[:, z] + b_z)            update gate
//! q_t = h_{t-1} W_h[:, n] + b_q                                    recurrent part of the candidate
//! n_t = tanh(W_x[id_t, n] + r_t * q_t + b_n)                       candidate state
//! h_t = z_t * h_{t-1} + (1 - z_t) * n_t                            hidden state
//! logits_t = h_t W_y + b_y
//! ```
//!
//! A one-hot input times `W_x` is the row `W_x[id_t]`, so no one-hot vector is ever made. `b_q` is absent
//! (zero and untrained) unless [`Sizes::candidate_bias`] is set.
//!
//! # The loss and its gradient
//!
//! The loss of an update is the **sum**, in nats, of the cross-entropy over its `num_steps * batch_size`
//! predictions. Truncated backpropagation through time (BPTT) goes back over the steps of the update and
//! no further. With `p_t` the softmax of the logits, `e_t` the one-hot target and `D_t` the whole gradient
//! that reaches `h_t` (from its own logits and from step t+1):
//!
//! ```text
//! dlogits_t = p_t - e_t                     dW_y = sum_t h_t^T dlogits_t      db_y = sum_t dlogits_t
//! D_t  = dlogits_t W_y^T + (what step t+1 sends back)
//! dn'  = D_t * (1 - z) * (1 - n^2)          pre-activation gradients of n, z and r
//! dz'  = D_t * (h_{t-1} - n) * z * (1 - z)
//! dr'  = dn' * q * r * (1 - r)
//! dW_x[id_t] += (dr', dz', dn')             db  = sum (dr', dz', dn')
//! dW_h = sum_t h_{t-1}^T (dr', dz', dn' * r)                                  db_q = sum dn' * r
//! sent back to step t-1:  z * D_t + (dr', dz', dn' * r) W_h^T
//! ```
//!
//! An update then scales all gradients together by `min(1, max_grad_norm / norm)`, `norm` being the L2 norm
//! over every parameter, and takes a step of plain SGD: `parameter -= learning_rate * gradient`.
//!
//! # Where things live
//!
//! - [`sizes`]: the sizes of a network, checked; [`parameters`]: the flat block and its table of shapes.
//! - [`backend`]: the [`Backend`] trait and the plan of updates it runs.
//! - [`oracle`]: the equations as plain f64 loops, the truth that every backend is tested against.
//! - [`cpu`]: the fast f32 backend. [`conformance`]: the tests that all backends share.
//! - [`generation`]: writing text with any of them.
//! - [`random`]: the project's one random generator and the initial weights.
//! - [`model_file`]: parameters to and from safetensors, in PyTorch's names and layout.

pub mod backend;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod cpu;
pub mod generation;
pub mod model_file;
pub mod oracle;
pub mod parameters;
pub mod random;
pub mod sizes;

pub use backend::{Backend, Error, Forward, Outcome, Plan, Stop, Update};
pub use parameters::{Layout, Tensor};
pub use sizes::Sizes;
