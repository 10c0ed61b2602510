//! The plan of an epoch as JavaScript gives it.

use crate::argument::{Argument, Fields};
use crate::error::{Result, usage};
use gru_core::{Error, Plan, Sizes};
use napi::bindgen_prelude::FromNapiValue;
use napi::sys;
use napi_derive::napi;

/// A run of updates over the loaded corpus. Update i predicts, for lane l, the character after each of the
/// `numSteps` ids from offset `starts[i * batchSize + l]` on.
///
/// @example
/// ```ts
/// import { type EpochPlan, Network } from 'gru-native';
///
/// const network = new Network({ vocabSize: 3, hiddenSize: 8, batchSize: 2, numSteps: 4 });
/// await network.initialize(0, 0.01);
/// await network.loadCorpus(Uint32Array.from({ length: 40 }, (_, at) => at % 3));
/// const plan: EpochPlan = {
///   starts: Int32Array.of(0, 20, 4, 24), // lanes begin at 0 and 20; the second update goes on 4 later
///   numSteps: 4,
///   learningRate: Float32Array.of(0.2, 0.1),
///   maxGradNorm: 5,
///   carryState: true,
/// };
/// console.log((await network.trainEpoch(plan)).updates); // 2
/// console.log((await network.trainEpoch({ ...plan, firstUpdate: 1 })).updates); // 1
/// network.dispose();
/// ```
#[napi(object, object_from_js = false, object_to_js = false)]
pub struct EpochPlan {
    /// Offsets into the corpus, `[updates, batchSize]` row-major, each at least 0 and at most the corpus's
    /// length - `numSteps` - 1. Copied in the call.
    #[napi(ts_type = "Int32Array")]
    pub starts: Argument,
    /// The update to begin at, counted from 0; 0 when absent. The run goes from there to the plan's end.
    #[napi(ts_type = "number")]
    pub first_update: Option<Argument>,
    /// Steps of every update, at most the network's.
    #[napi(ts_type = "number")]
    pub num_steps: Argument,
    /// Learning rate of each update of the whole plan, `[updates]`; read only in training. Copied in the
    /// call.
    #[napi(ts_type = "Float32Array")]
    pub learning_rate: Argument,
    /// Gradients are scaled down to this L2 norm over all parameters together; `Infinity` turns clipping off.
    #[napi(ts_type = "number")]
    pub max_grad_norm: Argument,
    /// Whether the hidden state goes on from update to update, from the network's carried state on; otherwise
    /// it is zeroed before each.
    #[napi(ts_type = "boolean")]
    pub carry_state: Argument,
}

impl FromNapiValue for EpochPlan {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: the caller hands a live environment and value, as this function's contract says.
        let fields = unsafe { Fields::from_napi_value(env, value) }?;
        Ok(Self {
            starts: fields.field("starts")?,
            first_update: fields.field("firstUpdate")?.given(),
            num_steps: fields.field("numSteps")?,
            learning_rate: fields.field("learningRate")?,
            max_grad_norm: fields.field("maxGradNorm")?,
            carry_state: fields.field("carryState")?,
        })
    }
}

/// The part of a checked plan that is to run.
pub struct Part {
    /// The updates from `first_update` on.
    pub plan: Plan,
    /// Updates of the whole plan before them.
    first_update: usize,
    batch_size: usize,
}

impl EpochPlan {
    /// Checks what can be checked without the corpus and cuts the plan at its first update; the learning
    /// rates only if they are to be read.
    ///
    /// # Errors
    /// The first thing wrong.
    pub fn check(self, sizes: &Sizes, training: bool) -> Result<Part> {
        let batch_size = sizes.batch_size;
        let starts = self.starts.int32("starts")?;
        if let Some(index) = starts.iter().position(|&start| start < 0) {
            let received = starts[index];
            let message =
                format!("expected offsets of at least 0 in starts, received {received} at index {index}");
            return Err(usage(message));
        }
        if starts.is_empty() || !starts.len().is_multiple_of(batch_size) {
            let length = starts.len();
            let message = format!(
                "expected a multiple of batchSize {batch_size} elements in starts, received {length}"
            );
            return Err(usage(message));
        }
        let updates = starts.len() / batch_size;
        let first_update = match self.first_update {
            Some(argument) => argument.whole("firstUpdate", 0, updates as u64 - 1)? as usize,
            None => 0,
        };
        let num_steps = self.num_steps.whole("numSteps", 1, sizes.num_steps as u64)? as usize;
        let learning_rate = self.learning_rate.float32("learningRate")?;
        if training && learning_rate.len() != updates {
            let length = learning_rate.len();
            let message =
                format!("expected one per update, {updates} elements in learningRate, received {length}");
            return Err(usage(message));
        }
        let plan = Plan {
            starts: starts[first_update * batch_size..].iter().map(|&start| start as u32).collect(),
            num_steps,
            learning_rate: if training { learning_rate[first_update..].to_vec() } else { vec![] },
            max_grad_norm: self.max_grad_norm.number("maxGradNorm")? as f32,
            carry_state: self.carry_state.boolean("carryState")?,
        };
        Ok(Part { plan, first_update, batch_size })
    }
}

impl Part {
    /// An error of the part, with its index counted in the whole plan.
    pub fn of_whole(&self, error: Error) -> Error {
        let Error::Value { name, expected, received, index } = error else { return error };
        let before = match name {
            "starts" => self.first_update * self.batch_size,
            "learning_rate" => self.first_update,
            _ => 0,
        };
        Error::Value { name, expected, received, index: index + before }
    }
}
