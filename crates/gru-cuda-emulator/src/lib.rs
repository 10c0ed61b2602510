//! Runs the CUDA kernels on the CPU, thread by thread, and reports what a GPU would not.
//!
//! The sources in `crates/gru-cuda/kernels` are compiled by the C++ compiler against `cpp/`: each CUDA thread
//! is a fiber, blocks and threads run in a random order that follows from a seed, and every access to memory
//! is checked. [`launch()`] runs one kernel; [`Emulator`] is a [`gru_cuda::Device`].
//!
//! Faults: access out of bounds, misaligned or to what is not allocated; reads of device memory that nobody wrote;
//! data races on shared memory and, within a launch, on device memory; divergent barriers; deadlock; misuse of
//! clusters and mbarriers; launches that a driver would refuse. Fresh memory of any kind, and registers that get
//! their value later, are filled with ones: NaN.
//!
//! Not modelled: time, caches, the order in which plain stores of one thread reach another that does not wait
//! for them, limits of registers and of blocks that fit on a GPU, bank conflicts.

mod device;
mod fault;
mod foreign;
mod launch;
mod memory;

pub use device::Emulator;
pub use fault::{Fault, FaultKind};
pub use launch::{Options, argument_size, cluster_size, kernels, launch};
pub use memory::{allocate, free, read, write};
