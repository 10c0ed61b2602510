//! Events: points in a stream with the host's time, since launches run at once.

use crate::codes::{Code, INVALID_HANDLE};
use crate::state::{Handle, as_handle, call_in_context, put};
use crate::stream::check_running;
use std::ffi::c_uint;
use std::time::Instant;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventCreate(event: *mut Handle, _flags: c_uint) -> Code {
    call_in_context("cuEventCreate", |state, _| {
        let number = state.handle();
        state.events.insert(number, None);
        // SAFETY: the caller's promise.
        unsafe { put(event, as_handle(number)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventRecord(event: Handle, stream: Handle) -> Code {
    call_in_context("cuEventRecord", |state, _| {
        check_running(state, stream)?;
        *state.events.get_mut(&event.addr()).ok_or(INVALID_HANDLE)? = Some(Instant::now());
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime(milliseconds: *mut f32, begin: Handle, end: Handle) -> Code {
    call_in_context("cuEventElapsedTime", |state, _| {
        let time = |event: Handle| state.events.get(&event.addr()).copied().flatten().ok_or(INVALID_HANDLE);
        let elapsed = time(end)?.saturating_duration_since(time(begin)?);
        // SAFETY: the caller's promise.
        unsafe { put(milliseconds, elapsed.as_secs_f32() * 1e3) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventDestroy_v2(event: Handle) -> Code {
    call_in_context("cuEventDestroy_v2", |state, _| {
        state.events.remove(&event.addr()).map(|_| ()).ok_or(INVALID_HANDLE)
    })
}
