//! Streams: what they are given is done when somebody waits, or kept for a graph while the stream captures.

use crate::codes::{
    Code, INVALID_HANDLE, INVALID_VALUE, LAUNCH_FAILED, LAUNCH_OUT_OF_RESOURCES, STREAM_CAPTURE_INVALIDATED,
    STREAM_CAPTURE_UNSUPPORTED,
};
use crate::settings::{Launches, Settings};
use crate::state::{
    Capture, Context, Handle, Launch, Stream, Work, as_handle, call_in_context, handle, log, put,
};
use std::ffi::{c_int, c_uint, c_void};
use std::time::Instant;

/// The mode of capture in which other threads may do what they like.
const THREAD_LOCAL: c_int = 1;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreate(stream: *mut Handle, _flags: c_uint) -> Code {
    call_in_context("cuStreamCreate", |context, _| {
        let number = handle();
        context.streams.insert(number, Stream::default());
        // SAFETY: the caller's promise.
        unsafe { put(stream, as_handle(number)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamDestroy_v2(stream: Handle) -> Code {
    call_in_context("cuStreamDestroy_v2", |context, settings| {
        let gone = context.streams.remove(&stream.addr()).ok_or(INVALID_HANDLE)?;
        if !gone.pending.is_empty() {
            let left = format!("left behind: {} pieces of work that nobody waited for", gone.pending.len());
            log(settings, &left);
            eprintln!("fake driver: {left}");
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamSynchronize(stream: Handle) -> Code {
    call_in_context("cuStreamSynchronize", |context, settings| {
        running(context, stream)?;
        finish(context, settings, stream.addr())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamBeginCapture_v2(stream: Handle, mode: c_int) -> Code {
    call_in_context("cuStreamBeginCapture_v2", |context, _| {
        // In any other mode a capture forbids other threads, or allows this one, what is checked here.
        if mode != THREAD_LOCAL {
            return Err(INVALID_VALUE);
        }
        running(context, stream)?;
        context.stream(stream)?.capture = Some(Capture::Launches(std::thread::current().id(), Vec::new()));
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamEndCapture(stream: Handle, graph: *mut Handle) -> Code {
    call_in_context("cuStreamEndCapture", |context, _| match context.stream(stream)?.capture.take() {
        Some(Capture::Launches(_, launches)) => {
            let number = handle();
            context.graphs.insert(number, launches);
            // SAFETY: the caller's promise.
            unsafe { put(graph, as_handle(number)) }
        }
        Some(Capture::Spoilt) => Err(STREAM_CAPTURE_INVALIDATED),
        None => Err(INVALID_VALUE),
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
    call_in_context("cuLaunchKernel", |context, settings| {
        let kernel = context.functions.get(&function.addr()).ok_or(INVALID_HANDLE)?.kernel.clone();
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
        let stream = context.stream(stream)?;
        match &mut stream.capture {
            Some(Capture::Launches(_, launches)) => launches.push(launch),
            Some(Capture::Spoilt) => return Err(STREAM_CAPTURE_INVALIDATED),
            None => stream.pending.push(Work::Launch(launch)),
        }
        Ok(())
    })
}

/// Does what a stream was given. What breaks in it shows at this call, and at every one that follows.
pub fn finish(context: &mut Context, settings: &Settings, stream: usize) -> Result<(), Code> {
    let work = context.streams.get_mut(&stream).map(|stream| std::mem::take(&mut stream.pending));
    for piece in work.unwrap_or_default() {
        match piece {
            Work::Launch(launch) => run(context, settings, &launch),
            Work::CopyIn { from, to, bytes } => {
                let from = std::ptr::with_exposed_provenance::<u8>(from);
                // SAFETY: the promise of who asked for the copy: that many bytes to read, until the stream was
                // waited for.
                let from = unsafe { std::slice::from_raw_parts(from, bytes) };
                gru_cuda_emulator::write(to, from);
            }
            Work::CopyOut { from, to, bytes } => {
                let to = std::ptr::with_exposed_provenance_mut::<u8>(to);
                // SAFETY: likewise: that many bytes to write, which nothing else uses meanwhile.
                let to = unsafe { std::slice::from_raw_parts_mut(to, bytes) };
                gru_cuda_emulator::read(from, to);
            }
            Work::Event(event) => drop(context.events.insert(event, Some(Instant::now()))),
        }
        if let Some(code) = context.broken {
            return Err(code);
        }
    }
    Ok(())
}

fn run(context: &mut Context, settings: &Settings, launch: &Launch) {
    if matches!(settings.launches, Launches::Fail | Launches::AreRefused) {
        context.broken = Some(LAUNCH_FAILED);
    } else if settings.computes.of(context.device) {
        // Races are looked for where the emulator runs the conformance suite.
        let options = gru_cuda_emulator::Options { check_races: false, ..Default::default() };
        let Launch { kernel, blocks, threads, argument } = launch;
        if let Err(fault) = gru_cuda_emulator::launch(kernel, *blocks, *threads, argument, options) {
            eprintln!("fake driver: {kernel}: {fault}");
            context.broken = Some(LAUNCH_FAILED);
        }
    }
}

/// What a stream that does not capture has been given. Refuses what must not happen to one that does, and spoils
/// the capture.
pub fn running(context: &mut Context, stream: Handle) -> Result<&mut Vec<Work>, Code> {
    let stream = context.stream(stream)?;
    if stream.capture.is_some() {
        stream.capture = Some(Capture::Spoilt);
        return Err(STREAM_CAPTURE_UNSUPPORTED);
    }
    Ok(&mut stream.pending)
}
