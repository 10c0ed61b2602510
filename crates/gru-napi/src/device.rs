//! Which device a network runs on, and what is known of the GPUs.

use crate::error::{self, Result};
use crate::panics;
use gru_core::cpu::CpuBackend;
use gru_core::cpu::kernel::Path;
use gru_core::{Backend, Error, Sizes};
use gru_cuda::Precision;
use gru_cuda::probe::{Outcome, Stage, driver_release, version_text};
use napi_derive::napi;
use std::sync::atomic::AtomicBool;

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
///
/// @example
/// ```ts
/// import { type GpuFacts, Network } from 'gru-native';
///
/// const network = new Network({ vocabSize: 3, hiddenSize: 8, batchSize: 2, numSteps: 4, device: 'cpu' });
/// await network.ready();
/// const gpu: GpuFacts | null = network.gpu;
/// console.log(gpu === null ? `no GPU, ${network.cpuPath} instead` : gpu.name);
/// network.dispose();
/// ```
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
    /// The highest version of CUDA that the driver supports, such as `12.4`.
    pub cuda_version: String,
    /// The release of the driver, such as `550.54.14`; absent where the system does not tell it.
    pub driver_release: Option<String>,
    /// The PTX that it loaded, such as `gru_sm80`; several are joined by ` + `.
    pub ptx: String,
    /// Time that loading the kernels took, in seconds; the first time on a machine the driver compiles them.
    pub module_seconds: f64,
}

/// Checks what can be told without the device: that the sizes can be indexed there.
///
/// # Errors
/// [`Error::Size`].
pub fn check_sizes(choice: Choice, sizes: &Sizes) -> std::result::Result<(), Error> {
    match choice {
        Choice::Cpu => Ok(()), // what makes the backend finds out
        Choice::Cuda(_) => gru_cuda::arena::Arena::new(sizes).map(|_| ()),
    }
}

/// Makes the backend of a network on the CPU, on the thread that will use it.
///
/// # Errors
/// What the backend reports.
pub fn on_cpu(sizes: Sizes, threads: usize, path: Path) -> std::result::Result<Box<dyn Backend>, Error> {
    Ok(Box::new(CpuBackend::on_path(sizes, threads, path)?))
}

/// Makes the backend of a network on a GPU, where a corpus of that length must fit too. Gives up when `unwanted`
/// is set.
///
/// # Errors
/// Why no GPU can be used, or what would fit.
pub fn on_cuda(
    index: Option<usize>,
    sizes: Sizes,
    precision: Precision,
    corpus_length: usize,
    unwanted: &AtomicBool,
) -> std::result::Result<(Box<dyn Backend>, GpuFacts), Error> {
    let (backend, facts) = gru_cuda::open_for(index, sizes, precision, corpus_length, unwanted)?;
    let facts = GpuFacts {
        index: facts.device.index as u32,
        name: facts.device.name,
        compute_capability: capability_text(facts.device.capability),
        memory_bytes: facts.device.memory as f64,
        cuda_version: version_text(facts.cuda_version),
        driver_release: facts.driver_release,
        ptx: facts.ptx,
        module_seconds: facts.load_seconds,
    };
    Ok((Box::new(backend), facts))
}

/// "9.0"
pub fn capability_text((major, minor): (i32, i32)) -> String {
    format!("{major}.{minor}")
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
    /// The stages of this GPU, in order; none where it was not tried, since one before it will do.
    pub stages: Vec<CudaStage>,
}

/// What stands between this machine and training on a GPU.
#[napi(object, object_from_js = false)]
pub struct CudaReport {
    /// Whether every stage passed.
    pub available: bool,
    /// Every stage on the way to a GPU, in order: the driver's, then those of the GPU that was chosen or, where
    /// none will do, of the one that came farthest.
    pub stages: Vec<CudaStage>,
    /// Every GPU that the driver lists, usable or not.
    pub devices: Vec<CudaDevice>,
    /// The number of the GPU that `cuda` means: the first for which every stage passed.
    pub chosen: Option<u32>,
    /// The highest version of CUDA that the driver supports, such as `12.4`.
    pub cuda_version: Option<String>,
    /// The release of the driver, such as `550.54.14`; absent where the system does not tell it.
    pub driver_release: Option<String>,
    /// The PTX that was loaded, ` + ` between its names.
    pub ptx: Option<String>,
}

/// Looks at every stage, the kernels' self-test included, of one GPU after the other until one will do. Blocks
/// for up to some seconds; loads the driver into this process for good.
#[napi(catch_unwind)]
pub fn cuda_report() -> Result<CudaReport> {
    let report = panics::catch(|| gru_cuda::examine(None)).map_err(|text| error::panicked(&text))?;
    let stages_of = |index: usize| {
        let attempt = report.attempts.iter().find(|attempt| attempt.index == index);
        attempt.map(|attempt| attempt.stages.iter().map(stage).collect()).unwrap_or_default()
    };
    Ok(CudaReport {
        available: report.passed(),
        stages: report.stages().iter().map(stage).collect(),
        devices: report
            .devices
            .iter()
            .map(|device| CudaDevice {
                index: device.index as u32,
                name: device.name.clone(),
                compute_capability: capability_text(device.capability),
                memory_bytes: device.memory as f64,
                stages: stages_of(device.index),
            })
            .collect(),
        chosen: report.chosen.map(|index| index as u32),
        cuda_version: report.cuda_version.map(version_text),
        driver_release: report.cuda_version.and_then(|_| driver_release()),
        ptx: report.ptx,
    })
}

fn stage((stage, outcome): &(Stage, Outcome)) -> CudaStage {
    let name = stage.name().to_string();
    let (outcome, detail, failure) = match outcome {
        Outcome::Passed(detail) => ("passed", detail.clone(), None),
        Outcome::Failed(failure) => ("failed", failure.cause(), Some(failure)),
        Outcome::NotReached => ("not reached", String::new(), None),
    };
    let reason = failure.map(|failure| failure.reason.code());
    let hint =
        failure.filter(|failure| !failure.hint.is_empty()).map(|failure| error::sentence(&failure.hint));
    CudaStage { name, outcome, detail, reason, hint }
}
