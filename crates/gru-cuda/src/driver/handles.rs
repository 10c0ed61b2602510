//! What the driver hands out, each given back when dropped. Every handle but the context needs its context to
//! be current on the thread, when used and when dropped; [`super::Driver`] sees to that.

use super::guard::quietly;
use cudarc::driver::{DriverError, result, sys};

/// The primary context of a device, which other libraries of the process share.
pub(super) struct Context {
    device: sys::CUdevice,
    context: sys::CUcontext,
}

impl Context {
    pub(super) fn open(index: i32) -> Result<Self, DriverError> {
        result::init()?;
        let device = result::device::get(index)?;
        // SAFETY: the device is one that the driver gave.
        let context = unsafe { result::primary_ctx::retain(device) }?;
        let context = Self { device, context };
        context.bind()?;
        Ok(context)
    }

    /// Makes the context the one that calls of this thread are about.
    pub(super) fn bind(&self) -> Result<(), DriverError> {
        // SAFETY: the context is retained until this is dropped.
        unsafe { result::ctx::set_current(self.context) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: retained once in `open`, released once here.
        quietly(|| unsafe { result::primary_ctx::release(self.device) });
    }
}

/// A stream. Not the default stream, which cannot be captured.
pub(super) struct Stream(pub(super) sys::CUstream);

impl Stream {
    pub(super) fn new() -> Result<Self, DriverError> {
        result::stream::create(result::stream::StreamKind::NonBlocking).map(Self)
    }

    /// Waits for all that was started.
    pub(super) fn wait(&self) -> Result<(), DriverError> {
        // SAFETY: the stream lives until this is dropped.
        unsafe { result::stream::synchronize(self.0) }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: created in `new`, destroyed once here.
        quietly(|| unsafe { result::stream::destroy(self.0) });
    }
}

/// Memory of the device.
pub(super) struct Memory {
    pub(super) address: u64,
    pub(super) bytes: usize,
}

impl Memory {
    pub(super) fn new(bytes: usize) -> Result<Self, DriverError> {
        // SAFETY: memory of undefined content, which only copies and kernels touch.
        let address = unsafe { result::malloc_sync(bytes) }?;
        Ok(Self { address, bytes })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed once here; the driver waits for work that uses it.
        quietly(|| unsafe { result::free_sync(self.address) });
    }
}

/// Launches as a capture gives them.
pub(super) struct Captured(sys::CUgraph);

impl Captured {
    /// From here on launches in the stream are kept instead of started. Other threads may do what they like.
    pub(super) fn begin(stream: &Stream) -> Result<(), DriverError> {
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream lives.
        unsafe { result::stream::begin_capture(stream.0, mode) }
    }

    /// Gives what was kept. Ends the capture in any case.
    pub(super) fn end(stream: &Stream) -> Result<Self, DriverError> {
        // SAFETY: the stream lives.
        unsafe { result::stream::end_capture(stream.0) }.map(Self)
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        // SAFETY: given by `end`, destroyed once here.
        quietly(|| unsafe { result::graph::destroy(self.0) });
    }
}

/// Launches ready to be started at once.
pub(super) struct Graph(sys::CUgraphExec);

impl Graph {
    /// Makes captured launches ready. Uploads them, so that the first start costs what the later ones do.
    pub(super) fn new(captured: &Captured, stream: &Stream) -> Result<Self, DriverError> {
        // SAFETY: the graph lives.
        let ready = unsafe { result::graph::instantiate(captured.0, sys::CUgraphInstantiate_flags(0)) };
        let graph = Self(ready?);
        // SAFETY: both live.
        unsafe { result::graph::upload(graph.0, stream.0) }?;
        Ok(graph)
    }

    /// Starts them.
    pub(super) fn start(&self, stream: &Stream) -> Result<(), DriverError> {
        // SAFETY: both live.
        unsafe { result::graph::launch(self.0, stream.0) }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: made in `new`, destroyed once here; the driver lets a running one end.
        quietly(|| unsafe { result::graph::exec_destroy(self.0) });
    }
}

/// A place in one stream that another may wait for. Set again, it is another place; who waits already still waits for
/// the one before.
pub(super) struct Mark(sys::CUevent);

impl Mark {
    pub(super) fn new() -> Result<Self, DriverError> {
        result::event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING).map(Self)
    }

    /// Behind all that the stream was given.
    pub(super) fn set(&self, stream: &Stream) -> Result<(), DriverError> {
        // SAFETY: both live.
        unsafe { result::event::record(self.0, stream.0) }
    }

    /// What the stream is given from here on is done once the place is reached.
    pub(super) fn wait(&self, stream: &Stream) -> Result<(), DriverError> {
        let flags = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
        // SAFETY: both live.
        unsafe { result::stream::wait_event(stream.0, self.0, flags) }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // SAFETY: created in `new`, destroyed once here.
        quietly(|| unsafe { result::event::destroy(self.0) });
    }
}

/// A point in the stream whose time the device notes.
pub(super) struct Event(sys::CUevent);

impl Event {
    /// Puts a new one into the stream.
    pub(super) fn record(stream: &Stream) -> Result<Self, DriverError> {
        let event = Self(result::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT)?);
        // SAFETY: both live.
        unsafe { result::event::record(event.0, stream.0) }?;
        Ok(event)
    }

    /// Milliseconds from `self` to a later one. Both must have been reached.
    pub(super) fn milliseconds_to(&self, later: &Self) -> Result<f32, DriverError> {
        // SAFETY: both live and were recorded in the same stream.
        unsafe { result::event::elapsed(self.0, later.0) }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: created in `record`, destroyed once here.
        quietly(|| unsafe { result::event::destroy(self.0) });
    }
}
