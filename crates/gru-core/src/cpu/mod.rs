//! The CPU backend: f32 (the operands of products perhaps in bf16, see `bf16.rs`), vectorised, parallel over rows and panels.
//!
//! One update runs through five parallel regions:
//!
//! | region | file | one task |
//! |---|---|---|
//! | recurrence | `forward.rs` | some lanes, all steps; or, of few lanes, some units, one step |
//! | projection, softmax, dlogits, dh | `forward.rs` | a block of rows |
//! | BPTT | `backward.rs` | as the recurrence, the steps in reverse |
//! | weight gradients and their squared norms | `backward.rs` | a panel of columns; a group of input rows |
//! | clip, SGD, transposed copies | `backward.rs` | a panel of columns; a group of input rows |
//!
//! A row is one (step, lane), `step * batch_size + lane`. Matrices lie in panels of [`memory::LINE`] columns, which
//! is how the one product kernel ([`kernel`]) reads and writes them: nothing is ever repacked. Every element of a
//! product is one chain of sums in a fixed order and every other sum has a fixed order too, so the bits of a result
//! depend neither on the number of threads nor on which thread takes which task; how work is cut may depend on them.
//! Vocabulary and hidden units are padded to `LINE`: padded weights are zero (and stay zero, as their
//! gradients are), padded `b_y` is -1e30, which the softmax turns into a probability of exactly 0.
//! Updates allocate nothing after [`CpuBackend::new`]; nor do steps outside of any batch (`step.rs`), after the first
//! of so many lanes.

#[cfg(test)]
mod allocation_tests;
mod backward;
mod bf16;
mod forward;
pub mod functions;
pub mod kernel;
mod loss;
pub mod memory;
pub mod parts;
mod step;
mod tensors;
mod turn;
mod workers;

use crate::backend::{Backend, Error, Forward, Observer, Outcome, Plan, Stop, Update};
use crate::{Layout, Sizes};
use bf16::{CELLS, Pairs};
use forward::{Activations, Batch};
use kernel::Path;
use memory::{LINE, Panels};
use parts::Parts;
use std::ops::Range;
use step::Stepping;
use tensors::{Padded, Tensors, copy_rows};
use turn::Cores;
use workers::Workers;

/// Most threads of one network.
pub const MAX_THREADS: usize = 1024;

/// `b_y` of the padding: far below every logit, far above f32's minimum.
const PADDING_BIAS: f32 = -1e30;

/// Copies of the recurrent and output weights with rows and columns exchanged, which BPTT multiplies by.
struct Transposed {
    /// `[3 * hidden, hidden]`
    w_h: Panels,
    /// `[vocab, hidden]`
    w_y: Panels,
}

/// Fewest lanes of a thread that runs all steps on its own; with fewer, all threads share every step.
const MIN_LANES: usize = 4;

/// One of `count` shares of `0..total` that differ by at most one.
fn share(total: usize, count: usize, index: usize) -> Range<usize> {
    index * total / count..(index + 1) * total / count
}

/// Calls `work(step, lanes, units)` for all lanes and panels of units, step after step: each lane needs its own
/// step before, and each unit all units of it.
fn each_step(
    workers: &mut Workers,
    steps: impl Iterator<Item = usize> + Clone + Sync,
    (lanes, units): (usize, usize),
    work: impl Fn(usize, Range<usize>, Range<usize>) + Sync,
) {
    let threads = workers.count();
    if threads == 1 || lanes >= threads * MIN_LANES {
        workers.each(threads, |task| {
            for step in steps.clone() {
                work(step, share(lanes, threads, task), 0..units);
            }
        });
    } else {
        // Two panels of units at a time: together they are a line of cells in bf16.
        let twos = units.div_ceil(2);
        let tasks = threads.min(twos);
        for step in steps {
            workers.each(tasks, |task| {
                let own = share(twos, tasks, task);
                work(step, 0..lanes, 2 * own.start..units.min(2 * own.end));
            });
        }
    }
}

/// The CPU backend; see the head of this module.
pub struct CpuBackend {
    sizes: Sizes,
    padded: Padded,
    parameters: Tensors,
    transposed: Transposed,
    /// Whether `transposed` and the weights among `pairs` are out of date.
    stale: bool,
    /// Operands in bf16, on a path that multiplies those.
    pairs: Option<Pairs>,
    activations: Activations,
    /// What a step outside of any batch needs.
    stepping: Stepping,
    batch: Batch,
    /// Gradient of the last update, unclipped.
    gradient: Tensors,
    /// Sums of squares of the gradient, one slot a task, added up in slot order.
    squares: Vec<f64>,
    /// Carried hidden state, `[batch_size, hidden]`
    state: Panels,
    corpus: Vec<u32>,
    path: Path,
    workers: Workers,
    parts: Parts,
}

impl CpuBackend {
    /// A network of zeros whose work is shared by `threads` threads.
    ///
    /// # Errors
    /// What [`Sizes::check`] finds; [`Error::OutOfMemory`]; [`Error::Threads`].
    pub fn new(sizes: Sizes, threads: usize) -> Result<Self, Error> {
        Self::on_path(sizes, threads, Path::detect())
    }

    /// The same on a path of one's choice among [`Path::available`] and [`Path::available_bf16`].
    ///
    /// # Errors
    /// As for [`CpuBackend::new`]; [`Error::Value`] for a path that the machine does not have.
    pub fn on_path(sizes: Sizes, threads: usize, path: Path) -> Result<Self, Error> {
        sizes.check()?;
        if ![Path::available(), Path::available_bf16()].concat().contains(&path) {
            let (expected, received) = ("a path of this machine".into(), path.name().into());
            return Err(Error::Value { name: "path", expected, received, index: 0 });
        }
        if threads == 0 || threads > MAX_THREADS {
            return Err(Error::Size { name: "threads", value: threads, max: MAX_THREADS });
        }
        let whole = if path.is_bf16() { CELLS } else { LINE };
        let padded = Padded {
            hidden: sizes.hidden_size.next_multiple_of(whole),
            vocab: sizes.vocab_size.next_multiple_of(whole),
        };
        let Padded { hidden, vocab } = padded;
        let rows = sizes.rows();
        let workers =
            Workers::new(threads).map_err(|error| Error::Threads { threads, reason: error.to_string() })?;
        let mut backend = Self {
            sizes,
            padded,
            parameters: Tensors::zeros(sizes.vocab_size, padded)?,
            transposed: Transposed {
                w_h: Panels::zeros(3 * hidden, hidden)?,
                w_y: Panels::zeros(vocab, hidden)?,
            },
            stale: true,
            pairs: path.is_bf16().then(|| Pairs::zeros(&sizes, padded)).transpose()?,
            activations: Activations::zeros(&sizes, padded)?,
            stepping: Stepping::zeros(1, padded)?,
            batch: Batch::new(&sizes),
            gradient: Tensors::zeros(rows, padded)?,
            squares: vec![0.0; backward::most_tasks(rows, padded)],
            state: Panels::zeros(sizes.batch_size, hidden)?,
            corpus: Vec::new(),
            path,
            workers,
            parts: Parts::default(),
        };
        backend.write_parameters(&vec![0.0; Layout::new(&sizes).len()])?;
        Ok(backend)
    }

    /// Forward pass, loss and unclipped gradient of one update, from the carried state; the state after it is
    /// in the last rows of `h`.
    fn forward_backward(&mut self, plan: &Plan, index: usize) -> Update {
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
        let mut turn = Cores::of_machine().take(self.workers.count());
        for index in 0..updates {
            turn.pass();
            let update = step(self, index);
            if !update.is_finite() {
                return Outcome { updates: index, stop: Stop::NonFinite };
            }
            apply(self, index, &update);
            self.carry_state(plan.num_steps);
            if observer(index, update).is_break() {
                return Outcome { updates: index + 1, stop: Stop::Cancelled };
            }
        }
        Outcome { updates, stop: Stop::Completed }
    }

    /// The state after so many steps becomes the carried state.
    fn carry_state(&mut self, steps: usize) {
        let lanes = self.sizes.batch_size;
        for panel in 0..self.state.panels() {
            let last = &self.activations.h.panel(panel)[steps * lanes * LINE..][..lanes * LINE];
            self.state.panel_mut(panel).copy_from_slice(last);
        }
    }

    /// Where the time of the updates went so far.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }
}

/// Runs a plain loop compiled for the machine's vector instructions, or for any machine's on the portable path. Its
/// bits are the same either way: the compiler neither reorders nor fuses what rounds.
#[inline(always)]
fn vectorised<R>(path: Path, work: impl FnOnce() -> R) -> R {
    if path.is_portable() { work() } else { pulp::Arch::new().dispatch(work) }
}

impl Backend for CpuBackend {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn read_parameters(&self, flat: &mut [f32]) -> Result<(), Error> {
        let w_x = &mut flat[Layout::new(&self.sizes).tensors[0].range.clone()];
        copy_rows(&self.parameters.w_x, self.padded.hidden, w_x, self.sizes.hidden_size);
        self.parameters.unpack(&self.sizes, flat);
        Ok(())
    }

    fn write_parameters(&mut self, flat: &[f32]) -> Result<(), Error> {
        self.parameters.pack(&self.sizes, flat);
        self.parameters.b_y[self.sizes.vocab_size..].fill(PADDING_BIAS);
        self.stale = true;
        Ok(())
    }

    fn write_corpus(&mut self, ids: &[u32]) -> Result<(), Error> {
        self.corpus.clear();
        self.corpus.extend_from_slice(ids);
        Ok(())
    }

    fn corpus_len(&self) -> usize {
        self.corpus.len()
    }

    fn read_state(&self, state: &mut [f32]) -> Result<(), Error> {
        self.state.unpack(state, self.sizes.hidden_size);
        Ok(())
    }

    fn write_state(&mut self, state: &[f32]) -> Result<(), Error> {
        self.state.pack(state, self.sizes.hidden_size);
        Ok(())
    }

    fn run_train(&mut self, plan: &Plan, observer: &mut Observer) -> Result<Outcome, Error> {
        let step = |this: &mut Self, index| this.forward_backward(plan, index);
        let apply = |this: &mut Self, index, update: &Update| {
            let scale = (f64::from(plan.max_grad_norm) / update.gradient_norm).min(1.0);
            this.descend((f64::from(plan.learning_rate[index]) * scale) as f32);
        };
        Ok(self.run_updates(plan, observer, step, apply))
    }

    fn run_evaluate(&mut self, plan: &Plan, observer: &mut Observer) -> Result<Outcome, Error> {
        let tokens = plan.num_steps * self.sizes.batch_size;
        let step = |this: &mut Self, index| Update {
            loss_sum: this.forward(plan, index, false),
            tokens,
            gradient_norm: 0.0,
        };
        Ok(self.run_updates(plan, observer, step, |_, _, _| ()))
    }

    fn run_forward(&mut self, ids: &[u32], state: &[f32]) -> Result<Forward, Error> {
        self.forward_lane(ids, state)
    }

    fn run_step(&mut self, ids: &[u32], states: &mut [f32], logits: &mut [f32]) -> Result<(), Error> {
        self.step(ids, states, logits)
    }

    fn poison_scratch(&mut self) -> Result<(), Error> {
        self.activations.poison();
        self.stepping.poison();
        for elements in self.gradient.all_mut() {
            elements.fill(f32::NAN);
        }
        for panels in [&mut self.transposed.w_h, &mut self.transposed.w_y] {
            panels.elements_mut().fill(f32::NAN);
        }
        self.pairs.iter_mut().for_each(Pairs::poison);
        self.stale = true;
        Ok(())
    }

    fn run_gradient(&mut self, plan: &Plan, gradient: &mut [f32]) -> Result<Update, Error> {
        let update = self.forward_backward(plan, 0);
        self.gradient.unpack(&self.sizes, gradient);
        // Of W_x only the rows that the batch used were computed.
        let (width, padded) = (self.sizes.hidden_size, self.padded.hidden);
        let w_x = &mut gradient[Layout::new(&self.sizes).tensors[0].range.clone()];
        w_x.fill(0.0);
        for (place, &(id, _)) in self.batch.runs.iter().enumerate() {
            let computed = &self.gradient.w_x[place * 3 * padded..][..3 * padded];
            copy_rows(computed, padded, &mut w_x[id as usize * 3 * width..][..3 * width], width);
        }
        Ok(update)
    }
}
