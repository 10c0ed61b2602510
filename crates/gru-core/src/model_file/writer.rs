//! Writes a model file tensor by tensor, so that nothing of the file's size is held beside the parameters.

use super::{METADATA_KEY, ModelFile, ModelFileError, STATE, check, check_sizes, not_safetensors};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::collections::HashMap;
use std::io::{self, Write};

/// The longest header that the safetensors crate reads.
const MAX_HEADER_BYTES: usize = 100_000_000;

/// Why a model file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The contents do not make a file.
    #[error(transparent)]
    Contents(#[from] ModelFileError),
    /// The system refused to take the bytes.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// A tensor on its way into a file.
struct FileTensor<'a> {
    name: &'static str,
    /// In the file.
    shape: Vec<usize>,
    values: &'a [f32],
    /// Columns of `values` as they lie here: 1 where the file has them in the same order, else it has the
    /// transposed matrix.
    columns: usize,
}

impl<'a> FileTensor<'a> {
    fn vector(name: &'static str, values: &'a [f32]) -> Self {
        Self { name, shape: vec![values.len()], values, columns: 1 }
    }

    fn transposed(name: &'static str, values: &'a [f32], rows: usize) -> Self {
        let columns = values.len() / rows;
        Self { name, shape: vec![columns, rows], values, columns }
    }

    fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        for column in 0..self.columns {
            for value in self.values[column..].iter().step_by(self.columns) {
                out.write_all(&value.to_le_bytes())?;
            }
        }
        Ok(())
    }
}

impl ModelFile {
    /// The bytes of a file. Equal contents give equal bytes.
    ///
    /// # Errors
    /// [`ModelFileError::Tensor`] when a length does not fit the sizes.
    pub fn encode(&self) -> Result<Vec<u8>, ModelFileError> {
        let mut bytes = Vec::with_capacity(size_of_val(&*self.parameters) + size_of_val(&*self.state));
        match self.write_to(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(WriteError::Contents(error)) => Err(error),
            Err(WriteError::System(error)) => unreachable!("a vector takes all bytes: {error}"),
        }
    }

    /// Writes the bytes of [`encode`](Self::encode), four at a time: `out` should have a buffer. Takes no memory
    /// but for the header.
    ///
    /// # Errors
    /// What is wrong with the contents, before anything is written; whatever `out` refuses.
    pub fn write_to(&self, out: &mut impl Write) -> Result<(), WriteError> {
        let (vocab, hidden) = (self.vocab_size, self.hidden_size);
        check_sizes(vocab, hidden)?;
        let layout = self.layout();
        check(self.parameters.len() == layout.len(), || {
            (format!("{} parameters", layout.len()), self.parameters.len().to_string())
        })?;
        check(self.state.len().is_multiple_of(hidden), || {
            (format!("a state of rows of {hidden}"), self.state.len().to_string())
        })?;
        let [w_x, w_h, b, b_q, w_y, b_y] = layout.split(&self.parameters);
        let mut bias_hh = vec![0.0; 2 * hidden];
        bias_hh.extend_from_slice(b_q);
        bias_hh.resize(3 * hidden, 0.0);
        // In the order of their names, as the safetensors crate has them.
        let mut tensors = vec![
            FileTensor::vector("gru.bias_hh_l0", &bias_hh),
            FileTensor::vector("gru.bias_ih_l0", b),
            FileTensor::transposed("gru.weight_hh_l0", w_h, hidden),
            FileTensor::transposed("gru.weight_ih_l0", w_x, vocab),
            FileTensor::vector("output.bias", b_y),
            FileTensor::transposed("output.weight", w_y, hidden),
        ];
        if !self.state.is_empty() {
            let shape = vec![self.state.len() / hidden, hidden];
            tensors.push(FileTensor { name: STATE, shape, values: &self.state, columns: 1 });
        }
        out.write_all(&self.header(&tensors)?)?;
        tensors.iter().try_for_each(|tensor| tensor.write_to(out))?;
        Ok(out.flush()?)
    }

    /// What a file begins with: the length of the JSON text in 8 bytes, and the text, filled up with spaces to
    /// a multiple of 8.
    fn header(&self, tensors: &[FileTensor]) -> Result<Vec<u8>, ModelFileError> {
        let mut end = 0;
        let place = |tensor: &FileTensor| {
            let begin = end;
            end += size_of_val(tensor.values);
            let info =
                TensorInfo { dtype: Dtype::F32, shape: tensor.shape.clone(), data_offsets: (begin, end) };
            (tensor.name.to_string(), info)
        };
        let places = tensors.iter().map(place).collect();
        let metadata = (!self.metadata.is_empty())
            .then(|| HashMap::from([(METADATA_KEY.to_string(), self.metadata.clone())]));
        let header = Metadata::new(metadata, places).map_err(not_safetensors)?;
        let mut bytes = vec![0; 8];
        serde_json::to_writer(&mut bytes, &header)
            .map_err(|error| ModelFileError::NotSafetensors(error.to_string()))?;
        bytes.resize(bytes.len().next_multiple_of(8), b' ');
        let length = bytes.len() - 8;
        check(length <= MAX_HEADER_BYTES, || {
            (format!("metadata of at most {MAX_HEADER_BYTES} bytes"), length.to_string())
        })?;
        bytes[..8].copy_from_slice(&(length as u64).to_le_bytes());
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;
    use safetensors::SafeTensors;

    #[test]
    fn files_have_the_bytes_that_the_safetensors_crate_gives_them() {
        for (candidate_bias, state, metadata) in
            [(false, true, "{\"formatVersion\":1}"), (true, false, "\"夜\\曲\""), (true, true, "")]
        {
            let mut file = example(candidate_bias);
            file.metadata = metadata.into();
            if !state {
                file.state.clear();
            }
            let bytes = file.encode().unwrap();
            let tensors = SafeTensors::deserialize(&bytes).unwrap();
            let map = (!metadata.is_empty())
                .then(|| HashMap::from([(METADATA_KEY.to_string(), metadata.to_string())]));
            let again = safetensors::serialize(tensors.tensors(), map).unwrap();
            assert_eq!(bytes, again);
            assert_eq!(tensors.len(), if state { 7 } else { 6 });
        }
    }

    /// Takes so many bytes, then is full.
    struct Disk(usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_is_full_after_any_byte_is_an_error() {
        let file = example(true);
        let length = file.encode().unwrap().len();
        for room in 0..length {
            for buffer in [1, 64] {
                let mut out = io::BufWriter::with_capacity(buffer, Disk(room));
                match file.write_to(&mut out) {
                    Err(WriteError::System(error)) => assert_eq!(error.kind(), io::ErrorKind::StorageFull),
                    other => panic!("{other:?} with room for {room} of {length} bytes"),
                }
                drop(out.into_parts()); // without another try
            }
        }
        assert!(file.write_to(&mut Disk(length)).is_ok());
    }

    #[test]
    fn contents_that_make_no_file_are_told_before_anything_is_written() {
        let mut file = example(false);
        file.state.pop();
        let mut bytes: Vec<u8> = vec![];
        assert!(matches!(file.write_to(&mut bytes), Err(WriteError::Contents(_))));
        assert!(bytes.is_empty());
    }
}
