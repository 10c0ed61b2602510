//! Streams: launches run at once, or are kept while the stream captures.

use crate::codes::{
    Code, INVALID_HANDLE, INVALID_VALUE, LAUNCH_FAILED, LAUNCH_OUT_OF_RESOURCES, STREAM_CAPTURE_INVALIDATED,
    STREAM_CAPTURE_UNSUPPORTED,
};
use crate::settings::{Launches, Settings};
use crate::state::{Handle, Launch, State, Stream, as_handle, call_in_context, put};
use std::ffi::{c_int, c_uint, c_void};

/// The mode of capture in which other threads may do what they like.
const THREAD_LOCAL: c_int = 1;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreate(stream: *mut Handle, _flags: c_uint) -> Code {
    call_in_context("cuStreamCreate", |state, _| {
        let number = state.handle();
        state.streams.insert(number, Stream::Running);
        // SAFETY: the caller's promise.
        unsafe { put(stream, as_handle(number)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamDestroy_v2(stream: Handle) -> Code {
    call_in_context("cuStreamDestroy_v2", |state, _| {
        state.streams.remove(&stream.addr()).map(|_| ()).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamSynchronize(stream: Handle) -> Code {
    call_in_context("cuStreamSynchronize", |state, _| check_running(state, stream))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamBeginCapture_v2(stream: Handle, mode: c_int) -> Code {
    call_in_context("cuStreamBeginCapture_v2", |state, _| {
        // In any other mode a capture forbids other threads, or allows this one, what is checked here.
        if mode != THREAD_LOCAL {
            return Err(INVALID_VALUE);
        }
        check_running(state, stream)?;
        *state.stream(stream)? = Stream::Capturing(std::thread::current().id(), Vec::new());
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamEndCapture(stream: Handle, graph: *mut Handle) -> Code {
    call_in_context("cuStreamEndCapture", |state, _| {
        match std::mem::replace(state.stream(stream)?, Stream::Running) {
            Stream::Capturing(_, launches) => {
                let number = state.handle();
                state.graphs.insert(number, launches);
                // SAFETY: the caller's promise.
                unsafe { put(graph, as_handle(number)) }
            }
            Stream::Spoilt => Err(STREAM_CAPTURE_INVALIDATED),
            Stream::Running => Err(INVALID_VALUE),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchKernel(
    function: Handle,
    blocks_x: c_uint,
    blocks_y: c_uint,
    blocks_z: c_uint,
    threads_x: c_uint,
    threads_y: c_uint,
    threads_z: c_uint,
    shared_bytes: c_uint,
    stream: Handle,
    parameters: *const *const c_void,
    extra: *const c_void,
) -> Code {
    call_in_context("cuLaunchKernel", |state, settings| {
        let kernel = state.functions.get(&function.addr()).ok_or(INVALID_HANDLE)?.kernel.clone();
        let one_dimension = blocks_z == 1 && threads_y == 1 && threads_z == 1 && shared_bytes == 0;
        if !one_dimension || !extra.is_null() || parameters.is_null() {
            return Err(INVALID_VALUE);
        }
        if blocks_x == 0 || blocks_y == 0 || blocks_y > 65_535 || !(1..=1024).contains(&threads_x) {
            return Err(INVALID_VALUE);
        }
        if settings.launches == Launches::AreRefused {
            return Err(LAUNCH_OUT_OF_RESOURCES);
        }
        let bytes = gru_cuda_emulator::argument_size(&kernel).ok_or(INVALID_HANDLE)?;
        // SAFETY: the caller's promise: one pointer for each parameter, to that parameter. There is one, of
        // the size that the PTX was checked for.
        let argument = unsafe { std::slice::from_raw_parts(parameters.read().cast::<u8>(), bytes) }.to_vec();
        let launch = Launch { kernel, blocks: [blocks_x, blocks_y], threads: threads_x, argument };
        match state.stream(stream)? {
            Stream::Capturing(_, launches) => launches.push(launch),
            Stream::Spoilt => return Err(STREAM_CAPTURE_INVALIDATED),
            Stream::Running => run(state, settings, &launch),
        }
        Ok(())
    })
}

/// Runs a launch. What breaks in it shows at the next call, as on a device.
pub fn run(state: &mut State, settings: &Settings, launch: &Launch) {
    match settings.launches {
        _ if state.broken.is_some() => {}
        Launches::ComputeNothing => {}
        Launches::Fail | Launches::AreRefused => state.broken = Some(LAUNCH_FAILED),
        Launches::Run => {
            // Races are looked for where the emulator runs the conformance suite.
            let options = gru_cuda_emulator::Options { check_races: false, ..Default::default() };
            let Launch { kernel, blocks, threads, argument } = launch;
            if let Err(fault) = gru_cuda_emulator::launch(kernel, *blocks, *threads, argument, options) {
                eprintln!("fake driver: {kernel}: {fault}");
                state.broken = Some(LAUNCH_FAILED);
            }
        }
    }
}

/// Refuses what must not happen to a stream while it captures, and spoils the capture.
pub fn check_running(state: &mut State, stream: Handle) -> Result<(), Code> {
    match state.stream(stream)? {
        Stream::Running => Ok(()),
        capturing => {
            *capturing = Stream::Spoilt;
            Err(STREAM_CAPTURE_UNSUPPORTED)
        }
    }
}
