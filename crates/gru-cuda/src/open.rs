//! From nothing to a network on a GPU: probe, context, kernels, self-test, memory.

use crate::backend::CudaBackend;
use crate::driver::{Driver, Facts};
use crate::probe::{Failure, Reason, Report, Stage, probe};
use crate::self_test;
use gru_core::{Error, Sizes};

/// The kernels, as `npm run build:kernels` compiled them.
const PTX: &str = include_str!("../kernels/gru_sm80.ptx");

/// A network of zeros on GPU `index`, or on the first that will do. Takes some tenths of a second; the first
/// time on a machine the driver compiles the kernels as well.
///
/// # Errors
/// [`Error::Unavailable`] with the stage that failed; [`Error::DeviceMemory`]; [`Error::Size`].
pub fn open(index: Option<usize>, sizes: Sizes) -> Result<(CudaBackend<Driver>, Facts), Error> {
    let mut report = probe(index);
    let Some(driver) = ready(&mut report) else {
        return Err(unavailable(&report));
    };
    let facts = driver.facts().clone();
    Ok((CudaBackend::new(driver, sizes)?, facts))
}

/// Looks at every stage, up to the self-test, of GPU `index` or of the first that will do.
pub fn examine(index: Option<usize>) -> Report {
    let mut report = probe(index);
    drop(ready(&mut report));
    report
}

/// Opens the device that was probed, if it can be used, and notes the stages in the report.
fn ready(report: &mut Report) -> Option<Driver> {
    let mut driver = Driver::load(report, PTX).ok()?;
    let expected = "kernels that compute what the equations say";
    let hint = "report it with the output of gru-native doctor";
    let outcome = match self_test::greatest_error(&mut driver) {
        Ok(error) if self_test::passes(error) => Ok(format!("relative error {error:.0e}")),
        Ok(error) => {
            let received = format!("a relative error of {error:.0e}");
            Err(Failure::new(Reason::SelfTestFailed, expected, received, hint))
        }
        Err(error @ (Error::DeviceMemory { .. } | Error::OutOfMemory { .. })) => {
            let hint = "end other programs that use the GPU";
            Err(Failure::new(Reason::OutOfMemory, expected, error.to_string(), hint))
        }
        Err(error) => Err(Failure::new(Reason::SelfTestFailed, expected, error.to_string(), hint)),
    };
    let passed = outcome.is_ok();
    report.record(Stage::SelfTest, outcome);
    passed.then_some(driver)
}

/// The stage that failed, as an error.
fn unavailable(report: &Report) -> Error {
    let (stage, code, failure) = match report.failure() {
        Some((stage, failure)) => (stage.name(), failure.reason.code(), failure.clone()),
        None => {
            return Error::Unavailable {
                expected: "a GPU".into(),
                received: "none".into(),
                hint: String::new(),
            };
        }
    };
    Error::Unavailable {
        expected: failure.expected,
        received: format!("{} ({stage}: {code})", failure.received),
        hint: failure.hint,
    }
}
