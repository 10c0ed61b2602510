//! Parameters to and from a safetensors file that PyTorch loads as it is: the names and layout of
//! `torch.nn.GRU` (as `gru`) and `torch.nn.Linear` (as `output`), all f32.
//!
//! | tensor | shape | here |
//! |---|---|---|
//! | `gru.weight_ih_l0` | `[3 * hidden_size, vocab_size]` | `W_x` transposed |
//! | `gru.weight_hh_l0` | `[3 * hidden_size, hidden_size]` | `W_h` transposed |
//! | `gru.bias_ih_l0` | `[3 * hidden_size]` | `b` |
//! | `gru.bias_hh_l0` | `[3 * hidden_size]` | zeros, but for `b_q` in the last third |
//! | `output.weight` | `[vocab_size, hidden_size]` | `W_y` transposed |
//! | `output.bias` | `[vocab_size]` | `b_y` |
//! | `trainer.state` | `[batch_size, hidden_size]` | carried hidden state; in trainer files only |
//!
//! `__metadata__` has the single key `gru-native`, a JSON text that this file does not look into: a map of
//! several keys would come out in another order every time, and equal models would differ in bytes.
//!
//! Bytes that come in are hostile until checked: how much the header holds by `header.rs`, sizes and offsets by the
//! safetensors crate, names, shapes, types and finite values here. Reading takes at most 4 times the bytes of the file
//! and 192 KiB beside (`tests/hostile_files`). Writing is `writer.rs`.

use crate::{Layout, Sizes};
use safetensors::tensor::{Dtype, Metadata, SafeTensors};

mod header;
mod writer;

pub use writer::WriteError;

/// The only key of `__metadata__`.
const METADATA_KEY: &str = "gru-native";
const STATE: &str = "trainer.state";

/// Most characters of a text that messages quote from a file.
const QUOTED: usize = 200;

/// Why bytes are not a model of this kind. Messages are one line, whatever the file says: what they quote of it is
/// escaped and cut.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelFileError {
    /// Not safetensors, or cut short.
    #[error("expected a safetensors file, received bytes that are not one: {0}")]
    NotSafetensors(String),
    /// A tensor is missing, unknown, or not as PyTorch's GRU has it.
    #[error("expected {expected}, received {received}")]
    Tensor {
        /// What the file must hold.
        expected: String,
        /// What it holds.
        received: String,
    },
    /// A value is not finite.
    #[error("expected finite numbers in {tensor}, received {received} at index {index}")]
    NotFinite {
        /// The tensor's name.
        tensor: String,
        /// The value.
        received: f32,
        /// Its place in the tensor.
        index: usize,
    },
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    /// Number of characters.
    pub vocab_size: usize,
    /// Number of hidden units.
    pub hidden_size: usize,
    /// Whether the recurrent candidate bias b_q exists: true when the file's is not all zeros.
    pub candidate_bias: bool,
    /// All parameters in [`Layout`]'s order.
    pub parameters: Vec<f32>,
    /// Carried hidden state, `[batch_size, hidden_size]`; empty in plain models.
    pub state: Vec<f32>,
    /// The JSON text of `__metadata__`; empty where the file has none (made by another program).
    pub metadata: String,
}

impl ModelFile {
    /// The layout of `parameters`.
    fn layout(&self) -> Layout {
        Layout::new(&Sizes {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            batch_size: 1,
            num_steps: 1,
            candidate_bias: self.candidate_bias,
        })
    }

    /// Reads a file's bytes, made by this package or saved from PyTorch modules named `gru` and `output`.
    /// PyTorch's recurrent biases of r and z are added to `b`; that of n becomes `b_q` unless it is zero.
    ///
    /// # Errors
    /// Whatever is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ModelFileError> {
        header::check_size(bytes)?;
        let (header_length, header) = SafeTensors::read_metadata(bytes).map_err(not_safetensors)?;
        let file = Tensors { header: &header, data: &bytes[8 + header_length..] };
        let metadata =
            header.metadata().as_ref().and_then(|map| map.get(METADATA_KEY)).cloned().unwrap_or_default();
        const KNOWN: [&str; 7] = [
            "gru.weight_ih_l0",
            "gru.weight_hh_l0",
            "gru.bias_ih_l0",
            "gru.bias_hh_l0",
            "output.weight",
            "output.bias",
            STATE,
        ];
        let names = header.offset_keys();
        let mut unknown: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| !KNOWN.contains(name)).collect();
        unknown.sort_unstable();
        check(unknown.is_empty(), || {
            (
                "a one-layer, one-direction GRU and its output layer".into(),
                format!("also {}", quoted(&unknown.join(", "))),
            )
        })?;
        let shape = |name: &str| -> Result<[usize; 2], ModelFileError> {
            let info = header.info(name).ok_or_else(|| missing(name))?;
            <[usize; 2]>::try_from(&*info.shape).map_err(|_| ModelFileError::Tensor {
                expected: format!("{name} with two dimensions"),
                received: quoted(&format!("shape {:?}", info.shape)),
            })
        };
        let [vocab, hidden] = shape("output.weight")?;
        check_sizes(vocab, hidden)?;
        let read = |name: &str, shape: &[usize]| file.read(name, shape);
        let w_x = read(KNOWN[0], &[3 * hidden, vocab])?;
        let w_h = read(KNOWN[1], &[3 * hidden, hidden])?;
        let mut b = read(KNOWN[2], &[3 * hidden])?;
        let bias_hh = read(KNOWN[3], &[3 * hidden])?;
        let w_y = read(KNOWN[4], &[vocab, hidden])?;
        let b_y = read(KNOWN[5], &[vocab])?;
        let state = match header.info(STATE) {
            Some(_) => read(STATE, &[shape(STATE)?[0], hidden])?,
            None => vec![],
        };
        let (bias_rz, b_q) = bias_hh.split_at(2 * hidden);
        b.iter_mut().zip(bias_rz).for_each(|(b, recurrent)| *b += recurrent);
        check_finite("the sum of gru.bias_ih_l0 and gru.bias_hh_l0", &b)?;
        let candidate_bias = b_q.iter().any(|&value| value != 0.0);
        let b_q = if candidate_bias { b_q } else { &[] };
        let parameters = [
            transpose(&w_x, 3 * hidden),
            transpose(&w_h, 3 * hidden),
            b,
            b_q.to_vec(),
            transpose(&w_y, vocab),
            b_y,
        ]
        .concat();
        Ok(Self { vocab_size: vocab, hidden_size: hidden, candidate_bias, parameters, state, metadata })
    }
}

/// The tensors of a file whose header is known to hold for them.
struct Tensors<'a> {
    header: &'a Metadata,
    data: &'a [u8],
}

impl Tensors<'_> {
    /// A tensor's values, once its type, shape and numbers are as they must be.
    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelFileError> {
        let info = self.header.info(name).ok_or_else(|| missing(name))?;
        check(info.dtype == Dtype::F32 && info.shape == shape, || {
            (format!("{name} of F32 {shape:?}"), quoted(&format!("{:?} {:?}", info.dtype, info.shape)))
        })?;
        let (begin, end) = info.data_offsets;
        let numbers = self.data[begin..end].as_chunks::<4>().0;
        let values: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        check_finite(name, &values)?;
        Ok(values)
    }
}

fn check_finite(tensor: &str, values: &[f32]) -> Result<(), ModelFileError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => {
            Err(ModelFileError::NotFinite { tensor: tensor.into(), received: values[index], index })
        }
        None => Ok(()),
    }
}

/// `[rows, columns]` to `[columns, rows]`, for a matrix of `rows` rows.
fn transpose(matrix: &[f32], rows: usize) -> Vec<f32> {
    let columns = matrix.len() / rows;
    (0..matrix.len()).map(|at| matrix[at % rows * columns + at / rows]).collect()
}

fn check(holds: bool, otherwise: impl Fn() -> (String, String)) -> Result<(), ModelFileError> {
    if holds {
        return Ok(());
    }
    let (expected, received) = otherwise();
    Err(ModelFileError::Tensor { expected, received })
}

/// Sizes that no layout can hold must not reach one.
fn check_sizes(vocab_size: usize, hidden_size: usize) -> Result<(), ModelFileError> {
    let sizes = Sizes { vocab_size, hidden_size, batch_size: 1, num_steps: 1, candidate_bias: true };
    sizes.check().map(|_| ()).map_err(|error| ModelFileError::Tensor {
        expected: "output.weight of [vocab_size, hidden_size]".into(),
        received: error.to_string(),
    })
}

fn missing(name: &str) -> ModelFileError {
    ModelFileError::Tensor { expected: format!("the tensor {name}"), received: "a file without it".into() }
}

fn not_safetensors(error: safetensors::SafeTensorError) -> ModelFileError {
    ModelFileError::NotSafetensors(quoted(&error.to_string()))
}

/// A text that may hold parts of a file: cut, with control characters escaped.
fn quoted(text: &str) -> String {
    let cut = text.char_indices().nth(QUOTED).map_or(text.len(), |(at, _)| at);
    let escape = |character: char| {
        let plain = !character.is_control();
        plain
            .then_some(character)
            .into_iter()
            .chain((!plain).then(|| character.escape_default()).into_iter().flatten())
    };
    let shown: String = text[..cut].chars().flat_map(escape).collect();
    if cut < text.len() { shown + "…" } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small file with a state.
    pub fn example(candidate_bias: bool) -> ModelFile {
        let (vocab_size, hidden_size) = (5, 3);
        let mut file = ModelFile {
            vocab_size,
            hidden_size,
            candidate_bias,
            parameters: vec![],
            state: (0..6).map(|i| i as f32).collect(),
            metadata: "{\"formatVersion\":1}".into(),
        };
        file.parameters = (0..file.layout().len()).map(|i| i as f32 * 0.25 - 3.0).collect();
        file
    }

    #[test]
    fn files_come_back_as_they_went() {
        for candidate_bias in [false, true] {
            let file = example(candidate_bias);
            let bytes = file.encode().unwrap();
            assert_eq!(ModelFile::decode(&bytes).unwrap(), file);
            assert_eq!(bytes, file.encode().unwrap());
        }
    }

    #[test]
    fn recurrent_biases_of_r_and_z_are_added() {
        let file = example(false);
        let bytes = file.encode().unwrap();
        let (header_len, _) = SafeTensors::read_metadata(&bytes).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let bias = tensors.tensor("gru.bias_hh_l0").unwrap().data();
        let at = bias.as_ptr() as usize - bytes.as_ptr() as usize;
        assert!(at >= header_len);
        let mut changed = bytes.clone();
        for (index, value) in [(1, 0.5f32), (4, -2.0), (8, 7.0)] {
            changed[at + 4 * index..][..4].copy_from_slice(&value.to_le_bytes());
        }
        let read = ModelFile::decode(&changed).unwrap();
        assert!(read.candidate_bias);
        let [_, _, b, b_q, _, _] = read.layout().split(&read.parameters).map(<[f32]>::to_vec);
        let [_, _, before, _, _, _] = file.layout().split(&file.parameters).map(<[f32]>::to_vec);
        assert_eq!((b[1], b[4], b[8]), (before[1] + 0.5, before[4] - 2.0, before[8]));
        assert_eq!(b_q, [0.0, 0.0, 7.0]);
    }

    #[test]
    fn sizes_of_zero_are_refused() {
        for (vocab_size, hidden_size) in [(0, 3), (5, 0)] {
            let file = ModelFile { vocab_size, hidden_size, parameters: vec![], ..example(false) };
            assert!(matches!(file.encode().unwrap_err(), ModelFileError::Tensor { .. }));
        }
    }

    #[test]
    fn values_that_are_not_finite_are_refused() {
        let mut file = example(false);
        file.parameters[17] = f32::NAN;
        let error = ModelFile::decode(&file.encode().unwrap()).unwrap_err();
        assert!(matches!(error, ModelFileError::NotFinite { .. }), "{error}");
    }

    #[test]
    fn biases_whose_sum_is_not_finite_are_refused() {
        let mut file = example(false);
        let bias =
            file.layout().split(&file.parameters)[2].as_ptr() as usize - file.parameters.as_ptr() as usize;
        file.parameters[bias / 4] = f32::MAX;
        let mut bytes = file.encode().unwrap();
        let (header_length, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let at = 8 + header_length + header.info("gru.bias_hh_l0").unwrap().data_offsets.0;
        bytes[at..at + 4].copy_from_slice(&f32::MAX.to_le_bytes());
        let error = ModelFile::decode(&bytes).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("the sum of gru.bias_ih_l0 and gru.bias_hh_l0, received inf at index 0")
        );
    }

    /// A file of this header, with no data.
    fn with_header(json: &str) -> Vec<u8> {
        [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat()
    }

    #[test]
    fn what_a_file_says_comes_escaped_and_cut_into_messages() {
        let entry = "{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}";
        let file = with_header(&format!("{{\"\\n\\u001b[31m{}\":{entry}}}", "夜".repeat(300)));
        let message = ModelFile::decode(&file).unwrap_err().to_string();
        assert!(message.contains("also \\n\\u{1b}[31m夜夜") && message.ends_with("夜…"), "{message}");
        assert!(message.chars().count() < 300, "{message}");
    }

    #[test]
    fn a_header_of_many_values_is_refused_before_they_are_read() {
        for json in [
            format!("{{\"a\":[{}0]}}", "[0],".repeat(2000)),
            format!("{{{}\"a\":0}}", "\"a\":0,".repeat(600)),
        ] {
            let message = ModelFile::decode(&with_header(&json)).unwrap_err().to_string();
            assert!(message.ends_with("a header of more than 1000 values"), "{message}");
        }
    }
}
