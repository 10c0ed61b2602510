//! Clusters: which sizes a function may have, and how many of them a device holds at the same time.

use crate::codes::{Code, INVALID_CLUSTER_SIZE, INVALID_HANDLE, INVALID_VALUE};
use crate::device::capability;
use crate::settings::{Clusters, Settings};
use crate::state::{Context, Function, Handle, call_in_context, put};
use gru_cuda::Kernel;
use std::ffi::{c_int, c_uint};

/// The attribute of a function that allows clusters of more blocks than every device takes.
const LARGE_CLUSTERS: c_int = 14;
/// Blocks of a cluster that every device takes.
const PORTABLE: c_uint = 8;
/// The attribute of a launch that says how large its clusters are.
const CLUSTER_DIMENSION: c_int = 4;

/// As `CUlaunchAttribute`, whose value is a union of 64 bytes.
#[repr(C)]
struct Attribute {
    id: c_int,
    padding: [u8; 4],
    value: [c_uint; 16],
}

/// As `CUlaunchConfig`.
#[repr(C)]
struct Configuration {
    blocks: [c_uint; 3],
    threads: [c_uint; 3],
    shared_bytes: c_uint,
    stream: Handle,
    attributes: *const Attribute,
    num_attributes: c_uint,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncSetAttribute(function: Handle, attribute: c_int, value: c_int) -> Code {
    call_in_context("cuFuncSetAttribute", |context, settings| {
        let function = context.functions.get_mut(&function.addr()).ok_or(INVALID_HANDLE)?;
        if attribute != LARGE_CLUSTERS || !settings.large_clusters {
            return Err(INVALID_VALUE);
        }
        function.large_clusters = value != 0;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxActiveClusters(
    clusters: *mut c_int,
    function: Handle,
    configuration: *const Configuration,
) -> Code {
    call_in_context("cuOccupancyMaxActiveClusters", |context, settings| {
        let size = cluster_size(context, settings, function)?;
        // SAFETY: the caller's promise: null or a configuration.
        let asked = unsafe { configuration.as_ref() }.ok_or(INVALID_VALUE)?;
        if asked.attributes.is_null() || asked.num_attributes != 1 {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller's promise: as many attributes as it says.
        let attribute = unsafe { &*asked.attributes };
        let whole = attribute.value[..3] == [size, 1, 1] && asked.blocks[0].is_multiple_of(size);
        if attribute.id != CLUSTER_DIMENSION || !whole || !(1..=1024).contains(&asked.threads[0]) {
            return Err(INVALID_VALUE);
        }
        let Clusters::Fit(number) = settings.clusters else { return Err(INVALID_CLUSTER_SIZE) };
        // SAFETY: the caller's promise.
        unsafe { put(clusters, number) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    blocks: *mut c_int,
    function: Handle,
    threads: c_int,
    shared_bytes: usize,
) -> Code {
    call_in_context("cuOccupancyMaxActiveBlocksPerMultiprocessor", |context, _| {
        if !context.functions.contains_key(&function.addr()) {
            return Err(INVALID_HANDLE);
        }
        if !(1..=1024).contains(&threads) || shared_bytes != 0 {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller's promise.
        unsafe { put(blocks, 1) }
    })
}

/// Whether the blocks of a kernel wait for each other without being a cluster: the emulator runs them as one, a driver
/// must be asked to launch them cooperatively.
pub fn is_cooperative(kernel: &str) -> bool {
    Kernel::all().iter().any(|each| each.name() == kernel && each.is_cooperative())
}

/// The blocks of a cluster of a function, if the device takes as many.
pub fn cluster_size(context: &Context, settings: &Settings, function: Handle) -> Result<c_uint, Code> {
    let Function { kernel, large_clusters, .. } =
        context.functions.get(&function.addr()).ok_or(INVALID_HANDLE)?;
    let group = gru_cuda_emulator::cluster_size(kernel).ok_or(INVALID_HANDLE)?;
    let size = if is_cooperative(kernel) { 1 } else { group };
    let has_clusters = capability(settings, context.device)? >= (9, 0);
    if size > 1 && !has_clusters || size > PORTABLE && !large_clusters {
        return Err(INVALID_CLUSTER_SIZE);
    }
    Ok(size)
}
