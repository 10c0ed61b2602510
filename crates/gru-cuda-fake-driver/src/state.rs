//! What the driver holds, and the door that every function goes through.

use crate::capture::{Capture, Node, Place};
use crate::codes::{Code, INVALID_CONTEXT, INVALID_HANDLE, INVALID_VALUE, NOT_INITIALIZED, UNKNOWN};
use crate::settings::{Settings, settings};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::c_void;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
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

/// What a stream has been given and has not done yet. Host memory is named by its address: it is touched when
/// the work is done and not before, as a device may.
pub enum Work {
    Launch(Launch),
    CopyIn {
        from: usize,
        to: u64,
        bytes: usize,
    },
    CopyOut {
        from: u64,
        to: usize,
        bytes: usize,
    },
    /// A recording: of which event, and the recording's own number.
    Event(usize, usize),
    /// Nothing that follows is done before that recording.
    Wait(usize),
}

/// A stream: it does nothing until somebody waits for it, which is the latest that a device may begin.
#[derive(Default)]
pub struct Stream {
    pub pending: VecDeque<Work>,
    /// Where it stands in a capture that it is part of.
    pub place: Option<Place>,
}

/// Where an event was recorded last.
pub enum Event {
    Nowhere,
    /// In a stream: the recording's number, and when the stream came by.
    Recorded(usize, Option<Instant>),
    Captured(Place),
}

/// A kernel of a loaded module.
pub struct Function {
    pub module: usize,
    pub kernel: String,
    /// Whether its clusters may have more blocks than every device takes.
    pub large_clusters: bool,
}

/// A device's primary context, the only one it has, and what lives in it.
#[derive(Default)]
pub struct Context {
    pub device: i32,
    /// How often it is retained.
    pub retained: usize,
    pub memory: BTreeMap<u64, usize>,
    pub streams: HashMap<usize, Stream>,
    /// Kernels that each module has.
    pub modules: HashMap<usize, Vec<String>>,
    pub functions: HashMap<usize, Function>,
    /// Captures that are under way, by the stream that began each.
    pub captures: HashMap<usize, Capture>,
    pub graphs: HashMap<usize, Vec<Node>>,
    pub ready_graphs: HashMap<usize, Vec<Node>>,
    pub events: HashMap<usize, Event>,
    /// Graphs made ready so far, graphs started, and waits for a stream.
    pub made: usize,
    pub started: usize,
    pub waits: usize,
    /// What every call gives after a kernel broke: no context of the process gets over it.
    pub broken: Option<Code>,
}

/// Everything.
#[derive(Default)]
pub struct State {
    pub initialised: bool,
    pub contexts: HashMap<i32, Context>,
}

thread_local! {
    /// The device whose context is current.
    static CURRENT: Cell<Option<i32>> = const { Cell::new(None) };
}

/// A new handle.
pub fn handle() -> usize {
    static HANDLES: AtomicUsize = AtomicUsize::new(1);
    // Not a small number that a mistaken index could hit, and not an address.
    HANDLES.fetch_add(1, Ordering::Relaxed) * 0x1000 + 7
}

impl Context {
    /// What a test finds in the log if something was not given back; `None` if all was.
    pub fn left_behind(&self) -> Option<String> {
        let pending = self.streams.values().map(|stream| stream.pending.len()).sum();
        let counts = [
            ("memory", self.memory.len()),
            ("streams", self.streams.len()),
            ("pieces of work that nobody waited for", pending),
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

    /// Gives up whatever lives in it, as the last release does.
    pub fn clear(&mut self) {
        for &address in self.memory.keys() {
            gru_cuda_emulator::free(address);
        }
        let Self { device, made, started, waits, broken, .. } = *self;
        *self = Self { device, made, started, waits, broken, ..Self::default() };
    }

    /// Marks every capture of this thread as spoilt; whether there was one.
    pub fn spoil_captures(&mut self) -> bool {
        let this = std::thread::current().id();
        let mut spoilt = false;
        for capture in self.captures.values_mut().filter(|capture| capture.thread == this) {
            capture.spoilt = true;
            spoilt = true;
        }
        spoilt
    }

    pub fn stream(&mut self, stream: Handle) -> Result<&mut Stream, Code> {
        self.streams.get_mut(&stream.addr()).ok_or(INVALID_HANDLE)
    }

    /// Whether so many bytes from `address` on lie within one piece of memory.
    pub fn holds(&self, address: u64, bytes: usize) -> bool {
        self.memory.range(..=address).next_back().is_some_and(|(&begin, &length)| {
            let offset = usize::try_from(address - begin).unwrap_or(usize::MAX);
            offset.checked_add(bytes).is_some_and(|end| end <= length)
        })
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
    body: impl FnOnce(&mut Context, &'static Settings) -> Result<(), Code>,
) -> Code {
    call_initialised(name, |state, settings| {
        let current = CURRENT.get().ok_or(INVALID_CONTEXT)?;
        let context = state.contexts.get_mut(&current).filter(|context| context.retained > 0);
        let context = context.ok_or(INVALID_CONTEXT)?;
        match context.broken {
            Some(code) => Err(code),
            None => body(context, settings),
        }
    })
}

/// What a function does that was told never to return. Holds no lock.
pub fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

/// Makes a device's context, or none, the current one of this thread.
pub fn set_current(device: Option<i32>) {
    CURRENT.set(device);
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
