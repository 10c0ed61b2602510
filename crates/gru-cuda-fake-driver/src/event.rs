//! Events: points in a stream with the host's time of when the stream came by, or places in a capture.

use crate::capture::running;
use crate::codes::{CAPTURED_EVENT, Code, INVALID_HANDLE, NOT_READY};
use crate::state::{Event, Handle, Work, as_handle, call_in_context, handle, put};
use std::ffi::c_uint;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventCreate(event: *mut Handle, _flags: c_uint) -> Code {
    call_in_context("cuEventCreate", |context, _| {
        let number = handle();
        context.events.insert(number, Event::Nowhere);
        // SAFETY: the caller's promise.
        unsafe { put(event, as_handle(number)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventRecord(event: Handle, stream: Handle) -> Code {
    call_in_context("cuEventRecord", |context, _| {
        let number = handle();
        let recorded = match context.stream(stream)?.place.clone() {
            Some(place) => Event::Captured(place),
            None => Event::Recorded(number, None),
        };
        if matches!(recorded, Event::Recorded(..)) {
            running(context, stream)?.push_back(Work::Event(event.addr(), number));
        }
        *context.events.get_mut(&event.addr()).ok_or(INVALID_HANDLE)? = recorded;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime(milliseconds: *mut f32, begin: Handle, end: Handle) -> Code {
    call_in_context("cuEventElapsedTime", |context, _| {
        let time = |event: Handle| match context.events.get(&event.addr()) {
            None => Err(INVALID_HANDLE),
            Some(Event::Captured(_)) => Err(CAPTURED_EVENT),
            Some(Event::Nowhere | Event::Recorded(_, None)) => Err(NOT_READY),
            Some(Event::Recorded(_, Some(time))) => Ok(*time),
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
