//! The header of a safetensors file, before the safetensors crate reads it: that crate holds every value of the header
//! at once, at many times the bytes that the text has. So a header of more values than any model's is refused
//! first, by a pass that holds nothing.

use super::ModelFileError;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// JSON values and keys that a header may have. A model's has about 100.
const MAX_VALUES: usize = 1000;

/// Refuses the header of a file that has too many values. What else is wrong with it is the safetensors crate's to say.
///
/// # Errors
/// [`ModelFileError::NotSafetensors`].
pub fn check_size(bytes: &[u8]) -> Result<(), ModelFileError> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return Ok(()) };
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let Some(header) = rest.get(..length) else { return Ok(()) };
    let mut left = MAX_VALUES;
    let _ = Count(&mut left).deserialize(&mut serde_json::Deserializer::from_slice(header));
    if left > 0 {
        return Ok(());
    }
    Err(ModelFileError::NotSafetensors(format!("a header of more than {MAX_VALUES} values")))
}

/// Counts a value and all values in it; stops when none is left.
struct Count<'a>(&'a mut usize);

impl Count<'_> {
    fn one<E: Error>(self) -> Result<(), E> {
        *self.0 = self.0.saturating_sub(1);
        if *self.0 > 0 { Ok(()) } else { Err(E::custom("too many values")) }
    }
}

impl<'de> DeserializeSeed<'de> for Count<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Count<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.one()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.one()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.one()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.one()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.one()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.one()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while values.next_element_seed(Count(&mut *self.0))?.is_some() {}
        self.one()
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_key_seed(Count(&mut *self.0))?.is_some() {
            entries.next_value_seed(Count(&mut *self.0))?;
        }
        self.one()
    }
}
