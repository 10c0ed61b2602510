//! [`Facts`]: what is known of an open device.

use super::Resources;
use crate::probe::Found;

/// What is known of an open device.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Number, name, compute capability, memory.
    pub device: Found,
    /// The highest version of CUDA that the driver supports: 12020 is 12.2.
    pub cuda_version: i32,
    /// The driver's release, where the system tells it.
    pub driver_release: Option<String>,
    /// The names of the PTX that was loaded so far, ` + ` between them.
    pub ptx: String,
    /// What should have been loaded and was not, in words.
    pub missing: Vec<String>,
    /// How long the driver took for the context, in seconds.
    pub context_seconds: f64,
    /// How long it took to compile and load the kernels, in seconds. It keeps what it compiled on the disk.
    pub load_seconds: f64,
    /// What each loaded kernel takes.
    pub resources: Vec<Resources>,
}
