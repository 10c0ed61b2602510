//! Which device a network runs on, and what is known of the GPUs.

use crate::error::{self, Result};
use crate::panics;
use gru_core::cpu::CpuBackend;
use gru_core::cpu::kernel::Path;
use gru_core::{Backend, Error, Sizes};
use gru_cuda::probe::{Outcome, version_text};
use napi_derive::napi;

/// A device as a name chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// `cpu`
    Cpu,
    /// `cuda:N`, or `cuda` for the first GPU that will do.
    Cuda(Option<usize>),
}

impl Choice {
    /// Reads `cpu`, `cuda` or `cuda:N`.
    ///
    /// # Errors
    /// `GRU_USAGE` for any other name.
    pub fn parse(name: &str) -> Result<Self> {
        let number = |digits: &str| {
            let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| all_digits)
        };
        match (name, name.strip_prefix("cuda:").and_then(number)) {
            ("cpu", _) => Ok(Self::Cpu),
            ("cuda", _) => Ok(Self::Cuda(None)),
            (_, Some(index)) => Ok(Self::Cuda(Some(index))),
            _ => Err(error::usage(format!("expected cpu, cuda or cuda:N as device, received {name}"))),
        }
    }
}

/// The GPU that a network runs on.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug)]
pub struct GpuFacts {
    /// Its number, as in `cuda:N`.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its compute capability, such as `9.0`.
    pub compute_capability: String,
    /// All of its memory, in bytes.
    pub memory_bytes: f64,
    /// The CUDA version that the driver is for, such as `12.4`.
    pub driver: String,
    /// The PTX that it loaded.
    pub ptx: String,
    /// Time that loading the kernels took, in seconds; the first time on a machine the driver compiles them.
    pub module_seconds: f64,
}

/// Makes the backend of a network, on the thread that will use it.
///
/// # Errors
/// What the backend reports.
pub fn make(
    choice: Choice,
    sizes: Sizes,
    threads: usize,
    path: Path,
) -> std::result::Result<(Box<dyn Backend>, Option<GpuFacts>), Error> {
    match choice {
        Choice::Cpu => Ok((Box::new(CpuBackend::on_path(sizes, threads, path)?), None)),
        Choice::Cuda(index) => {
            let (backend, facts) = gru_cuda::open(index, sizes)?;
            let (major, minor) = facts.device.capability;
            let facts = GpuFacts {
                index: facts.device.index as u32,
                name: facts.device.name,
                compute_capability: format!("{major}.{minor}"),
                memory_bytes: facts.device.memory as f64,
                driver: version_text(facts.driver_version),
                ptx: facts.ptx.into(),
                module_seconds: facts.load_seconds,
            };
            Ok((Box::new(backend), Some(facts)))
        }
    }
}

/// A stage on the way to a usable GPU.
#[napi(object, object_from_js = false)]
pub struct CudaStage {
    /// What is looked at.
    pub name: String,
    /// How it ended; `not reached` where an earlier one failed.
    #[napi(ts_type = "'passed' | 'failed' | 'not reached'")]
    pub outcome: &'static str,
    /// What was found, or what was expected and received.
    pub detail: String,
    /// Of a failed stage: the stable code of the reason, such as `NO_DRIVER`.
    pub reason: Option<&'static str>,
    /// Of a failed stage: what to do.
    pub hint: Option<String>,
}

/// A GPU that the driver lists.
#[napi(object, object_from_js = false)]
pub struct CudaDevice {
    /// Its number, as in `cuda:N`.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its compute capability, such as `9.0`.
    pub compute_capability: String,
    /// All of its memory, in bytes.
    pub memory_bytes: f64,
}

/// What stands between this machine and training on a GPU.
#[napi(object, object_from_js = false)]
pub struct CudaReport {
    /// Whether every stage passed.
    pub available: bool,
    /// Every stage, in order.
    pub stages: Vec<CudaStage>,
    /// Every GPU that the driver lists, usable or not.
    pub devices: Vec<CudaDevice>,
    /// The CUDA version that the driver is for, such as `12.4`.
    pub driver: Option<String>,
    /// The PTX that would be loaded.
    pub ptx: Option<&'static str>,
}

/// Looks at every stage, the kernels' self-test included. Blocks for up to some seconds; loads the driver into
/// this process for good.
#[napi(catch_unwind)]
pub fn cuda_report() -> Result<CudaReport> {
    let report = panics::catch(|| gru_cuda::examine(None)).map_err(|text| error::panicked(&text))?;
    let text = |(major, minor): (i32, i32)| format!("{major}.{minor}");
    Ok(CudaReport {
        available: report.passed(),
        stages: report
            .stages
            .iter()
            .map(|(stage, outcome)| {
                let name = stage.name().to_string();
                match outcome {
                    Outcome::Passed(detail) => CudaStage {
                        name,
                        outcome: "passed",
                        detail: detail.clone(),
                        reason: None,
                        hint: None,
                    },
                    Outcome::Failed(failure) => CudaStage {
                        name,
                        outcome: "failed",
                        detail: format!("expected {}, received {}", failure.expected, failure.received),
                        reason: Some(failure.reason.code()),
                        hint: Some(error::sentence(&failure.hint)),
                    },
                    Outcome::NotReached => CudaStage {
                        name,
                        outcome: "not reached",
                        detail: String::new(),
                        reason: None,
                        hint: None,
                    },
                }
            })
            .collect(),
        devices: report
            .devices
            .iter()
            .map(|device| CudaDevice {
                index: device.index as u32,
                name: device.name.clone(),
                compute_capability: text(device.capability),
                memory_bytes: device.memory as f64,
            })
            .collect(),
        driver: report.driver_version.map(version_text),
        ptx: report.ptx,
    })
}
