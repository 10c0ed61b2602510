//! The CPU backend: f32, vectorised, parallel over fixed blocks.
//!
//! One update runs through five parallel regions. The work of each is cut into tasks by the sizes alone,
//! every task writes its own part of a buffer, and every sum has one fixed order: so the bits of a result
//! depend neither on the number of threads nor on which thread takes which task.
//!
//! | region | file | one task |
//! |---|---|---|
//! | recurrence | `forward.rs` | a block of `LANES` lanes, all steps |
//! | projection, softmax, dlogits, dh | `forward.rs` | a block of rows |
//! | BPTT | `backward.rs` | a block of lanes, all steps in reverse |
//! | weight gradients and their squared norms | `backward.rs` | a panel of columns; a group of input rows |
//! | clip, SGD, transposed copies | `backward.rs` | a few rows of a tensor |
//!
//! A row is one (lane, step). Rows lie in the order (block, step, lane in block), so that the rows of a
//! block are one piece of every buffer, and the rows of one step of a block are one matrix.
//! Vocabulary and hidden units are padded to `LINE`: padded weights are zero (and stay zero, as their
//! gradients are), padded `b_y` is -1e30, which the softmax turns into a probability of exactly 0.
//! Nothing is allocated after [`CpuBackend::new`] but inside the products of the gemm crate.

#[cfg(test)]
mod allocation_tests;
mod backward;
mod forward;
pub mod functions;
mod memory;

use crate::backend::{Backend, Error, Forward, Observer, Outcome, Plan, Stop, Update};
use crate::{Layout, Sizes};
use backward::Squares;
use forward::{Activations, Batch};
use memory::{Buffer, LINE};
use std::sync::Arc;

/// Most threads of one network.
pub const MAX_THREADS: usize = 1024;

/// Lanes that run through all steps as one task.
const LANES: usize = 8;

/// `b_y` of the padding: far below every logit, far above f32's minimum.
const PADDING_BIAS: f32 = -1e30;

/// Sizes rounded up to whole cache lines.
#[derive(Clone, Copy)]
struct Padded {
    hidden: usize,
    vocab: usize,
}

/// One buffer per tensor, in the padded layout; gate columns r, z, n each `hidden` wide.
struct Tensors {
    /// `[vocab_size, 3 * hidden]`; of a gradient, only the rows that the batch used, `[rows, 3 * hidden]`
    w_x: Buffer,
    /// `[hidden, 3 * hidden]`
    w_h: Buffer,
    /// `[3 * hidden]`
    b: Buffer,
    /// `[hidden]`, zeros without the candidate bias
    b_q: Buffer,
    /// `[hidden, vocab]`
    w_y: Buffer,
    /// `[vocab]`
    b_y: Buffer,
}

impl Tensors {
    fn zeros(w_x_rows: usize, Padded { hidden, vocab }: Padded) -> Result<Self, Error> {
        Ok(Self {
            w_x: Buffer::zeros(w_x_rows * 3 * hidden)?,
            w_h: Buffer::zeros(hidden * 3 * hidden)?,
            b: Buffer::zeros(3 * hidden)?,
            b_q: Buffer::zeros(hidden)?,
            w_y: Buffer::zeros(hidden * vocab)?,
            b_y: Buffer::zeros(vocab)?,
        })
    }

    /// The six tensors in the layout's order.
    fn all(&self) -> [&Buffer; 6] {
        [&self.w_x, &self.w_h, &self.b, &self.b_q, &self.w_y, &self.b_y]
    }

    fn all_mut(&mut self) -> [&mut Buffer; 6] {
        [&mut self.w_x, &mut self.w_h, &mut self.b, &mut self.b_q, &mut self.w_y, &mut self.b_y]
    }
}

/// Copies of the recurrent and output weights with rows and columns exchanged: BPTT multiplies by them at
/// every step, and a product reads its right-hand side by rows.
struct Transposed {
    /// `[3 * hidden, hidden]`
    w_h: Buffer,
    /// `[vocab, hidden]`
    w_y: Buffer,
}

/// The CPU backend; see the head of this module.
pub struct CpuBackend {
    sizes: Sizes,
    padded: Padded,
    parameters: Tensors,
    transposed: Transposed,
    /// Whether `transposed` is out of date.
    stale: bool,
    activations: Activations,
    batch: Batch,
    /// Gradient of the last update, unclipped.
    gradient: Tensors,
    /// Sums of squares of the gradient, one slot a task, added up in slot order.
    squares: Squares,
    /// Carried hidden state, `[batch_size, hidden]`
    state: Buffer,
    /// State after the running update; becomes `state` once the update counts.
    next_state: Buffer,
    /// Gradient sent back from step to step, `[batch_size, hidden]`
    sent_back: Buffer,
    corpus: Vec<u32>,
    pool: Arc<rayon::ThreadPool>,
}

impl CpuBackend {
    /// A network of zeros whose work is shared by `threads` threads.
    ///
    /// # Errors
    /// What [`Sizes::check`] finds; [`Error::OutOfMemory`]; [`Error::Threads`].
    pub fn new(sizes: Sizes, threads: usize) -> Result<Self, Error> {
        sizes.check()?;
        if threads == 0 || threads > MAX_THREADS {
            return Err(Error::Size { name: "threads", value: threads, max: MAX_THREADS });
        }
        let padded = Padded {
            hidden: sizes.hidden_size.next_multiple_of(LINE),
            vocab: sizes.vocab_size.next_multiple_of(LINE),
        };
        let Padded { hidden, vocab } = padded;
        let rows = sizes.rows();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("gru-cpu-{index}"))
            .build()
            .map_err(|error| Error::Threads { threads, reason: error.to_string() })?;
        let mut backend = Self {
            sizes,
            padded,
            parameters: Tensors::zeros(sizes.vocab_size, padded)?,
            transposed: Transposed {
                w_h: Buffer::zeros(3 * hidden * hidden)?,
                w_y: Buffer::zeros(vocab * hidden)?,
            },
            stale: true,
            activations: Activations::zeros(rows, padded)?,
            batch: Batch::new(&sizes),
            gradient: Tensors::zeros(rows, padded)?,
            squares: Squares::new(rows, padded),
            state: Buffer::zeros(sizes.batch_size * hidden)?,
            next_state: Buffer::zeros(sizes.batch_size * hidden)?,
            sent_back: Buffer::zeros(sizes.batch_size * hidden)?,
            corpus: Vec::new(),
            pool: Arc::new(pool),
        };
        backend.write_parameters(&vec![0.0; Layout::new(&sizes).len()]);
        Ok(backend)
    }

    /// Forward pass, loss and unclipped gradient of one update, from the carried state; the state after it is
    /// in `next_state`.
    fn forward_backward(&mut self, plan: &Plan, index: usize) -> Update {
        if self.stale {
            self.transpose();
            self.stale = false;
        }
        let loss_sum = self.forward(plan, index, true);
        let gradient_norm = self.backward(plan);
        Update { loss_sum, tokens: plan.num_steps * self.sizes.batch_size, gradient_norm }
    }

    /// Runs `step` for every update of the plan until the end, a non-finite report or the observer's word. A
    /// report that is finite counts: its state becomes the carried state, after `apply`.
    fn run_updates(
        &mut self,
        plan: &Plan,
        observer: &mut Observer,
        step: impl Fn(&mut Self, usize) -> Update,
        apply: impl Fn(&mut Self, usize, &Update),
    ) -> Outcome {
        let updates = plan.updates(&self.sizes);
        for index in 0..updates {
            let update = step(self, index);
            if !update.is_finite() {
                return Outcome { updates: index, stop: Stop::NonFinite };
            }
            apply(self, index, &update);
            std::mem::swap(&mut self.state, &mut self.next_state);
            if observer(index, update).is_break() {
                return Outcome { updates: index + 1, stop: Stop::Cancelled };
            }
        }
        Outcome { updates, stop: Stop::Completed }
    }

    /// Runs `work` on a thread of the pool, so that the parallel regions inside cost no allocation.
    fn on_pool<R: Send>(&mut self, work: impl FnOnce(&mut Self) -> R + Send) -> R {
        Arc::clone(&self.pool).install(|| work(self))
    }
}

/// Copies rows of `from_width` to rows of `to_width`, as much of each as fits in both.
fn copy_rows(from: &[f32], from_width: usize, to: &mut [f32], to_width: usize) {
    let width = from_width.min(to_width);
    for (from, to) in from.chunks_exact(from_width).zip(to.chunks_exact_mut(to_width)) {
        to[..width].copy_from_slice(&from[..width]);
    }
}

/// Runs a plain loop compiled for the machine's best vector instructions.
#[inline(always)]
fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

impl CpuBackend {
    /// Width of the groups of columns that are padded as one, per tensor: (unpadded, padded).
    fn widths(&self) -> [(usize, usize); 6] {
        let gate = (self.sizes.hidden_size, self.padded.hidden);
        let vocab = (self.sizes.vocab_size, self.padded.vocab);
        [gate, gate, gate, gate, vocab, vocab]
    }
}

impl Backend for CpuBackend {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn read_parameters(&self, flat: &mut [f32]) {
        let layout = Layout::new(&self.sizes);
        for ((tensor, buffer), (width, padded)) in
            layout.tensors.iter().zip(self.parameters.all()).zip(self.widths())
        {
            copy_rows(buffer, padded, &mut flat[tensor.range.clone()], width);
        }
    }

    fn write_parameters(&mut self, flat: &[f32]) {
        let (layout, widths) = (Layout::new(&self.sizes), self.widths());
        for ((tensor, buffer), (width, padded)) in
            layout.tensors.iter().zip(self.parameters.all_mut()).zip(widths)
        {
            copy_rows(&flat[tensor.range.clone()], width, buffer, padded);
        }
        self.parameters.b_y[self.sizes.vocab_size..].fill(PADDING_BIAS);
        self.stale = true;
    }

    fn write_corpus(&mut self, ids: &[u32]) {
        self.corpus.clear();
        self.corpus.extend_from_slice(ids);
    }

    fn corpus_len(&self) -> usize {
        self.corpus.len()
    }

    fn read_state(&self, state: &mut [f32]) {
        copy_rows(&self.state, self.padded.hidden, state, self.sizes.hidden_size);
    }

    fn write_state(&mut self, state: &[f32]) {
        copy_rows(state, self.sizes.hidden_size, &mut self.state, self.padded.hidden);
    }

    fn run_train(&mut self, plan: &Plan, observer: &mut Observer) -> Result<Outcome, Error> {
        Ok(self.on_pool(|this| {
            this.run_updates(
                plan,
                observer,
                |this, index| this.forward_backward(plan, index),
                |this, index, update| {
                    let scale = (f64::from(plan.max_grad_norm) / update.gradient_norm).min(1.0);
                    this.descend((f64::from(plan.learning_rate[index]) * scale) as f32);
                },
            )
        }))
    }

    fn run_evaluate(&mut self, plan: &Plan, observer: &mut Observer) -> Result<Outcome, Error> {
        let tokens = plan.num_steps * self.sizes.batch_size;
        Ok(self.on_pool(|this| {
            let step = |this: &mut Self, index| Update {
                loss_sum: this.forward(plan, index, false),
                tokens,
                gradient_norm: 0.0,
            };
            this.run_updates(plan, observer, step, |_, _, _| ())
        }))
    }

    fn run_forward(&mut self, ids: &[u32], state: &[f32]) -> Result<Forward, Error> {
        Ok(self.forward_lane(ids, state))
    }

    fn poison_scratch(&mut self) {
        self.activations.poison();
        for buffer in self.gradient.all_mut() {
            buffer.fill(f32::NAN);
        }
        for buffer in
            [&mut self.transposed.w_h, &mut self.transposed.w_y, &mut self.sent_back, &mut self.next_state]
        {
            buffer.fill(f32::NAN);
        }
        self.stale = true;
    }

    fn run_gradient(&mut self, plan: &Plan, gradient: &mut [f32]) -> Result<Update, Error> {
        let update = self.on_pool(|this| this.forward_backward(plan, 0));
        let layout = Layout::new(&self.sizes);
        for ((tensor, buffer), (width, padded)) in
            layout.tensors.iter().zip(self.gradient.all()).zip(self.widths()).skip(1)
        {
            copy_rows(buffer, padded, &mut gradient[tensor.range.clone()], width);
        }
        // Of W_x only the rows that the batch used were computed.
        let (width, padded) = (self.sizes.hidden_size, self.padded.hidden);
        let w_x = &mut gradient[layout.tensors[0].range.clone()];
        w_x.fill(0.0);
        for (place, &(id, _)) in self.batch.runs.iter().enumerate() {
            let computed = &self.gradient.w_x[place * 3 * padded..][..3 * padded];
            copy_rows(computed, padded, &mut w_x[id as usize * 3 * width..][..3 * width], width);
        }
        Ok(update)
    }
}
