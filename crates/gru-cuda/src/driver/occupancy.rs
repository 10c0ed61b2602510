//! How many groups of blocks of a persistent kernel the device holds at the same time.

use super::guard::guard;
use crate::Kernel;
use crate::recurrence::{Exchange, Persistent};
use cudarc::driver::{DriverError, result, sys};
use sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED as LARGE_CLUSTERS;

/// Blocks of a cluster that every device with clusters takes.
const PORTABLE_CLUSTER: usize = 8;

/// Asks for whatever the kernel needs allowed before it can be launched; whether the device allows it.
pub(super) fn allow(kernel: Kernel, function: sys::CUfunction) -> bool {
    match kernel.persistent() {
        Some(pair) if pair.exchange == Exchange::Cluster && pair.blocks() > PORTABLE_CLUSTER => {
            // SAFETY: the function is of a loaded module.
            guard(|| unsafe { result::function::set_function_attribute(function, LARGE_CLUSTERS, 1) }).is_ok()
        }
        _ => true,
    }
}

/// Groups of a kernel of the pair that run at the same time.
pub(super) fn resident_groups(pair: Persistent, function: sys::CUfunction) -> Result<u32, DriverError> {
    match pair.exchange {
        Exchange::Cluster => clusters(pair, function),
        Exchange::Words => groups_of_blocks(pair, function),
    }
}

/// Groups whose blocks are all on the device together, as a cooperative launch wants them.
fn groups_of_blocks(pair: Persistent, function: sys::CUfunction) -> Result<u32, DriverError> {
    use sys::CUdevice_attribute_enum as Attribute;
    let mut device = 0;
    // SAFETY: a context is current, and the number outlives the call.
    unsafe { sys::cuCtxGetDevice(&raw mut device) }.result()?;
    // SAFETY: the device is that of the current context.
    let ask = |attribute| unsafe { result::device::get_attribute(device, attribute) };
    if ask(Attribute::CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH)? == 0 {
        return Ok(0);
    }
    let multiprocessors = ask(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
    let threads = pair.threads() as i32;
    // SAFETY: the function is of a loaded module.
    let blocks = unsafe { result::occupancy::max_active_block_per_multiprocessor(function, threads, 0) }?;
    Ok(u32::try_from(blocks * multiprocessors).unwrap_or(0) / pair.blocks() as u32)
}

fn clusters(pair: Persistent, function: sys::CUfunction) -> Result<u32, DriverError> {
    let blocks = pair.blocks() as u32;
    let dimension = sys::CUlaunchAttributeValue_union__bindgen_ty_1 { x: blocks, y: 1, z: 1 };
    // The kernel was compiled for clusters of just this size: the query holds them against each other.
    let mut attribute = sys::CUlaunchAttribute {
        id: sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
        pad: [0; 4],
        value: sys::CUlaunchAttributeValue { clusterDim: dimension },
    };
    let config = sys::CUlaunchConfig {
        gridDimX: blocks,
        gridDimY: 1,
        gridDimZ: 1,
        blockDimX: pair.threads() as u32,
        blockDimY: 1,
        blockDimZ: 1,
        sharedMemBytes: 0,
        hStream: std::ptr::null_mut(),
        attrs: &raw mut attribute,
        numAttrs: 1,
    };
    let mut clusters = 0;
    // SAFETY: the function is of a loaded module; the configuration and its one attribute outlive the call.
    unsafe { sys::cuOccupancyMaxActiveClusters(&raw mut clusters, function, &raw const config) }.result()?;
    Ok(u32::try_from(clusters).unwrap_or(0))
}
