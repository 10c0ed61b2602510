//! The forward pass: gather and recurrence by lanes, then projection and loss by blocks of rows.

use super::bf16::{Pairs, pair_columns};
use super::functions::{Arithmetic, Loop, run, sigmoid, tanh};
use super::kernel::{Path, prefetch};
use super::loss::Rows;
use super::memory::{LINE, Panels, Shared, ZEROS};
use super::parts::Part;
use super::tensors::{Padded, Tensors};
use super::workers::Pieces;
use super::{CpuBackend, each_step, share, vectorised};
use crate::backend::{Error, Plan};
use crate::sizes::Sizes;
use std::ops::Range;

/// Most rows of one projection task: whole tiles, enough that a panel of weights is used often while it is in the
/// first cache, and few enough that the logits stay in the second.
pub(super) const PROJECTION_ROWS: usize = 72;

/// What the forward pass leaves for the backward pass. R rows, one (step, lane) each, step by step.
pub(super) struct Activations {
    /// Hidden states, `[R + batch_size, hidden]`: the first `batch_size` rows are those before the first step.
    pub h: Panels,
    /// r, z, q, n; BPTT overwrites them with dr', dz', dn' r, dn': `[R, 4 * hidden]`
    pub gates: Panels,
    /// Logits, overwritten by dlogits: `[R, vocab]`
    pub logits: Panels,
    /// Gradient of h from the logits of its own row; BPTT adds what the next step sends: `[R, hidden]`
    pub dh: Panels,
    /// Loss of each row, in nats
    pub loss: Vec<f64>,
}

impl Activations {
    pub fn zeros(sizes: &Sizes, Padded { hidden, vocab }: Padded) -> Result<Self, Error> {
        let rows = sizes.rows();
        Ok(Self {
            h: Panels::spaced(rows + sizes.batch_size, hidden)?,
            gates: Panels::spaced(rows, 4 * hidden)?,
            logits: Panels::spaced(rows, vocab)?,
            dh: Panels::spaced(rows, hidden)?,
            loss: vec![0.0; rows],
        })
    }

    pub fn poison(&mut self) {
        for panels in [&mut self.h, &mut self.gates, &mut self.logits, &mut self.dh] {
            panels.elements_mut().fill(f32::NAN);
        }
        self.loss.fill(f64::NAN);
    }
}

/// The characters of an update, row by row, and its rows sorted by character.
pub(super) struct Batch {
    pub ids: Vec<u32>,
    pub targets: Vec<u32>,
    /// Rows in ascending order of their id, ties in row order.
    pub rows_by_id: Vec<u32>,
    /// Each distinct id of the batch, ascending, with the start of its run in `rows_by_id`.
    pub runs: Vec<(u32, u32)>,
    /// Place of every id of the vocabulary in `runs`, or [`Batch::ABSENT`]: `[vocab_size]`
    pub place: Vec<u32>,
    /// Rows of each id, then the next free place of its run: `[vocab_size]`
    counts: Vec<u32>,
}

impl Batch {
    pub const ABSENT: u32 = u32::MAX;

    pub fn new(sizes: &Sizes) -> Self {
        let rows = sizes.rows();
        Self {
            ids: Vec::with_capacity(rows),
            targets: Vec::with_capacity(rows),
            rows_by_id: vec![0; rows],
            runs: Vec::with_capacity(rows),
            place: vec![Self::ABSENT; sizes.vocab_size],
            counts: vec![0; sizes.vocab_size],
        }
    }

    /// Gathers the characters of the lanes that begin at `starts`.
    fn fill(&mut self, corpus: &[u32], starts: &[u32], num_steps: usize) {
        self.ids.clear();
        self.targets.clear();
        for step in 0..num_steps {
            self.ids.extend(starts.iter().map(|&start| corpus[start as usize + step]));
            self.targets.extend(starts.iter().map(|&start| corpus[start as usize + step + 1]));
        }
    }

    /// Sorts the rows by character, by counting.
    pub fn sort(&mut self) {
        self.counts.fill(0);
        for &id in &self.ids {
            self.counts[id as usize] += 1;
        }
        self.runs.clear();
        self.place.fill(Self::ABSENT);
        let mut start = 0;
        for (id, count) in self.counts.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            self.place[id] = self.runs.len() as u32;
            self.runs.push((id as u32, start));
            start += std::mem::replace(count, start);
        }
        for (row, &id) in self.ids.iter().enumerate() {
            let next = &mut self.counts[id as usize];
            self.rows_by_id[*next as usize] = row as u32;
            *next += 1;
        }
    }

    /// The rows of the run at `place`.
    pub fn run(&self, place: usize) -> &[u32] {
        let end = self.runs.get(place + 1).map_or(self.ids.len(), |next| next.1 as usize);
        &self.rows_by_id[self.runs[place].1 as usize..end]
    }
}

impl CpuBackend {
    /// Runs update `index` of the plan forward from the carried state (zeros unless it is carried) and
    /// returns the summed loss. With `gradients`, the logits become dlogits and `dh` is computed.
    pub(super) fn forward(&mut self, plan: &Plan, index: usize, gradients: bool) -> f64 {
        if self.stale {
            self.copy_weights();
            self.stale = false;
        }
        let Self { sizes, padded, parameters, transposed, activations, batch, state, .. } = self;
        let Self { path, workers, parts, pairs, .. } = self;
        let Padded { hidden, vocab } = *padded;
        let (path, lanes, parameters, parts) = (*path, sizes.batch_size, &*parameters, &*parts);
        batch.fill(&self.corpus, plan.lanes(sizes, index), plan.num_steps);
        let rows = batch.ids.len();
        for panel in 0..hidden / LINE {
            let first = &mut activations.h.panel_mut(panel)[..lanes * LINE];
            if plan.carry_state {
                first.copy_from_slice(state.panel(panel));
            } else {
                first.fill(0.0);
            }
        }

        let (h, gates) = (activations.h.share(), activations.gates.share());
        let (logits, dh) = (activations.logits.share(), activations.dh.share());
        // What the products read: the matrices themselves, or copies of them in bf16.
        let operands = match pairs {
            None => Operands {
                h,
                dlogits: logits,
                w_h: &parameters.w_h,
                w_y: &parameters.w_y,
                turned_y: &transposed.w_y,
            },
            Some(Pairs { h, dlogits, weights, .. }) => Operands {
                h: h.share(),
                dlogits: dlogits.share(),
                w_h: &weights.w_h,
                w_y: &weights.w_y,
                turned_y: &weights.turned_y,
            },
        };
        if path.is_bf16() {
            // SAFETY: one thread.
            unsafe { pair_columns(path, (h, 0..hidden / LINE), 0..lanes, (operands.h, 0)) };
        }
        let recurrence =
            Recurrence { path, parameters, factors: (operands.h, operands.w_h), h, gates, lanes };
        each_step(workers, 0..plan.num_steps, (lanes, hidden / LINE), |step, own, units| {
            let ids = &batch.ids[step * lanes..][own.clone()];
            // SAFETY: each task runs lanes and units of its own.
            parts.time(Part::Recurrence, || unsafe { recurrence.step(step, own, units, ids) });
        });

        let losses = Pieces::new(&mut activations.loss[..rows]);
        let tasks = rows.div_ceil(PROJECTION_ROWS).next_multiple_of(workers.count()).min(rows);
        let output = Output { path, parameters, operands, logits, lanes };
        workers.each(tasks, |task| {
            let own = share(rows, tasks, task);
            let targets = &batch.targets[own.clone()];
            // SAFETY: each task computes rows of its own, and nobody writes `h`.
            unsafe {
                let losses = losses.take(own.clone());
                let mut block = Rows::new((logits, vocab), own.clone(), targets, losses, gradients);
                parts.time(Part::Projection, || output.project(own.clone(), &mut block));
                parts.time(Part::Loss, || run(path, block));
                if gradients {
                    parts.time(Part::StateGradient, || output.send_back(own, dh));
                }
            }
        });
        activations.loss[..rows].iter().sum()
    }
}

/// The matrices that the products of the forward pass read, of f32 or of pairs of bf16.
#[derive(Clone, Copy)]
struct Operands<'a> {
    /// `[R + lanes, hidden]`
    h: Shared<'a>,
    /// `[R, vocab]`
    dlogits: Shared<'a>,
    /// `[hidden, 3 * hidden]`
    w_h: &'a Panels,
    /// `[hidden, vocab]`
    w_y: &'a Panels,
    /// W_y transposed, `[vocab, hidden]`
    turned_y: &'a Panels,
}

/// Which lanes take part in the recurrence, and where its matrices are.
#[derive(Clone, Copy)]
pub(super) struct Recurrence<'a> {
    pub path: Path,
    pub parameters: &'a Tensors,
    /// What the products read: `h` and W_h, or pairs of bf16 of them.
    pub factors: (Shared<'a>, &'a Panels),
    /// `[R + lanes, hidden]`
    pub h: Shared<'a>,
    /// `[R, 4 * hidden]`
    pub gates: Shared<'a>,
    /// Lanes of the batch.
    pub lanes: usize,
}

impl Recurrence<'_> {
    /// One time step of some panels of units of the lanes `own`, whose characters are `ids`.
    ///
    /// # Safety
    /// Nobody else touches these units of these lanes, or writes the lanes' states before the step.
    pub unsafe fn step(&self, step: usize, own: Range<usize>, some: Range<usize>, ids: &[u32]) {
        let Self { path, parameters, factors: (states, w_h), h, gates, lanes } = *self;
        let units = parameters.b_q.len() / LINE;
        let before = step * lanes + own.start..step * lanes + own.end;
        let after = before.start + lanes..before.end + lanes;
        for unit in some.clone() {
            // SAFETY: rows of these lanes; each panel is written through one slice at a time.
            unsafe {
                for gate in 0..3 {
                    let panel = gate * units + unit;
                    // The characters' weights lie all over the vocabulary: they come while the product runs.
                    for &id in ids {
                        prefetch(&raw const parameters.w_x[(id as usize * 3 * units + panel) * LINE]);
                    }
                    let to = (panel..panel + 1, before.clone());
                    gates.product(path, to, Some(&ZEROS), (states, 0), w_h);
                }
                let lines = GateLines {
                    parameters,
                    unit,
                    ids,
                    gates: [0, 1, 2, 3].map(|gate| gates.lines(gate * units + unit, before.clone())),
                    before: h.read(unit, before.clone()),
                    after: h.lines(unit, after.clone()),
                };
                run(path, lines);
            }
        }
        if path.is_bf16() {
            // SAFETY: as above.
            unsafe { pair_columns(path, (h, some.clone()), after, (states, some.start)) };
        }
    }
}

/// The output layer's matrices.
#[derive(Clone, Copy)]
struct Output<'a> {
    path: Path,
    parameters: &'a Tensors,
    operands: Operands<'a>,
    /// `[R, vocab]`
    logits: Shared<'a>,
    /// Lanes of the batch.
    lanes: usize,
}

impl Output<'_> {
    /// Logits of some rows, which `block` looks at panel by panel.
    ///
    /// # Safety
    /// Nobody else touches these rows of the logits, or writes those of `h`.
    unsafe fn project(&self, rows: Range<usize>, block: &mut Rows) {
        let Self { path, parameters, operands, logits, lanes } = *self;
        for (panel, bias) in parameters.b_y.as_chunks().0.iter().enumerate() {
            // SAFETY: the caller's promise; each panel is held through one slice at a time.
            unsafe {
                let to = (panel..panel + 1, rows.clone());
                logits.product(path, to, Some(bias), (operands.h, lanes), operands.w_y);
                vectorised(
                    path,
                    #[inline(always)]
                    || block.see(panel),
                );
            }
        }
    }

    /// What the gradient of the logits sends back to the hidden states of some rows.
    ///
    /// # Safety
    /// Nobody else touches these rows of `dh`, or writes those of the logits.
    unsafe fn send_back(&self, rows: Range<usize>, dh: Shared) {
        let Self { path, parameters, operands, logits, .. } = *self;
        let Operands { dlogits, turned_y, .. } = operands;
        let vocab = parameters.b_y.len() / LINE;
        // SAFETY: the caller's promise.
        unsafe {
            if path.is_bf16() {
                pair_columns(path, (logits, 0..vocab), rows.clone(), (dlogits, 0));
            }
            dh.product(path, (0..turned_y.panels(), rows), Some(&ZEROS), (dlogits, 0), turned_y);
        }
    }
}

/// One panel of units of some rows of one step.
pub(super) struct GateLines<'a> {
    pub parameters: &'a Tensors,
    pub unit: usize,
    /// Character of each row.
    pub ids: &'a [u32],
    /// `h W_h` of r, z and q, which become r, z, q, n.
    pub gates: [&'a mut [f32]; 4],
    pub before: &'a [f32],
    pub after: &'a mut [f32],
}

impl Loop for GateLines<'_> {
    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let Self { parameters, unit, ids, .. } = self;
        let hidden = parameters.b_q.len();
        let line = |values: &[f32], at: usize| -> [f32; LINE] {
            let mut line = [0.0; LINE];
            line.copy_from_slice(&values[at..at + LINE]);
            line
        };
        let [b_r, b_z, b_n] = [0, 1, 2].map(|gate| line(&parameters.b, gate * hidden + unit * LINE));
        let b_q = line(&parameters.b_q, unit * LINE);
        let [r, z, q, n] = self.gates;
        // Two passes, so that more of the independent work is in flight: n waits for r.
        let input = |id: u32, gate: usize| {
            line(&parameters.w_x, id as usize * 3 * hidden + gate * hidden + unit * LINE)
        };
        let rows = ids.iter().zip(r.chunks_exact_mut(LINE)).zip(z.chunks_exact_mut(LINE));
        for ((&id, r), z) in rows {
            let (x_r, x_z) = (input(id, 0), input(id, 1));
            for j in 0..LINE {
                r[j] = sigmoid::<A>(x_r[j] + r[j] + b_r[j]);
                z[j] = sigmoid::<A>(x_z[j] + z[j] + b_z[j]);
            }
        }
        let gates = r.chunks_exact(LINE).zip(z.chunks_exact(LINE)).zip(q.chunks_exact_mut(LINE));
        let states = self.before.chunks_exact(LINE).zip(self.after.chunks_exact_mut(LINE));
        let rows = ids.iter().zip(gates).zip(n.chunks_exact_mut(LINE)).zip(states);
        for (((&id, ((r, z), q)), n), (before, after)) in rows {
            let x_n = input(id, 2);
            for j in 0..LINE {
                q[j] += b_q[j];
                n[j] = tanh::<A>(A::mul_add(r[j], q[j], x_n[j] + b_n[j]));
                after[j] = A::mul_add(z[j], before[j] - n[j], n[j]);
            }
        }
    }
}
