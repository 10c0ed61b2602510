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
    /// What it waits for.
    pub order: Order,
}

/// What a launch of a sequence waits for. There are two branches, and what is on one may run at the same time as
/// what is on the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// On the main branch: after what is listed before it on that branch.
    #[default]
    Next,
    /// On the second branch: after everything listed before it. The main branch goes on without it.
    Beside,
    /// On the main branch: after everything listed before it, on either branch.
    Join,
}

/// Refuses a sequence whose end does not wait for the second branch: what follows would not either.
///
/// # Errors
/// [`Error::Device`].
pub fn check_joined(launches: &[Launch]) -> Result<(), Error> {
    let last = launches.iter().rev().find(|launch| launch.order != Order::Next);
    match last.filter(|launch| launch.order == Order::Beside) {
        None => Ok(()),
        Some(launch) => Err(Error::Device {
            what: "take a sequence whose last launches wait for all others".into(),
            reason: format!("{} beside them to the end", launch.kernel.name()),
        }),
    }
}

/// Device memory and kernels on one stream: everything happens in the order of the calls, and within a sequence of
/// launches in that of [`Order`]. `run` and `replay`
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

    /// How many groups of blocks of a persistent kernel can run at the same time; 0 where the device cannot run it.
    ///
    /// # Errors
    /// See the trait.
    fn resident_groups(&self, kernel: Kernel) -> Result<u32, Error>;

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

    /// Starts launches, each as soon as its order allows.
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

    fn resident_groups(&self, kernel: Kernel) -> Result<u32, Error> {
        (**self).resident_groups(kernel)
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
