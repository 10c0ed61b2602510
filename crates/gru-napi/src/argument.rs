//! Arguments as JavaScript gave them: copied in the call, so that nothing of JavaScript's memory is kept and
//! what was checked cannot change, then checked with our own words.

use crate::error::{Failure, Result, usage};
use napi::bindgen_prelude::{
    FromNapiValue, JsObjectValue, Object, TypeName, TypedArray, TypedArrayType, ValidateNapiValue,
};
use napi::{JsValue, Unknown, ValueType, sys};

/// The largest whole number that a JavaScript number holds exactly.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// A value of any type. Reading one never fails; asking it for what it is not does.
pub enum Argument {
    /// `undefined` or `null`, as said.
    Missing(&'static str),
    /// A number, possibly NaN.
    Number(f64),
    /// A boolean.
    Boolean(bool),
    /// A string.
    Text(String),
    /// The bytes of a `Uint8Array`, a `Buffer` among them.
    Bytes(Vec<u8>),
    /// The elements of an `Int32Array`.
    Int32(Vec<i32>),
    /// The elements of a `Uint32Array`.
    Uint32(Vec<u32>),
    /// The elements of a `Float32Array`.
    Float32(Vec<f32>),
    /// Anything else, in words.
    Other(String),
}

impl Argument {
    /// The argument, unless it is `undefined` or `null`.
    pub fn given(self) -> Option<Self> {
        (!matches!(self, Self::Missing(_))).then_some(self)
    }

    /// A whole number from `min` to `max`.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn whole(self, name: &str, min: u64, max: u64) -> Result<u64> {
        match self {
            Self::Number(number) if number.fract() == 0.0 && number >= min as f64 && number <= max as f64 => {
                Ok(number as u64)
            }
            other => Err(other.refused(name, &format!("a whole number from {min} to {max}"))),
        }
    }

    /// A number, which may be infinite but not NaN.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn number(self, name: &str) -> Result<f64> {
        match self {
            Self::Number(number) if !number.is_nan() => Ok(number),
            other => Err(other.refused(name, "a number")),
        }
    }

    /// A boolean.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn boolean(self, name: &str) -> Result<bool> {
        match self {
            Self::Boolean(value) => Ok(value),
            other => Err(other.refused(name, "a boolean")),
        }
    }

    /// A string.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn text(self, name: &str) -> Result<String> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other.refused(name, "a string")),
        }
    }

    /// The bytes of a `Uint8Array`.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn bytes(self, name: &str) -> Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(other.refused(name, "a Uint8Array")),
        }
    }

    /// The elements of an `Int32Array`.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn int32(self, name: &str) -> Result<Vec<i32>> {
        match self {
            Self::Int32(elements) => Ok(elements),
            other => Err(other.refused(name, "an Int32Array")),
        }
    }

    /// The elements of a `Uint32Array`.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn uint32(self, name: &str) -> Result<Vec<u32>> {
        match self {
            Self::Uint32(elements) => Ok(elements),
            other => Err(other.refused(name, "a Uint32Array")),
        }
    }

    /// The elements of a `Float32Array`.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn float32(self, name: &str) -> Result<Vec<f32>> {
        match self {
            Self::Float32(elements) => Ok(elements),
            other => Err(other.refused(name, "a Float32Array")),
        }
    }

    /// The error that says what was expected and what this is.
    pub fn refused(&self, name: &str, expected: &str) -> Failure {
        let received = match self {
            Self::Missing(word) => (*word).to_string(),
            Self::Number(number) if number.is_infinite() => {
                if *number > 0.0 {
                    "Infinity".into()
                } else {
                    "-Infinity".into()
                }
            }
            Self::Number(number) => number.to_string(),
            Self::Boolean(value) => value.to_string(),
            Self::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
            Self::Bytes(elements) => format!("a Uint8Array of {}", elements.len()),
            Self::Int32(elements) => format!("an Int32Array of {}", elements.len()),
            Self::Uint32(elements) => format!("a Uint32Array of {}", elements.len()),
            Self::Float32(elements) => format!("a Float32Array of {}", elements.len()),
            Self::Other(words) => words.clone(),
        };
        usage(format!("expected {expected} as {name}, received {received}"))
    }
}

impl FromNapiValue for Argument {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: the caller hands a live environment and value, as this function's contract says; each
        // conversion below is for the type that the value was found to have.
        unsafe {
            let unknown = Unknown::from_raw_unchecked(env, value);
            Ok(match unknown.get_type()? {
                ValueType::Undefined => Self::Missing("undefined"),
                ValueType::Null => Self::Missing("null"),
                ValueType::Number => Self::Number(unknown.cast()?),
                ValueType::Boolean => Self::Boolean(unknown.cast()?),
                ValueType::String => Self::Text(unknown.cast()?),
                ValueType::Object if TypedArray::validate(env, value).is_ok() => elements(&unknown.cast()?),
                ValueType::Object => Self::Other("an object".into()),
                ValueType::Function => Self::Other("a function".into()),
                other => Self::Other(format!("a {other}").to_lowercase()),
            })
        }
    }
}

impl TypeName for Argument {
    fn type_name() -> &'static str {
        "Argument"
    }

    fn value_type() -> ValueType {
        ValueType::Unknown
    }
}

impl ValidateNapiValue for Argument {
    /// Any value will do. (A null pointer says that it is no rejected promise.)
    unsafe fn validate(_: sys::napi_env, _: sys::napi_value) -> napi::Result<sys::napi_value> {
        Ok(std::ptr::null_mut())
    }
}

/// A copy of a typed array.
fn elements(array: &TypedArray) -> Argument {
    let words = array.arraybuffer.as_chunks::<4>().0.iter().copied();
    match array.typed_array_type {
        TypedArrayType::Uint8 => Argument::Bytes(array.arraybuffer.to_vec()),
        TypedArrayType::Int32 => Argument::Int32(words.map(i32::from_ne_bytes).collect()),
        TypedArrayType::Uint32 => Argument::Uint32(words.map(u32::from_ne_bytes).collect()),
        TypedArrayType::Float32 => Argument::Float32(words.map(f32::from_ne_bytes).collect()),
        other => Argument::Other(format!("another typed array ({})", other.as_ref())),
    }
}

/// The fields of an argument that should be an object; of anything else, all fields are missing.
pub struct Fields<'env>(Option<Object<'env>>);

impl Fields<'_> {
    /// The field of that name.
    ///
    /// # Errors
    /// When a getter throws; its exception is then the one that JavaScript sees.
    pub fn field(&self, name: &str) -> napi::Result<Argument> {
        let field = match &self.0 {
            Some(object) => object.get::<Argument>(name)?,
            None => None,
        };
        Ok(field.unwrap_or(Argument::Missing("undefined")))
    }

    /// The elements of the field of that name.
    ///
    /// # Errors
    /// When a getter throws; its exception is then the one that JavaScript sees.
    pub fn list(&self, name: &str, most: usize) -> napi::Result<List> {
        let field = self.0.as_ref().map(|object| object.get::<Unknown<'_>>(name)).transpose()?.flatten();
        let Some(field) = field.filter(|field| field.is_array().unwrap_or(false)) else {
            return Ok(Err("no list".into()));
        };
        // SAFETY: it was found to be an array.
        let array: Object<'_> = unsafe { field.cast() }?;
        let length = array.get_array_length()?;
        if length == 0 || length as usize > most {
            return Ok(Err(format!("a list of {length}")));
        }
        (0..length).map(|index| array.get_element(index)).collect::<napi::Result<Vec<_>>>().map(Ok)
    }
}

/// The elements of an array of 1 to so many, or what there was instead, in words.
pub type List = std::result::Result<Vec<Argument>, String>;

impl FromNapiValue for Fields<'_> {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: the caller hands a live environment and value, as this function's contract says.
        let unknown = unsafe { Unknown::from_raw_unchecked(env, value) };
        let is_object = unknown.get_type()? == ValueType::Object;
        Ok(Self(is_object.then(|| Object::from_raw(env, unknown.raw()))))
    }
}
