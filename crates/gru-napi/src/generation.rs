//! Texts that are being written, as JavaScript holds and gives them on.

use crate::argument::{Argument, Fields, List, MAX_SAFE_INTEGER};
use crate::error::{self, Result, usage};
use gru_core::generation::{Beginning, MAX_TEXTS, Piece, Sampling, Texts};
use gru_core::{Backend, Error};
use napi::bindgen_prelude::{FromNapiValue, Uint32Array};
use napi::sys;
use napi_derive::napi;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Most characters of one piece: what is written in one call is held in memory.
pub const MAX_PIECE: u64 = 1 << 16;

/// What texts begin with and how their characters are chosen: repetition penalty, temperature, top-k and top-p, in this
/// order, ties to the lowest id.
///
/// @example
/// ```ts
/// import { Generation, type GenerationOptions } from 'gru-native';
///
/// const options: GenerationOptions = {
///   prefixes: [Uint32Array.of(0, 1), Uint32Array.of(2)],
///   seeds: [1, 2],
///   temperature: 0.8,
///   topK: 40,
///   topP: 1,
///   repetitionPenalty: 1,
/// };
/// console.log(new Generation(options).texts); // 2
/// ```
#[napi(object, object_from_js = false, object_to_js = false)]
pub struct GenerationOptions {
    /// Ids of what each text begins with, at least one; 1 to 1024 texts. Copied in the call.
    #[napi(ts_type = "readonly Uint32Array[]")]
    pub prefixes: List,
    /// Seed of each text's random numbers, a whole number from 0 to 2^53 - 1.
    #[napi(ts_type = "readonly number[]")]
    pub seeds: List,
    /// 0 takes the likeliest character, 1 samples as learnt.
    #[napi(ts_type = "number")]
    pub temperature: Argument,
    /// Choose among this many likeliest characters only; 0 means all.
    #[napi(ts_type = "number")]
    pub top_k: Argument,
    /// Choose among the likeliest characters that together reach this probability; 1 means all.
    #[napi(ts_type = "number")]
    pub top_p: Argument,
    /// Characters among the last 64 get their logit divided by this if positive, else multiplied; 1 means no penalty.
    #[napi(ts_type = "number")]
    pub repetition_penalty: Argument,
}

impl FromNapiValue for GenerationOptions {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: the caller hands a live environment and value, as this function's contract says.
        let fields = unsafe { Fields::from_napi_value(env, value) }?;
        Ok(Self {
            prefixes: fields.list("prefixes", MAX_TEXTS)?,
            seeds: fields.list("seeds", MAX_TEXTS)?,
            temperature: fields.field("temperature")?,
            top_k: fields.field("topK")?,
            top_p: fields.field("topP")?,
            repetition_penalty: fields.field("repetitionPenalty")?,
        })
    }
}

impl GenerationOptions {
    /// Texts of which nothing is written yet.
    ///
    /// # Errors
    /// The first thing wrong.
    fn check(self) -> Result<Texts> {
        let list = |given: List, name| {
            given.map_err(|received| {
                usage(format!("expected a list of 1 to {MAX_TEXTS} as {name}, received {received}"))
            })
        };
        let (prefixes, seeds) = (list(self.prefixes, "prefixes")?, list(self.seeds, "seeds")?);
        error::length("seeds", prefixes.len(), seeds.len())?;
        let beginning = |(prefix, seed): (Argument, Argument)| {
            let prefix = prefix.uint32("a prefix")?;
            Ok(Beginning { prefix, seed: seed.whole("a seed", 0, MAX_SAFE_INTEGER)? })
        };
        let beginnings = prefixes.into_iter().zip(seeds).map(beginning).collect::<Result<Vec<_>>>()?;
        let sampling = Sampling {
            temperature: self.temperature.number("temperature")?,
            top_k: self.top_k.whole("topK", 0, MAX_SAFE_INTEGER)? as usize,
            top_p: self.top_p.number("topP")?,
            repetition_penalty: self.repetition_penalty.number("repetitionPenalty")?,
        };
        Texts::new(beginnings, sampling).map_err(|error| error::core(&error))
    }
}

/// One or several texts that are being written side by side, and all that writing goes on from: hidden states, random
/// numbers, last characters. `Network.generate` writes the next piece of all of them.
///
/// @example
/// ```ts
/// import { Generation, Network } from 'gru-native';
///
/// const network = new Network({ vocabSize: 3, hiddenSize: 8, batchSize: 2, numSteps: 4 });
/// await network.initialize(0, 0.01);
/// const generation = new Generation({
///   prefixes: [Uint32Array.of(0, 1), Uint32Array.of(2)],
///   seeds: [1, 2],
///   temperature: 1,
///   topK: 0,
///   topP: 1,
///   repetitionPenalty: 1,
/// });
/// const first = await network.generate(generation, 4);
/// const next = await network.generate(generation, 4); // goes on where the first ended
/// console.log(first.ids.length, next.ids.length); // 8 8
/// network.dispose();
/// ```
#[napi]
pub struct Generation {
    texts: Arc<Mutex<Texts>>,
    count: usize,
}

#[napi]
impl Generation {
    /// Texts of which nothing is written yet. What a text becomes depends on parameters, prefix, seed and options only:
    /// not on the texts beside it, the pieces it is written in, or the number of threads.
    ///
    /// @throws code `GRU_USAGE`.
    #[napi(constructor, catch_unwind)]
    pub fn new(options: GenerationOptions) -> Result<Self> {
        let texts = options.check()?;
        Ok(Self { count: texts.count(), texts: Arc::new(Mutex::new(texts)) })
    }

    /// Number of texts.
    #[napi(getter, catch_unwind)]
    pub fn texts(&self) -> u32 {
        self.count as u32
    }

    /// What a network's thread writes.
    pub(crate) fn share(&self) -> Arc<Mutex<Texts>> {
        Arc::clone(&self.texts)
    }
}

/// A piece of some texts.
///
/// @example
/// ```ts
/// import { Generation, type GenerationPiece, Network } from 'gru-native';
///
/// const network = new Network({ vocabSize: 3, hiddenSize: 8, batchSize: 2, numSteps: 4 });
/// await network.initialize(0, 0.01);
/// const greedy = { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1 };
/// const prefixes = [Uint32Array.of(0), Uint32Array.of(2)];
/// const generation = new Generation({ ...greedy, prefixes, seeds: [0, 0] });
/// const { ids, characters }: GenerationPiece = await network.generate(generation, 4);
/// const second = Array.from({ length: characters }, (_, row) => ids[row * generation.texts + 1]);
/// console.log(second.length); // 4
/// network.dispose();
/// ```
#[napi(object, object_from_js = false)]
pub struct GenerationPiece {
    /// The ids written, `[characters, texts]` row-major: the first of every text, then the second of every text.
    pub ids: Uint32Array,
    /// Characters written of each text: fewer than asked for where `cancel` stopped it. The next piece goes on there.
    pub characters: u32,
}

impl From<Piece> for GenerationPiece {
    fn from(piece: Piece) -> Self {
        Self { ids: Uint32Array::new(piece.ids), characters: piece.characters as u32 }
    }
}

/// A piece that waits for its turn.
pub struct Writing {
    /// What to write.
    pub texts: Arc<Mutex<Texts>>,
    /// Characters of each.
    pub count: usize,
    /// The command's own flag.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Writing {
    /// Writes on the network's thread, until the end, the command's flag or the network's.
    ///
    /// # Errors
    /// What does not fit the network, and what the backend gives.
    pub fn run(self, backend: &mut dyn Backend, closing: &AtomicBool) -> Result<Piece, Error> {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        let mut stops = || is_set(closing) || self.cancel.as_deref().is_some_and(is_set);
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.write(backend, self.count, &mut stops)
    }
}
