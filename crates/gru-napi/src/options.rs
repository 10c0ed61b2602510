//! What a network is made with, as JavaScript gives it.

use crate::argument::{Argument, Fields};
use crate::device::Choice;
use crate::error::{self, Result};
use crate::machine;
use gru_core::Sizes;
use gru_core::cpu::kernel::Path;
use gru_core::sizes::MAX_ELEMENTS;
use gru_cuda::Precision;
use napi::bindgen_prelude::FromNapiValue;
use napi::sys;
use napi_derive::napi;

/// What a network is made with.
///
/// @example
/// ```ts
/// import { Network, type NetworkOptions } from 'gru-native';
///
/// const options: NetworkOptions = { vocabSize: 65, hiddenSize: 8, batchSize: 2, numSteps: 4, threads: 1 };
/// const network = new Network(options);
/// console.log(network.parameterCount, network.device); // 2361 cpu
/// network.dispose();
/// ```
#[napi(object, object_from_js = false, object_to_js = false)]
pub struct NetworkOptions {
    /// Number of distinct characters.
    #[napi(ts_type = "number")]
    pub vocab_size: Argument,
    /// Number of hidden units.
    #[napi(ts_type = "number")]
    pub hidden_size: Argument,
    /// Lanes that run side by side in an update.
    #[napi(ts_type = "number")]
    pub batch_size: Argument,
    /// The most steps of an update: how far truncated BPTT reaches back.
    #[napi(ts_type = "number")]
    pub num_steps: Argument,
    /// Threads that share the work of the CPU; as many as the machine offers when absent. No result depends on it.
    #[napi(ts_type = "number")]
    pub threads: Option<Argument>,
    /// Whether the recurrent candidate bias b_q exists and is trained; false when absent.
    #[napi(ts_type = "boolean")]
    pub candidate_bias: Option<Argument>,
    /// Where the arithmetic is done: `cpu` when absent, `cuda` for the first GPU that will do, `cuda:N` for one.
    #[napi(ts_type = "'cpu' | 'cuda' | `cuda:${number}`")]
    pub device: Option<Argument>,
    /// What the operands of the products are rounded to: `fp32` when absent; on a GPU also `tf32` and `bf16`, on the CPU
    /// `bf16` where the processor has instructions for it. State, gates, gradients, sums and parameters are fp32 in all.
    #[napi(ts_type = "'fp32' | 'tf32' | 'bf16'")]
    pub precision: Option<Argument>,
    /// Characters of the corpus that will be loaded, for which a GPU must have memory left; 0 when absent.
    #[napi(ts_type = "number")]
    pub corpus_length: Option<Argument>,
}

/// Options that were checked.
pub struct Checked {
    /// The sizes.
    pub sizes: Sizes,
    /// Threads of the CPU backend.
    pub threads: usize,
    /// Its path.
    pub path: Path,
    /// The device.
    pub choice: Choice,
    /// The operands of the products there.
    pub precision: Precision,
    /// Characters of the corpus that will be loaded.
    pub corpus_length: usize,
}

impl FromNapiValue for NetworkOptions {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: the caller hands a live environment and value, as this function's contract says.
        let fields = unsafe { Fields::from_napi_value(env, value) }?;
        Ok(Self {
            vocab_size: fields.field("vocabSize")?,
            hidden_size: fields.field("hiddenSize")?,
            batch_size: fields.field("batchSize")?,
            num_steps: fields.field("numSteps")?,
            threads: fields.field("threads")?.given(),
            candidate_bias: fields.field("candidateBias")?.given(),
            device: fields.field("device")?.given(),
            precision: fields.field("precision")?.given(),
            corpus_length: fields.field("corpusLength")?.given(),
        })
    }
}

impl NetworkOptions {
    /// The options, each within its range.
    ///
    /// # Errors
    /// The first thing wrong.
    pub fn check(self) -> Result<Checked> {
        let size =
            |argument: Argument, name| argument.whole(name, 1, MAX_ELEMENTS as u64).map(|size| size as usize);
        let sizes = Sizes {
            vocab_size: size(self.vocab_size, "vocabSize")?,
            hidden_size: size(self.hidden_size, "hiddenSize")?,
            batch_size: size(self.batch_size, "batchSize")?,
            num_steps: size(self.num_steps, "numSteps")?,
            candidate_bias: self.candidate_bias.map_or(Ok(false), |given| given.boolean("candidateBias"))?,
        };
        let threads = match self.threads {
            Some(given) => size(given, "threads")?,
            None => (machine::available_threads() as usize).min(gru_core::cpu::MAX_THREADS),
        };
        let choice = match self.device {
            Some(given) => Choice::parse(&given.text("device")?)?,
            None => Choice::Cpu,
        };
        let precision = match self.precision {
            Some(given) => precision(&given.text("precision")?, choice)?,
            None => Precision::Fp32,
        };
        let path = match (choice, precision) {
            (Choice::Cpu, Precision::Bf16) => machine::bf16_path()?,
            (Choice::Cpu, _) => machine::path()?,
            (Choice::Cuda(_), _) => Path::detect(), // nothing runs on it
        };
        let corpus_length = match self.corpus_length {
            Some(given) => given.whole("corpusLength", 0, MAX_ELEMENTS as u64)? as usize,
            None => 0,
        };
        Ok(Checked { sizes, threads, path, choice, precision, corpus_length })
    }
}

/// Reads what the device of the choice computes with.
fn precision(name: &str, choice: Choice) -> Result<Precision> {
    let (expected, place, found) = match (choice, Precision::named(name)) {
        (Choice::Cpu, found) => ("fp32 or bf16", "the CPU", found.filter(|&found| found != Precision::Tf32)),
        (Choice::Cuda(_), found) => ("fp32, tf32 or bf16", "a GPU", found),
    };
    found.ok_or_else(|| error::usage(format!("expected {expected} as precision on {place}, received {name}")))
}
