//! Measures on a GPU what the kernels' speed comes from: how long blocks of a cluster take to hear of each other, a load
//! from shared memory, products of tensor cores, the gap between the nodes of a graph, and how many groups of each
//! persistent kernel are there at once. The kernels are those of `kernels/micro`; that each does what it is measured
//! for is tested on the emulator. Prints one JSON object; `{"skipped": why}` where the device has no clusters. Part of
//! `npm run gpu:check`.
//!
//! Arguments: how often each kernel does its one thing in a launch (1,000 without), how many launches (20 without).

use bytemuck::{Pod, Zeroable};
use cudarc::driver::{DriverError, result, sys};
use gru_core::Sizes;
use gru_cuda::Kernel;
use gru_cuda::recurrence::Persistent;
use gru_cuda::task::Region;
use std::error::Error;
use std::ffi::CString;

const PTX: &str = include_str!("../kernels/micro/micro_sm90.ptx");

/// Name, blocks, threads of a block, by how much the result of a thread grows in a round, and what happens in one.
const KERNELS: [(&str, u32, u32, u32, &str); 8] = [
    ("round_trip_async", 2, 32, 2, "a word to the peer by st.async, and one back"),
    ("round_trip_cluster", 8, 256, 1, "a barrier of a cluster of 8"),
    ("round_trip_block", 1, 256, 1, "a barrier of a block of 8 warps"),
    ("broadcast_load", 1, 32, 1, "16 bytes from shared memory, the same for a warp"),
    ("products_tf32_1", 1, 256, 32, "one m16n8k8 of each of 8 warps, after the one before"),
    ("products_tf32_8", 1, 256, 256, "8 m16n8k8 side by side of each of 8 warps"),
    ("products_bf16_1", 1, 256, 64, "one m16n8k16 of each of 8 warps, after the one before"),
    ("products_bf16_8", 1, 256, 512, "8 m16n8k16 side by side of each of 8 warps"),
];

const SMALL: Sizes =
    Sizes { vocab_size: 16, hidden_size: 16, batch_size: 1, num_steps: 1, candidate_bias: false };

/// Mirrors MicroTask in kernels/micro/micro_task.cuh.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct MicroTask {
    cycles: Region,
    result: Region,
    rounds: i32,
    padding: i32,
}

/// A stream of the device's context and the module; the end of the process gives all of it back.
struct Device {
    stream: sys::CUstream,
    module: sys::CUmodule,
}

impl Device {
    fn open(ordinal: i32, ptx: &str) -> Result<Self, Box<dyn Error>> {
        let image = CString::new(ptx)?;
        let device = result::device::get(ordinal)?;
        // SAFETY: the device is one that the driver gave, and its context is never released.
        unsafe { result::ctx::set_current(result::primary_ctx::retain(device)?) }?;
        let stream = result::stream::create(result::stream::StreamKind::NonBlocking)?;
        let mut module = std::ptr::null_mut();
        let nothing = std::ptr::null_mut();
        // SAFETY: the image ends with a 0; there are no options.
        unsafe {
            sys::cuModuleLoadDataEx(&raw mut module, image.as_ptr().cast(), 0, nothing, nothing.cast())
        }
        .result()?;
        Ok(Self { stream, module })
    }

    fn function(&self, name: &str) -> Result<sys::CUfunction, Box<dyn Error>> {
        // SAFETY: the module is loaded.
        Ok(unsafe { result::module::get_function(self.module, CString::new(name)?) }?)
    }

    fn region(&self, length: u32) -> Result<Region, DriverError> {
        // SAFETY: words that only kernels and copies touch.
        let address = unsafe { result::malloc_sync(4 * length as usize) }?;
        Ok(Region { address, length: u64::from(length) })
    }

    fn launch(
        &self,
        function: sys::CUfunction,
        [blocks, threads]: [u32; 2],
        mut task: MicroTask,
    ) -> Result<(), DriverError> {
        let mut parameters = [(&raw mut task).cast()];
        // SAFETY: the function takes one MicroTask by value, whose regions hold a word for each block and thread.
        unsafe {
            result::launch_kernel(function, (blocks, 1, 1), (threads, 1, 1), 0, self.stream, &mut parameters)
        }
    }

    fn read(&self, region: Region) -> Result<Vec<u32>, DriverError> {
        let mut words = vec![0; region.length as usize];
        // SAFETY: as many words as the region has; they live until the copy is over.
        unsafe { result::memcpy_dtoh_async(&mut words, region.address, self.stream) }?;
        self.wait()?;
        Ok(words)
    }

    fn wait(&self) -> Result<(), DriverError> {
        // SAFETY: the stream is never destroyed.
        unsafe { result::stream::synchronize(self.stream) }
    }

    fn mark(&self) -> Result<sys::CUevent, DriverError> {
        let event = result::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT)?;
        // SAFETY: neither is ever destroyed.
        unsafe { result::event::record(event, self.stream) }?;
        Ok(event)
    }

    /// Microseconds from a node to the next in a graph of this many launches of a kernel that does nothing.
    fn node_gap(&self, nodes: usize, repeats: usize, task: MicroTask) -> Result<f64, Box<dyn Error>> {
        let nothing = self.function("nothing")?;
        self.launch(nothing, [1, 32], task)?;
        self.wait()?;
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream is never destroyed, and nothing that it gives is.
        unsafe { result::stream::begin_capture(self.stream, mode) }?;
        for _ in 0..nodes {
            self.launch(nothing, [1, 32], task)?;
        }
        // SAFETY: likewise.
        let graph = unsafe {
            let captured = result::stream::end_capture(self.stream)?;
            result::graph::instantiate(captured, sys::CUgraphInstantiate_flags(0))?
        };
        // SAFETY: likewise.
        unsafe { result::graph::upload(graph, self.stream) }?;
        let mut times = vec![];
        for _ in 0..repeats {
            let begin = self.mark()?;
            // SAFETY: likewise.
            unsafe { result::graph::launch(graph, self.stream) }?;
            let end = self.mark()?;
            self.wait()?;
            // SAFETY: both were reached.
            let milliseconds = unsafe { result::event::elapsed(begin, end) }?;
            times.push(f64::from(milliseconds) * 1e3 / nodes as f64);
        }
        Ok(median(times))
    }
}

/// How many groups of the kernels of each persistent pair the device holds at once, as JSON.
fn resident_groups(device: &impl gru_cuda::Device) -> Result<Vec<String>, gru_core::Error> {
    Persistent::all()
        .map(|pair| {
            let [forward, backward] = [Kernel::Forward(pair), Kernel::Backward(pair)];
            let (forward, backward) = (device.resident_groups(forward)?, device.resident_groups(backward)?);
            let (name, blocks) = (pair.name(), pair.blocks());
            Ok(format!(r#"{{"pair":"{name}","blocks":{blocks},"forward":{forward},"backward":{backward}}}"#))
        })
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), Box<dyn Error>> {
    // Sums stay below 2^24, which f32 counts up to.
    let [rounds, repeats] = [(1, 1000, 32_000), (2, 20, 1000)].map(|(place, usual, most)| {
        let Some(text) = std::env::args().nth(place) else { return Ok(usual) };
        let count = text.parse().ok().filter(|count| (1..=most).contains(count));
        count.ok_or_else(|| format!("expected argument {place} from 1 to {most}, received {text}"))
    });
    let (rounds, repeats): (usize, usize) = (rounds?, repeats?);
    // The way of the product, which says why where there is no GPU that it can use.
    let (mut backend, facts) = gru_cuda::open(None, SMALL)?;
    let found = facts.device;
    if found.capability < (9, 0) {
        let (major, minor) = found.capability;
        let expected = "expected compute capability 9.0 or newer, which has clusters";
        println!(r#"{{"skipped":"{expected}, received {major}.{minor}"}}"#);
        return Ok(());
    }
    let groups = resident_groups(backend.device())?;
    drop(backend);
    let device = Device::open(i32::try_from(found.index)?, PTX)?;
    let mut measured = vec![];
    let mut task = MicroTask::zeroed();
    for (name, blocks, threads, growth, round) in KERNELS {
        let function = device.function(name)?;
        let (cycles, result) = (device.region(blocks)?, device.region(blocks * threads)?);
        task = MicroTask { cycles, result, rounds: i32::try_from(rounds)?, padding: 0 };
        let mut counts = vec![];
        // The first launch loads the kernel.
        for repeat in 0..=repeats {
            device.launch(function, [blocks, threads], task)?;
            let slowest = device.read(cycles)?.into_iter().max().unwrap_or_default();
            if repeat > 0 {
                counts.push(f64::from(slowest) / rounds as f64);
            }
        }
        let (expected, received) = (growth as usize * rounds, device.read(result)?[0]);
        if received as usize != expected {
            let what = "which every device should give";
            return Err(format!("{name}: expected the result {expected}, {what}, received {received}").into());
        }
        let cycles = median(counts);
        measured.push(format!(r#"{{"kernel":"{name}","round":"{round}","cyclesPerRound":{cycles:.1}}}"#));
    }
    let gap = device.node_gap(rounds, repeats, task)?;
    println!(
        r#"{{"name":{:?},"rounds":{rounds},"graphNodeMicroseconds":{gap:.3},"kernels":[{}],"residentGroups":[{}]}}"#,
        found.name,
        measured.join(","),
        groups.join(",")
    );
    Ok(())
}
