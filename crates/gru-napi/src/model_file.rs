//! Model files: bytes to and from their contents, in the format of [`gru_core::model_file`].

use crate::argument::{Argument, Fields};
use crate::error::{self, Result};
use crate::panics;
use gru_core::model_file::{ModelFile, WriteError};
use gru_core::sizes::MAX_ELEMENTS;
use gru_core::{Backend, Error, Layout, Sizes};
use napi::bindgen_prelude::{Float32Array, FromNapiValue, Uint8Array};
use napi::sys;
use napi_derive::napi;
use std::fs::File;
use std::io::BufWriter;

/// What a model file holds.
#[napi(object, object_from_js = false)]
pub struct ModelContents {
    /// Number of characters.
    pub vocab_size: u32,
    /// Number of hidden units.
    pub hidden_size: u32,
    /// Whether the recurrent candidate bias b_q exists.
    pub candidate_bias: bool,
    /// All parameters, laid out as `Network.parameterTensors` says, `[parameterCount]`.
    pub parameters: Float32Array,
    /// Carried hidden state, `[batchSize, hiddenSize]` row-major; absent in plain models.
    pub state: Option<Float32Array>,
    /// The text of the file's `gru-native` metadata, JSON in files of this package; empty where there is none.
    pub metadata: String,
}

/// A model's contents as JavaScript gives them.
pub struct ContentsArgument {
    vocab_size: Argument,
    hidden_size: Argument,
    candidate_bias: Argument,
    parameters: Argument,
    state: Option<Argument>,
    metadata: Argument,
}

impl FromNapiValue for ContentsArgument {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: the caller hands a live environment and value, as this function's contract says.
        let fields = unsafe { Fields::from_napi_value(env, value) }?;
        Ok(Self {
            vocab_size: fields.field("vocabSize")?,
            hidden_size: fields.field("hiddenSize")?,
            candidate_bias: fields.field("candidateBias")?,
            parameters: fields.field("parameters")?,
            state: fields.field("state")?.given(),
            metadata: fields.field("metadata")?,
        })
    }
}

impl ContentsArgument {
    fn check(self) -> Result<ModelFile> {
        let sizes = Sizes {
            vocab_size: self.vocab_size.whole("vocabSize", 1, MAX_ELEMENTS as u64)? as usize,
            hidden_size: self.hidden_size.whole("hiddenSize", 1, MAX_ELEMENTS as u64)? as usize,
            batch_size: 1,
            num_steps: 1,
            candidate_bias: self.candidate_bias.boolean("candidateBias")?,
        };
        sizes.check().map_err(|error| error::core(&error))?;
        let parameters = self.parameters.float32("parameters")?;
        error::length("parameters", Layout::new(&sizes).len(), parameters.len())?;
        let state = self.state.map_or(Ok(vec![]), |state| state.float32("state"))?;
        Ok(ModelFile {
            vocab_size: sizes.vocab_size,
            hidden_size: sizes.hidden_size,
            candidate_bias: sizes.candidate_bias,
            parameters,
            state,
            metadata: self.metadata.text("metadata")?,
        })
    }
}

/// Writes a network's parameters, and with a state its carried state, to a file that must not be there yet. What
/// the system refuses to take is the inner error; the file is then there in part.
///
/// # Errors
/// When the backend gives no parameters or state.
pub fn write_network(
    backend: &mut dyn Backend,
    path: &str,
    metadata: String,
    with_state: bool,
) -> Result<Result<(), WriteError>, Error> {
    let parameters = backend.parameters()?;
    let state = if with_state { backend.state()? } else { vec![] };
    let &Sizes { vocab_size, hidden_size, candidate_bias, .. } = backend.sizes();
    let contents = ModelFile { vocab_size, hidden_size, candidate_bias, parameters, state, metadata };
    let write = || {
        let mut file = BufWriter::with_capacity(1 << 16, File::create_new(path)?);
        let written = contents.write_to(&mut file);
        drop(file.into_parts()); // after an error, what lies in the buffer is not tried again
        written
    };
    Ok(write())
}

/// The bytes of a model file, which PyTorch's `nn.GRU` and `nn.Linear` load as it is. Equal contents give
/// equal bytes.
///
/// @throws code `GRU_USAGE` for a wrong argument, `GRU_MODEL` for a state that is not whole rows.
#[napi(catch_unwind, ts_args_type = "model: ModelContents")]
pub fn encode_model(model: ContentsArgument) -> Result<Uint8Array> {
    let encode = || model.check()?.encode().map_err(|error| error::model(&error));
    Ok(Uint8Array::new(panics::catch(encode).map_err(|text| error::panicked(&text))??))
}

/// What the bytes of a model file hold, made by this package or saved from PyTorch modules named `gru` and
/// `output`. The bytes may come from anywhere: whatever is wrong with them is an error.
///
/// @throws code `GRU_USAGE` for a wrong argument, `GRU_MODEL` for bytes that are not such a file.
#[napi(catch_unwind, ts_args_type = "bytes: Uint8Array")]
pub fn decode_model(bytes: Argument) -> Result<ModelContents> {
    let decode = || ModelFile::decode(&bytes.bytes("bytes")?).map_err(|error| error::model(&error));
    let file = panics::catch(decode).map_err(|text| error::panicked(&text))??;
    Ok(ModelContents {
        vocab_size: file.vocab_size as u32,
        hidden_size: file.hidden_size as u32,
        candidate_bias: file.candidate_bias,
        parameters: Float32Array::new(file.parameters),
        state: (!file.state.is_empty()).then(|| Float32Array::new(file.state)),
        metadata: file.metadata,
    })
}
