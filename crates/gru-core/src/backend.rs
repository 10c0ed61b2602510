//! The contract between the network's owner and whatever does its arithmetic.
//!
//! A backend owns the parameters, the corpus's ids and the carried hidden state, all set and read as f32
//! in the layouts given here, whatever it keeps inside. It runs updates from a [`Plan`] and reports each.
//! Policy (order of batches, learning rates, when to stop) comes from outside.

use crate::sizes::Sizes;
use std::ops::ControlFlow;

/// What can go wrong in a backend. Each variant holds what was expected and what was received.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A size is 0, or a product of sizes is too large to index.
    #[error("expected {name} from 1 to {max}, received {value}")]
    Size {
        /// The size or product.
        name: &'static str,
        /// What was received.
        value: usize,
        /// The largest value allowed.
        max: usize,
    },
    /// An array has the wrong number of elements.
    #[error("expected {expected} elements in {name}, received {received}")]
    Length {
        /// The array.
        name: &'static str,
        /// What it must be, in words and figures.
        expected: String,
        /// What was received.
        received: usize,
    },
    /// A number is not finite, or out of its range.
    #[error("expected {expected} in {name}, received {received} at index {index}")]
    Value {
        /// The array or option.
        name: &'static str,
        /// What it must be.
        expected: String,
        /// What was received.
        received: String,
        /// Where it stands; 0 for a single value.
        index: usize,
    },
    /// An operation needs a corpus and none is loaded.
    #[error("expected a corpus, received none: load one first")]
    NoCorpus,
    /// Memory for the buffers could not be had.
    #[error("expected {bytes} bytes of memory, which could not be allocated")]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// The device's memory is too small.
    #[error("expected {bytes} bytes of free device memory, received {free}")]
    DeviceMemory {
        /// Bytes asked for.
        bytes: u64,
        /// Bytes free.
        free: u64,
        /// What would fit.
        hint: String,
    },
    /// The device gives no memory, although some is free.
    #[error("expected device memory for {what}, received none with {free} bytes free")]
    DeviceExhausted {
        /// What it is for.
        what: String,
        /// Bytes free.
        free: u64,
        /// What to do.
        hint: String,
    },
    /// No device can be used.
    #[error("expected {expected}, received {received}")]
    Unavailable {
        /// What is needed.
        expected: String,
        /// What was found.
        received: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// The device refused or failed.
    #[error("expected the device to {what}, received: {reason}")]
    Device {
        /// What it was to do.
        what: String,
        /// The driver's words and, where it is known, "; " and what to do.
        reason: String,
    },
    /// The worker threads could not be started.
    #[error("expected to start {threads} threads: {reason}")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// The system's words.
        reason: String,
    },
}

/// A run of updates over the loaded corpus. Update i predicts, for lane l, the `num_steps` characters after
/// each of `ids[starts[i * batch_size + l] ..][.. num_steps]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Offsets into the corpus, `[updates, batch_size]`, each at most `corpus length - num_steps - 1`.
    pub starts: Vec<u32>,
    /// Steps of every update, at most the network's `num_steps`.
    pub num_steps: usize,
    /// Learning rate of each update, `[updates]`; not read by [`Backend::evaluate`].
    pub learning_rate: Vec<f32>,
    /// Gradients are scaled down to this L2 norm over all parameters; infinity turns clipping off.
    pub max_grad_norm: f32,
    /// Whether the hidden state goes on from update to update; otherwise it is zeroed before each.
    pub carry_state: bool,
}

impl Plan {
    /// Checks the plan against the network and the corpus; `training` also checks rates and norm.
    ///
    /// # Errors
    /// The first [`Error`] met.
    pub fn check(&self, sizes: &Sizes, corpus_len: usize, training: bool) -> Result<(), Error> {
        if corpus_len == 0 {
            return Err(Error::NoCorpus);
        }
        if self.num_steps == 0 || self.num_steps > sizes.num_steps {
            return Err(Error::Size { name: "num_steps", value: self.num_steps, max: sizes.num_steps });
        }
        if self.starts.is_empty() || !self.starts.len().is_multiple_of(sizes.batch_size) {
            let expected = format!("a multiple of batch_size {}", sizes.batch_size);
            return Err(Error::Length { name: "starts", expected, received: self.starts.len() });
        }
        for (index, &start) in self.starts.iter().enumerate() {
            if start as usize + self.num_steps >= corpus_len {
                return Err(Error::Value {
                    name: "starts",
                    expected: format!(
                        "offsets with num_steps {} + 1 characters left of a corpus of {corpus_len}",
                        self.num_steps
                    ),
                    received: start.to_string(),
                    index,
                });
            }
        }
        if !training {
            return Ok(());
        }
        if self.learning_rate.len() != self.updates(sizes) {
            let expected = format!("one per update, {}", self.updates(sizes));
            return Err(Error::Length {
                name: "learning_rate",
                expected,
                received: self.learning_rate.len(),
            });
        }
        for (index, &rate) in self.learning_rate.iter().enumerate() {
            if !(rate.is_finite() && rate >= 0.0) {
                let expected = "finite rates of at least 0".into();
                return Err(Error::Value {
                    name: "learning_rate",
                    expected,
                    received: rate.to_string(),
                    index,
                });
            }
        }
        if self.max_grad_norm.is_nan() || self.max_grad_norm <= 0.0 {
            return Err(Error::Value {
                name: "max_grad_norm",
                expected: "a number above 0".into(),
                received: self.max_grad_norm.to_string(),
                index: 0,
            });
        }
        Ok(())
    }

    /// Number of updates.
    pub fn updates(&self, sizes: &Sizes) -> usize {
        self.starts.len() / sizes.batch_size
    }

    /// The offsets of update `index`, one per lane.
    pub fn lanes(&self, sizes: &Sizes, index: usize) -> &[u32] {
        &self.starts[index * sizes.batch_size..][..sizes.batch_size]
    }
}

/// What one update reports.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Update {
    /// Cross-entropy summed over the update's predictions, in nats.
    pub loss_sum: f64,
    /// Number of predictions.
    pub tokens: usize,
    /// L2 norm of the gradient over all parameters together, before clipping; 0 when only evaluating.
    pub gradient_norm: f64,
}

impl Update {
    /// Whether the loss and the gradient are finite; an update that is not is never applied.
    pub fn is_finite(&self) -> bool {
        self.loss_sum.is_finite() && self.gradient_norm.is_finite()
    }
}

/// Why a run of updates ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Every update of the plan was done.
    Completed,
    /// The observer asked to stop; every update that it was told of was applied.
    Cancelled,
    /// The loss or gradient of the update after the last one done is not finite; it was not applied.
    NonFinite,
}

/// How a run of updates ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Updates done and, in training, applied.
    pub updates: usize,
    /// Why it ended.
    pub stop: Stop,
}

/// Told of every update in order: its index in the plan and its report. `Break` asks the run to stop: it does
/// so as soon as it can, which is at once where updates are run one by one. Updates that were started together
/// with the one at hand are still done and told of.
pub type Observer<'a> = dyn FnMut(usize, Update) -> ControlFlow<()> + Send + 'a;

/// Output of [`Backend::forward`].
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// Logits of every step, `[ids.len(), vocab_size]`.
    pub logits: Vec<f32>,
    /// Hidden state after the last step, `[hidden_size]`.
    pub state: Vec<f32>,
}

/// Arithmetic of one network. Implementations are tested by one suite, [`crate::conformance`].
///
/// Arguments are checked here, in provided methods; implementations provide the `run_*` methods and may
/// rely on what is written there.
pub trait Backend: Send {
    /// The sizes this network was made for.
    fn sizes(&self) -> &Sizes;

    /// Copies all parameters to `flat`, laid out as [`crate::Layout`] says.
    fn read_parameters(&self, flat: &mut [f32]) -> Result<(), Error>;

    /// Replaces all parameters; `flat` has the layout's length and is finite.
    fn write_parameters(&mut self, flat: &[f32]) -> Result<(), Error>;

    /// Replaces the corpus; every id is below `vocab_size`.
    fn write_corpus(&mut self, ids: &[u32]) -> Result<(), Error>;

    /// Number of ids in the loaded corpus.
    fn corpus_len(&self) -> usize;

    /// Copies the carried hidden state to `state`, `[batch_size, hidden_size]`.
    fn read_state(&self, state: &mut [f32]) -> Result<(), Error>;

    /// Replaces the carried hidden state, `[batch_size, hidden_size]`, finite.
    fn write_state(&mut self, state: &[f32]) -> Result<(), Error>;

    /// Runs a checked plan, training; see [`Backend::train`].
    fn run_train(&mut self, plan: &Plan, observer: &mut Observer) -> Result<Outcome, Error>;

    /// Runs a checked plan, forward only; see [`Backend::evaluate`].
    fn run_evaluate(&mut self, plan: &Plan, observer: &mut Observer) -> Result<Outcome, Error>;

    /// Runs one lane forward over checked ids from `state`, `[hidden_size]`; see [`Backend::forward`].
    fn run_forward(&mut self, ids: &[u32], state: &[f32]) -> Result<Forward, Error>;

    /// Feeds a checked id to each of several lanes outside of any batch: `states`, `[lanes, hidden_size]`, move on, and
    /// `logits`, `[lanes, vocab_size]`, are overwritten. A lane's bits are those that it has alone, by
    /// [`Backend::run_forward`] as well.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Device`].
    fn run_step(&mut self, ids: &[u32], states: &mut [f32], logits: &mut [f32]) -> Result<(), Error> {
        let Sizes { hidden_size, vocab_size, .. } = *self.sizes();
        let lanes = states.chunks_exact_mut(hidden_size).zip(logits.chunks_exact_mut(vocab_size));
        for (id, (state, logits)) in ids.iter().zip(lanes) {
            let forward = self.run_forward(std::slice::from_ref(id), state)?;
            state.copy_from_slice(&forward.state);
            logits.copy_from_slice(&forward.logits);
        }
        Ok(())
    }

    /// Loss and gradient of the first update of a checked plan from the carried state, which stays as it
    /// was, as do the parameters. The gradient, before clipping, goes to `gradient` in the layout's order.
    fn run_gradient(&mut self, plan: &Plan, gradient: &mut [f32]) -> Result<Update, Error>;

    /// Fills everything but parameters, corpus and carried state with NaN, so that tests can show that no
    /// scratch is read before it is written.
    fn poison_scratch(&mut self) -> Result<(), Error>;

    /// All parameters in [`crate::Layout`]'s order.
    ///
    /// # Errors
    /// [`Error::Device`].
    fn parameters(&self) -> Result<Vec<f32>, Error> {
        let mut flat = vec![0.0; crate::Layout::new(self.sizes()).len()];
        self.read_parameters(&mut flat)?;
        Ok(flat)
    }

    /// Replaces all parameters, in [`crate::Layout`]'s order.
    ///
    /// # Errors
    /// [`Error::Length`] or, for a number that is not finite, [`Error::Value`].
    fn set_parameters(&mut self, flat: &[f32]) -> Result<(), Error> {
        let layout = crate::Layout::new(self.sizes());
        check_length("parameters", layout.len(), flat.len())?;
        check_finite("parameters", flat)?;
        self.write_parameters(flat)
    }

    /// Copies the corpus's ids in. They stay until replaced.
    ///
    /// # Errors
    /// [`Error::Length`] for fewer than 2 ids, [`Error::Value`] for an id outside the vocabulary.
    fn load_corpus(&mut self, ids: &[u32]) -> Result<(), Error> {
        if ids.len() < 2 || ids.len() > crate::sizes::MAX_ELEMENTS {
            let expected = format!("2 to {}", crate::sizes::MAX_ELEMENTS);
            return Err(Error::Length { name: "ids", expected, received: ids.len() });
        }
        check_ids(ids, self.sizes().vocab_size)?;
        self.write_corpus(ids)
    }

    /// The carried hidden state, `[batch_size, hidden_size]`.
    ///
    /// # Errors
    /// [`Error::Device`].
    fn state(&self) -> Result<Vec<f32>, Error> {
        let mut state = vec![0.0; self.sizes().batch_size * self.sizes().hidden_size];
        self.read_state(&mut state)?;
        Ok(state)
    }

    /// Replaces the carried hidden state, `[batch_size, hidden_size]`.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Value`].
    fn set_state(&mut self, state: &[f32]) -> Result<(), Error> {
        check_length("state", self.sizes().batch_size * self.sizes().hidden_size, state.len())?;
        check_finite("state", state)?;
        self.write_state(state)
    }

    /// Trains over the plan: for each update forward, loss, BPTT, global-norm clipping and an SGD step; then
    /// `observer` is told. Stops **before** it applies an update whose loss or gradient is not finite.
    ///
    /// # Errors
    /// What [`Plan::check`] finds.
    fn train(&mut self, plan: &Plan, observer: &mut Observer) -> Result<Outcome, Error> {
        plan.check(self.sizes(), self.corpus_len(), true)?;
        self.run_train(plan, observer)
    }

    /// Runs the plan forward only and reports losses; parameters stay, the carried state moves on.
    ///
    /// # Errors
    /// What [`Plan::check`] finds.
    fn evaluate(&mut self, plan: &Plan, observer: &mut Observer) -> Result<Outcome, Error> {
        plan.check(self.sizes(), self.corpus_len(), false)?;
        self.run_evaluate(plan, observer)
    }

    /// Feeds `ids` to one lane from `state` (`[hidden_size]`; empty for zeros). The carried state of the
    /// batch is not touched.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Value`].
    fn forward(&mut self, ids: &[u32], state: &[f32]) -> Result<Forward, Error> {
        let (vocab_size, hidden_size) = (self.sizes().vocab_size, self.sizes().hidden_size);
        let max = crate::sizes::MAX_ELEMENTS / vocab_size;
        if ids.is_empty() || ids.len() > max {
            return Err(Error::Length { name: "ids", expected: format!("1 to {max}"), received: ids.len() });
        }
        check_ids(ids, vocab_size)?;
        if state.is_empty() {
            return self.run_forward(ids, &vec![0.0; hidden_size]);
        }
        check_length("state", hidden_size, state.len())?;
        check_finite("state", state)?;
        self.run_forward(ids, state)
    }

    /// Loss and unclipped gradient of the first update of `plan`; changes nothing.
    ///
    /// # Errors
    /// What [`Plan::check`] finds.
    fn gradient(&mut self, plan: &Plan) -> Result<(Update, Vec<f32>), Error> {
        plan.check(self.sizes(), self.corpus_len(), false)?;
        let mut gradient = vec![0.0; crate::Layout::new(self.sizes()).len()];
        let update = self.run_gradient(plan, &mut gradient)?;
        Ok((update, gradient))
    }
}

fn check_length(name: &'static str, expected: usize, received: usize) -> Result<(), Error> {
    if expected == received {
        return Ok(());
    }
    Err(Error::Length { name, expected: expected.to_string(), received })
}

fn check_finite(name: &'static str, values: &[f32]) -> Result<(), Error> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::Value {
            name,
            expected: "finite numbers".into(),
            received: values[index].to_string(),
            index,
        }),
    }
}

/// Checks that every id is below `vocab_size`.
pub(crate) fn check_ids(ids: &[u32], vocab_size: usize) -> Result<(), Error> {
    match ids.iter().position(|&id| id as usize >= vocab_size) {
        None => Ok(()),
        Some(index) => Err(Error::Value {
            name: "ids",
            expected: format!("ids below vocab_size {vocab_size}"),
            received: ids[index].to_string(),
            index,
        }),
    }
}
