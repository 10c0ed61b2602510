//! Errors as JavaScript sees them: an `Error` whose `code` is one of ours (src/errors.ts lists them all).

use crate::worker::WorkError;
use gru_core::model_file::{ModelFileError, WriteError};
use napi::Status;
use std::io::{self, ErrorKind};

/// The codes that come from the addon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// An argument is wrong.
    Usage,
    /// Bytes are not a model of this kind.
    Model,
    /// The device asked for cannot be used.
    Device,
    /// The device failed while it computed.
    DeviceFault,
    /// Memory could not be had.
    OutOfMemory,
    /// The network was disposed of.
    Disposed,
    /// Another run holds the output directory.
    OutputBusy,
    /// A bug, or a system that gives no threads.
    Internal,
    /// The system refused something about a file: the code that Node's own file functions give.
    System(&'static str),
}

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        match self {
            Self::Usage => "GRU_USAGE",
            Self::Model => "GRU_MODEL",
            Self::Device => "GRU_DEVICE",
            Self::DeviceFault => "GRU_DEVICE_FAULT",
            Self::OutOfMemory => "GRU_OUT_OF_MEMORY",
            Self::Disposed => "GRU_DISPOSED",
            Self::OutputBusy => "GRU_OUTPUT_BUSY",
            Self::Internal => "GRU_INTERNAL",
            Self::System(code) => code,
        }
    }
}

impl From<Status> for Code {
    fn from(_: Status) -> Self {
        Self::Internal
    }
}

/// An error on its way to JavaScript.
pub type Failure = napi::Error<Code>;

/// The result of an exported function.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// A wrong argument.
pub fn usage(message: String) -> Failure {
    Failure::new(Code::Usage, message)
}

/// Checks the number of elements of an array, in gru-core's words.
///
/// # Errors
/// When it is another.
pub fn length(name: &'static str, expected: usize, received: usize) -> Result<()> {
    if expected == received {
        return Ok(());
    }
    Err(core(&gru_core::Error::Length { name, expected: expected.to_string(), received }))
}

/// A failed call of Node's own interface.
pub fn internal(error: napi::Error) -> Failure {
    Failure::new(Code::Internal, format!("expected Node to carry the call out, received {}", error.reason))
}

/// A panic with this text.
pub fn panicked(text: &str) -> Failure {
    Failure::new(Code::Internal, format!("internal error, please report it: {text}"))
}

/// An error of gru-core, its names spelled as JavaScript spells them.
pub fn core(error: &gru_core::Error) -> Failure {
    use gru_core::Error as Core;
    let code = match error {
        Core::Size { .. } | Core::Length { .. } | Core::Value { .. } | Core::NoCorpus => Code::Usage,
        Core::OutOfMemory { .. } | Core::DeviceMemory { .. } | Core::DeviceExhausted { .. } => {
            Code::OutOfMemory
        }
        Core::Unavailable { .. } => Code::Device,
        Core::Device { .. } => Code::DeviceFault,
        Core::Threads { .. } => Code::Internal,
    };
    let words = error.to_string();
    // What to do goes on a second line, which src/errors.ts makes the error's hint.
    let (cause, hint) = match error {
        Core::Unavailable { hint, .. }
        | Core::DeviceMemory { hint, .. }
        | Core::DeviceExhausted { hint, .. } => (words.as_str(), hint.as_str()),
        Core::Device { .. } => words.split_once("; ").unwrap_or((&words, "")),
        _ => (words.as_str(), ""),
    };
    let cause = if code == Code::Usage { camel_case(cause) } else { cause.to_string() };
    let text = if hint.is_empty() { cause } else { format!("{cause}\n{}", sentence(hint)) };
    Failure::new(code, text)
}

/// The words with a capital letter in front and a period behind.
pub fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).chain(['.']).collect()
}

/// Bytes that are not a model.
pub fn model(error: &ModelFileError) -> Failure {
    Failure::new(Code::Model, error.to_string())
}

/// A model file that could not be written.
pub fn write(error: &WriteError) -> Failure {
    match error {
        WriteError::Contents(error) => model(error),
        WriteError::System(error) => system(error),
    }
}

/// What the file system refused.
pub fn system(error: &io::Error) -> Failure {
    let code = system_code(error);
    Failure::new(Code::System(code), format!("{code}: {error}"))
}

/// The code under which Node knows an error of the file system; `UNKNOWN` for rare ones, as in Node.
fn system_code(error: &io::Error) -> &'static str {
    // What kinds do not tell apart, by the numbers that all Unix systems share.
    match error.raw_os_error() {
        Some(1) if cfg!(unix) => return "EPERM",
        Some(5) if cfg!(unix) => return "EIO",
        Some(23) if cfg!(unix) => return "ENFILE",
        Some(24) if cfg!(unix) => return "EMFILE",
        _ => {}
    }
    match error.kind() {
        ErrorKind::StorageFull => "ENOSPC",
        ErrorKind::QuotaExceeded => "EDQUOT",
        ErrorKind::PermissionDenied => "EACCES",
        ErrorKind::ReadOnlyFilesystem => "EROFS",
        ErrorKind::FileTooLarge => "EFBIG",
        ErrorKind::AlreadyExists => "EEXIST",
        ErrorKind::NotFound => "ENOENT",
        ErrorKind::NotADirectory => "ENOTDIR",
        ErrorKind::IsADirectory => "EISDIR",
        ErrorKind::InvalidFilename => "ENAMETOOLONG",
        ErrorKind::InvalidInput => "EINVAL",
        ErrorKind::OutOfMemory => "ENOMEM",
        _ => "UNKNOWN",
    }
}

/// What a network's thread refused.
pub fn work(error: WorkError) -> Failure {
    match error {
        WorkError::Backend(error) => core(&error),
        WorkError::Disposed => {
            Failure::new(Code::Disposed, "expected a network in use, received one that was disposed of")
        }
        WorkError::Panicked(text) => panicked(&text),
        WorkError::Broken(text) => Failure::new(
            Code::Internal,
            format!("expected a sound network, received one that an internal error stopped: {text}"),
        ),
    }
}

/// `num_steps` becomes `numSteps`.
fn camel_case(text: &str) -> String {
    let mut words = text.split('_');
    let first = words.next().unwrap_or_default().to_string();
    words.fold(first, |mut joined, word| {
        let mut letters = word.chars();
        joined.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        joined.push_str(letters.as_str());
        joined
    })
}
