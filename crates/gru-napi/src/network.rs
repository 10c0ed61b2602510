//! `Network`: checks arguments, queues commands to the network's thread and promises their results.

use crate::argument::{Argument, MAX_SAFE_INTEGER};
use crate::device::{self, Choice, GpuFacts};
use crate::epoch::{CancelFlag, EpochProgress, EpochResult, Report, Reporter, Run};
use crate::error::{self, Result};
use crate::generation::{Generation, GenerationPiece, MAX_PIECE, Writing};
use crate::lifetime;
use crate::model_file::write_network;
use crate::options::{Checked, NetworkOptions};
use crate::plan::EpochPlan;
use crate::promise::{promise, promise_of};
use crate::results::{ForwardResult, GradientResult, ParameterTensor};
use crate::worker::Worker;
use gru_core::cpu::kernel::Path;
use gru_core::{Backend, Error, Layout, Sizes};
use napi::Env;
use napi::bindgen_prelude::{Either, Float32Array, Function, ObjectFinalize, PromiseRaw};
use napi_derive::napi;
use std::cell::Cell;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// A flag as an argument: ours, or something else.
type CancelArgument<'a> = Option<Either<&'a CancelFlag, Argument>>;
/// A callback as an argument: a function, or something else.
type ProgressArgument<'a> = Option<Either<Function<'a, EpochProgress, ()>, Argument>>;

/// A character-level GRU language model: parameters, corpus and carried hidden state, and a thread of its own
/// that runs its commands one after the other, in the order of the calls.
///
/// Arrays given to a method are copied in the call. A method that fails rejects with an `Error` whose `code`
/// is `GRU_USAGE` for a wrong argument, `GRU_DISPOSED` after `dispose`, `GRU_OUT_OF_MEMORY`, `GRU_DEVICE` where
/// no GPU can be used, `GRU_DEVICE_FAULT` where one failed while it computed, or `GRU_INTERNAL` for a bug, after
/// which the network refuses further commands. A network that waits for nothing does not keep the process alive.
///
/// @example
/// ```ts
/// import { Network, perplexity } from 'gru-native';
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
/// const { lossSum, tokens } = await network.trainEpoch(plan);
/// console.log(lossSum.length, perplexity(lossSum[0] ?? 0, tokens).toFixed(1)); // 2 3.0
/// const { logits } = await network.forward(Uint32Array.of(0, 1)); // [2, vocabSize]
/// console.log(logits.length); // 6
/// network.dispose();
/// ```
#[napi(custom_finalize)]
pub struct Network {
    sizes: Sizes,
    threads: usize,
    choice: Choice,
    /// What is known of the GPU, once it is open.
    gpu: Arc<OnceLock<GpuFacts>>,
    path: Path,
    worker: Worker,
    /// Bytes that V8 is told to hold beside its own, so that it does not wait long to free a forgotten network.
    external: Cell<i64>,
}

#[napi]
impl Network {
    /// A network whose parameters, corpus and state are zeros or empty. On the CPU it blocks while its memory is
    /// made ready. A GPU is opened by the network's thread, which may take seconds: the first commands wait for
    /// it, and where it cannot be opened all reject with the reason.
    ///
    /// @throws code `GRU_USAGE`, `GRU_OUT_OF_MEMORY` or `GRU_INTERNAL`.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: &Env, options: NetworkOptions) -> Result<Self> {
        let Checked { sizes, threads, path, choice, precision, corpus_length } = options.check()?;
        device::check_sizes(choice, &sizes).map_err(|error| error::core(&error))?;
        let gpu = Arc::new(OnceLock::new());
        let facts = Arc::clone(&gpu);
        let make = move |unwanted: &AtomicBool| match choice {
            Choice::Cpu => device::on_cpu(sizes, threads, path),
            Choice::Cuda(index) => {
                let (backend, found) = device::on_cuda(index, sizes, precision, corpus_length, unwanted)?;
                let _ = facts.set(found);
                Ok(backend)
            }
        };
        let (worker, thread) = Worker::start(make).map_err(error::work)?;
        lifetime::watch(env, worker.clone(), thread)?;
        if choice == Choice::Cpu
            && let Err(error) = worker.wait()
        {
            worker.close();
            return Err(error::work(error));
        }
        let threads = if choice == Choice::Cpu { threads } else { 1 };
        let external = estimated_bytes(&sizes);
        env.adjust_external_memory(external).map_err(error::internal)?;
        Ok(Self { sizes, threads, choice, gpu, path, worker, external: Cell::new(external) })
    }

    /// Resolves once the network can take commands without waiting: at once on the CPU, on a GPU when it is open.
    ///
    /// Rejects with code `GRU_DEVICE` where no GPU can be used and `GRU_OUT_OF_MEMORY` where its memory is too
    /// small.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn ready<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, ()>> {
        promise(env, &self.worker, || Ok(|_: &mut dyn Backend, _: &AtomicBool| Ok(())))
    }

    /// Draws all weights from N(0, `initScale`^2) and zeroes all biases. `seed` is a whole number from 0 to
    /// 2^53 - 1; equal seeds give equal parameters on every platform.
    #[napi(catch_unwind, ts_args_type = "seed: number, initScale: number", ts_return_type = "Promise<void>")]
    pub fn initialize<'env>(
        &self,
        env: &'env Env,
        seed: Argument,
        init_scale: Argument,
    ) -> Result<PromiseRaw<'env, ()>> {
        promise(env, &self.worker, || {
            let seed = seed.whole("seed", 0, MAX_SAFE_INTEGER)?;
            let init_scale = match init_scale {
                Argument::Number(scale) if scale.is_finite() && scale >= 0.0 => scale,
                other => return Err(other.refused("initScale", "a finite number of at least 0")),
            };
            Ok(move |backend: &mut dyn Backend, _: &AtomicBool| {
                let flat = gru_core::random::initial_parameters(backend.sizes(), seed, init_scale);
                backend.set_parameters(&flat)
            })
        })
    }

    /// Replaces the corpus: at least 2 ids, each below `vocabSize`.
    #[napi(catch_unwind, ts_args_type = "ids: Uint32Array", ts_return_type = "Promise<void>")]
    pub fn load_corpus<'env>(&self, env: &'env Env, ids: Argument) -> Result<PromiseRaw<'env, ()>> {
        promise(env, &self.worker, || {
            let ids = ids.uint32("ids")?;
            Ok(move |backend: &mut dyn Backend, _: &AtomicBool| backend.load_corpus(&ids))
        })
    }

    /// Trains over the plan: each update runs forward, sums the loss, runs truncated BPTT, clips the global
    /// norm and takes a step of SGD. Stops before it applies an update that is not finite.
    ///
    /// `cancel` ends it between updates. `onProgress` is called at most every 100 ms, not for the end, and
    /// perhaps once more just after the promise has settled; it must not throw, since what it throws is an
    /// uncaught exception.
    #[napi(
        catch_unwind,
        ts_args_type = "plan: EpochPlan, cancel?: CancelFlag | undefined | null, onProgress?: ((progress: EpochProgress) => void) | undefined | null"
    )]
    pub fn train_epoch<'env>(
        &self,
        env: &'env Env,
        plan: EpochPlan,
        cancel: CancelArgument<'_>,
        on_progress: ProgressArgument<'_>,
    ) -> Result<PromiseRaw<'env, EpochResult>> {
        self.run(env, true, plan, cancel, on_progress)
    }

    /// Runs the plan forward only; the parameters stay, the carried state moves on. The plan's learning rates
    /// may be empty; its `maxGradNorm` is not used. For `cancel` and `onProgress` see `trainEpoch`.
    #[napi(
        catch_unwind,
        ts_args_type = "plan: EpochPlan, cancel?: CancelFlag | undefined | null, onProgress?: ((progress: EpochProgress) => void) | undefined | null"
    )]
    pub fn evaluate<'env>(
        &self,
        env: &'env Env,
        plan: EpochPlan,
        cancel: CancelArgument<'_>,
        on_progress: ProgressArgument<'_>,
    ) -> Result<PromiseRaw<'env, EpochResult>> {
        self.run(env, false, plan, cancel, on_progress)
    }

    /// Feeds `ids` to one lane from `state`, `[hiddenSize]`, or from zeros. The carried state is not touched.
    #[napi(catch_unwind, ts_args_type = "ids: Uint32Array, state?: Float32Array | undefined | null")]
    pub fn forward<'env>(
        &self,
        env: &'env Env,
        ids: Argument,
        state: Argument,
    ) -> Result<PromiseRaw<'env, ForwardResult>> {
        promise(env, &self.worker, || {
            let ids = ids.uint32("ids")?;
            let state = match state.given() {
                Some(given) => {
                    let state = given.float32("state")?;
                    error::length("state", self.sizes.hidden_size, state.len())?;
                    state
                }
                None => vec![],
            };
            Ok(move |backend: &mut dyn Backend, _: &AtomicBool| backend.forward(&ids, &state))
        })
    }

    /// Writes the next `count` characters, 1 to 65536, of every text of `generation`. The carried state is not touched.
    /// `cancel` ends it between two characters.
    #[napi(
        catch_unwind,
        ts_args_type = "generation: Generation, count: number, cancel?: CancelFlag | undefined | null"
    )]
    pub fn generate<'env>(
        &self,
        env: &'env Env,
        generation: Either<&Generation, Argument>,
        count: Argument,
        cancel: CancelArgument<'_>,
    ) -> Result<PromiseRaw<'env, GenerationPiece>> {
        promise(env, &self.worker, || {
            let texts = match generation {
                Either::A(generation) => generation.share(),
                Either::B(other) => return Err(other.refused("generation", "a Generation")),
            };
            let count = count.whole("count", 1, MAX_PIECE)? as usize;
            let writing = Writing { texts, count, cancel: flag(cancel)? };
            Ok(move |backend: &mut dyn Backend, closing: &AtomicBool| writing.run(backend, closing))
        })
    }

    /// Loss and gradient of the plan's first update, from the carried state; changes nothing. The plan's
    /// learning rates may be empty.
    #[napi(catch_unwind, ts_args_type = "plan: EpochPlan")]
    pub fn gradient<'env>(
        &self,
        env: &'env Env,
        plan: EpochPlan,
    ) -> Result<PromiseRaw<'env, GradientResult>> {
        promise(env, &self.worker, || {
            let part = plan.check(&self.sizes, false)?;
            Ok(move |backend: &mut dyn Backend, _: &AtomicBool| {
                backend.gradient(&part.plan).map_err(|error| part.of_whole(error))
            })
        })
    }

    /// A copy of all parameters, laid out as `parameterTensors` says, `[parameterCount]`.
    #[napi(catch_unwind)]
    pub fn parameters<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Float32Array>> {
        promise(env, &self.worker, || Ok(|backend: &mut dyn Backend, _: &AtomicBool| backend.parameters()))
    }

    /// Replaces all parameters, laid out as `parameterTensors` says, `[parameterCount]`, all finite.
    #[napi(catch_unwind, ts_args_type = "parameters: Float32Array", ts_return_type = "Promise<void>")]
    pub fn set_parameters<'env>(&self, env: &'env Env, parameters: Argument) -> Result<PromiseRaw<'env, ()>> {
        promise(env, &self.worker, || {
            let flat = parameters.float32("parameters")?;
            Ok(move |backend: &mut dyn Backend, _: &AtomicBool| backend.set_parameters(&flat))
        })
    }

    /// Writes the parameters as a model file to `path`, where nothing may be yet; with `withState` also the carried
    /// state, which makes it a trainer file. The bytes are those of `encodeModel`; they are not flushed to the disk.
    ///
    /// Where the system refuses, it rejects with the system's code, such as `ENOSPC`, as Node's own file functions
    /// do; a file that was begun stays.
    #[napi(
        catch_unwind,
        ts_args_type = "path: string, metadata: string, withState: boolean",
        ts_return_type = "Promise<void>"
    )]
    pub fn write_model<'env>(
        &self,
        env: &'env Env,
        path: Argument,
        metadata: Argument,
        with_state: Argument,
    ) -> Result<PromiseRaw<'env, ()>> {
        let prepare = || {
            let (path, metadata) = (path.text("path")?, metadata.text("metadata")?);
            let with_state = with_state.boolean("withState")?;
            Ok(move |backend: &mut dyn Backend, _: &AtomicBool| {
                write_network(backend, &path, metadata, with_state)
            })
        };
        promise_of(env, &self.worker, prepare, |written| written.map_err(|error| error::write(&error)))
    }

    /// A copy of the carried hidden state, `[batchSize, hiddenSize]` row-major.
    #[napi(catch_unwind)]
    pub fn state<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Float32Array>> {
        promise(env, &self.worker, || Ok(|backend: &mut dyn Backend, _: &AtomicBool| backend.state()))
    }

    /// Replaces the carried hidden state, `[batchSize, hiddenSize]` row-major, all finite.
    #[napi(catch_unwind, ts_args_type = "state: Float32Array", ts_return_type = "Promise<void>")]
    pub fn set_state<'env>(&self, env: &'env Env, state: Argument) -> Result<PromiseRaw<'env, ()>> {
        promise(env, &self.worker, || {
            let state = state.float32("state")?;
            Ok(move |backend: &mut dyn Backend, _: &AtomicBool| backend.set_state(&state))
        })
    }

    /// Gives thread and memory back. A running command ends after the update it is in, and the opening of a GPU at
    /// once; it, those that wait and all later ones reject with code `GRU_DISPOSED`. Calling it again does nothing.
    #[napi(catch_unwind)]
    pub fn dispose(&self, env: &Env) -> Result<()> {
        self.worker.close();
        self.release(env).map_err(error::internal)
    }

    /// Number of distinct characters.
    #[napi(getter, catch_unwind)]
    pub fn vocab_size(&self) -> u32 {
        self.sizes.vocab_size as u32
    }

    /// Number of hidden units.
    #[napi(getter, catch_unwind)]
    pub fn hidden_size(&self) -> u32 {
        self.sizes.hidden_size as u32
    }

    /// Lanes that run side by side in an update.
    #[napi(getter, catch_unwind)]
    pub fn batch_size(&self) -> u32 {
        self.sizes.batch_size as u32
    }

    /// The most steps of an update.
    #[napi(getter, catch_unwind)]
    pub fn num_steps(&self) -> u32 {
        self.sizes.num_steps as u32
    }

    /// Whether the recurrent candidate bias b_q exists.
    #[napi(getter, catch_unwind)]
    pub fn candidate_bias(&self) -> bool {
        self.sizes.candidate_bias
    }

    /// Threads that share the work; 1 where a GPU does it.
    #[napi(getter, catch_unwind)]
    pub fn threads(&self) -> u32 {
        self.threads as u32
    }

    /// Where the arithmetic is done; `cuda` while it is open which GPU that will be.
    #[napi(getter, catch_unwind, ts_return_type = "'cpu' | 'cuda' | `cuda:${number}`")]
    pub fn device(&self) -> String {
        match (self.choice, self.gpu.get()) {
            (Choice::Cpu, _) => "cpu".into(),
            (_, Some(gpu)) => format!("cuda:{}", gpu.index),
            (Choice::Cuda(Some(index)), None) => format!("cuda:{index}"),
            (Choice::Cuda(None), None) => "cuda".into(),
        }
    }

    /// The instructions that the products use where the CPU does the arithmetic; null where it does not.
    #[napi(
        getter,
        catch_unwind,
        ts_return_type = "'portable' | 'avx2' | 'avx512' | 'neon' | 'portable-bf16' | 'avx2-bf16' | 'avx512-bf16' | null"
    )]
    pub fn cpu_path(&self) -> Option<&'static str> {
        (self.choice == Choice::Cpu).then(|| self.path.name())
    }

    /// The GPU that does the arithmetic, once `ready` has resolved; null where none does.
    #[napi(getter, catch_unwind)]
    pub fn gpu(&self) -> Option<GpuFacts> {
        self.gpu.get().cloned()
    }

    /// Number of parameters in all.
    #[napi(getter, catch_unwind)]
    pub fn parameter_count(&self) -> u32 {
        Layout::new(&self.sizes).len() as u32
    }

    /// Where each tensor lies in the flat array of parameters, in memory order.
    #[napi(getter, catch_unwind)]
    pub fn parameter_tensors(&self) -> Vec<ParameterTensor> {
        ParameterTensor::table(&self.sizes)
    }

    /// Tells V8, once, that the memory is given back.
    fn release(&self, env: &Env) -> napi::Result<()> {
        env.adjust_external_memory(-self.external.take()).map(|_| ())
    }

    /// Checks a plan and promises its run.
    fn run<'env>(
        &self,
        env: &'env Env,
        training: bool,
        plan: EpochPlan,
        cancel: CancelArgument<'_>,
        on_progress: ProgressArgument<'_>,
    ) -> Result<PromiseRaw<'env, EpochResult>> {
        promise(env, &self.worker, || {
            let part = plan.check(&self.sizes, training)?;
            let cancel = flag(cancel)?;
            let reporter = match on_progress {
                Some(Either::B(other)) => return Err(other.refused("onProgress", "a function")),
                Some(Either::A(function)) => Some(Reporter::new(&function).map_err(error::internal)?),
                None => None,
            };
            let run = Run { part, training, cancel, reporter };
            Ok(move |backend: &mut dyn Backend, closing: &AtomicBool| -> Result<Report, Error> {
                run.run(backend, closing)
            })
        })
    }
}

/// About what a network of these sizes takes, in bytes: parameters, gradients and a transposed copy, and the
/// activations and logits of an update, forward and backward.
fn estimated_bytes(sizes: &Sizes) -> i64 {
    let Sizes { vocab_size, hidden_size, batch_size, num_steps, .. } = *sizes;
    let rows = batch_size.saturating_mul(num_steps);
    let elements = 3usize
        .saturating_mul(Layout::new(sizes).len())
        .saturating_add(rows.saturating_mul(10 * hidden_size + 2 * vocab_size));
    i64::try_from(elements.saturating_mul(size_of::<f32>())).unwrap_or(i64::MAX)
}

/// The flag of a command that was given one.
fn flag(cancel: CancelArgument<'_>) -> Result<Option<Arc<AtomicBool>>> {
    match cancel {
        Some(Either::B(other)) => Err(other.refused("cancel", "a CancelFlag")),
        Some(Either::A(flag)) => Ok(Some(flag.share())),
        None => Ok(None),
    }
}

impl ObjectFinalize for Network {
    /// Runs when JavaScript has forgotten the network.
    fn finalize(self, env: Env) -> napi::Result<()> {
        self.release(&env)
    }
}

impl Drop for Network {
    /// Ends the thread of a forgotten network: what was promised is still kept.
    fn drop(&mut self) {
        self.worker.finish();
    }
}
