//! What the driver holds, and the door that every function goes through.

use crate::codes::{Code, INVALID_CONTEXT, INVALID_HANDLE, INVALID_VALUE, NOT_INITIALIZED, UNKNOWN};
use crate::settings::{Settings, settings};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::c_void;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Instant;

/// A handle as the caller sees it: a number, never an address.
pub type Handle = *mut c_void;

/// A launch with its own copy of the argument.
#[derive(Clone)]
pub struct Launch {
    pub kernel: String,
    pub blocks: [u32; 2],
    pub threads: u32,
    pub argument: Vec<u8>,
}

/// What a stream does with launches.
pub enum Stream {
    Running,
    /// Keeps them, for the thread that began.
    Capturing(ThreadId, Vec<Launch>),
    /// Something was done during the capture that must not be.
    Spoilt,
}

/// A kernel of a loaded module.
pub struct Function {
    pub module: usize,
    pub kernel: String,
}

/// Everything, of all devices: each has its primary context and no other.
#[derive(Default)]
pub struct State {
    pub initialised: bool,
    /// How often each device's context is retained.
    pub contexts: HashMap<i32, usize>,
    pub memory: BTreeMap<u64, usize>,
    pub streams: HashMap<usize, Stream>,
    /// Kernels that each module has.
    pub modules: HashMap<usize, Vec<String>>,
    pub functions: HashMap<usize, Function>,
    pub graphs: HashMap<usize, Vec<Launch>>,
    pub ready_graphs: HashMap<usize, Vec<Launch>>,
    pub events: HashMap<usize, Option<Instant>>,
    /// What every call gives after a kernel broke.
    pub broken: Option<Code>,
    handles: usize,
}

thread_local! {
    /// The device whose context is current.
    static CURRENT: Cell<Option<i32>> = const { Cell::new(None) };
}

impl State {
    /// A new handle.
    pub fn handle(&mut self) -> usize {
        self.handles += 1;
        // Not a small number that a mistaken index could hit, and not an address.
        self.handles * 0x1000 + 7
    }

    /// What a test finds in the log if something was not given back; `None` if all was.
    pub fn left_behind(&self) -> Option<String> {
        let counts = [
            ("memory", self.memory.len()),
            ("streams", self.streams.len()),
            ("modules", self.modules.len()),
            ("graphs", self.graphs.len() + self.ready_graphs.len()),
            ("events", self.events.len()),
        ];
        let left: Vec<String> = counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        if left.is_empty() { None } else { Some(left.join(", ")) }
    }

    /// Marks every capture of this thread as spoilt; whether there was one.
    pub fn spoil_captures(&mut self) -> bool {
        let this = std::thread::current().id();
        let mut spoilt = false;
        for stream in self.streams.values_mut() {
            if matches!(stream, Stream::Capturing(thread, _) if *thread == this) {
                *stream = Stream::Spoilt;
                spoilt = true;
            }
        }
        spoilt
    }

    pub fn stream(&mut self, stream: Handle) -> Result<&mut Stream, Code> {
        self.streams.get_mut(&stream.addr()).ok_or(INVALID_HANDLE)
    }
}

/// Adds a line to the log that was asked for.
pub fn log(settings: &Settings, line: &str) {
    if let Some(path) = &settings.log {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        if file.and_then(|mut file| writeln!(file, "{line}")).is_err() {
            eprintln!("fake driver: the log cannot be written");
        }
    }
}

/// A function of the driver that needs nothing but settings that can be read.
pub fn call(name: &str, body: impl FnOnce(&mut State, &'static Settings) -> Result<(), Code>) -> Code {
    static STATE: Mutex<Option<State>> = Mutex::new(None);
    let settings = match settings() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("fake driver: {error}");
            return INVALID_VALUE;
        }
    };
    log(settings, name);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        body(state.get_or_insert_default(), settings)
    }));
    match result {
        Ok(Ok(())) => 0,
        Ok(Err(code)) => code,
        Err(_) => UNKNOWN,
    }
}

/// A function that needs `cuInit`.
pub fn call_initialised(
    name: &str,
    body: impl FnOnce(&mut State, &'static Settings) -> Result<(), Code>,
) -> Code {
    call(name, |state, settings| if state.initialised { body(state, settings) } else { Err(NOT_INITIALIZED) })
}

/// A function that needs a current context, and a device that no kernel broke.
pub fn call_in_context(
    name: &str,
    body: impl FnOnce(&mut State, &'static Settings) -> Result<(), Code>,
) -> Code {
    call_initialised(name, |state, settings| {
        let current = CURRENT.get().ok_or(INVALID_CONTEXT)?;
        if state.contexts.get(&current).copied().unwrap_or(0) == 0 {
            return Err(INVALID_CONTEXT);
        }
        match state.broken {
            Some(code) => Err(code),
            None => body(state, settings),
        }
    })
}

/// Makes a device's context, or none, the current one of this thread.
pub fn set_current(device: Option<i32>) {
    CURRENT.set(device);
}

/// The device whose context is current.
pub fn current() -> Option<i32> {
    CURRENT.get()
}

/// Writes a result through a pointer.
///
/// # Safety
/// `out` is null or points to one `T` to write to.
pub unsafe fn put<T>(out: *mut T, value: T) -> Result<(), Code> {
    if out.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: the caller's promise.
    unsafe { out.write(value) };
    Ok(())
}

/// A handle's number as the caller gets it.
pub fn as_handle(number: usize) -> Handle {
    std::ptr::without_provenance_mut(number)
}
