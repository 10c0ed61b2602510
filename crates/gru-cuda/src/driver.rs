//! A GPU through its driver: memory, launches and graphs on one stream of one context.
//!
//! Everything goes through cudarc's plain calls, behind one guard, so that no panic of cudarc gets out. Its
//! safe layer is not used: it ties events to every buffer, which a capture does not allow. Nothing is
//! allocated from pools, so that addresses in a graph stay good.

mod guard;
mod handles;
mod module;

pub use module::Resources;

use crate::device::{Device, Launch};
use crate::probe::{self, Failure, Found, Reason, Stage};
use cudarc::driver::{DriverError, result};
use gru_core::Error;
use guard::{Fault, guard, quietly};
use handles::{Captured, Context, Event, Graph, Memory, Stream};
use module::Module;
use std::collections::BTreeMap;
use std::time::Instant;

/// What a device fails at when something that was started earlier fails.
const FINISH: &str = "finish what was started";

/// What is known of an open device.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Number, name, compute capability, memory.
    pub device: Found,
    /// The highest version of CUDA that the driver supports: 12020 is 12.2.
    pub cuda_version: i32,
    /// The driver's release, where the system tells it.
    pub driver_release: Option<String>,
    /// The name of the PTX that was loaded.
    pub ptx: &'static str,
    /// How long the driver took for the context, in seconds.
    pub context_seconds: f64,
    /// How long it took to compile and load the kernels, in seconds. It keeps what it compiled on the disk.
    pub load_seconds: f64,
    /// What each kernel takes.
    pub resources: Vec<Resources>,
}

/// An open device. Dropped, it gives everything back, in the order of its fields.
pub struct Driver {
    graphs: Vec<Graph>,
    memory: BTreeMap<u64, Memory>,
    module: Module,
    stream: Stream,
    context: Context,
    facts: Facts,
}

// SAFETY: the driver's handles may be used from any thread whose current context is theirs. Every method binds
// the context to the thread that calls it, and none runs beside another, since there is no `Sync`.
unsafe impl Send for Driver {}

impl Driver {
    /// Opens device `index` and loads the kernels, on this thread and for as long as the driver takes: for tests
    /// and tools. [`crate::search`] is the way that looks at everything first and can give up.
    ///
    /// # Errors
    /// Why the device cannot be used.
    pub fn open(index: usize, ptx: &str) -> Result<Self, Failure> {
        let machine = probe::probe(&mut |_, _| ())?;
        let device = probe::check_device(&machine.devices, index, &mut |_, _| ())?;
        Self::start(device, machine.cuda_version, ptx, &mut |_, _| ())
    }

    /// Makes a context on a device that was looked at and loads the kernels; `passed` is told of both stages.
    ///
    /// # Errors
    /// Why the first stage that `passed` was not told of does not hold.
    pub(crate) fn start(
        device: Found,
        cuda_version: i32,
        ptx: &str,
        passed: &mut dyn FnMut(Stage, String),
    ) -> Result<Self, Failure> {
        let begin = Instant::now();
        let context = guard(|| Context::open(i32::try_from(device.index).unwrap_or(i32::MAX)))
            .map_err(|fault| fault.failure(Reason::InitFailed, "a context on the device"))?;
        let stream = guard(Stream::new).map_err(|fault| fault.failure(Reason::InitFailed, "a stream"))?;
        let context_seconds = begin.elapsed().as_secs_f64();
        passed(Stage::Context, format!("made in {context_seconds:.2} s"));

        let begin = Instant::now();
        let module = Module::load(ptx)?;
        let load_seconds = begin.elapsed().as_secs_f64();
        passed(Stage::Kernels, format!("{} in {load_seconds:.2} s", probe::PTX_NAME));
        let facts = Facts {
            device,
            cuda_version,
            driver_release: probe::driver_release(),
            ptx: probe::PTX_NAME,
            context_seconds,
            load_seconds,
            resources: module.resources.clone(),
        };
        Ok(Self { graphs: Vec::new(), memory: BTreeMap::new(), module, stream, context, facts })
    }

    /// What is known of the device.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Runs launches one after the other and gives the time that each took on the device, in milliseconds. For
    /// tables of kernels: the marks between the launches cost time of their own.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn time(&mut self, launches: &[Launch]) -> Result<Vec<f32>, Error> {
        let timing = |fault: Fault| fault.error("time launches");
        let mark = || self.call(|| Event::record(&self.stream)).map_err(timing);
        let mut marks = vec![mark()?];
        for launch in launches {
            self.launch(launch)?;
            marks.push(mark()?);
        }
        self.call(|| self.stream.wait()).map_err(|fault| fault.error(FINISH))?;
        let between = |pair: &[Event]| self.call(|| pair[0].milliseconds_to(&pair[1])).map_err(timing);
        marks.windows(2).map(between).collect()
    }

    /// Calls cudarc with the context bound to this thread.
    fn call<T>(&self, call: impl FnOnce() -> Result<T, DriverError>) -> Result<T, Fault> {
        guard(|| {
            self.context.bind()?;
            call()
        })
    }

    /// Puts a launch into the stream, or into the graph that the stream is capturing. The context is bound.
    fn launch(&self, launch: &Launch) -> Result<(), Error> {
        let mut task = launch.task;
        let mut parameters = [(&raw mut task).cast()];
        let ([x, y], threads) = (launch.blocks, launch.kernel.threads());
        let function = self.module.function(launch.kernel);
        guard(|| {
            // SAFETY: the function is of the loaded module and takes one `Task` by value, which the driver
            // copies before it returns. The addresses in the task are the caller's to get right; a kernel
            // that leaves the device's memory is stopped by the device.
            unsafe {
                result::launch_kernel(function, (x, y, 1), (threads, 1, 1), 0, self.stream.0, &mut parameters)
            }
        })
        .map_err(|fault| fault.error(format!("launch {} in {x} x {y} blocks", launch.kernel.name())))
    }

    fn launch_all(&self, launches: &[Launch]) -> Result<(), Error> {
        launches.iter().try_for_each(|launch| self.launch(launch))
    }

    /// Refuses a copy that is not within one piece of allocated memory: on a machine whose host memory the
    /// device can address, the driver would carry it out.
    fn check_range(&self, what: &str, address: u64, bytes: usize) -> Result<(), Error> {
        let before = self.memory.range(..=address).next_back();
        let fits = before.is_some_and(|(&begin, memory)| {
            let offset = usize::try_from(address - begin).unwrap_or(usize::MAX);
            offset.checked_add(bytes).is_some_and(|end| end <= memory.bytes)
        });
        if fits {
            return Ok(());
        }
        let reason = "not within memory that was allocated on it".into();
        Err(Error::Device { what: format!("{what} {bytes} bytes at {address:#x}"), reason })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The handles that are dropped next need their context; what still runs may use them.
        quietly(|| {
            self.context.bind()?;
            self.stream.wait()
        });
    }
}

impl Device for Driver {
    fn free_bytes(&self) -> Result<u64, Error> {
        let (free, _) =
            self.call(result::mem_get_info).map_err(|fault| fault.error("tell its free memory"))?;
        Ok(free as u64)
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64, Error> {
        let memory = match self.call(|| Memory::new(bytes.max(1))) {
            Ok(memory) => memory,
            Err(fault) if fault.is_out_of_memory() => {
                let (bytes, free) = (bytes as u64, self.free_bytes()?);
                let hint = String::from("end other programs that use the GPU, or use a smaller network");
                if bytes > free {
                    return Err(Error::DeviceMemory { bytes, free, hint });
                }
                return Err(Error::DeviceExhausted {
                    what: format!("{bytes} bytes in one piece"),
                    free,
                    hint,
                });
            }
            Err(fault) => return Err(fault.error(format!("allocate {bytes} bytes"))),
        };
        let address = memory.address;
        if !address.is_multiple_of(256) {
            let reason = format!("the address {address:#x}");
            return Err(Error::Device { what: "allocate at a multiple of 256".into(), reason });
        }
        self.memory.insert(address, memory);
        Ok(address)
    }

    fn free(&mut self, address: u64) {
        if let Some(memory) = self.memory.remove(&address) {
            quietly(|| self.context.bind());
            drop(memory);
        }
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.check_range("write", address, bytes.len())?;
        self.call(|| {
            // SAFETY: the range is allocated; the bytes are borrowed until the copy is done.
            unsafe { result::memcpy_htod_async(address, bytes, self.stream.0) }?;
            self.stream.wait()
        })
        .map_err(|fault| fault.error(format!("take {} bytes", bytes.len())))
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.check_range("read", address, bytes.len())?;
        let length = bytes.len();
        self.call(|| {
            // SAFETY: the range is allocated; the bytes are borrowed until the copy is done.
            unsafe { result::memcpy_dtoh_async(bytes, address, self.stream.0) }?;
            self.stream.wait()
        })
        .map_err(|fault| fault.error(format!("give {length} bytes")))
    }

    fn run(&mut self, launches: &[Launch]) -> Result<(), Error> {
        self.call(|| Ok(())).map_err(|fault| fault.error("take launches"))?;
        self.launch_all(launches)
    }

    fn capture(&mut self, launches: &[Launch]) -> Result<usize, Error> {
        let capturing = |fault: Fault| fault.error("capture launches");
        self.call(|| Captured::begin(&self.stream)).map_err(capturing)?;
        let launched = self.launch_all(launches);
        // Ended also where a launch was refused.
        let captured = self.call(|| Captured::end(&self.stream));
        launched?;
        let graph = captured.and_then(|captured| self.call(|| Graph::new(&captured, &self.stream)));
        match graph {
            Ok(graph) => self.graphs.push(graph),
            Err(fault) if fault.is_out_of_memory() => {
                let what = format!("a graph of {} launches", launches.len());
                let hint = "use a smaller --num-steps, or end other programs that use the GPU".into();
                return Err(Error::DeviceExhausted { what, free: self.free_bytes()?, hint });
            }
            Err(fault) => return Err(capturing(fault)),
        }
        Ok(self.graphs.len() - 1)
    }

    fn replay(&mut self, graph: usize) -> Result<(), Error> {
        let what = || format!("start graph {graph}");
        let Some(handle) = self.graphs.get(graph) else {
            let reason = format!("{} graphs are captured", self.graphs.len());
            return Err(Error::Device { what: what(), reason });
        };
        self.call(|| handle.start(&self.stream)).map_err(|fault| fault.error(what()))
    }

    fn forget_graphs(&mut self) {
        quietly(|| self.context.bind());
        self.graphs.clear();
    }

    fn wait(&mut self) -> Result<(), Error> {
        self.call(|| self.stream.wait()).map_err(|fault| fault.error(FINISH))
    }
}
