//! Events: points in a stream with the host's time of when the stream came by.

use crate::codes::{Code, INVALID_HANDLE, NOT_READY};
use crate::state::{Handle, Work, as_handle, call_in_context, handle, put};
use crate::stream::running;
use std::ffi::c_uint;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventCreate(event: *mut Handle, _flags: c_uint) -> Code {
    call_in_context("cuEventCreate", |context, _| {
        let number = handle();
        context.events.insert(number, None);
        // SAFETY: the caller's promise.
        unsafe { put(event, as_handle(number)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventRecord(event: Handle, stream: Handle) -> Code {
    call_in_context("cuEventRecord", |context, _| {
        *context.events.get_mut(&event.addr()).ok_or(INVALID_HANDLE)? = None;
        running(context, stream)?.push(Work::Event(event.addr()));
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime(milliseconds: *mut f32, begin: Handle, end: Handle) -> Code {
    call_in_context("cuEventElapsedTime", |context, _| {
        let time = |event: Handle| {
            let time = context.events.get(&event.addr()).copied().ok_or(INVALID_HANDLE)?;
            time.ok_or(NOT_READY)
        };
        let elapsed = time(end)?.saturating_duration_since(time(begin)?);
        // SAFETY: the caller's promise.
        unsafe { put(milliseconds, elapsed.as_secs_f32() * 1e3) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventDestroy_v2(event: Handle) -> Code {
    call_in_context("cuEventDestroy_v2", |context, _| {
        context.events.remove(&event.addr()).map(|_| ()).ok_or(INVALID_HANDLE)
    })
}
