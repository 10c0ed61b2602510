//! The contract between the backend and what runs its kernels: a GPU through its driver, or the emulator.

use crate::{Kernel, Task};
use gru_core::Error;

/// One launch of a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Launch {
    /// Which.
    pub kernel: Kernel,
    /// Blocks in x and y.
    pub blocks: [u32; 2],
    /// What it is given.
    pub task: Task,
}

/// Device memory and kernels on one stream: everything happens in the order of the calls. `run` and `replay`
/// may return before the work is done; `read` and `wait` wait for all of it.
///
/// Errors are [`Error::Device`], with the driver's or the emulator's words, [`Error::DeviceMemory`],
/// [`Error::DeviceExhausted`] or [`Error::OutOfMemory`].
pub trait Device: Send {
    /// Memory that is free now, in bytes.
    ///
    /// # Errors
    /// See the trait.
    fn free_bytes(&self) -> Result<u64, Error>;

    /// Allocates memory; its content is undefined. Gives its address, a multiple of 256.
    ///
    /// # Errors
    /// See the trait.
    fn allocate(&mut self, bytes: usize) -> Result<u64, Error>;

    /// Gives memory back that was allocated.
    fn free(&mut self, address: u64);

    /// Copies to the device.
    ///
    /// # Errors
    /// See the trait.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Copies from the device, after all that was started before.
    ///
    /// # Errors
    /// See the trait; also what went wrong in kernels since the last `read` or `wait`.
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Error>;

    /// Starts launches, one after the other.
    ///
    /// # Errors
    /// See the trait.
    fn run(&mut self, launches: &[Launch]) -> Result<(), Error>;

    /// Keeps a sequence of launches ready to be started at once. The number names it.
    ///
    /// # Errors
    /// See the trait.
    fn capture(&mut self, launches: &[Launch]) -> Result<usize, Error>;

    /// Starts a captured sequence.
    ///
    /// # Errors
    /// See the trait.
    fn replay(&mut self, graph: usize) -> Result<(), Error>;

    /// Forgets all captured sequences.
    fn forget_graphs(&mut self);

    /// Waits for all that was started.
    ///
    /// # Errors
    /// See the trait; also what went wrong in kernels since the last `read` or `wait`.
    fn wait(&mut self) -> Result<(), Error>;
}

impl<D: Device + ?Sized> Device for &mut D {
    fn free_bytes(&self) -> Result<u64, Error> {
        (**self).free_bytes()
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64, Error> {
        (**self).allocate(bytes)
    }

    fn free(&mut self, address: u64) {
        (**self).free(address);
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        (**self).write(address, bytes)
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Error> {
        (**self).read(address, bytes)
    }

    fn run(&mut self, launches: &[Launch]) -> Result<(), Error> {
        (**self).run(launches)
    }

    fn capture(&mut self, launches: &[Launch]) -> Result<usize, Error> {
        (**self).capture(launches)
    }

    fn replay(&mut self, graph: usize) -> Result<(), Error> {
        (**self).replay(graph)
    }

    fn forget_graphs(&mut self) {
        (**self).forget_graphs();
    }

    fn wait(&mut self) -> Result<(), Error> {
        (**self).wait()
    }
}
