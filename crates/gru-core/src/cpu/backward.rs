//! The backward pass and the update: BPTT by lanes, weight gradients by panels of columns, then clipping and SGD
//! in place.

use super::forward::Batch;
use super::kernel::Path;
use super::memory::{LINE, Panels, Shared};
use super::tensors::{Padded, Tensors};
use super::{CpuBackend, lane_ranges, vectorised};
use crate::backend::Plan;
use rayon::prelude::*;
use std::ops::Range;

/// Distinct characters of an input-gradient task.
const INPUT_GROUP: usize = 16;
/// Elements of an SGD task, a multiple of [`LINE`].
const DESCENT_CHUNK: usize = 8192;

/// One slot for the sum of squares of each task's part of the gradient.
pub(super) struct Squares {
    output: Vec<f64>,
    recurrent: Vec<f64>,
    input: Vec<f64>,
}

impl Squares {
    pub fn new(rows: usize, Padded { hidden, vocab }: Padded) -> Self {
        Self {
            output: vec![0.0; vocab / LINE],
            recurrent: vec![0.0; 3 * hidden / LINE],
            input: vec![0.0; rows.div_ceil(INPUT_GROUP)],
        }
    }
}

impl CpuBackend {
    /// From dlogits and dh to the whole gradient; returns its L2 norm.
    pub(super) fn backward(&mut self, plan: &Plan) -> f64 {
        let Self { sizes, padded, transposed, activations, batch, gradient, squares, path, .. } = self;
        let Padded { hidden, vocab } = *padded;
        let (path, lanes) = (*path, sizes.batch_size);
        let rows = plan.num_steps * lanes;
        let (units, threads) = (hidden / LINE, self.pool.current_num_threads());

        let (h, gates, dh) = (activations.h.share(), activations.gates.share(), activations.dh.share());
        let bptt = Bptt { path, w_h: &transposed.w_h, h, gates, dh, lanes };
        let back = || {
            lane_ranges(lanes, threads).for_each(|own| {
                for step in (0..plan.num_steps).rev() {
                    // SAFETY: each task runs lanes of its own.
                    unsafe { bptt.step(step, step + 1 == plan.num_steps, own.clone()) };
                }
            });
        };
        rayon::join(back, || batch.sort());

        // dW_y and db_y, dW_h with db and db_q, and dW_x need the same rows and nothing of each other.
        let (logits, batch) = (activations.logits.share(), &*batch);
        let Tensors { w_x, w_h, b, b_q, w_y, b_y } = gradient;
        let (w_y, w_h) = (w_y.share(), w_h.share());
        let output = || {
            let biases = b_y.par_chunks_exact_mut(LINE);
            squares.output.par_iter_mut().zip(biases).enumerate().for_each(|(panel, (squares, bias))| {
                // SAFETY: each task computes a panel of its own; nobody writes `h` or `logits`.
                *squares = unsafe {
                    let dlogits = logits.read(panel, 0..rows);
                    sum_rows(path, dlogits, bias);
                    w_y.lines(panel, 0..hidden).fill(0.0);
                    w_y.add_product_of_transposed(path, panel, (h, lanes..rows + lanes), dlogits);
                    sum_of_squares(path, w_y.read(panel, 0..hidden)) + sum_of_squares(path, bias)
                };
            });
        };
        let recurrent = || {
            squares.recurrent.par_iter_mut().enumerate().for_each(|(panel, squares)| {
                // SAFETY: as above.
                *squares = unsafe {
                    w_h.lines(panel, 0..hidden).fill(0.0);
                    w_h.add_product_of_transposed(path, panel, (h, 0..rows), gates.read(panel, 0..rows));
                    sum_of_squares(path, w_h.read(panel, 0..hidden))
                };
            });
            // Of b the last third is the sum of dn', of b_q that of dn' r, which stands before it.
            let biases = b.chunks_exact_mut(LINE).enumerate();
            for (panel, bias) in biases.map(|(panel, bias)| (panel + panel / (2 * units) * units, bias)) {
                // SAFETY: nobody writes `gates`.
                sum_rows(path, unsafe { gates.read(panel, 0..rows) }, bias);
            }
            b_q.fill(0.0);
            for (panel, bias) in b_q.chunks_exact_mut(LINE).enumerate().filter(|_| sizes.candidate_bias) {
                // SAFETY: as above.
                sum_rows(path, unsafe { gates.read(2 * units + panel, 0..rows) }, bias);
            }
        };
        let input = || {
            let used = batch.runs.len();
            let groups = w_x[..used * 3 * hidden].par_chunks_mut(INPUT_GROUP * 3 * hidden);
            squares.input.par_iter_mut().zip(groups).enumerate().for_each(|(group, (squares, to))| {
                for (index, to) in to.chunks_exact_mut(3 * hidden).enumerate() {
                    let run = batch.run(group * INPUT_GROUP + index);
                    // SAFETY: nobody writes `gates`.
                    let of_panel = |panel| unsafe { gates.read(panel, 0..rows) };
                    vectorised(
                        path,
                        #[inline(always)]
                        || sum_run(run, of_panel, units, to),
                    );
                }
                *squares = sum_of_squares(path, to);
            });
        };
        rayon::join(output, || rayon::join(recurrent, input));
        debug_assert_eq!(vocab, b_y.len());

        let input_tasks = batch.runs.len().div_ceil(INPUT_GROUP);
        let slots = [&squares.output[..], &squares.recurrent, &squares.input[..input_tasks]];
        let weights: f64 = slots.into_iter().flatten().sum();
        (weights + sum_of_squares(path, b) + sum_of_squares(path, b_q)).sqrt()
    }

    /// `parameter -= rate * gradient` for all parameters, and new transposed copies.
    pub(super) fn descend(&mut self, rate: f32) {
        let (path, hidden) = (self.path, self.padded.hidden);
        let [_, parameters @ ..] = self.parameters.all_mut();
        let [_, gradients @ ..] = self.gradient.all();
        for (parameters, gradients) in parameters.into_iter().zip(gradients) {
            let gradients = gradients.par_chunks(DESCENT_CHUNK);
            parameters
                .par_chunks_mut(DESCENT_CHUNK)
                .zip(gradients)
                .for_each(|(to, d)| step(path, to, d, rate));
        }
        // The rows of W_x that the batch did not use have no gradient.
        let (w_x, batch, gradient) = (&mut self.parameters.w_x, &self.batch, &self.gradient.w_x);
        w_x.par_chunks_mut(3 * hidden).zip(&batch.place).with_min_len(INPUT_GROUP).for_each(
            |(to, &place)| {
                if place != Batch::ABSENT {
                    step(path, to, &gradient[place as usize * 3 * hidden..][..3 * hidden], rate);
                }
            },
        );
        self.transpose();
    }

    /// Writes the transposed copies of W_h and W_y.
    pub(super) fn transpose(&mut self) {
        transpose(&self.parameters.w_h, &mut self.transposed.w_h);
        transpose(&self.parameters.w_y, &mut self.transposed.w_y);
    }
}

/// Which lanes take part in BPTT, and where its matrices are.
#[derive(Clone, Copy)]
struct Bptt<'a> {
    path: Path,
    /// W_h transposed, `[3 * hidden, hidden]`
    w_h: &'a Panels,
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
    /// One time step of the lanes `own`: gate gradients replace the gates, and what the step sends back is added
    /// to the `dh` of the step before.
    ///
    /// # Safety
    /// Nobody else touches the rows of these lanes.
    unsafe fn step(&self, step: usize, is_last: bool, own: Range<usize>) {
        let Self { path, w_h, h, gates, dh, lanes } = *self;
        let units = w_h.rows() / (3 * LINE);
        let rows = step * lanes + own.start..step * lanes + own.end;
        for unit in 0..units {
            // SAFETY: rows of these lanes; each panel is written through one slice at a time.
            unsafe {
                if !is_last {
                    let dq = (gates, lanes, 0..3 * units);
                    dh.add_product(path, unit, rows.clone(), dq, w_h.panel(unit));
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

/// `to` becomes `from` with rows and columns exchanged, square by square.
fn transpose(from: &Panels, to: &mut Panels) {
    let panel_length = to.rows() * LINE;
    to.elements_mut().par_chunks_exact_mut(panel_length).enumerate().for_each(|(panel, to)| {
        for (from_panel, to) in to.chunks_exact_mut(LINE * LINE).enumerate() {
            let square = &from.panel(from_panel)[panel * LINE * LINE..][..LINE * LINE];
            for (i, line) in square.chunks_exact(LINE).enumerate() {
                for (j, &value) in line.iter().enumerate() {
                    to[j * LINE + i] = value;
                }
            }
        }
    });
}
