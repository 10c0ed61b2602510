//! A GPU through its driver: memory, launches and graphs in one context.
//!
//! Everything goes through cudarc's plain calls, behind one guard, so that no panic of cudarc gets out. Its
//! safe layer is not used: it ties events to every buffer, which a capture does not allow. Nothing is
//! allocated from pools, so that addresses in a graph stay good.

mod branches;
mod facts;
mod guard;
mod handles;
mod module;
mod occupancy;

pub use facts::Facts;
pub use module::Resources;

use crate::device::{Device, Launch, check_joined};
use crate::probe::{self, Failure, Found, Reason, Stage};
use crate::{Kernel, Precision};
use branches::Branches;
use cudarc::driver::{DriverError, result, sys};
use gru_core::Error;
use guard::{Fault, guard, quietly};
use handles::{Captured, Context, Event, Graph, Memory};
use module::Kernels;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

/// What a device fails at when something that was started earlier fails.
const FINISH: &str = "finish what was started";

/// An open device. Dropped, it gives everything back, in the order of its fields.
pub struct Driver {
    graphs: Vec<Graph>,
    memory: BTreeMap<u64, Memory>,
    kernels: RefCell<Kernels>,
    branches: Branches,
    context: Context,
    device: Found,
    cuda_version: i32,
    context_seconds: f64,
}

// SAFETY: the driver's handles may be used from any thread whose current context is theirs. Every method binds
// the context to the thread that calls it, and none runs beside another, since there is no `Sync`.
unsafe impl Send for Driver {}

impl Driver {
    /// Opens device `index` and loads the kernels of fp32, on this thread and for as long as the driver takes: for tests
    /// and tools. [`crate::search`] is the way that looks at everything first and can give up.
    ///
    /// # Errors
    /// Why the device cannot be used.
    pub fn open(index: usize) -> Result<Self, Failure> {
        let machine = probe::probe(&mut |_, _| ())?;
        let device = probe::check_device(&machine.devices, index, &mut |_, _| ())?;
        Self::start(device, machine.cuda_version, Precision::Fp32, &mut |_, _| ())
    }

    /// Makes a context on a device that was looked at and loads the kernels that every network of this precision needs;
    /// `passed` is told of both stages.
    ///
    /// # Errors
    /// Why the first stage that `passed` was not told of does not hold.
    pub(crate) fn start(
        device: Found,
        cuda_version: i32,
        precision: Precision,
        passed: &mut dyn FnMut(Stage, String),
    ) -> Result<Self, Failure> {
        let begin = Instant::now();
        let context = guard(|| Context::open(i32::try_from(device.index).unwrap_or(i32::MAX)))
            .map_err(|fault| fault.failure(Reason::InitFailed, "a context on the device"))?;
        let branches =
            guard(Branches::new).map_err(|fault| fault.failure(Reason::InitFailed, "two streams"))?;
        let context_seconds = begin.elapsed().as_secs_f64();
        passed(Stage::Context, format!("made in {context_seconds:.2} s"));

        let kernels = Kernels::load(device.capability, cuda_version, precision)?;
        passed(Stage::Kernels, format!("{} in {:.2} s", kernels.names.join(" + "), kernels.seconds));
        Ok(Self {
            graphs: Vec::new(),
            memory: BTreeMap::new(),
            kernels: RefCell::new(kernels),
            branches,
            context,
            device,
            cuda_version,
            context_seconds,
        })
    }

    /// What is known of the device by now.
    pub fn facts(&self) -> Facts {
        let kernels = self.kernels.borrow();
        Facts {
            device: self.device.clone(),
            cuda_version: self.cuda_version,
            driver_release: probe::driver_release(),
            ptx: kernels.names.join(" + "),
            missing: kernels.missing.clone(),
            context_seconds: self.context_seconds,
            load_seconds: kernels.seconds,
            resources: kernels.resources.clone(),
        }
    }

    /// Runs launches one after the other and gives the time that each took on the device, in milliseconds. For
    /// tables of kernels: the marks between the launches cost time of their own.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn time(&mut self, launches: &[Launch]) -> Result<Vec<f32>, Error> {
        self.prepare(launches.iter().map(|launch| launch.kernel))?;
        let timing = |fault: Fault| fault.error("time launches");
        let mark = || self.call(|| Event::record(&self.branches.main)).map_err(timing);
        let mut marks = vec![mark()?];
        for launch in launches {
            self.launch(launch, self.branches.main.0)?;
            marks.push(mark()?);
        }
        self.call(|| self.branches.main.wait()).map_err(|fault| fault.error(FINISH))?;
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

    /// Binds the context and loads the kernels that are not loaded yet.
    fn prepare(&self, wanted: impl IntoIterator<Item = Kernel>) -> Result<(), Error> {
        self.call(|| Ok(())).map_err(|fault| fault.error("take launches"))?;
        let mut kernels = self.kernels.borrow_mut();
        wanted.into_iter().for_each(|kernel| kernels.prepare(kernel));
        Ok(())
    }

    /// Puts a launch into a stream, or into the graph that the stream is capturing. The context is bound.
    fn launch(&self, launch: &Launch, stream: sys::CUstream) -> Result<(), Error> {
        let mut task = launch.task;
        let mut parameters = [(&raw mut task).cast()];
        let ([x, y], threads) = (launch.blocks, launch.kernel.threads());
        let what = || format!("launch {} in {x} x {y} blocks", launch.kernel.name());
        let kernels = self.kernels.borrow();
        let Some(function) = kernels.function(launch.kernel) else {
            let missing: String = kernels.missing.iter().map(|missing| format!("; {missing}")).collect();
            let reason = format!("{} without that kernel{missing}", kernels.names.join(" + "));
            return Err(Error::Device { what: what(), reason });
        };
        let start = if launch.kernel.is_cooperative() {
            result::launch_cooperative_kernel
        } else {
            result::launch_kernel
        };
        guard(|| {
            // SAFETY: the function is of the loaded module and takes one `Task` by value, which the driver
            // copies before it returns. The addresses in the task are the caller's to get right; a kernel
            // that leaves the device's memory is stopped by the device.
            unsafe { start(function, (x, y, 1), (threads, 1, 1), 0, stream, &mut parameters) }
        })
        .map_err(|fault| fault.error(what()))
    }

    /// Puts launches into the streams of their order. The context is bound; the branches are joined at the end, also
    /// where a launch was refused.
    fn launch_all(&self, launches: &[Launch]) -> Result<(), Error> {
        let mut apart = false;
        let branching = |fault: Fault| fault.error("order launches");
        let launched = launches.iter().try_for_each(|launch| {
            let stream = guard(|| self.branches.ordered(launch.order, &mut apart)).map_err(branching)?;
            self.launch(launch, stream)
        });
        let joined = guard(|| self.branches.join(&mut apart)).map_err(branching);
        launched.and(joined)
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
            self.branches.main.wait()
        });
    }
}

impl Device for Driver {
    fn free_bytes(&self) -> Result<u64, Error> {
        let (free, _) =
            self.call(result::mem_get_info).map_err(|fault| fault.error("tell its free memory"))?;
        Ok(free as u64)
    }

    /// A kernel that the device refuses is one that it cannot run, not an error.
    fn resident_groups(&self, kernel: Kernel) -> Result<u32, Error> {
        self.prepare([kernel])?;
        let function = self.kernels.borrow().function(kernel);
        let Some((pair, function)) = kernel.persistent().zip(function) else {
            return Ok(0);
        };
        Ok(self.call(|| occupancy::resident_groups(pair, function)).unwrap_or(0))
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
            unsafe { result::memcpy_htod_async(address, bytes, self.branches.main.0) }?;
            self.branches.main.wait()
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
            unsafe { result::memcpy_dtoh_async(bytes, address, self.branches.main.0) }?;
            self.branches.main.wait()
        })
        .map_err(|fault| fault.error(format!("give {length} bytes")))
    }

    fn run(&mut self, launches: &[Launch]) -> Result<(), Error> {
        check_joined(launches)?;
        self.prepare(launches.iter().map(|launch| launch.kernel))?;
        self.launch_all(launches)
    }

    fn capture(&mut self, launches: &[Launch]) -> Result<usize, Error> {
        check_joined(launches)?;
        self.prepare(launches.iter().map(|launch| launch.kernel))?;
        let capturing = |fault: Fault| fault.error("capture launches");
        self.call(|| Captured::begin(&self.branches.main)).map_err(capturing)?;
        let launched = self.launch_all(launches);
        // Ended also where a launch was refused.
        let captured = self.call(|| Captured::end(&self.branches.main));
        launched?;
        let graph = captured.and_then(|captured| self.call(|| Graph::new(&captured, &self.branches.main)));
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
        self.call(|| handle.start(&self.branches.main)).map_err(|fault| fault.error(what()))
    }

    fn forget_graphs(&mut self) {
        quietly(|| self.context.bind());
        self.graphs.clear();
    }

    fn wait(&mut self) -> Result<(), Error> {
        self.call(|| self.branches.main.wait()).map_err(|fault| fault.error(FINISH))
    }
}
