//! Captures: launches kept for a graph, with what each comes after. They begin in one stream; another becomes part of
//! one by waiting for an event of it, and must be waited for before the end.

use crate::codes::{
    CAPTURED_EVENT, Code, INVALID_HANDLE, INVALID_VALUE, STREAM_CAPTURE_INVALIDATED,
    STREAM_CAPTURE_ISOLATION, STREAM_CAPTURE_UNJOINED, STREAM_CAPTURE_UNSUPPORTED,
};
use crate::state::{Context, Event, Handle, Launch, Work, as_handle, call_in_context, handle, put};
use std::collections::{HashSet, VecDeque};
use std::ffi::{c_int, c_uint};
use std::thread::ThreadId;

/// The mode of capture in which other threads may do what they like.
const THREAD_LOCAL: c_int = 1;

/// A captured launch, and the numbers of those that it comes after.
#[derive(Clone)]
pub struct Node {
    pub launch: Launch,
    pub after: Vec<usize>,
}

/// A capture under way.
pub struct Capture {
    /// Which thread began it.
    pub thread: ThreadId,
    pub nodes: Vec<Node>,
    /// Something was done meanwhile that must not be.
    pub spoilt: bool,
}

/// Where a stream stands in a capture: what it is given next comes after these launches.
#[derive(Clone)]
pub struct Place {
    /// The stream in which the capture began.
    pub capture: usize,
    pub behind: Vec<usize>,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamBeginCapture_v2(stream: Handle, mode: c_int) -> Code {
    call_in_context("cuStreamBeginCapture_v2", |context, _| {
        // In any other mode a capture forbids other threads, or allows this one, what is checked here.
        if mode != THREAD_LOCAL {
            return Err(INVALID_VALUE);
        }
        running(context, stream)?;
        let thread = std::thread::current().id();
        context.captures.insert(stream.addr(), Capture { thread, nodes: Vec::new(), spoilt: false });
        context.stream(stream)?.place = Some(Place { capture: stream.addr(), behind: Vec::new() });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamEndCapture(stream: Handle, graph: *mut Handle) -> Code {
    call_in_context("cuStreamEndCapture", |context, _| {
        let end = context.stream(stream)?.place.take().ok_or(INVALID_VALUE)?;
        let capture = context.captures.remove(&stream.addr()).ok_or(INVALID_VALUE)?;
        let waited_for = before(&capture.nodes, &end.behind);
        let mut joined = true;
        for other in context.streams.values_mut() {
            let place = other.place.take_if(|place| place.capture == stream.addr());
            joined &= place.is_none_or(|place| place.behind.iter().all(|node| waited_for.contains(node)));
        }
        if capture.spoilt {
            return Err(STREAM_CAPTURE_INVALIDATED);
        }
        if !joined {
            return Err(STREAM_CAPTURE_UNJOINED);
        }
        let number = handle();
        context.graphs.insert(number, capture.nodes);
        // SAFETY: the caller's promise.
        unsafe { put(graph, as_handle(number)) }
    })
}

/// An event that was never recorded is a mistake here; a driver would not wait for it.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamWaitEvent(stream: Handle, event: Handle, flags: c_uint) -> Code {
    call_in_context("cuStreamWaitEvent", |context, _| {
        let Context { streams, events, captures, .. } = context;
        let stream = streams.get_mut(&stream.addr()).ok_or(INVALID_HANDLE)?;
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        match (events.get(&event.addr()).ok_or(INVALID_HANDLE)?, &mut stream.place) {
            (Event::Nowhere, _) => return Err(INVALID_VALUE),
            (Event::Recorded(number, _), None) => stream.pending.push_back(Work::Wait(*number)),
            (Event::Captured(there), None) if captures.contains_key(&there.capture) => {
                stream.place = Some(there.clone());
            }
            (Event::Captured(_), None) => return Err(CAPTURED_EVENT),
            (Event::Captured(there), Some(here)) if there.capture == here.capture => {
                here.behind.extend(&there.behind);
            }
            (_, Some(here)) => {
                captures.entry(here.capture).and_modify(|capture| capture.spoilt = true);
                return Err(STREAM_CAPTURE_ISOLATION);
            }
        }
        Ok(())
    })
}

/// Keeps a launch in a stream that is part of a capture.
pub fn keep(context: &mut Context, stream: Handle, launch: Launch) -> Result<(), Code> {
    let Context { streams, captures, .. } = context;
    let place = streams.get_mut(&stream.addr()).and_then(|stream| stream.place.as_mut());
    let place = place.ok_or(INVALID_HANDLE)?;
    let capture = captures.get_mut(&place.capture).filter(|capture| !capture.spoilt);
    let capture = capture.ok_or(STREAM_CAPTURE_INVALIDATED)?;
    let after = std::mem::replace(&mut place.behind, vec![capture.nodes.len()]);
    capture.nodes.push(Node { launch, after });
    Ok(())
}

/// What a stream that does not capture has been given. Refuses what must not happen to one that does, and spoils
/// the capture.
pub fn running(context: &mut Context, stream: Handle) -> Result<&mut VecDeque<Work>, Code> {
    let Context { streams, captures, .. } = context;
    let stream = streams.get_mut(&stream.addr()).ok_or(INVALID_HANDLE)?;
    if let Some(place) = &stream.place {
        captures.entry(place.capture).and_modify(|capture| capture.spoilt = true);
        return Err(STREAM_CAPTURE_UNSUPPORTED);
    }
    Ok(&mut stream.pending)
}

/// These nodes and all that come before them.
fn before(nodes: &[Node], last: &[usize]) -> HashSet<usize> {
    let mut found = HashSet::new();
    let mut open = last.to_vec();
    while let Some(node) = open.pop() {
        if found.insert(node) {
            open.extend(&nodes[node].after);
        }
    }
    found
}
