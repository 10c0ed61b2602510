//! The Node addon of gru-native: arguments and results, promises, threads and their end. All arithmetic is in
//! gru-core and gru-cuda.
//!
//! What it exports to JavaScript, and where:
//!
//! | export | file |
//! |---|---|
//! | `Network` | [`network`] |
//! | `NetworkOptions` | [`options`] |
//! | `ParameterTensor`, `ForwardResult`, `GradientResult` | [`results`] |
//! | `EpochPlan` | [`plan`] |
//! | `CancelFlag`, `EpochProgress`, `EpochResult` | [`epoch`] |
//! | `Generation`, `GenerationOptions`, `GenerationPiece` | [`generation`] |
//! | `encodeModel`, `decodeModel`, `ModelContents` | [`model_file`] |
//! | `FileLock` | [`lock`] |
//! | `cudaReport`, `CudaReport`, `CudaStage`, `CudaDevice`, `GpuFacts` | [`device`] |
//! | `kernelChoices`, `KernelChoice` | [`choices`] |
//! | `cpuFeatures`, `cpuPath`, `availableThreads`, `version` | [`machine`] |
//! | `buildInfo`, `BuildInfo`, `CarriedPtx` | [`build_info`] |
//!
//! and what stays inside: [`worker`], the thread of a network, and [`panics`], both of which know nothing of
//! Node; [`promise`], which joins the two worlds; [`lifetime`], which ends the threads with their environment;
//! [`argument`] and [`error`].

pub mod argument;
pub mod build_info;
pub mod choices;
pub mod device;
pub mod epoch;
pub mod error;
pub mod generation;
pub mod lifetime;
pub mod lock;
pub mod machine;
pub mod memory;
pub mod model_file;
pub mod network;
pub mod options;
pub mod panics;
pub mod plan;
pub mod promise;
pub mod results;
pub mod worker;

/// Runs once, when Node loads the addon.
#[napi_derive::module_init]
fn init() {
    panics::silence();
}
