//! The equations of the crate's head as plain f64 loops: slow, and short enough to be read beside the book.
//! It is the truth that every other backend is tested against; it is tested itself against finite
//! differences and against PyTorch (`tests/oracle.rs`).

use crate::backend::{Backend, Error, Forward, Observer, Outcome, Plan, Stop, Update};
use crate::{Layout, Sizes};

/// The f64 backend. Parameters and state are f64 inside; they come in and go out as f32.
#[derive(Clone, Debug)]
pub struct Oracle {
    sizes: Sizes,
    layout: Layout,
    /// All parameters, in the layout's order.
    pub parameters: Vec<f64>,
    /// Carried hidden state, `[batch_size, hidden_size]`.
    pub state: Vec<f64>,
    ids: Vec<u32>,
}

/// What one time step of one lane leaves behind for BPTT; every vector is `[hidden_size]`.
struct Step {
    id: usize,
    target: usize,
    previous: Vec<f64>,
    r: Vec<f64>,
    z: Vec<f64>,
    q: Vec<f64>,
    n: Vec<f64>,
    h: Vec<f64>,
    probabilities: Vec<f64>,
}

impl Oracle {
    /// A network of zeros.
    ///
    /// # Errors
    /// What [`Sizes::check`] finds.
    pub fn new(sizes: Sizes) -> Result<Self, Error> {
        let layout = Layout::new(&sizes.check()?);
        let parameters = vec![0.0; layout.len()];
        Ok(Self {
            sizes,
            layout,
            parameters,
            state: vec![0.0; sizes.batch_size * sizes.hidden_size],
            ids: vec![],
        })
    }

    /// One step of the forward equations: (r, z, q, n, h).
    fn step(&self, id: usize, previous: &[f64]) -> [Vec<f64>; 5] {
        let hidden = self.sizes.hidden_size;
        let [w_x, w_h, b, b_q, _, _] = self.layout.split(&self.parameters);
        let mut recurrent = vec![0.0; 3 * hidden];
        for (i, row) in w_h.chunks_exact(3 * hidden).enumerate() {
            add_scaled(&mut recurrent, previous[i], row);
        }
        let input = |column: usize| w_x[id * 3 * hidden + column] + b[column];
        let [mut r, mut z, mut q, mut n, mut h] = [const { Vec::new() }; 5];
        for j in 0..hidden {
            r.push(sigmoid(input(j) + recurrent[j]));
            z.push(sigmoid(input(hidden + j) + recurrent[hidden + j]));
            q.push(recurrent[2 * hidden + j] + b_q.get(j).copied().unwrap_or(0.0));
            n.push((input(2 * hidden + j) + r[j] * q[j]).tanh());
            h.push(z[j] * previous[j] + (1.0 - z[j]) * n[j]);
        }
        [r, z, q, n, h]
    }

    fn logits(&self, h: &[f64]) -> Vec<f64> {
        let [_, _, _, _, w_y, b_y] = self.layout.split(&self.parameters);
        let mut logits = b_y.to_vec();
        for (i, row) in w_y.chunks_exact(self.sizes.vocab_size).enumerate() {
            add_scaled(&mut logits, h[i], row);
        }
        logits
    }

    /// Runs all lanes of one update forward. Returns the summed loss, the steps of each lane and the new
    /// state.
    fn run_steps(&self, starts: &[u32], num_steps: usize, state: &[f64]) -> (f64, Vec<Vec<Step>>, Vec<f64>) {
        let hidden = self.sizes.hidden_size;
        let (mut loss_sum, mut lanes, mut last) = (0.0, Vec::new(), Vec::new());
        for (lane, &start) in starts.iter().enumerate() {
            let mut previous = state[lane * hidden..][..hidden].to_vec();
            let mut steps = Vec::new();
            for position in start as usize..start as usize + num_steps {
                let (id, target) = (self.ids[position] as usize, self.ids[position + 1] as usize);
                let [r, z, q, n, h] = self.step(id, &previous);
                let logits = self.logits(&h);
                let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let total: f64 = logits.iter().map(|logit| (logit - max).exp()).sum();
                let probabilities = logits.iter().map(|logit| (logit - max).exp() / total).collect();
                loss_sum += max + total.ln() - logits[target];
                let next = h.clone();
                steps.push(Step { id, target, previous, r, z, q, n, h, probabilities });
                previous = next;
            }
            last.extend(previous);
            lanes.push(steps);
        }
        (loss_sum, lanes, last)
    }

    /// BPTT over the steps of every lane: the gradient of the summed loss, in the layout's order.
    fn backward(&self, lanes: &[Vec<Step>]) -> Vec<f64> {
        let (hidden, vocab) = (self.sizes.hidden_size, self.sizes.vocab_size);
        let [_, w_h, _, _, w_y, _] = self.layout.split(&self.parameters);
        let mut gradient = vec![0.0; self.layout.len()];
        let [at_w_x, at_w_h, at_b, at_b_q, at_w_y, at_b_y] =
            self.layout.tensors.each_ref().map(|tensor| tensor.range.start);
        for steps in lanes {
            let mut sent_back = vec![0.0; hidden];
            for step in steps.iter().rev() {
                let mut dlogits = step.probabilities.clone();
                dlogits[step.target] -= 1.0;
                let mut dh = sent_back.clone();
                for (k, dlogit) in dlogits.iter().enumerate() {
                    gradient[at_b_y + k] += dlogit;
                }
                for i in 0..hidden {
                    add_scaled(&mut gradient[at_w_y + i * vocab..][..vocab], step.h[i], &dlogits);
                    dh[i] += dot(&dlogits, &w_y[i * vocab..][..vocab]);
                }
                let mut d_recurrent = vec![0.0; 3 * hidden];
                for j in 0..hidden {
                    let (r, z, q, n) = (step.r[j], step.z[j], step.q[j], step.n[j]);
                    let dn = dh[j] * (1.0 - z) * (1.0 - n * n);
                    let dz = dh[j] * (step.previous[j] - n) * z * (1.0 - z);
                    let dr = dn * q * r * (1.0 - r);
                    for (column, d) in [(j, dr), (hidden + j, dz), (2 * hidden + j, dn)] {
                        gradient[at_w_x + step.id * 3 * hidden + column] += d;
                        gradient[at_b + column] += d;
                    }
                    if self.sizes.candidate_bias {
                        gradient[at_b_q + j] += dn * r;
                    }
                    [d_recurrent[j], d_recurrent[hidden + j], d_recurrent[2 * hidden + j]] = [dr, dz, dn * r];
                }
                for i in 0..hidden {
                    let row = i * 3 * hidden;
                    add_scaled(&mut gradient[at_w_h + row..][..3 * hidden], step.previous[i], &d_recurrent);
                    sent_back[i] = step.z[i] * dh[i] + dot(&d_recurrent, &w_h[row..][..3 * hidden]);
                }
            }
        }
        gradient
    }

    /// The update at `index` of the plan: its report, the unclipped gradient and the state after it.
    pub fn update(&self, plan: &Plan, index: usize) -> (Update, Vec<f64>, Vec<f64>) {
        let zeros = vec![0.0; self.state.len()];
        let state = if plan.carry_state { &self.state } else { &zeros };
        let (loss_sum, lanes, last) = self.run_steps(plan.lanes(&self.sizes, index), plan.num_steps, state);
        let gradient = self.backward(&lanes);
        let gradient_norm = gradient.iter().map(|d| d * d).sum::<f64>().sqrt();
        let tokens = plan.num_steps * self.sizes.batch_size;
        (Update { loss_sum, tokens, gradient_norm }, gradient, last)
    }
}

/// sums += factor * values
fn add_scaled(sums: &mut [f64], factor: f64, values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}

/// The inner product, in eight sums: one would wait for itself at every term.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Backend for Oracle {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn read_parameters(&self, flat: &mut [f32]) -> Result<(), Error> {
        flat.iter_mut().zip(&self.parameters).for_each(|(out, &value)| *out = value as f32);
        Ok(())
    }

    fn write_parameters(&mut self, flat: &[f32]) -> Result<(), Error> {
        self.parameters = flat.iter().map(|&value| f64::from(value)).collect();
        Ok(())
    }

    fn write_corpus(&mut self, ids: &[u32]) -> Result<(), Error> {
        self.ids = ids.to_vec();
        Ok(())
    }

    fn corpus_len(&self) -> usize {
        self.ids.len()
    }

    fn read_state(&self, state: &mut [f32]) -> Result<(), Error> {
        state.iter_mut().zip(&self.state).for_each(|(out, &value)| *out = value as f32);
        Ok(())
    }

    fn write_state(&mut self, state: &[f32]) -> Result<(), Error> {
        self.state = state.iter().map(|&value| f64::from(value)).collect();
        Ok(())
    }

    fn run_train(&mut self, plan: &Plan, observer: &mut Observer) -> Result<Outcome, Error> {
        let updates = plan.updates(&self.sizes);
        for index in 0..updates {
            let (update, gradient, state) = self.update(plan, index);
            if !update.is_finite() {
                return Ok(Outcome { updates: index, stop: Stop::NonFinite });
            }
            let scale = (f64::from(plan.max_grad_norm) / update.gradient_norm).min(1.0);
            let rate = f64::from(plan.learning_rate[index]) * scale;
            self.parameters.iter_mut().zip(&gradient).for_each(|(value, d)| *value -= rate * d);
            self.state = state;
            if observer(index, update).is_break() {
                return Ok(Outcome { updates: index + 1, stop: Stop::Cancelled });
            }
        }
        Ok(Outcome { updates, stop: Stop::Completed })
    }

    fn run_evaluate(&mut self, plan: &Plan, observer: &mut Observer) -> Result<Outcome, Error> {
        let updates = plan.updates(&self.sizes);
        for index in 0..updates {
            if !plan.carry_state {
                self.state.fill(0.0);
            }
            let (loss_sum, _, state) =
                self.run_steps(plan.lanes(&self.sizes, index), plan.num_steps, &self.state);
            self.state = state;
            let tokens = plan.num_steps * self.sizes.batch_size;
            if observer(index, Update { loss_sum, tokens, gradient_norm: 0.0 }).is_break() {
                return Ok(Outcome { updates: index + 1, stop: Stop::Cancelled });
            }
        }
        Ok(Outcome { updates, stop: Stop::Completed })
    }

    fn run_forward(&mut self, ids: &[u32], state: &[f32]) -> Result<Forward, Error> {
        let mut h: Vec<f64> = state.iter().map(|&value| f64::from(value)).collect();
        let mut logits = Vec::new();
        for &id in ids {
            [_, _, _, _, h] = self.step(id as usize, &h);
            logits.extend(self.logits(&h).iter().map(|&logit| logit as f32));
        }
        Ok(Forward { logits, state: h.iter().map(|&value| value as f32).collect() })
    }

    fn poison_scratch(&mut self) -> Result<(), Error> {
        Ok(()) // The oracle has no scratch: every update makes its own.
    }

    fn run_gradient(&mut self, plan: &Plan, gradient: &mut [f32]) -> Result<Update, Error> {
        let (update, exact, _) = self.update(plan, 0);
        gradient.iter_mut().zip(&exact).for_each(|(out, &d)| *out = d as f32);
        Ok(update)
    }
}
