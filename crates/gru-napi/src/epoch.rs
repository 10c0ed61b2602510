//! Running a plan on the network's thread: cancelling, progress and the report.

use crate::plan::Part;
use gru_core::{Backend, Error, Outcome, Stop, Update};
use napi::Status;
use napi::bindgen_prelude::{Float64Array, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Least time between two reports of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Stops a command between two updates, or between two characters that it writes. It cannot be set back: a command that
/// is given one that is set does nothing.
///
/// @example
/// ```ts
/// import { CancelFlag, Network } from 'gru-native';
///
/// const network = new Network({ vocabSize: 3, hiddenSize: 8, batchSize: 2, numSteps: 4 });
/// await network.initialize(0, 0.01);
/// await network.loadCorpus(Uint32Array.from({ length: 40 }, (_, at) => at % 3));
/// const updates = 10_000;
/// const plan = {
///   starts: new Int32Array(2 * updates),
///   numSteps: 4,
///   learningRate: new Float32Array(updates).fill(0.1),
///   maxGradNorm: 5,
///   carryState: false,
/// };
/// const cancel = new CancelFlag();
/// const running = network.trainEpoch(plan, cancel);
/// cancel.cancel();
/// const result = await running;
/// console.log(result.stopped, cancel.cancelled); // cancelled true
/// network.dispose();
/// ```
#[napi]
#[derive(Default)]
pub struct CancelFlag {
    flag: Arc<AtomicBool>,
}

#[napi]
impl CancelFlag {
    /// A flag that is not set.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag: the command that was given it ends after the update or character it is in, or at once if its
    /// turn has not come, and resolves with what it did.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// Whether `cancel` was called.
    #[napi(getter, catch_unwind)]
    pub fn cancelled(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// What the network's thread looks at.
    pub(crate) fn share(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }
}

/// How far a running command is, counted from the update it began at.
///
/// @example
/// ```ts
/// import { type EpochProgress, Network, perplexity } from 'gru-native';
///
/// const network = new Network({ vocabSize: 3, hiddenSize: 8, batchSize: 2, numSteps: 4 });
/// await network.initialize(0, 0.01);
/// await network.loadCorpus(Uint32Array.from({ length: 40 }, (_, at) => at % 3));
/// const plan = {
///   starts: Int32Array.of(0, 20, 4, 24), // two updates of two lanes
///   numSteps: 4,
///   learningRate: Float32Array.of(0.2, 0.2),
///   maxGradNorm: 5,
///   carryState: true,
/// };
/// const show = ({ updates, lossSum, tokens }: EpochProgress): void => {
///   console.log(`${updates} updates, perplexity ${perplexity(lossSum, tokens)}`);
/// };
/// await network.trainEpoch(plan, null, show);
/// network.dispose();
/// ```
#[napi(object, object_from_js = false)]
#[derive(Clone, Copy, Default)]
pub struct EpochProgress {
    /// Updates done.
    pub updates: u32,
    /// Cross-entropy summed over their predictions, in nats.
    pub loss_sum: f64,
    /// Their predictions.
    pub tokens: f64,
}

/// What a run of updates gave.
///
/// @example
/// ```ts
/// import { type EpochResult, Network } from 'gru-native';
///
/// const network = new Network({ vocabSize: 3, hiddenSize: 8, batchSize: 2, numSteps: 4 });
/// await network.initialize(0, 0.01);
/// await network.loadCorpus(Uint32Array.from({ length: 40 }, (_, at) => at % 3));
/// const plan = {
///   starts: Int32Array.of(0, 20, 4, 24), // two updates of two lanes
///   numSteps: 4,
///   learningRate: Float32Array.of(0.2, 0.2),
///   maxGradNorm: 5,
///   carryState: true,
/// };
/// const result: EpochResult = await network.trainEpoch(plan);
/// if (result.stopped === 'non-finite') throw new Error(`diverged after ${result.updates} updates`);
/// console.log(Math.max(...result.gradientNorm));
/// network.dispose();
/// ```
#[napi(object, object_from_js = false)]
pub struct EpochResult {
    /// Updates done, counted from the plan's `firstUpdate`; in training, all of them applied.
    pub updates: u32,
    /// Cross-entropy summed over the predictions of each update done, in nats, `[updates]`.
    pub loss_sum: Float64Array,
    /// Predictions of each update, the same for all: `numSteps * batchSize`.
    pub tokens: u32,
    /// L2 norm of the gradient over all parameters together, before clipping, of each update done,
    /// `[updates]`; zeros when only evaluating.
    pub gradient_norm: Float64Array,
    /// Why the run ended: `completed` when every update was done, `cancelled` by its flag, `non-finite` when
    /// the loss or gradient of the update after the last one done is not finite; that one was not applied.
    #[napi(ts_type = "'completed' | 'cancelled' | 'non-finite'")]
    pub stopped: &'static str,
    /// Time that the run took on the network's thread, in seconds.
    pub seconds: f64,
}

/// The result while it is still Rust's.
pub struct Report {
    outcome: Outcome,
    loss_sum: Vec<f64>,
    gradient_norm: Vec<f64>,
    tokens: usize,
    time: Duration,
}

impl From<Report> for EpochResult {
    fn from(report: Report) -> Self {
        Self {
            updates: report.outcome.updates as u32,
            loss_sum: Float64Array::new(report.loss_sum),
            tokens: report.tokens as u32,
            gradient_norm: Float64Array::new(report.gradient_norm),
            stopped: match report.outcome.stop {
                Stop::Completed => "completed",
                Stop::Cancelled => "cancelled",
                Stop::NonFinite => "non-finite",
            },
            seconds: report.time.as_secs_f64(),
        }
    }
}

/// A callback that can be called from any thread: it does not keep the process alive, and what does not fit
/// in its queue of 8 is left out.
type Callback = ThreadsafeFunction<EpochProgress, (), EpochProgress, Status, false, true, 8>;

/// Sends progress to JavaScript now and then.
pub struct Reporter {
    callback: Callback,
    sum: EpochProgress,
    sent: Instant,
}

impl Reporter {
    /// A reporter to `function`.
    ///
    /// # Errors
    /// When Node cannot make the callback.
    pub fn new(function: &Function<'_, EpochProgress, ()>) -> napi::Result<Self> {
        let callback = function
            .build_threadsafe_function()
            .callee_handled::<false>()
            .weak::<true>()
            .max_queue_size::<8>()
            .build_callback(|context| Ok(context.value))?;
        Ok(Self { callback, sum: EpochProgress::default(), sent: Instant::now() })
    }

    fn add(&mut self, update: Update) {
        self.sum.updates += 1;
        self.sum.loss_sum += update.loss_sum;
        self.sum.tokens += update.tokens as f64;
        if self.sent.elapsed() >= PROGRESS_INTERVAL {
            self.callback.call(self.sum, ThreadsafeFunctionCallMode::NonBlocking);
            self.sent = Instant::now();
        }
    }
}

/// A run that waits for its turn.
pub struct Run {
    /// The updates to run.
    pub part: Part,
    /// Whether to train or only to evaluate.
    pub training: bool,
    /// The command's own flag.
    pub cancel: Option<Arc<AtomicBool>>,
    /// Where progress goes.
    pub reporter: Option<Reporter>,
}

impl Run {
    /// Runs on the network's thread, until the end, the command's flag or the network's.
    ///
    /// # Errors
    /// What the backend finds wrong with the plan.
    pub fn run(self, backend: &mut dyn Backend, closing: &AtomicBool) -> Result<Report, Error> {
        let Self { part, training, cancel, mut reporter } = self;
        let began = Instant::now();
        let total = part.plan.updates(backend.sizes());
        let tokens = part.plan.num_steps * backend.sizes().batch_size;
        let (mut loss_sum, mut gradient_norm) = (Vec::with_capacity(total), Vec::with_capacity(total));
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        let stops = || is_set(closing) || cancel.as_deref().is_some_and(is_set);
        let mut observer = |index: usize, update: Update| {
            loss_sum.push(update.loss_sum);
            gradient_norm.push(update.gradient_norm);
            if let Some(reporter) = &mut reporter {
                reporter.add(update);
            }
            // After the last update there is nothing left to cancel.
            if index + 1 < total && stops() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let outcome = if stops() {
            Ok(Outcome { updates: 0, stop: Stop::Cancelled })
        } else if training {
            backend.train(&part.plan, &mut observer)
        } else {
            backend.evaluate(&part.plan, &mut observer)
        };
        let outcome = outcome.map_err(|error| part.of_whole(error))?;
        Ok(Report { outcome, loss_sum, gradient_norm, tokens, time: began.elapsed() })
    }
}
