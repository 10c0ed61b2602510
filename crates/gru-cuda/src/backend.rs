//! [`CudaBackend`]: the model's arithmetic as kernels on a [`Device`].
//!
//! One update is a fixed sequence of kernels ([`crate::update`]). Sequences of several updates are captured once
//! and then started as a whole; which update of the uploaded tables is at hand is a number in device memory that
//! the kernels move on themselves. So between the updates of a launch the host copies nothing and waits for
//! nothing; after each launch it reads the losses and norms of all its updates at once.

use crate::arena::{self, Arena, LANE_STEPS, PADDING_BIAS};
use crate::device::{Device, Launch};
use crate::memory;
use crate::tables::Tables;
use crate::task::{Region, Task};
use crate::update::{self, Mode, Path};
use crate::{Precision, Recurrence};
use gru_core::backend::{Backend, Error, Forward, Observer, Outcome, Plan, Stop, Update};
use gru_core::{Layout, Sizes};
use std::collections::HashMap;
use std::ops::Range;

/// Captured sequences kept at most; then all are forgotten.
const MAX_GRAPHS: usize = 8;

/// The CUDA backend; see the head of this module.
pub struct CudaBackend<D: Device> {
    device: D,
    sizes: Sizes,
    arena: Arena,
    base: u64,
    corpus: Vec<u32>,
    ids: Region,
    /// Most updates of one launch.
    limit: usize,
    path: Path,
    /// What the blocks of persistent kernels exchange, where that is in device memory.
    words: Region,
    graphs: HashMap<(Vec<u8>, Mode, usize), usize>,
    /// The updates whose tables are on the device: their starts and steps.
    uploaded: Option<(Vec<u32>, usize)>,
}

impl<D: Device> CudaBackend<D> {
    /// A network of zeros on `device`.
    ///
    /// # Errors
    /// [`Error::Size`]; [`Error::DeviceMemory`] where it does not fit; what the device reports.
    pub fn new(device: D, sizes: Sizes) -> Result<Self, Error> {
        Self::for_corpus(device, sizes, Precision::Fp32, 0)
    }

    /// [`CudaBackend::new`] with other operands, and where a corpus of so many characters must fit too.
    ///
    /// # Errors
    /// As of [`CudaBackend::new`].
    pub fn for_corpus(
        mut device: D,
        sizes: Sizes,
        precision: Precision,
        corpus: usize,
    ) -> Result<Self, Error> {
        let arena = Arena::new(&sizes)?;
        let recurrence = Recurrence::choose(&device, sizes.hidden_size, sizes.batch_size, precision)?;
        memory::check_fits(&sizes, recurrence, corpus, device.free_bytes()?)?;
        let base = device.allocate(arena.bytes)?;
        let limit = update::updates_per_launch(&arena.update);
        let mut backend = Self {
            device,
            sizes,
            arena: arena.moved_to(base),
            base,
            corpus: Vec::new(),
            ids: Region::default(),
            limit,
            path: Path { precision, recurrence: Recurrence::Steps },
            words: Region::default(),
            graphs: HashMap::new(),
            uploaded: None,
        };
        backend.set_recurrence(recurrence)?;
        backend.write_parameters(&vec![0.0; Layout::new(&sizes).len()])?;
        backend.write_state(&vec![0.0; sizes.batch_size * sizes.hidden_size])?;
        // It is read as a whole, also what no update has filled yet.
        let report = backend.arena.report;
        backend.device.write(report.address, &vec![0; report.length as usize])?;
        Ok(backend)
    }

    /// Most updates of one launch, at least 1: how soon a run can be cancelled and how often it reports.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
    }

    /// Which kernels it runs.
    pub fn path(&self) -> Path {
        self.path
    }

    /// Runs the time steps another way: for what compares the ways.
    ///
    /// # Errors
    /// What the device reports when it is asked for the memory that this takes.
    pub fn set_recurrence(&mut self, recurrence: Recurrence) -> Result<(), Error> {
        self.forget_graphs();
        self.path.recurrence = Recurrence::Steps;
        self.free_words();
        if let length @ 1.. = recurrence.words(self.sizes.batch_size) {
            let address = self.device.allocate(length * size_of::<u64>())?;
            self.words = Region { address, length: length as u64 };
        }
        self.path.recurrence = recurrence;
        Ok(())
    }

    fn free_words(&mut self) {
        if self.words.length > 0 {
            self.device.free(self.words.address);
            self.words = Region::default();
        }
    }

    /// The device.
    pub fn device(&mut self) -> &mut D {
        &mut self.device
    }

    /// Runs the first update of a plan launch by launch, without a captured sequence: for the check of the
    /// capture and for timing each kernel. Gives the launches that it ran.
    ///
    /// # Errors
    /// What the device reports.
    pub fn run_singly(&mut self, plan: &Plan, mode: Mode) -> Result<Vec<Launch>, Error> {
        let launches = self.launches(plan, mode)?;
        self.device.run(&launches)?;
        self.device.wait()?;
        Ok(launches)
    }

    /// Readies the device for the first update of a plan and gives its launches. They move the device on to an
    /// update whose tables may not be there: each time they are run this is called before.
    ///
    /// # Errors
    /// What the device reports.
    pub fn launches(&mut self, plan: &Plan, mode: Mode) -> Result<Vec<Launch>, Error> {
        self.upload(plan, 0..1)?;
        Ok(update::update(&self.task(plan), mode, self.path))
    }

    /// What the kernels of an update of this plan are given.
    fn task(&self, plan: &Plan) -> Task {
        let rows = plan.num_steps * self.sizes.batch_size;
        let task = self.arena.update;
        let unused = task.rows - rows as i32;
        Task {
            num_steps: plan.num_steps as i32,
            rows: rows as i32,
            carries_state: plan.carry_state.into(),
            bias_slot: task.bias_slot - unused,
            num_slots: task.num_slots - unused,
            ids: self.ids,
            words: self.words,
            // Evaluation and a gradient alone need none; what is not given must not be read.
            learning_rate: match plan.learning_rate.len() < plan.updates(&self.sizes) {
                true => Region::default(),
                false => task.learning_rate,
            },
            ..task
        }
    }

    /// Uploads the tables of `updates` of the plan, unless they are there already, and sets the device to the
    /// first of them.
    fn upload(&mut self, plan: &Plan, updates: Range<usize>) -> Result<(), Error> {
        let batch = self.sizes.batch_size;
        let starts = &plan.starts[updates.start * batch..updates.end * batch];
        let task = self.arena.update;
        if self.uploaded.as_ref().is_none_or(|(there, steps)| there != starts || *steps != plan.num_steps) {
            self.uploaded = None;
            let tables = Tables::new(&self.sizes, &self.corpus, plan, updates.clone());
            for (region, table) in [
                (task.starts, &tables.starts),
                (task.num_runs, &tables.num_runs),
                (task.run_ids, &tables.run_ids),
                (task.run_begins, &tables.run_begins),
                (task.run_rows, &tables.run_rows),
            ] {
                self.device.write(region.address, bytemuck::cast_slice(table))?;
            }
            self.uploaded = Some((tables.starts, plan.num_steps));
        }
        if let Some(rates) = plan.learning_rate.get(updates) {
            self.device.write(task.learning_rate.address, bytemuck::cast_slice(rates))?;
        }
        self.device.write(task.max_grad_norm.address, bytemuck::bytes_of(&plan.max_grad_norm))?;
        // cursor, reported, stopped and rate lie side by side.
        self.device.write(task.cursor.address, bytemuck::cast_slice(&[0u32; 4]))
    }

    /// Starts `count` updates of the plan from where the device stands.
    fn start(&mut self, plan: &Plan, mode: Mode, count: usize) -> Result<(), Error> {
        let task = self.task(plan);
        let key = (bytemuck::bytes_of(&task).to_vec(), mode, count);
        let graph = match self.graphs.get(&key) {
            Some(&graph) => graph,
            None => {
                if self.graphs.len() == MAX_GRAPHS {
                    self.forget_graphs();
                }
                let one = update::update(&task, mode, self.path);
                let graph = self.device.capture(&one.repeat(count))?;
                self.graphs.insert(key, graph);
                graph
            }
        };
        self.device.replay(graph)
    }

    fn forget_graphs(&mut self) {
        self.graphs.clear();
        self.device.forget_graphs();
    }

    /// What was reported of the uploaded updates from `first` on: fewer than were started if one stopped.
    fn reports(&self, first: usize, tokens: usize) -> Result<Vec<Update>, Error> {
        let (report, task) = (self.arena.report, &self.arena.update);
        let mut bytes = vec![0; report.length as usize];
        self.device.read(report.address, &mut bytes)?;
        let at = |region: Region, size: usize, index: usize| {
            let offset = (region.address - report.address) as usize + size * index;
            &bytes[offset..offset + size]
        };
        let done = bytemuck::pod_read_unaligned::<u32>(at(task.cursor, 4, 0)) as usize;
        Ok((first..done)
            .map(|index| Update {
                loss_sum: bytemuck::pod_read_unaligned(at(task.loss_sum, 8, index)),
                tokens,
                gradient_norm: bytemuck::pod_read_unaligned(at(task.gradient_norm, 8, index)),
            })
            .collect())
    }

    /// Runs all updates of the plan, launch by launch.
    fn run(&mut self, plan: &Plan, mode: Mode, observer: &mut Observer) -> Result<Outcome, Error> {
        let total = plan.updates(&self.sizes);
        let tokens = plan.num_steps * self.sizes.batch_size;
        let (mut done, mut cancelled) = (0, false);
        for piece in (0..total).step_by(self.arena.capacity) {
            let end = total.min(piece + self.arena.capacity);
            self.upload(plan, piece..end)?;
            while done < end && !cancelled {
                let count = self.limit.min(end - done);
                self.start(plan, mode, count)?;
                let reports = self.reports(done - piece, tokens)?;
                for &update in &reports {
                    cancelled |= observer(done, update).is_break();
                    done += 1;
                }
                if reports.len() < count {
                    return Ok(Outcome { updates: done, stop: Stop::NonFinite });
                }
            }
            if cancelled {
                break;
            }
        }
        let stop = if done == total { Stop::Completed } else { Stop::Cancelled };
        Ok(Outcome { updates: done, stop })
    }

    /// Copies a tensor from the device: rows of `padded` elements, of which `width` count.
    fn read_rows(
        &self,
        (region, width, padded): (Region, usize, usize),
        out: &mut [f32],
    ) -> Result<(), Error> {
        if out.is_empty() {
            return Ok(());
        }
        let mut there = vec![0f32; out.len() / width * padded];
        self.device.read(region.address, bytemuck::cast_slice_mut(&mut there))?;
        for (out, there) in out.chunks_exact_mut(width).zip(there.chunks_exact(padded)) {
            out.copy_from_slice(&there[..width]);
        }
        Ok(())
    }

    /// Copies a tensor to the device, its padding filled.
    fn write_rows(
        &mut self,
        (region, width, padded): (Region, usize, usize),
        values: &[f32],
        padding: f32,
    ) -> Result<(), Error> {
        let mut there = vec![padding; region.length as usize];
        for (values, there) in values.chunks_exact(width).zip(there.chunks_exact_mut(padded)) {
            there[..width].copy_from_slice(values);
        }
        self.device.write(region.address, bytemuck::cast_slice(&there))
    }
}

impl<D: Device> Backend for CudaBackend<D> {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn read_parameters(&self, flat: &mut [f32]) -> Result<(), Error> {
        let tensors = Layout::new(&self.sizes).tensors;
        for (tensor, place) in tensors.iter().zip(self.arena.parameters(&self.sizes)) {
            self.read_rows(place, &mut flat[tensor.range.clone()])?;
        }
        Ok(())
    }

    fn write_parameters(&mut self, flat: &[f32]) -> Result<(), Error> {
        let tensors = Layout::new(&self.sizes).tensors;
        for (tensor, place) in tensors.iter().zip(self.arena.parameters(&self.sizes)) {
            let padding = if tensor.name == "b_y" { PADDING_BIAS } else { 0.0 };
            self.write_rows(place, &flat[tensor.range.clone()], padding)?;
        }
        Ok(())
    }

    fn write_corpus(&mut self, ids: &[u32]) -> Result<(), Error> {
        self.forget_graphs(); // they hold the old corpus's address
        self.uploaded = None;
        if self.ids.length > 0 {
            self.device.free(self.ids.address);
            self.ids = Region::default();
            self.corpus.clear();
        }
        memory::check_corpus_fits(ids.len(), self.device.free_bytes()?)?;
        let address = self.device.allocate(4 * ids.len())?;
        self.ids = Region { address, length: ids.len() as u64 };
        self.device.write(address, bytemuck::cast_slice(ids))?;
        self.corpus.extend_from_slice(ids);
        Ok(())
    }

    fn corpus_len(&self) -> usize {
        self.corpus.len()
    }

    fn read_state(&self, state: &mut [f32]) -> Result<(), Error> {
        let (hidden, _) = arena::padded(&self.sizes);
        self.read_rows((self.arena.update.state, self.sizes.hidden_size, hidden), state)
    }

    fn write_state(&mut self, state: &[f32]) -> Result<(), Error> {
        let (hidden, _) = arena::padded(&self.sizes);
        self.write_rows((self.arena.update.state, self.sizes.hidden_size, hidden), state, 0.0)
    }

    fn run_train(&mut self, plan: &Plan, observer: &mut Observer) -> Result<Outcome, Error> {
        self.run(plan, Mode::Train, observer)
    }

    fn run_evaluate(&mut self, plan: &Plan, observer: &mut Observer) -> Result<Outcome, Error> {
        self.run(plan, Mode::Evaluate, observer)
    }

    fn run_forward(&mut self, ids: &[u32], state: &[f32]) -> Result<Forward, Error> {
        let (hidden, vocab) = arena::padded(&self.sizes);
        let (width, lane) = (self.sizes.hidden_size, self.arena.lane);
        let mut forward =
            Forward { logits: vec![0.0; ids.len() * self.sizes.vocab_size], state: state.to_vec() };
        let logits = forward.logits.chunks_mut(LANE_STEPS * self.sizes.vocab_size);
        for (ids, logits) in ids.chunks(LANE_STEPS).zip(logits) {
            let row = |index: usize| Region {
                address: lane.h.address + (4 * index * hidden) as u64,
                length: hidden as u64,
            };
            self.device.write(lane.inputs.address, bytemuck::cast_slice(ids))?;
            self.write_rows((row(0), width, hidden), &forward.state, 0.0)?;
            self.device.run(&update::forward(&lane, ids.len()))?;
            self.read_rows((lane.logits, self.sizes.vocab_size, vocab), logits)?;
            self.read_rows((row(ids.len()), width, hidden), &mut forward.state)?;
        }
        Ok(forward)
    }

    fn run_gradient(&mut self, plan: &Plan, gradient: &mut [f32]) -> Result<Update, Error> {
        let rows = plan.num_steps * self.sizes.batch_size;
        self.upload(plan, 0..1)?;
        self.device.run(&update::update(&self.task(plan), Mode::Gradient, self.path))?;
        let report = self.reports(0, rows)?.pop();
        let tensors = Layout::new(&self.sizes).tensors;
        let places = self.arena.gradients(&self.sizes);
        for (tensor, place) in tensors.iter().zip(places).skip(1) {
            self.read_rows(place, &mut gradient[tensor.range.clone()])?;
        }
        // Of W_x only the rows that the batch used were computed.
        let tables = Tables::new(&self.sizes, &self.corpus, plan, 0..1);
        let (ids, width) = (tables.ids_of(0, rows), 3 * self.sizes.hidden_size);
        let mut computed = vec![0.0; ids.len() * width];
        self.read_rows(places[0], &mut computed)?;
        let w_x = &mut gradient[tensors[0].range.clone()];
        w_x.fill(0.0);
        for (&id, computed) in ids.iter().zip(computed.chunks_exact(width)) {
            w_x[id as usize * width..][..width].copy_from_slice(computed);
        }
        // A gradient that is not finite is not reported by the kernels: its parts say what it was.
        let not_finite = Update { loss_sum: f64::NAN, tokens: rows, gradient_norm: f64::NAN };
        Ok(report.unwrap_or(not_finite))
    }

    fn poison_scratch(&mut self) -> Result<(), Error> {
        self.uploaded = None;
        if self.words.length > 0 {
            let words = vec![u64::MAX; self.words.length as usize];
            self.device.write(self.words.address, bytemuck::cast_slice(&words))?;
        }
        let bytes = vec![0xff; self.arena.bytes - self.arena.scratch];
        self.device.write(self.base + self.arena.scratch as u64, &bytes)
    }
}

impl<D: Device> Drop for CudaBackend<D> {
    fn drop(&mut self) {
        self.device.forget_graphs();
        self.free_words();
        if self.ids.length > 0 {
            self.device.free(self.ids.address);
        }
        self.device.free(self.base);
    }
}
