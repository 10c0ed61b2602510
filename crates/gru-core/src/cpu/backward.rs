//! The backward pass and the update: BPTT by blocks of lanes, weight gradients by panels of columns, then
//! clipping and SGD in place.

use super::forward::Batch;
use super::memory::{LINE, Matrix, MatrixMut, multiply};
use super::{CpuBackend, LANES, Padded, vectorised};
use crate::backend::Plan;
use rayon::prelude::*;

/// Columns of a weight-gradient task.
const PANEL: usize = 96;
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
            output: vec![0.0; vocab.div_ceil(PANEL)],
            recurrent: vec![0.0; (3 * hidden).div_ceil(PANEL)],
            input: vec![0.0; rows.div_ceil(INPUT_GROUP)],
        }
    }
}

impl CpuBackend {
    /// From dlogits and dh to the whole gradient; returns its L2 norm.
    pub(super) fn backward(&mut self, plan: &Plan) -> f64 {
        let Self { sizes, padded, transposed, activations, batch, gradient, squares, sent_back, .. } = self;
        let Padded { hidden, vocab } = *padded;
        let rows = plan.num_steps * sizes.batch_size;
        let block_rows = plan.num_steps * LANES;

        let h_previous = activations.h_previous[..rows * hidden].par_chunks(block_rows * hidden);
        let gates = activations.gates[..rows * 4 * hidden].par_chunks_mut(block_rows * 4 * hidden);
        let dh = activations.dh[..rows * hidden].par_chunks(block_rows * hidden);
        let sent_back = sent_back.par_chunks_mut(LANES * hidden);
        let w_h = &transposed.w_h;
        rayon::join(
            || {
                (h_previous, gates, dh, sent_back).into_par_iter().for_each(
                    |(h_previous, gates, dh, sent_back)| {
                        bptt(hidden, w_h, h_previous, gates, dh, sent_back);
                    },
                );
            },
            || batch.sort(),
        );

        // dW_y and db_y, dW_h with db and db_q, and dW_x need the same rows and nothing of each other.
        let h = Matrix::new(&activations.h, rows, hidden, hidden).transposed();
        let h_previous = Matrix::new(&activations.h_previous, rows, hidden, hidden).transposed();
        let dlogits = Matrix::new(&activations.logits, rows, vocab, vocab);
        let dgates = Matrix::new(&activations.gates, rows, 4 * hidden, 4 * hidden);
        let output = || {
            let matrix = MatrixMut::new(&mut gradient.w_y, hidden, vocab, vocab);
            let biases = gradient.b_y.par_chunks_mut(PANEL);
            squares.output.par_iter_mut().zip(biases).enumerate().for_each(|(panel, (squares, bias))| {
                // SAFETY: every task takes the panel of its own index.
                let mut to = unsafe { matrix.column_panel(panel, PANEL) };
                let dlogits = dlogits.columns(panel * PANEL, bias.len());
                multiply(&mut to, h, dlogits, false);
                dlogits.sum_rows(bias);
                *squares = to.sum_of_squares() + sum_of_squares(bias);
            });
        };
        let recurrent = || {
            let matrix = MatrixMut::new(&mut gradient.w_h, hidden, 3 * hidden, 3 * hidden);
            squares.recurrent.par_iter_mut().enumerate().for_each(|(panel, squares)| {
                // SAFETY: every task takes the panel of its own index.
                let mut to = unsafe { matrix.column_panel(panel, PANEL) };
                let width = to.columns();
                multiply(&mut to, h_previous, dgates.columns(panel * PANEL, width), false);
                *squares = to.sum_of_squares();
            });
            dgates.columns(0, 2 * hidden).sum_rows(&mut gradient.b[..2 * hidden]);
            dgates.columns(3 * hidden, hidden).sum_rows(&mut gradient.b[2 * hidden..]);
            if sizes.candidate_bias {
                dgates.columns(2 * hidden, hidden).sum_rows(&mut gradient.b_q);
            } else {
                gradient.b_q.fill(0.0);
            }
        };
        let input = || {
            let used = batch.runs.len();
            let groups = gradient.w_x[..used * 3 * hidden].par_chunks_mut(INPUT_GROUP * 3 * hidden);
            squares.input.par_iter_mut().zip(groups).enumerate().for_each(|(group, (squares, to))| {
                for (index, to) in to.chunks_exact_mut(3 * hidden).enumerate() {
                    sum_run(batch.run(group * INPUT_GROUP + index), &activations.gates, hidden, to);
                }
                *squares = sum_of_squares(to);
            });
        };
        rayon::join(output, || rayon::join(recurrent, input));

        let input_tasks = batch.runs.len().div_ceil(INPUT_GROUP);
        let slots = [&squares.output[..], &squares.recurrent, &squares.input[..input_tasks]];
        let weights: f64 = slots.into_iter().flatten().sum();
        (weights + sum_of_squares(&gradient.b) + sum_of_squares(&gradient.b_q)).sqrt()
    }

    /// `parameter -= rate * gradient` for all parameters, and new transposed copies.
    pub(super) fn descend(&mut self, rate: f32) {
        let hidden = self.padded.hidden;
        let [_, parameters @ ..] = self.parameters.all_mut();
        let [_, gradients @ ..] = self.gradient.all();
        for (parameters, gradients) in parameters.into_iter().zip(gradients) {
            let gradients = gradients.par_chunks(DESCENT_CHUNK);
            parameters.par_chunks_mut(DESCENT_CHUNK).zip(gradients).for_each(|(to, d)| step(to, d, rate));
        }
        // The rows of W_x that the batch did not use have no gradient.
        let (w_x, batch, gradient) = (&mut self.parameters.w_x, &self.batch, &self.gradient.w_x);
        w_x.par_chunks_mut(3 * hidden).zip(&batch.place).with_min_len(INPUT_GROUP).for_each(
            |(to, &place)| {
                if place != Batch::ABSENT {
                    step(to, &gradient[place as usize * 3 * hidden..][..3 * hidden], rate);
                }
            },
        );
        self.transpose();
    }

    /// Writes the transposed copies of W_h and W_y.
    pub(super) fn transpose(&mut self) {
        let Padded { hidden, vocab } = self.padded;
        transpose(&self.parameters.w_h, 3 * hidden, &mut self.transposed.w_h, hidden);
        transpose(&self.parameters.w_y, vocab, &mut self.transposed.w_y, hidden);
    }
}

/// BPTT through all steps of a block of lanes. `w_h` is W_h transposed, `[3 * hidden, hidden]`; `sent_back`
/// is scratch, `[lanes, hidden]`; the other slices are the block's rows. Gate gradients replace the gates.
fn bptt(
    hidden: usize,
    w_h: &[f32],
    h_previous: &[f32],
    gates: &mut [f32],
    dh: &[f32],
    sent_back: &mut [f32],
) {
    let lanes = sent_back.len() / hidden;
    let w_h = Matrix::new(w_h, 3 * hidden, hidden, hidden);
    sent_back.fill(0.0);
    let steps = h_previous.chunks_exact(lanes * hidden).zip(dh.chunks_exact(lanes * hidden));
    for (step, ((previous, dh), gates)) in
        steps.zip(gates.chunks_exact_mut(lanes * 4 * hidden)).enumerate().rev()
    {
        let rows = previous.chunks_exact(hidden).zip(dh.chunks_exact(hidden));
        let rows = rows.zip(gates.chunks_exact_mut(4 * hidden)).zip(sent_back.chunks_exact_mut(hidden));
        for (((previous, dh), gates), sent_back) in rows {
            vectorised(
                #[inline(always)]
                || gate_gradients(previous, dh, gates, sent_back),
            );
        }
        if step > 0 {
            let dgates = Matrix::new(gates, lanes, 3 * hidden, 4 * hidden);
            multiply(&mut MatrixMut::new(sent_back, lanes, hidden, hidden), dgates, w_h, true);
        }
    }
}

/// The gradients of one row: r, z, q, n in `gates` become dr', dz', dn' r, dn'; `sent_back` holds what the
/// next step sent and becomes z D.
#[inline(always)]
fn gate_gradients(previous: &[f32], dh: &[f32], gates: &mut [f32], sent_back: &mut [f32]) {
    let hidden = dh.len();
    let (r, rest) = gates.split_at_mut(hidden);
    let (z, rest) = rest.split_at_mut(hidden);
    let (q, n) = rest.split_at_mut(hidden);
    let (r, z, q, n) = (&mut r[..hidden], &mut z[..hidden], &mut q[..hidden], &mut n[..hidden]);
    let (previous, sent_back) = (&previous[..hidden], &mut sent_back[..hidden]);
    for j in 0..hidden {
        let whole = dh[j] + sent_back[j];
        let dn = whole * (1.0 - z[j]) * (1.0 - n[j] * n[j]);
        let dz = whole * (previous[j] - n[j]) * z[j] * (1.0 - z[j]);
        let dr = dn * q[j] * r[j] * (1.0 - r[j]);
        sent_back[j] = whole * z[j];
        q[j] = dn * r[j];
        r[j] = dr;
        z[j] = dz;
        n[j] = dn;
    }
}

/// Sums (dr', dz', dn') over the rows of one character, in row order.
fn sum_run(rows: &[u32], dgates: &[f32], hidden: usize, to: &mut [f32]) {
    to.fill(0.0);
    let (to_rz, to_n) = to.split_at_mut(2 * hidden);
    for &row in rows {
        let row = &dgates[row as usize * 4 * hidden..][..4 * hidden];
        to_rz.iter_mut().zip(&row[..2 * hidden]).for_each(|(to, d)| *to += d);
        to_n.iter_mut().zip(&row[3 * hidden..]).for_each(|(to, d)| *to += d);
    }
}

fn step(parameters: &mut [f32], gradient: &[f32], rate: f32) {
    vectorised(
        #[inline(always)]
        || parameters.iter_mut().zip(gradient).for_each(|(parameter, d)| *parameter -= rate * d),
    );
}

/// Sum of squares of a slice whose length is a multiple of [`LINE`], in f64.
pub(super) fn sum_of_squares(values: &[f32]) -> f64 {
    vectorised(
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

/// `to` becomes `from` (`columns` wide) with rows and columns exchanged (`to_columns` wide), tile by tile.
fn transpose(from: &[f32], columns: usize, to: &mut [f32], to_columns: usize) {
    to.par_chunks_mut(LINE * to_columns).enumerate().for_each(|(band, to)| {
        for first in (0..to_columns).step_by(LINE) {
            for i in 0..LINE {
                let line = &from[(first + i) * columns + band * LINE..][..LINE];
                for (j, &value) in line.iter().enumerate() {
                    to[j * to_columns + first + i] = value;
                }
            }
        }
    });
}
