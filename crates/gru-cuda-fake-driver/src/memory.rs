//! Memory: the emulator's, of which kernels see every byte and no other.

use crate::capture::running;
use crate::codes::{Code, INVALID_VALUE, OUT_OF_MEMORY, STREAM_CAPTURE_UNSUPPORTED};
use crate::settings::Settings;
use crate::state::{Context, Handle, Work, call_in_context, put};
use crate::stream::finish;
use std::ffi::c_void;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> Code {
    call_in_context("cuMemAlloc_v2", |context, settings| {
        if context.spoil_captures() {
            return Err(STREAM_CAPTURE_UNSUPPORTED);
        }
        if bytes == 0 {
            return Err(INVALID_VALUE);
        }
        if bytes > free(context, settings).min(settings.largest) {
            return Err(OUT_OF_MEMORY);
        }
        let begin = gru_cuda_emulator::allocate(bytes).ok_or(OUT_OF_MEMORY)?;
        context.memory.insert(begin, bytes);
        // SAFETY: the caller's promise.
        unsafe { put(address, begin) }
    })
}

/// Waits for everything, as a driver does before it takes memory back.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemFree_v2(address: u64) -> Code {
    call_in_context("cuMemFree_v2", |context, settings| {
        if context.spoil_captures() {
            return Err(STREAM_CAPTURE_UNSUPPORTED);
        }
        if !context.memory.contains_key(&address) {
            return Err(INVALID_VALUE);
        }
        for stream in context.streams.keys().copied().collect::<Vec<usize>>() {
            finish(context, settings, stream)?;
        }
        context.memory.remove(&address);
        gru_cuda_emulator::free(address);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemGetInfo_v2(available: *mut usize, total: *mut usize) -> Code {
    // SAFETY: the caller's promise.
    call_in_context("cuMemGetInfo_v2", |context, settings| unsafe {
        put(available, free(context, settings))?;
        put(total, settings.memory.of(context.device))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    to: u64,
    from: *const c_void,
    bytes: usize,
    stream: Handle,
) -> Code {
    call_in_context("cuMemcpyHtoDAsync_v2", |context, _| {
        running(context, stream)?;
        if from.is_null() || !context.holds(to, bytes) {
            return Err(INVALID_VALUE);
        }
        running(context, stream)?.push_back(Work::CopyIn { from: from.expose_provenance(), to, bytes });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, stream: Handle) -> Code {
    call_in_context("cuMemcpyDtoHAsync_v2", |context, _| {
        running(context, stream)?;
        if to.is_null() || !context.holds(from, bytes) {
            return Err(INVALID_VALUE);
        }
        running(context, stream)?.push_back(Work::CopyOut { from, to: to.expose_provenance(), bytes });
        Ok(())
    })
}

/// Memory of the device that is not in use.
fn free(context: &Context, settings: &Settings) -> usize {
    settings.memory.of(context.device).saturating_sub(context.memory.values().sum())
}
