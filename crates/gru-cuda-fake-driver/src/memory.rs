//! Memory: the emulator's, of which kernels see every byte and no other.

use crate::codes::{Code, INVALID_VALUE, OUT_OF_MEMORY, STREAM_CAPTURE_UNSUPPORTED};
use crate::state::{Handle, State, call_in_context, put};
use crate::stream::check_running;
use std::ffi::c_void;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> Code {
    call_in_context("cuMemAlloc_v2", |state, settings| {
        if state.spoil_captures() {
            return Err(STREAM_CAPTURE_UNSUPPORTED);
        }
        if bytes == 0 {
            return Err(INVALID_VALUE);
        }
        if bytes > settings.memory.saturating_sub(used(state)) {
            return Err(OUT_OF_MEMORY);
        }
        let begin = gru_cuda_emulator::allocate(bytes).ok_or(OUT_OF_MEMORY)?;
        state.memory.insert(begin, bytes);
        // SAFETY: the caller's promise.
        unsafe { put(address, begin) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemFree_v2(address: u64) -> Code {
    call_in_context("cuMemFree_v2", |state, _| {
        if state.spoil_captures() {
            return Err(STREAM_CAPTURE_UNSUPPORTED);
        }
        state.memory.remove(&address).ok_or(INVALID_VALUE)?;
        gru_cuda_emulator::free(address);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Code {
    // SAFETY: the caller's promise.
    call_in_context("cuMemGetInfo_v2", |state, settings| unsafe {
        put(free, settings.memory - used(state))?;
        put(total, settings.memory)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    to: u64,
    from: *const c_void,
    bytes: usize,
    stream: Handle,
) -> Code {
    call_in_context("cuMemcpyHtoDAsync_v2", |state, _| {
        check_running(state, stream)?;
        if from.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller's promise: that many bytes to read.
        let from = unsafe { std::slice::from_raw_parts(from.cast(), bytes) };
        if gru_cuda_emulator::write(to, from) { Ok(()) } else { Err(INVALID_VALUE) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, stream: Handle) -> Code {
    call_in_context("cuMemcpyDtoHAsync_v2", |state, _| {
        check_running(state, stream)?;
        if to.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller's promise: that many bytes to write, which nothing else uses meanwhile.
        let to = unsafe { std::slice::from_raw_parts_mut(to.cast(), bytes) };
        if gru_cuda_emulator::read(from, to) { Ok(()) } else { Err(INVALID_VALUE) }
    })
}

fn used(state: &State) -> usize {
    state.memory.values().sum()
}
