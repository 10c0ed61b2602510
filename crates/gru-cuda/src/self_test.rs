//! The last stage before a device is used: does it compute what it should?

use crate::Precision;
use crate::backend::CudaBackend;
use crate::device::Device;
use crate::driver::Driver;
use crate::probe::{Failure, Reason, Stage};
use gru_core::oracle::Oracle;
use gru_core::random::initial_parameters;
use gru_core::{Backend, Error, Plan, Sizes};
use std::ops::ControlFlow;

/// What is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Operands of the products.
    pub precision: Precision,
    /// Hidden units, which decide what runs the time steps.
    pub hidden_size: usize,
}

/// Where no network is at hand.
impl Default for Subject {
    fn default() -> Self {
        Self { precision: Precision::Fp32, hidden_size: 19 }
    }
}

/// More than any persistent kernel holds, so that what is larger runs the same kernels.
const MOST_HIDDEN: usize = 520;

impl Subject {
    /// A network with other kernels than these is not tested. Small otherwise, with a partial block in every
    /// dimension, so that it costs a moment and runs every kernel.
    fn sizes(self) -> Sizes {
        let hidden_size = self.hidden_size.min(MOST_HIDDEN);
        Sizes { vocab_size: 7, hidden_size, batch_size: 5, num_steps: 3, candidate_bias: true }
    }
}

/// How far a result may be from the oracle's, relative to it. Rounding to 24, 11 or 8 bits makes up about 1e-6, 1e-4
/// and 1e-3; a kernel that does not do its work is wrong by far more.
const fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::Fp32 => 1e-4,
        Precision::Tf32 => 2e-3,
        Precision::Bf16 => 1e-2,
    }
}

/// The stage: gives the driver back if it computes what it should with these operands, having told `passed`.
pub(crate) fn check(
    mut driver: Driver,
    subject: Subject,
    passed: &mut dyn FnMut(Stage, String),
) -> Result<Driver, Failure> {
    let expected = "kernels that compute what the equations say";
    let hint = "report it with the output of gru-native doctor";
    let precision = subject.precision;
    match greatest_error(&mut driver, subject) {
        Ok(error) if passes(error, precision) => {
            let facts = driver.facts();
            let missing: String = facts.missing.iter().map(|missing| format!("; {missing}")).collect();
            let detail = format!("relative error {error:.0e} in {} by {}", precision.name(), facts.ptx);
            passed(Stage::SelfTest, detail + &missing);
            Ok(driver)
        }
        Ok(error) => {
            let received = format!("a relative error of {error:.0e} in {}", precision.name());
            Err(Failure::new(Reason::SelfTestFailed, expected, received, hint))
        }
        Err(error) => Err(failure(&error)
            .unwrap_or_else(|| Failure::new(Reason::SelfTestFailed, expected, error.to_string(), hint))),
    }
}

/// Too little memory, which says nothing of the user's network.
fn failure(error: &Error) -> Option<Failure> {
    let (expected, received) = match error {
        Error::DeviceMemory { bytes, free, .. } => {
            (format!("{bytes} bytes of free device memory"), free.to_string())
        }
        Error::DeviceExhausted { what, free, .. } => {
            (format!("device memory for {what}"), format!("none with {free} bytes free"))
        }
        _ => return None,
    };
    let hint = "end other programs that use the GPU";
    Some(Failure::new(Reason::OutOfMemory, expected, received, hint))
}

/// Trains a tiny network for two updates on the device and on the oracle. Gives back the greatest relative
/// error of losses and gradient norms; of the second update they depend on every kernel of the first.
///
/// # Errors
/// What the device reports.
pub fn greatest_error<D: Device>(device: D, subject: Subject) -> Result<f64, Error> {
    let sizes = subject.sizes();
    let mut backend = CudaBackend::for_corpus(device, sizes, subject.precision, 0)?;
    let reports = train(&mut backend)?;
    let exact = train(&mut Oracle::new(sizes)?)?;
    if reports.len() != exact.len() {
        return Ok(f64::INFINITY);
    }
    let errors = reports.iter().zip(&exact).map(|(computed, exact)| ((computed - exact) / exact).abs());
    // What is not a number counts as all wrong.
    Ok(errors.map(|error| if error.is_nan() { f64::INFINITY } else { error }).fold(0.0, f64::max))
}

/// Whether the error is what rounding makes of it.
pub fn passes(error: f64, precision: Precision) -> bool {
    error <= tolerance(precision)
}

fn train(backend: &mut dyn Backend) -> Result<Vec<f64>, Error> {
    // As large as leaves the gates half open, however many units add up.
    let scale = 1.3 / (backend.sizes().hidden_size as f64).sqrt();
    backend.set_parameters(&initial_parameters(backend.sizes(), 1, scale))?;
    backend.load_corpus(&(0..40).map(|i| (i * i + i / 3) % 7).collect::<Vec<u32>>())?;
    let plan = Plan {
        starts: (0..10).map(|i| i * 3).collect(),
        num_steps: backend.sizes().num_steps,
        learning_rate: vec![0.5; 2],
        max_grad_norm: 1.0,
        carry_state: true,
    };
    let mut reports = vec![];
    backend.train(&plan, &mut |_, update| {
        reports.extend([update.loss_sum, update.gradient_norm]);
        ControlFlow::Continue(())
    })?;
    Ok(reports)
}
