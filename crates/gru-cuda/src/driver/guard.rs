//! The border to cudarc: what it refuses and what it panics with become values.

use crate::probe::{Failure, OUT_OF_MEMORY, Reason, hint, panic_text, panicked};
use cudarc::driver::DriverError;
use gru_core::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a call did not do what it should.
#[derive(Debug)]
pub(super) enum Fault {
    /// The driver gave a code; in text, with its name.
    Refused {
        /// The driver's result code.
        code: u32,
        /// Its name and meaning in the driver's words.
        words: String,
    },
    /// cudarc panicked, which it does where the library lacks a function.
    Panicked(String),
}

impl Fault {
    pub(super) fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Refused { code: OUT_OF_MEMORY, .. })
    }

    /// The fault of an operation.
    pub(super) fn error(self, what: impl Into<String>) -> Error {
        let reason = match self {
            Self::Refused { code, words } => format!("{words}; {}", hint(code)),
            Self::Panicked(text) => format!("{}: {text}", Reason::Panic.code()),
        };
        Error::Device { what: what.into(), reason }
    }

    /// The fault of a stage.
    pub(super) fn failure(self, reason: Reason, expected: &str) -> Failure {
        match self {
            Self::Refused { code: code @ OUT_OF_MEMORY, words } => {
                Failure::new(Reason::OutOfMemory, expected, words, hint(code))
            }
            Self::Refused { code, words } => Failure::new(reason, expected, words, hint(code)),
            Self::Panicked(text) => panicked(&text),
        }
    }
}

/// Calls cudarc.
pub(super) fn guard<T>(call: impl FnOnce() -> Result<T, DriverError>) -> Result<T, Fault> {
    // Unwind safety: after a panic the caller gives up what it was doing; the driver's own state is not
    // behind Rust references.
    match catch_unwind(AssertUnwindSafe(|| call().map_err(describe))) {
        Ok(result) => result,
        Err(panic) => Err(Fault::Panicked(panic_text(&*panic))),
    }
}

/// Calls cudarc where nothing can be done about a failure: when things are given back.
pub(super) fn quietly(call: impl FnOnce() -> Result<(), DriverError>) {
    let _ = guard(call);
}

/// "CUDA_ERROR_ILLEGAL_ADDRESS (700), an illegal memory access was encountered"
fn describe(error: DriverError) -> Fault {
    let code = error.0 as u32;
    let text = |text: Result<&std::ffi::CStr, DriverError>| {
        text.map_or_else(|_| "unknown".into(), |text| text.to_string_lossy().into_owned())
    };
    let words = format!("{} ({code}), {}", text(error.error_name()), text(error.error_string()));
    Fault::Refused { code, words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_text() {
        let fault = guard::<()>(|| panic!("Missing symbol {}", "cuExample")).unwrap_err();
        assert!(!fault.is_out_of_memory());
        let Error::Device { what, reason } = fault.error("do it") else { panic!("expected Error::Device") };
        assert_eq!((what.as_str(), reason.as_str()), ("do it", "PANIC: Missing symbol cuExample"));

        let fault = guard::<()>(|| panic!("words")).unwrap_err();
        let failure = fault.failure(Reason::KernelLoadFailed, "kernels");
        assert_eq!((failure.reason, failure.received.as_str()), (Reason::Panic, "words"));
    }

    #[test]
    fn out_of_memory_has_its_own_reason() {
        let fault = Fault::Refused { code: OUT_OF_MEMORY, words: "words".into() };
        assert_eq!(fault.failure(Reason::KernelLoadFailed, "kernels").reason, Reason::OutOfMemory);
        let fault = Fault::Refused { code: 218, words: "words".into() };
        assert_eq!(fault.failure(Reason::KernelLoadFailed, "kernels").reason, Reason::KernelLoadFailed);
    }
}
