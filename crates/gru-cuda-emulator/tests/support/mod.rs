//! Device memory for tests, and launches of the test kernels.
#![allow(dead_code)] // each test file uses some of it

use bytemuck::{Pod, Zeroable};
use gru_cuda::task::Region;
use gru_cuda_emulator::{Fault, FaultKind, Options, allocate, free, launch, read, write};

/// Seeds with which right kernels must pass and wrong ones must be found.
pub const SEEDS: std::ops::Range<u64> = 0..24;

/// Device memory that is given back at the end.
pub struct Buffer {
    pub region: Region,
}

impl Buffer {
    /// Room for elements of this many bytes; all NaN.
    pub fn new(length: usize, size: usize) -> Self {
        let address = allocate(length * size).expect("there is memory");
        Self { region: Region { address, length: length as u64 } }
    }

    pub fn of(numbers: &[f32]) -> Self {
        let buffer = Self::new(numbers.len(), 4);
        assert!(write(buffer.region.address, bytemuck::cast_slice(numbers)));
        buffer
    }

    pub fn get<T: Pod>(&self) -> Vec<T> {
        let mut elements = vec![T::zeroed(); self.region.length as usize];
        assert!(read(self.region.address, bytemuck::cast_slice_mut(&mut elements)));
        elements
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        assert!(free(self.region.address));
    }
}

/// Mirrors MemoryTask in tests/kernels/memory.cuh.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct MemoryTask {
    pub input: Region,
    pub out: Region,
    pub sums: Region,
    pub shift: i32,
    pub padding: i32,
}

/// What the kernels of memory.cu and barriers.cu work on.
pub struct Memory {
    pub input: Buffer,
    pub out: Buffer,
    pub sums: Buffer,
    pub shift: i32,
}

impl Memory {
    /// `length` numbers 1, 2, 3, ... and as many results.
    pub fn new(length: usize) -> Self {
        let numbers: Vec<f32> = (1..=length).map(|i| i as f32).collect();
        Self { input: Buffer::of(&numbers), out: Buffer::new(length, 4), sums: Buffer::new(8, 8), shift: 0 }
    }

    pub fn shifted(mut self, shift: i32) -> Self {
        self.shift = shift;
        self
    }

    pub fn task(&self) -> MemoryTask {
        let (input, out, sums) = (self.input.region, self.out.region, self.sums.region);
        MemoryTask { input, out, sums, shift: self.shift, padding: 0 }
    }

    pub fn run(&self, kernel: &str, blocks: u32, threads: u32, seed: u64) -> Result<(), Fault> {
        run(kernel, blocks, threads, &self.task(), seed)
    }
}

pub fn run<T: Pod>(kernel: &str, blocks: u32, threads: u32, task: &T, seed: u64) -> Result<(), Fault> {
    launch(kernel, [blocks, 1], threads, bytemuck::bytes_of(task), Options { seed, check_races: true })
}

/// Asserts the fault and that its message names the kernel and holds each of these words.
#[track_caller]
pub fn assert_fault(result: Result<(), Fault>, kind: FaultKind, kernel: &str, words: &[&str]) {
    let fault = result.expect_err("a fault");
    assert_eq!(fault.kind, kind, "{fault}");
    assert!(fault.message.contains(&format!("kernel '{kernel}'")), "{fault}");
    for word in words {
        assert!(fault.message.contains(word), "no {word:?} in: {fault}");
    }
}
