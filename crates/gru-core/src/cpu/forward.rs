//! The forward pass: gather and recurrence by blocks of lanes, then projection and loss by blocks of rows.

use super::functions::{exp, sigmoid, tanh};
use super::memory::{Buffer, LINE, Matrix, MatrixMut, multiply};
use super::{CpuBackend, LANES, Padded, Tensors, vectorised};
use crate::backend::{Error, Forward, Plan};
use crate::sizes::Sizes;
use rayon::prelude::*;

/// Rows of one projection task: enough for a product at full speed, and the logits stay in the cache.
const PROJECTION_ROWS: usize = 64;

/// What the forward pass leaves for the backward pass, for every row of an update.
pub(super) struct Activations {
    /// Hidden state before the step, `[rows, hidden]`
    pub h_previous: Buffer,
    /// Hidden state after the step, `[rows, hidden]`
    pub h: Buffer,
    /// r, z, q, n; BPTT overwrites them with dr', dz', dn' r, dn': `[rows, 4 * hidden]`
    pub gates: Buffer,
    /// Logits, overwritten by dlogits: `[rows, vocab]`
    pub logits: Buffer,
    /// Gradient of h from the logits of its own row, `[rows, hidden]`
    pub dh: Buffer,
    /// Loss of each row, in nats
    pub loss: Vec<f64>,
}

impl Activations {
    pub fn zeros(rows: usize, Padded { hidden, vocab }: Padded) -> Result<Self, Error> {
        Ok(Self {
            h_previous: Buffer::zeros(rows * hidden)?,
            h: Buffer::zeros(rows * hidden)?,
            gates: Buffer::zeros(rows * 4 * hidden)?,
            logits: Buffer::zeros(rows * vocab)?,
            dh: Buffer::zeros(rows * hidden)?,
            loss: vec![0.0; rows],
        })
    }

    pub fn poison(&mut self) {
        for buffer in [&mut self.h_previous, &mut self.h, &mut self.gates, &mut self.logits, &mut self.dh] {
            buffer.fill(f32::NAN);
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
        for block in starts.chunks(LANES) {
            for step in 0..num_steps {
                self.ids.extend(block.iter().map(|&start| corpus[start as usize + step]));
                self.targets.extend(block.iter().map(|&start| corpus[start as usize + step + 1]));
            }
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
        let Self { sizes, padded, parameters, transposed, activations, batch, state, next_state, .. } = self;
        let Padded { hidden, vocab } = *padded;
        batch.fill(&self.corpus, plan.lanes(sizes, index), plan.num_steps);
        let rows = batch.ids.len();
        if plan.carry_state {
            next_state.copy_from_slice(state);
        } else {
            next_state.fill(0.0);
        }

        let block_rows = plan.num_steps * LANES;
        let ids = batch.ids.par_chunks(block_rows);
        let h_previous = activations.h_previous[..rows * hidden].par_chunks_mut(block_rows * hidden);
        let h = activations.h[..rows * hidden].par_chunks_mut(block_rows * hidden);
        let gates = activations.gates[..rows * 4 * hidden].par_chunks_mut(block_rows * 4 * hidden);
        let states = next_state.par_chunks_mut(LANES * hidden);
        (ids, h_previous, h, gates, states).into_par_iter().for_each(|(ids, h_previous, h, gates, state)| {
            recurrence(parameters, ids, h_previous, h, gates, state);
        });

        let targets = batch.targets.par_chunks(PROJECTION_ROWS);
        let h = activations.h[..rows * hidden].par_chunks(PROJECTION_ROWS * hidden);
        let logits = activations.logits[..rows * vocab].par_chunks_mut(PROJECTION_ROWS * vocab);
        let dh = activations.dh[..rows * hidden].par_chunks_mut(PROJECTION_ROWS * hidden);
        let loss = activations.loss[..rows].par_chunks_mut(PROJECTION_ROWS);
        (targets, h, logits, dh, loss).into_par_iter().for_each(|(targets, h, logits, dh, loss)| {
            project(parameters, h, logits);
            for ((row, &target), loss) in logits.chunks_exact_mut(vocab).zip(targets).zip(loss) {
                *loss = vectorised(
                    #[inline(always)]
                    || cross_entropy(row, target as usize, gradients),
                );
            }
            if gradients {
                let dlogits = Matrix::new(logits, targets.len(), vocab, vocab);
                let w_y = Matrix::new(&transposed.w_y, vocab, hidden, hidden);
                multiply(&mut MatrixMut::new(dh, targets.len(), hidden, hidden), dlogits, w_y, false);
            }
        });
        activations.loss[..rows].iter().sum()
    }

    /// One lane over `ids` from `state`, outside of any batch.
    pub(super) fn forward_lane(&self, ids: &[u32], state: &[f32]) -> Forward {
        let Padded { hidden, vocab } = self.padded;
        let vocab_size = self.sizes.vocab_size;
        let mut h = vec![0.0; hidden];
        h[..state.len()].copy_from_slice(state);
        let mut scratch = [vec![0.0; hidden], vec![0.0; hidden], vec![0.0; 4 * hidden], vec![0.0; vocab]];
        let mut logits = Vec::with_capacity(ids.len() * vocab_size);
        for id in ids {
            let [h_previous, h_next, gates, row] = &mut scratch;
            recurrence(&self.parameters, std::slice::from_ref(id), h_previous, h_next, gates, &mut h);
            project(&self.parameters, &h, row);
            logits.extend_from_slice(&row[..vocab_size]);
        }
        h.truncate(state.len());
        Forward { logits, state: h }
    }
}

/// All steps of a block of lanes. `state`, `[lanes, hidden]`, is the state before the first step and after
/// the last; the other slices are the block's rows.
fn recurrence(
    parameters: &Tensors,
    ids: &[u32],
    h_previous: &mut [f32],
    h: &mut [f32],
    gates: &mut [f32],
    state: &mut [f32],
) {
    let hidden = parameters.b_q.len();
    let lanes = state.len() / hidden;
    let w_h = Matrix::new(&parameters.w_h, hidden, 3 * hidden, 3 * hidden);
    let steps = ids.chunks_exact(lanes).zip(h_previous.chunks_exact_mut(lanes * hidden));
    let steps = steps.zip(h.chunks_exact_mut(lanes * hidden)).zip(gates.chunks_exact_mut(lanes * 4 * hidden));
    for (((ids, h_previous), h), gates) in steps {
        h_previous.copy_from_slice(state);
        let mut products = MatrixMut::new(gates, lanes, 3 * hidden, 4 * hidden);
        multiply(&mut products, Matrix::new(h_previous, lanes, hidden, hidden), w_h, false);
        for (lane, &id) in ids.iter().enumerate() {
            let input = &parameters.w_x[id as usize * 3 * hidden..][..3 * hidden];
            let unit = lane * hidden..(lane + 1) * hidden;
            vectorised(
                #[inline(always)]
                || {
                    gate_functions(
                        input,
                        &parameters.b,
                        &parameters.b_q,
                        &h_previous[unit.clone()],
                        &mut gates[lane * 4 * hidden..][..4 * hidden],
                        &mut h[unit],
                    )
                },
            );
        }
        state.copy_from_slice(h);
    }
}

/// The gates of one row from the products `h W_h` in the first three quarters of `gates`, which become
/// r, z, q, n; and the new hidden state.
#[inline(always)]
fn gate_functions(input: &[f32], b: &[f32], b_q: &[f32], previous: &[f32], gates: &mut [f32], h: &mut [f32]) {
    let hidden = h.len();
    let (x_r, x_z, x_n) = thirds(input, hidden);
    let (b_r, b_z, b_n) = thirds(b, hidden);
    let (b_q, previous) = (&b_q[..hidden], &previous[..hidden]);
    let (r, rest) = gates.split_at_mut(hidden);
    let (z, rest) = rest.split_at_mut(hidden);
    let (q, n) = rest.split_at_mut(hidden);
    let (r, z, q, n) = (&mut r[..hidden], &mut z[..hidden], &mut q[..hidden], &mut n[..hidden]);
    for j in 0..hidden {
        r[j] = sigmoid(x_r[j] + r[j] + b_r[j]);
        z[j] = sigmoid(x_z[j] + z[j] + b_z[j]);
        q[j] += b_q[j];
        n[j] = tanh(x_n[j] + r[j] * q[j] + b_n[j]);
        h[j] = z[j] * previous[j] + (1.0 - z[j]) * n[j];
    }
}

/// The three gates' parts of a `[3 * hidden]` slice.
#[inline(always)]
fn thirds(gates: &[f32], hidden: usize) -> (&[f32], &[f32], &[f32]) {
    (&gates[..hidden], &gates[hidden..][..hidden], &gates[2 * hidden..][..hidden])
}

/// `logits = h W_y + b_y` for some rows.
fn project(parameters: &Tensors, h: &[f32], logits: &mut [f32]) {
    let (hidden, vocab) = (parameters.b_q.len(), parameters.b_y.len());
    let rows = h.len() / hidden;
    for row in logits.chunks_exact_mut(vocab) {
        row.copy_from_slice(&parameters.b_y);
    }
    let w_y = Matrix::new(&parameters.w_y, hidden, vocab, vocab);
    multiply(
        &mut MatrixMut::new(logits, rows, vocab, vocab),
        Matrix::new(h, rows, hidden, hidden),
        w_y,
        true,
    );
}

/// Loss of one row in nats; with `gradient`, its logits become softmax(logits) - one_hot(target).
#[inline(always)]
fn cross_entropy(logits: &mut [f32], target: usize, gradient: bool) -> f64 {
    let mut maxima = [f32::NEG_INFINITY; LINE];
    for line in logits.chunks_exact(LINE) {
        for (max, &logit) in maxima.iter_mut().zip(line) {
            // A NaN logit is passed over here and reaches the loss by the sum.
            *max = if logit > *max { logit } else { *max };
        }
    }
    let max = maxima.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let at_target = logits[target];
    let mut totals = [0.0f32; LINE];
    for line in logits.chunks_exact_mut(LINE) {
        for (total, logit) in totals.iter_mut().zip(line) {
            let power = exp(*logit - max);
            *logit = power;
            *total += power;
        }
    }
    let total: f32 = totals.iter().sum();
    if gradient {
        let scale = 1.0 / total;
        for power in logits.iter_mut() {
            *power *= scale;
        }
        logits[target] -= 1.0;
    }
    f64::from(total).ln() + f64::from(max) - f64::from(at_target)
}
