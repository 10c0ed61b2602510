//! A character of one or several lanes outside of any batch, which is what writing text takes.
//!
//! One lane is bound by reading the weights, so it goes over whole panels at a time ([`super::kernel::Path::row`]);
//! several lanes go by tiles, which read the weights once for all of them. The bits are the same.

use super::forward::{GateLines, Recurrence};
use super::functions::run;
use super::kernel::prefetch;
use super::memory::{LINE, Panels};
use super::tensors::Padded;
use super::turn::{Cores, Turn};
use super::workers::{Pieces, Workers};
use super::{CpuBackend, share};
use crate::backend::{Error, Forward};
use std::ops::Range;

/// Memory of a step of so many lanes.
pub(super) struct Stepping {
    lanes: usize,
    /// States before the step, then after it: `[2 * lanes, hidden]`
    h: Panels,
    /// `[lanes, 4 * hidden]`
    gates: Panels,
    /// `[lanes, vocab]`
    logits: Panels,
}

impl Stepping {
    pub fn zeros(lanes: usize, Padded { hidden, vocab }: Padded) -> Result<Self, Error> {
        let [h, gates, logits] = [(2 * lanes, hidden), (lanes, 4 * hidden), (lanes, vocab)]
            .map(|(rows, columns)| Panels::spaced(rows, columns));
        Ok(Self { lanes, h: h?, gates: gates?, logits: logits? })
    }

    pub fn poison(&mut self) {
        for panels in [&mut self.gates, &mut self.logits] {
            panels.elements_mut().fill(f32::NAN);
        }
    }
}

/// How many threads share a step, and the cores for them: as many as there are lanes, two for one. More would be woken
/// for too little.
fn threads_for(lanes: usize, workers: &Workers) -> (usize, Option<Turn<'static>>) {
    let threads = workers.count().min(lanes.max(2));
    (threads, (threads > 1).then(|| Cores::of_machine().take(threads)))
}

impl CpuBackend {
    /// See [`crate::Backend::run_step`].
    pub(super) fn step(&mut self, ids: &[u32], states: &mut [f32], logits: &mut [f32]) -> Result<(), Error> {
        if self.stepping.lanes != ids.len() {
            self.stepping = Stepping::zeros(ids.len(), self.padded)?;
        }
        if let &[id] = ids {
            self.step_of_one(id, states, logits);
            return Ok(());
        }
        self.stepping.h.pack(states, self.sizes.hidden_size);
        self.step_of_several(ids);
        let Stepping { lanes, h, logits: computed, .. } = &mut self.stepping;
        for panel in 0..h.panels() {
            h.panel_mut(panel).copy_within(*lanes * LINE.., 0);
        }
        h.unpack(states, self.sizes.hidden_size);
        computed.unpack(logits, self.sizes.vocab_size);
        Ok(())
    }

    /// One lane over `ids` from `state`.
    pub(super) fn forward_lane(&mut self, ids: &[u32], state: &[f32]) -> Result<Forward, Error> {
        let vocab_size = self.sizes.vocab_size;
        let mut forward = Forward { logits: vec![0.0; ids.len() * vocab_size], state: state.to_vec() };
        for (id, logits) in ids.iter().zip(forward.logits.chunks_exact_mut(vocab_size)) {
            self.step(std::slice::from_ref(id), &mut forward.state, logits)?;
        }
        Ok(forward)
    }

    fn step_of_one(&mut self, id: u32, state: &mut [f32], logits: &mut [f32]) {
        let Self { path, parameters, padded, stepping, workers, .. } = self;
        let (path, parameters, hidden) = (path.f32_path(), &*parameters, padded.hidden);
        let Stepping { h, gates, logits: computed, .. } = stepping;
        // Of one lane every matrix is a vector: the state before the step is the first half of `h`.
        let (before, after) = h.elements_mut().split_at_mut(hidden);
        before[..state.len()].copy_from_slice(state);
        let units = hidden / LINE;
        let (threads, _turn) = threads_for(1, workers);
        let (new, sums) = (Pieces::new(&mut *after), Pieces::new(gates.elements_mut()));
        let tasks = threads.min(units);
        workers.each(tasks, |task| {
            let own = share(units, tasks, task);
            let lines = |first: usize| (first + own.start) * LINE..(first + own.end) * LINE;
            // SAFETY: each task computes units of its own.
            let (after, [r, z, q, n]) =
                unsafe { (new.take(lines(0)), [0, 1, 2, 3].map(|gate| sums.take(lines(gate * units)))) };
            // The character's weights lie anywhere in the vocabulary: they come while the products run.
            let w_x = &parameters.w_x[id as usize * 3 * hidden..][..3 * hidden];
            for element in (0..3).flat_map(|gate| lines(gate * units).step_by(LINE)) {
                prefetch(&raw const w_x[element]);
            }
            for (gate, sums) in [&mut *r, &mut *z, &mut *q].into_iter().enumerate() {
                let Range { start, end } = lines(gate * units);
                sums.fill(0.0);
                path.row(sums, before, LINE, &parameters.w_h.elements()[start * hidden..end * hidden]);
            }
            for (index, unit) in own.enumerate() {
                let line = index * LINE..(index + 1) * LINE;
                let gates = [&mut *r, &mut *z, &mut *q, &mut *n].map(|gate| &mut gate[line.clone()]);
                let (before, after) = (&before[unit * LINE..][..LINE], &mut after[line]);
                run(path, GateLines { parameters, unit, ids: &[id], gates, before, after });
            }
        });
        let (after, sums) = (&*after, Pieces::new(computed.elements_mut()));
        let panels = parameters.b_y.len() / LINE;
        let tasks = threads.min(panels);
        workers.each(tasks, |task| {
            let own = share(panels, tasks, task);
            let own = own.start * LINE..own.end * LINE;
            // SAFETY: each task computes panels of its own.
            let sums = unsafe { sums.take(own.clone()) };
            sums.copy_from_slice(&parameters.b_y[own.clone()]);
            path.row(sums, after, LINE, &parameters.w_y.elements()[own.start * hidden..own.end * hidden]);
        });
        state.copy_from_slice(&after[..state.len()]);
        logits.copy_from_slice(&computed.elements()[..logits.len()]);
    }

    fn step_of_several(&mut self, ids: &[u32]) {
        let Self { path, parameters, padded, stepping, workers, .. } = self;
        let (path, parameters, units) = (path.f32_path(), &*parameters, padded.hidden / LINE);
        let &mut Stepping { lanes, ref mut h, ref mut gates, ref mut logits } = stepping;
        let (h, gates, logits) = (h.share(), gates.share(), logits.share());
        let (threads, _turn) = threads_for(lanes, workers);
        let recurrence = Recurrence { path, parameters, factors: (h, &parameters.w_h), h, gates, lanes };
        let tasks = threads.min(units);
        // SAFETY: each task runs units of its own.
        workers.each(tasks, |task| unsafe { recurrence.step(0, 0..lanes, share(units, tasks, task), ids) });
        let biases = parameters.b_y.as_chunks().0;
        let tasks = threads.min(biases.len());
        workers.each(tasks, |task| {
            for panel in share(biases.len(), tasks, task) {
                let to = (panel..panel + 1, 0..lanes);
                // SAFETY: each task computes panels of its own, and nobody writes `h`.
                unsafe { logits.product(path, to, Some(&biases[panel]), (h, lanes), &parameters.w_y) };
            }
        });
    }
}
