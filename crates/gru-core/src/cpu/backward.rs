//! The backward pass and the update: BPTT by lanes, weight gradients by panels of columns, then clipping and SGD
//! in place.

use super::bf16::{Pairs, Weights, pair_columns, pair_rows};
use super::forward::Batch;
use super::kernel::Path;
use super::memory::{LINE, Panels, Shared};
use super::parts::Part;
use super::tensors::{Padded, Tensors};
use super::workers::{Pieces, Workers};
use super::{CpuBackend, Transposed, each_step, vectorised};
use crate::backend::Plan;
use std::ops::Range;

/// Distinct characters of an input-gradient task, and of one that updates rows of W_x.
const INPUT_GROUP: usize = 16;

/// Most tasks of the gradient region: each panel of W_y and W_h, the biases, groups of rows of W_x.
pub(super) fn most_tasks(rows: usize, Padded { hidden, vocab }: Padded) -> usize {
    (vocab + 3 * hidden) / LINE + 1 + rows.div_ceil(INPUT_GROUP)
}

impl CpuBackend {
    /// From dlogits and dh to the whole gradient; returns its L2 norm.
    pub(super) fn backward(&mut self, plan: &Plan) -> f64 {
        let Self { sizes, padded, transposed, activations, batch, gradient, squares, .. } = self;
        let Self { path, workers, parts, pairs, .. } = self;
        let Padded { hidden, vocab } = *padded;
        let (path, lanes, parts) = (*path, sizes.batch_size, &*parts);
        let (rows, units) = (plan.num_steps * lanes, hidden / LINE);

        let (h, gates, dh) = (activations.h.share(), activations.gates.share(), activations.dh.share());
        let (dq, turned_h) = match pairs {
            None => (gates, &transposed.w_h),
            Some(Pairs { dq, weights, .. }) => (dq.share(), &weights.turned_h),
        };
        let bptt = Bptt { path, turned_h, dq, h, gates, dh, lanes };
        each_step(workers, (0..plan.num_steps).rev(), (lanes, units), |step, own, some| {
            let is_last = step + 1 == plan.num_steps;
            // SAFETY: each task runs lanes and units of its own.
            parts.time(Part::Bptt, || unsafe { bptt.step(step, is_last, own, some) });
        });

        // dW_y, dW_h, the biases and dW_x need the same rows and nothing of each other: one counter of tasks.
        batch.sort();
        let (logits, batch) = (activations.logits.share(), &*batch);
        let groups = batch.runs.len().div_ceil(INPUT_GROUP);
        let pairs = pairs.as_mut().map(|pairs| pair_states(path, h, pairs, (lanes, rows), workers));
        let weights = Gradient { path, pairs, h, gates, logits, lanes, rows };
        let Tensors { w_x, w_h, b, b_q, w_y, b_y } = gradient;
        let (w_y, w_h) = (w_y.share(), w_h.share());
        let (w_x, b_y) = (Pieces::new(&mut w_x[..batch.runs.len() * 3 * hidden]), Pieces::new(b_y));
        let (b, b_q) = (Pieces::new(b), Pieces::new(b_q));
        let (outputs, recurrents) = (vocab / LINE, 3 * units);
        let squares = &mut squares[..outputs + recurrents + 1 + groups];
        workers.each_piece(squares, 1, |task, squares| {
            // SAFETY: each task computes a panel or a group of rows of its own, the biases are one task, and nobody
            // writes `h`, `gates` or `logits`.
            squares[0] = unsafe {
                if task < outputs {
                    let bias = b_y.take(task * LINE..(task + 1) * LINE);
                    parts.time(Part::OutputGradient, || weights.output(task, w_y, bias))
                } else if task < outputs + recurrents {
                    parts.time(Part::RecurrentGradient, || weights.recurrent(task - outputs, w_h))
                } else if task == outputs + recurrents {
                    let (b, b_q) = (b.take(0..3 * hidden), b_q.take(0..hidden));
                    parts.time(Part::RecurrentGradient, || weights.biases(b, b_q, sizes.candidate_bias))
                } else {
                    let first = (task - outputs - recurrents - 1) * INPUT_GROUP;
                    let places = first..batch.runs.len().min(first + INPUT_GROUP);
                    let to = w_x.take(places.start * 3 * hidden..places.end * 3 * hidden);
                    parts.time(Part::InputGradient, || weights.input(batch, places, units, to))
                }
            };
        });
        squares.iter().sum::<f64>().sqrt()
    }

    /// `parameter -= rate * gradient` for all parameters, and new transposed copies.
    pub(super) fn descend(&mut self, rate: f32) {
        let Self { padded, parameters, transposed, gradient, batch, path, workers, parts, pairs, .. } = self;
        let (path, hidden, parts) = (*path, padded.hidden, &*parts);
        let Tensors { w_x, w_h, b, b_q, w_y, b_y } = parameters;
        for (to, d) in [(b, &gradient.b), (b_q, &gradient.b_q), (b_y, &gradient.b_y)] {
            step(path, to, d, rate);
        }
        let mut copies = copies(transposed, pairs.as_mut().map(|pairs| &mut pairs.weights));
        for ((to, d), copies) in [(w_y, &gradient.w_y), (w_h, &gradient.w_h)].into_iter().zip(&mut copies) {
            let length = to.rows() * LINE;
            workers.each_piece(to.elements_mut(), length, |panel, to| {
                parts.time(Part::Descent, || {
                    step(path, to, d.panel(panel), rate);
                    // SAFETY: each task writes the copies of its own panel.
                    unsafe { copies.write(path, panel, to) };
                });
            });
        }
        // The rows of W_x that the batch did not use have no gradient.
        workers.each_piece(w_x, INPUT_GROUP * 3 * hidden, |group, rows| {
            let places = &batch.place[group * INPUT_GROUP..];
            parts.time(Part::Descent, || {
                for (to, &place) in rows.chunks_exact_mut(3 * hidden).zip(places) {
                    if place != Batch::ABSENT {
                        step(path, to, &gradient.w_x[place as usize * 3 * hidden..][..3 * hidden], rate);
                    }
                }
            });
        });
    }

    /// Writes the copies of W_h and W_y that the products read.
    pub(super) fn copy_weights(&mut self) {
        let Self { parameters, transposed, pairs, path, workers, .. } = self;
        let copies = copies(transposed, pairs.as_mut().map(|pairs| &mut pairs.weights));
        for (from, copies) in [&parameters.w_y, &parameters.w_h].into_iter().zip(&copies) {
            // SAFETY: each task writes the copies of its own panel.
            workers.each(from.panels(), |panel| unsafe { copies.write(*path, panel, from.panel(panel)) });
        }
    }
}

/// The copies of W_y and of W_h.
fn copies<'a>(transposed: &'a mut Transposed, pairs: Option<&'a mut Weights>) -> [Copies<'a>; 2] {
    let Transposed { w_h, w_y } = transposed;
    let (turned_y, turned_h) = (w_y.share(), w_h.share());
    let [pairs_y, pairs_h] = match pairs {
        None => [None; 2],
        Some(Weights { w_h, w_y, turned_h, turned_y }) => {
            [Some((w_y.share(), turned_y.share())), Some((w_h.share(), turned_h.share()))]
        }
    };
    [Copies { turned: turned_y, pairs: pairs_y }, Copies { turned: turned_h, pairs: pairs_h }]
}

/// The copies of a matrix of weights.
struct Copies<'a> {
    /// Rows and columns exchanged.
    turned: Shared<'a>,
    /// The matrix, and the transposed one, in pairs of bf16.
    pairs: Option<(Shared<'a>, Shared<'a>)>,
}

impl Copies<'_> {
    /// Writes the copies of a panel.
    ///
    /// # Safety
    /// Nobody else touches this panel's copies: its columns, and the same rows of the transposed matrix.
    unsafe fn write(&self, path: Path, panel: usize, from: &[f32]) {
        let Self { turned, pairs } = *self;
        // SAFETY: the caller's promise.
        unsafe {
            transpose_panel(panel, from, turned);
            let Some((plain, turned_pairs)) = pairs else { return };
            pair_rows(path, from, plain.all_lines(panel));
            for units in 0..from.len() / (LINE * LINE) {
                let square = turned.read(units, panel * LINE..(panel + 1) * LINE);
                let rows = panel * LINE / 2..(panel + 1) * LINE / 2;
                pair_rows(path, square, turned_pairs.lines(units, rows));
            }
        }
    }
}

/// Pairs of bf16 along the rows of an update.
#[derive(Clone, Copy)]
struct RowPairs<'a> {
    /// States before each step, `[R, hidden]`
    h_before: Shared<'a>,
    /// and after it.
    h_after: Shared<'a>,
    /// `[R, vocab]`, still to be written
    dlogits: Shared<'a>,
    /// `[R, 3 * hidden]`, still to be written
    dq: Shared<'a>,
}

/// Writes the states of so many rows as pairs.
fn pair_states<'a>(
    path: Path,
    h: Shared,
    pairs: &'a mut Pairs,
    (lanes, rows): (usize, usize),
    workers: &mut Workers,
) -> RowPairs<'a> {
    let Pairs { h_before, h_after, dlogits_rows, dq_rows, .. } = pairs;
    let [h_before, h_after, dlogits, dq] = [h_before, h_after, dlogits_rows, dq_rows].map(Panels::share);
    workers.each(h.panels(), |panel| {
        for (to, first) in [(h_before, 0), (h_after, lanes)] {
            // SAFETY: each task writes a panel of its own, and nobody writes `h`.
            unsafe {
                let to = to.lines(panel, 0..rows.div_ceil(2));
                pair_rows(path, h.read(panel, first..first + rows), to);
            }
        }
    });
    RowPairs { h_before, h_after, dlogits, dq }
}

/// What the gradients of the weights are computed from.
#[derive(Clone, Copy)]
struct Gradient<'a> {
    path: Path,
    /// What the products read instead in bf16.
    pairs: Option<RowPairs<'a>>,
    /// `[R + lanes, hidden]`
    h: Shared<'a>,
    /// dr', dz', dn' r, dn': `[R, 4 * hidden]`
    gates: Shared<'a>,
    /// dlogits: `[R, vocab]`
    logits: Shared<'a>,
    /// Lanes of the batch.
    lanes: usize,
    /// Rows of this update.
    rows: usize,
}

/// Each computes a part of the gradient and returns its sum of squares.
///
/// # Safety
/// Nobody writes `h`, `gates` or `logits`, or touches the part.
impl Gradient<'_> {
    /// A panel of W_y and of b_y.
    unsafe fn output(&self, panel: usize, w_y: Shared, bias: &mut [f32]) -> f64 {
        let Self { path, h, logits, lanes, rows, .. } = *self;
        let pairs = self.pairs.map(|pairs| (pairs.h_after, pairs.dlogits));
        // SAFETY: the caller's promise.
        unsafe {
            sum_rows(path, logits.read(panel, 0..rows), bias);
            self.weights((panel, w_y), (h, lanes), logits, pairs);
            sum_of_squares(path, w_y.all_lines(panel)) + sum_of_squares(path, bias)
        }
    }

    /// A panel of W_h.
    unsafe fn recurrent(&self, panel: usize, w_h: Shared) -> f64 {
        let pairs = self.pairs.map(|pairs| (pairs.h_before, pairs.dq));
        // SAFETY: the caller's promise.
        unsafe {
            self.weights((panel, w_h), (self.h, 0), self.gates, pairs);
            sum_of_squares(self.path, w_h.all_lines(panel))
        }
    }

    /// A panel of weights: what went in, transposed, times the gradient of what came out.
    unsafe fn weights(
        &self,
        (panel, to): (usize, Shared),
        input: (Shared, usize),
        gradient: Shared,
        pairs: Option<(Shared, Shared)>,
    ) {
        let Self { path, rows, .. } = *self;
        // SAFETY: the caller's promise; of the pairs, each panel of the gradient belongs to the same task.
        unsafe {
            let Some((input, pairs)) = pairs else {
                return to.product_of_transposed(path, panel, input, (gradient, 0..rows));
            };
            pair_rows(path, gradient.read(panel, 0..rows), pairs.lines(panel, 0..rows.div_ceil(2)));
            to.product_of_transposed(path, panel, (input, 0), (pairs, 0..rows.div_ceil(2)));
        }
    }

    /// b and b_q, which stays zero without the candidate bias.
    unsafe fn biases(&self, b: &mut [f32], b_q: &mut [f32], candidate_bias: bool) -> f64 {
        let Self { path, gates, rows, .. } = *self;
        let units = b_q.len() / LINE;
        // SAFETY: the caller's promise.
        let of_panel = |panel| unsafe { gates.read(panel, 0..rows) };
        // Of b the last third is the sum of dn', of b_q that of dn' r, which stands before it.
        for (panel, bias) in b.chunks_exact_mut(LINE).enumerate() {
            sum_rows(path, of_panel(panel + panel / (2 * units) * units), bias);
        }
        b_q.fill(0.0);
        for (panel, bias) in b_q.chunks_exact_mut(LINE).enumerate().filter(|_| candidate_bias) {
            sum_rows(path, of_panel(2 * units + panel), bias);
        }
        sum_of_squares(path, b) + sum_of_squares(path, b_q)
    }

    /// The rows of W_x of some characters of the batch.
    unsafe fn input(&self, batch: &Batch, places: Range<usize>, units: usize, to: &mut [f32]) -> f64 {
        let Self { path, gates, rows, .. } = *self;
        // SAFETY: the caller's promise.
        let of_panel = |panel| unsafe { gates.read(panel, 0..rows) };
        for (place, to) in places.zip(to.chunks_exact_mut(3 * units * LINE)) {
            vectorised(
                path,
                #[inline(always)]
                || sum_run(batch.run(place), of_panel, units, to),
            );
        }
        sum_of_squares(path, to)
    }
}

/// Which lanes take part in BPTT, and where its matrices are.
#[derive(Clone, Copy)]
struct Bptt<'a> {
    path: Path,
    /// W_h transposed, `[3 * hidden, hidden]`, of f32 or of pairs of bf16.
    turned_h: &'a Panels,
    /// What it is multiplied with: the first three quarters of `gates`, or pairs of them.
    dq: Shared<'a>,
    /// `[R + lanes, hidden]`
    h: Shared<'a>,
    /// `[R, 4 * hidden]`
    gates: Shared<'a>,
    /// `[R, hidden]`
    dh: Shared<'a>,
    /// Lanes of the batch.
    lanes: usize,
}

impl Bptt<'_> {
    /// One time step of some panels of units of the lanes `own`: gate gradients replace the gates, and what the
    /// step sends back is added to the `dh` of the step before.
    ///
    /// # Safety
    /// Nobody else touches these units of these lanes, or writes the lanes' gates of the step after.
    unsafe fn step(&self, step: usize, is_last: bool, own: Range<usize>, some: Range<usize>) {
        let Self { path, turned_h, dq, h, gates, dh, lanes } = *self;
        let units = turned_h.panels();
        let rows = step * lanes + own.start..step * lanes + own.end;
        for unit in some.clone() {
            // SAFETY: rows of these lanes; each panel is written through one slice at a time.
            unsafe {
                if !is_last {
                    dh.product(path, (unit..unit + 1, rows.clone()), None, (dq, lanes), turned_h);
                }
                let lines = GateLines {
                    gates: [0, 1, 2, 3].map(|gate| gates.lines(gate * units + unit, rows.clone())),
                    before: h.read(unit, rows.clone()),
                    dh: dh.read(unit, rows.clone()),
                    dh_before: if step == 0 {
                        &mut []
                    } else {
                        dh.lines(unit, rows.start - lanes..rows.end - lanes)
                    },
                };
                vectorised(
                    path,
                    #[inline(always)]
                    || lines.compute(),
                );
            }
        }
        for gate in (0..3).filter(|_| path.is_bf16()) {
            let (first, last) = (gate * units + some.start, gate * units + some.end);
            // SAFETY: as above.
            unsafe { pair_columns(path, (gates, first..last), rows.clone(), (dq, first)) };
        }
    }
}

/// One panel of units of some rows.
struct GateLines<'a> {
    /// r, z, q, n, which become dr', dz', dn' r, dn'.
    gates: [&'a mut [f32]; 4],
    /// The hidden state before the step.
    before: &'a [f32],
    dh: &'a [f32],
    /// Of the step before, empty if there is none.
    dh_before: &'a mut [f32],
}

impl GateLines<'_> {
    #[inline(always)]
    fn compute(self) {
        let [r, z, q, n] = self.gates;
        let count = self.dh.len();
        for (index, (to, z)) in self.dh_before.iter_mut().zip(z.iter()).enumerate() {
            *to += self.dh[index] * z;
        }
        let (r, z, q, n) = (&mut r[..count], &mut z[..count], &mut q[..count], &mut n[..count]);
        let before = &self.before[..count];
        for (j, &whole) in self.dh.iter().enumerate() {
            let dn = whole * (1.0 - z[j]) * (1.0 - n[j] * n[j]);
            let dz = whole * (before[j] - n[j]) * z[j] * (1.0 - z[j]);
            let dr = dn * q[j] * r[j] * (1.0 - r[j]);
            q[j] = dn * r[j];
            r[j] = dr;
            z[j] = dz;
            n[j] = dn;
        }
    }
}

/// Sums (dr', dz', dn') over the rows of one character, in row order, into `to`, `[3 * hidden]`.
#[inline(always)]
fn sum_run<'a>(rows: &[u32], gates: impl Fn(usize) -> &'a [f32], units: usize, to: &mut [f32]) {
    for (panel, to) in to.chunks_exact_mut(LINE).enumerate() {
        let gates = gates(if panel < 2 * units { panel } else { panel + units });
        let mut sums = [0.0; LINE];
        for &row in rows {
            sums.iter_mut().zip(&gates[row as usize * LINE..][..LINE]).for_each(|(sum, d)| *sum += d);
        }
        to.copy_from_slice(&sums);
    }
}

/// Sums the lines of a panel, in order.
fn sum_rows(path: Path, panel: &[f32], sums: &mut [f32]) {
    vectorised(
        path,
        #[inline(always)]
        || {
            let mut totals = [0.0; LINE];
            for line in panel.chunks_exact(LINE) {
                totals.iter_mut().zip(line).for_each(|(total, value)| *total += value);
            }
            sums.copy_from_slice(&totals);
        },
    );
}

fn step(path: Path, parameters: &mut [f32], gradient: &[f32], rate: f32) {
    vectorised(
        path,
        #[inline(always)]
        || parameters.iter_mut().zip(gradient).for_each(|(parameter, d)| *parameter -= rate * d),
    );
}

/// Sum of squares of a slice whose length is a multiple of [`LINE`], in f64.
fn sum_of_squares(path: Path, values: &[f32]) -> f64 {
    vectorised(
        path,
        #[inline(always)]
        || {
            let mut sums = [0.0f64; LINE];
            for line in values.chunks_exact(LINE) {
                for (sum, &value) in sums.iter_mut().zip(line) {
                    *sum += f64::from(value) * f64::from(value);
                }
            }
            sums.iter().sum()
        },
    )
}

/// Writes the columns of a panel as rows of `to`, square by square.
///
/// # Safety
/// Nobody else touches those rows.
unsafe fn transpose_panel(panel: usize, from: &[f32], to: Shared) {
    for (to_panel, square) in from.chunks_exact(LINE * LINE).enumerate() {
        // SAFETY: the caller's promise.
        let to = unsafe { to.lines(to_panel, panel * LINE..(panel + 1) * LINE) };
        for (i, line) in square.chunks_exact(LINE).enumerate() {
            for (j, &value) in line.iter().enumerate() {
                to[j * LINE + i] = value;
            }
        }
    }
}
