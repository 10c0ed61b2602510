//! [`Task`]: what one launch of a kernel is given. Mirrors `kernels/task.cuh`, field for field.

use bytemuck::{Pod, Zeroable};

/// A piece of device memory: elements of one type, of which there are `length`. The length is there for the
/// emulator, which checks every access against it; on a GPU only kernels that ask for it read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Region {
    /// Where the first element lies.
    pub address: u64,
    /// Number of elements.
    pub length: u64,
}

/// What a launch is given: sizes, the time step, and where everything lies. One value serves every kernel of
/// an update; only `step` differs between launches.
///
/// V and H are padded to whole lines ([`crate::arena::LINE`]). R = `num_steps * batch_size` rows, row `t *
/// batch_size + lane`; the hidden state before row i is row i of `h`, the one after it row i + `batch_size`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Task {
    /// V, padded.
    pub vocab_size: i32,
    /// H, padded.
    pub hidden_size: i32,
    /// B.
    pub batch_size: i32,
    /// T, of this plan.
    pub num_steps: i32,
    /// R.
    pub rows: i32,
    /// The time step, for the kernels that run one.
    pub step: i32,
    /// 1 if b_q is trained, else 0.
    pub candidate_bias: i32,
    /// 1 if the update begins from the carried state, 0 if from zeros.
    pub carries_state: i32,
    /// First slot of `squares` that `output_gradient` fills; `recurrent_gradient` begins at 0.
    pub output_slot: i32,
    /// First slot of `input_gradient`.
    pub input_slot: i32,
    /// First slot of `bias_gradients`.
    pub bias_slot: i32,
    /// Slots in all; 0 where there is no gradient.
    pub num_slots: i32,

    /// f32 `[V, 3H]`
    pub w_x: Region,
    /// f32 `[H, 3H]`
    pub w_h: Region,
    /// f32 `[3H]`
    pub b: Region,
    /// f32 `[H]`
    pub b_q: Region,
    /// f32 `[H, V]`
    pub w_y: Region,
    /// f32 `[V]`
    pub b_y: Region,
    /// f32: `w_h`, `b`, `b_q`, `w_y`, `b_y` as one.
    pub dense: Region,

    /// f32 `[R, 3H]`: the gradient of the rows of W_x that the update used, in the order of `run_ids`.
    pub gradient_w_x: Region,
    /// f32 `[H, 3H]`
    pub gradient_w_h: Region,
    /// f32 `[3H + H]`: of b and b_q.
    pub gradient_b: Region,
    /// f32 `[H, V]`
    pub gradient_w_y: Region,
    /// f32 `[V]`
    pub gradient_b_y: Region,
    /// f32: the gradients of `dense`, in its order.
    pub gradient_dense: Region,
    /// f64 `[num_slots]`: sums of squares of the gradient, one slot a block that computes some of it.
    pub squares: Region,

    /// u32: the corpus.
    pub ids: Region,
    /// u32 `[updates, B]`: where each lane begins.
    pub starts: Region,
    /// f32 `[updates]`; empty where nothing is learnt.
    pub learning_rate: Region,
    /// f32 `[1]`
    pub max_grad_norm: Region,
    /// u32 `[updates]`: number of different characters of each update.
    pub num_runs: Region,
    /// u32 `[updates, R]`: those characters.
    pub run_ids: Region,
    /// u32 `[updates, R + 1]`: where the rows of each begin in `run_rows`, and where the last ends.
    pub run_begins: Region,
    /// u32 `[updates, R]`: the rows of each character, ascending.
    pub run_rows: Region,
    /// f64 `[updates]`: reported loss.
    pub loss_sum: Region,
    /// f64 `[updates]`: reported gradient norm.
    pub gradient_norm: Region,

    /// u32 `[1]`: the running update.
    pub cursor: Region,
    /// u32 `[1]`: the update that was reported last.
    pub reported: Region,
    /// u32 `[1]`: 1 once an update was not finite; nothing is applied from there on.
    pub stopped: Region,
    /// f32 `[1]`: learning rate times clipping scale of the update that was reported last.
    pub rate: Region,

    /// f32 `[B, H]`: the carried state.
    pub state: Region,
    /// u32 `[R]`
    pub inputs: Region,
    /// u32 `[R]`
    pub targets: Region,
    /// f32 `[R + B, H]`: hidden states; the first B rows are what the update begins from.
    pub h: Region,
    /// f32 `[R, H]`: reset gate.
    pub r: Region,
    /// f32 `[R, H]`: update gate.
    pub z: Region,
    /// f32 `[R, H]`: recurrent part of the candidate.
    pub q: Region,
    /// f32 `[R, H]`: candidate state.
    pub n: Region,
    /// f32 `[R, V]`: logits, then their gradient.
    pub logits: Region,
    /// f32 `[R, parts]`: of each row and each [`crate::tile::PART_COLUMNS`] of its logits the largest; empty where
    /// nobody asks for them.
    pub part_max: Region,
    /// f32 `[R, parts]`: the sum of exp(logit - largest), likewise.
    pub part_sum: Region,
    /// f32 `[R]`: loss of each row.
    pub loss: Region,
    /// f32 `[R, H]`: gradient that reaches h, first from the logits alone, then the whole of it.
    pub dh: Region,
    /// f32 `[R, 3H]`: gradient of `h W_h`: (dr', dz', dn' * r).
    pub dq: Region,
    /// f32 `[R, H]`: dn'.
    pub dn: Region,

    /// u64 [`crate::recurrence::Persistent::words`]: what persistent kernels exchange; empty unless they do it so.
    pub words: Region,
}

/// Bytes of a task before its regions.
const SIZES_BYTES: usize = 12 * size_of::<i32>();

impl Task {
    /// All regions.
    pub fn regions_mut(&mut self) -> &mut [Region] {
        bytemuck::cast_slice_mut(&mut bytemuck::bytes_of_mut(self)[SIZES_BYTES..])
    }

    /// The same task for another time step.
    pub fn at_step(&self, step: usize) -> Self {
        Self { step: step as i32, ..*self }
    }
}
