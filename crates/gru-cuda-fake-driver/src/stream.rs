//! Streams: what they are given is done when somebody waits, or kept for a graph while the stream is part of a capture.

use crate::capture::{keep, running};
use crate::codes::{Code, INVALID_HANDLE, INVALID_VALUE, LAUNCH_FAILED, LAUNCH_OUT_OF_RESOURCES};
use crate::occupancy::{cluster_size, is_cooperative};
use crate::settings::{Launches, Settings};
use crate::state::{
    Context, Event, Handle, Launch, Stream, Work, as_handle, call_in_context, handle, log, put,
};
use std::ffi::{c_uint, c_void};
use std::time::Instant;

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
    let grid = ([blocks_x, blocks_y, blocks_z], [threads_x, threads_y, threads_z], shared_bytes);
    // SAFETY: the caller's promise.
    unsafe { launch("cuLaunchKernel", false, function, grid, stream, parameters, extra) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchCooperativeKernel(
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
) -> Code {
    let grid = ([blocks_x, blocks_y, blocks_z], [threads_x, threads_y, threads_z], shared_bytes);
    // SAFETY: the caller's promise.
    unsafe { launch("cuLaunchCooperativeKernel", true, function, grid, stream, parameters, std::ptr::null()) }
}

/// A launch by either call; `cooperative` by the one that has all blocks on the device together. What needs that is
/// refused by the other.
///
/// # Safety
/// `parameters` is null or holds one pointer for each parameter of the kernel, to that parameter.
unsafe fn launch(
    name: &'static str,
    cooperative: bool,
    function: Handle,
    (blocks, threads, shared_bytes): ([c_uint; 3], [c_uint; 3], c_uint),
    stream: Handle,
    parameters: *const *const c_void,
    extra: *const c_void,
) -> Code {
    call_in_context(name, |context, settings| {
        let kernel = context.functions.get(&function.addr()).ok_or(INVALID_HANDLE)?.kernel.clone();
        let whole_clusters = blocks[0].is_multiple_of(cluster_size(context, settings, function)?);
        let one_dimension = blocks[2] == 1 && threads[1..] == [1, 1] && shared_bytes == 0;
        if !one_dimension || !whole_clusters || !extra.is_null() || parameters.is_null() {
            return Err(INVALID_VALUE);
        }
        if is_cooperative(&kernel) != cooperative {
            return Err(INVALID_VALUE);
        }
        if blocks.contains(&0) || blocks[1] > 65_535 || !(1..=1024).contains(&threads[0]) {
            return Err(INVALID_VALUE);
        }
        if settings.launches == Launches::AreRefused {
            return Err(LAUNCH_OUT_OF_RESOURCES);
        }
        let bytes = gru_cuda_emulator::argument_size(&kernel).ok_or(INVALID_HANDLE)?;
        // SAFETY: the caller's promise: one pointer for each parameter, to that parameter. There is one, of
        // the size that the PTX was checked for.
        let argument = unsafe { std::slice::from_raw_parts(parameters.read().cast::<u8>(), bytes) }.to_vec();
        let launch = Launch { kernel, blocks: [blocks[0], blocks[1]], threads: threads[0], argument };
        match context.stream(stream)?.place {
            Some(_) => keep(context, stream, launch),
            None => {
                running(context, stream)?.push_back(Work::Launch(launch));
                Ok(())
            }
        }
    })
}

/// Does what a stream was given, and what that waits for. What other streams may do at the same time is done as late
/// as possible and as early as possible by turns. What breaks shows at this call, and at every one that follows.
pub fn finish(context: &mut Context, settings: &Settings, stream: usize) -> Result<(), Code> {
    let early = !context.waits.is_multiple_of(2);
    context.waits += 1;
    let mut others: Vec<usize> = context.streams.keys().copied().filter(|&other| other != stream).collect();
    others.sort_unstable();
    loop {
        for &other in others.iter().filter(|_| early) {
            while step(context, settings, other)? {}
        }
        if !step(context, settings, stream)? {
            match context.streams.get(&stream).and_then(|stream| stream.pending.front()) {
                Some(&Work::Wait(recording)) => reach(context, settings, recording)?,
                _ => return Ok(()),
            }
        }
    }
}

/// Does what stands before a recording in its stream, and what that waits for.
fn reach(context: &mut Context, settings: &Settings, recording: usize) -> Result<(), Code> {
    while let Some(stream) = ahead_of(context, recording) {
        if !step(context, settings, stream)?
            && let Some(&Work::Wait(before)) = context.streams[&stream].pending.front()
        {
            reach(context, settings, before)?;
        }
    }
    Ok(())
}

/// The stream that has not come to a recording yet.
fn ahead_of(context: &Context, recording: usize) -> Option<usize> {
    let has = |stream: &Stream| {
        stream.pending.iter().any(|work| matches!(work, Work::Event(_, number) if *number == recording))
    };
    context.streams.iter().find(|(_, stream)| has(stream)).map(|(&number, _)| number)
}

/// Does the next piece of a stream's work; false where there is none, or it must wait.
fn step(context: &mut Context, settings: &Settings, stream: usize) -> Result<bool, Code> {
    let pending = context.streams.get(&stream).and_then(|stream| stream.pending.front());
    let waits = matches!(pending, Some(&Work::Wait(recording)) if ahead_of(context, recording).is_some());
    let next =
        context.streams.get_mut(&stream).filter(|_| !waits).and_then(|stream| stream.pending.pop_front());
    let Some(piece) = next else { return Ok(false) };
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
        Work::Event(event, number) => match context.events.get_mut(&event) {
            Some(Event::Recorded(last, time)) if *last == number => *time = Some(Instant::now()),
            _ => {} // recorded again or destroyed since
        },
        Work::Wait(_) => {}
    }
    context.broken.map_or(Ok(true), Err)
}

fn run(context: &mut Context, settings: &Settings, launch: &Launch) {
    if matches!(settings.launches, Launches::Fail | Launches::AreRefused) {
        context.broken = Some(LAUNCH_FAILED);
    } else if settings.computes.of(context.device) {
        // Races are looked for where the emulator runs the conformance suite.
        let options = gru_cuda_emulator::Options { check_races: false, ..Default::default() };
        let Launch { kernel, blocks, threads, argument } = launch;
        log(settings, &format!("runs {kernel}"));
        if let Err(fault) = gru_cuda_emulator::launch(kernel, *blocks, *threads, argument, options) {
            eprintln!("fake driver: {kernel}: {fault}");
            context.broken = Some(LAUNCH_FAILED);
        }
    }
}
