//! From nothing to a network on a GPU: the stages of [`crate::search`], then memory.

use crate::Precision;
use crate::arena::Arena;
use crate::backend::CudaBackend;
use crate::driver::{Driver, Facts};
use crate::probe::Report;
use crate::search::{patience, search};
use crate::self_test::Subject;
use gru_core::{Error, Sizes};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A network of zeros on GPU `index`, or on the first that will do. Takes some tenths of a second; the first
/// time on a machine the driver compiles the kernels as well.
///
/// # Errors
/// [`Error::Unavailable`] with the stage that failed; [`Error::DeviceMemory`]; [`Error::Size`].
pub fn open(index: Option<usize>, sizes: Sizes) -> Result<(CudaBackend<Driver>, Facts), Error> {
    open_for(index, sizes, Precision::Fp32, 0, &AtomicBool::new(false))
}

/// [`open()`] with other operands, for a corpus of so many characters, for which memory must be left. Given up when
/// `unwanted` is set: then the error means nothing, and a thread that waits for the driver may be left behind.
///
/// # Errors
/// As of [`open()`].
pub fn open_for(
    index: Option<usize>,
    sizes: Sizes,
    precision: Precision,
    corpus: usize,
    unwanted: &AtomicBool,
) -> Result<(CudaBackend<Driver>, Facts), Error> {
    Arena::new(&sizes)?;
    let subject = Subject { precision, hidden_size: sizes.hidden_size };
    let found = search(index, subject, patience(), unwanted, move |driver| {
        let mut backend = CudaBackend::for_corpus(driver, sizes, precision, corpus)?;
        let facts = backend.device().facts();
        Ok((backend, facts))
    });
    match found.taken {
        Some(Ok(opened)) => Ok(opened),
        // Nothing was computed yet: to who asked for it, the device is not there.
        Some(Err(Error::Device { what, reason })) => {
            let (received, hint) = reason.split_once("; ").unwrap_or((&reason, ""));
            let expected = format!("the device to {what}");
            Err(Error::Unavailable { expected, received: received.into(), hint: hint.into() })
        }
        Some(Err(error)) => Err(error),
        None => Err(unavailable(&found.report)),
    }
}

/// Looks at every stage, up to the self-test, of GPU `index` or of one after the other until one will do.
pub fn examine(index: Option<usize>) -> Report {
    examine_within(index, patience())
}

/// [`examine`] with another limit for the time of a stage.
pub fn examine_within(index: Option<usize>, patience: Duration) -> Report {
    search(index, Subject::default(), patience, &AtomicBool::new(false), |driver| {
        drop(driver);
        Ok(())
    })
    .report
}

/// The stage that failed, as an error; of several devices, where each failed.
fn unavailable(report: &Report) -> Error {
    let Some((stage, failure)) = report.failure() else {
        return Error::Unavailable { expected: "a GPU".into(), received: "none".into(), hint: String::new() };
    };
    let failures: Vec<String> = report
        .failures()
        .map(|(index, stage, failure)| format!("{}: {} on cuda:{index}", stage.name(), failure.reason.code()))
        .collect();
    let place = match &failures[..] {
        [] | [_] => format!("{}: {}", stage.name(), failure.reason.code()),
        several => several.join("; "),
    };
    Error::Unavailable {
        expected: failure.expected.clone(),
        received: format!("{} ({place})", failure.received),
        hint: failure.hint.clone(),
    }
}
