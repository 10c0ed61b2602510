//! Launches, and the table of kernels.

use crate::foreign;
use crate::{Fault, FaultKind};
use std::ffi::{CStr, CString};

/// How a launch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Decides the order of threads, blocks and deliveries.
    pub seed: u64,
    /// Whether races are looked for, which doubles the time.
    pub check_races: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 0, check_races: true }
    }
}

/// Bytes of a message that are kept.
const MESSAGE_BYTES: usize = 4096;

/// Runs a kernel on `blocks` in x and y, to its end. `argument` is the kernel's task, byte for byte.
///
/// # Errors
/// The first fault; the launch stops there.
pub fn launch(
    kernel: &str,
    blocks: [u32; 2],
    threads: u32,
    argument: &[u8],
    options: Options,
) -> Result<(), Fault> {
    let Ok(name) = CString::new(kernel) else {
        return Err(Fault { kind: FaultKind::Launch, message: format!("there is no kernel {kernel:?}") });
    };
    let mut task = vec![0_u128; argument.len().div_ceil(16)];
    bytemuck::cast_slice_mut::<_, u8>(&mut task)[..argument.len()].copy_from_slice(argument);
    // SAFETY: name and task live until the call returns, the task is aligned to 16 bytes and holds as many as
    // are named; the kernel reaches other memory only through checks against the emulator's allocations.
    let number = unsafe {
        foreign::emulator_launch(
            name.as_ptr(),
            blocks[0],
            blocks[1],
            threads,
            task.as_ptr().cast(),
            argument.len(),
            options.seed,
            options.check_races,
        )
    };
    if number == 0 {
        return Ok(());
    }
    let mut message = vec![0; MESSAGE_BYTES];
    // SAFETY: the buffer has the capacity that is named.
    let length = unsafe { foreign::emulator_message(message.as_mut_ptr(), message.len()) };
    message.truncate(length);
    Err(Fault {
        kind: FaultKind::from_number(number),
        message: String::from_utf8_lossy(&message).into_owned(),
    })
}

/// The names of all kernels.
pub fn kernels() -> Vec<&'static str> {
    table().map(|(_, name)| name).collect()
}

/// Bytes of the task that a kernel takes.
pub fn argument_size(kernel: &str) -> Option<usize> {
    // SAFETY: the number is one of the table's.
    number(kernel).map(|number| unsafe { foreign::emulator_task_bytes(number) })
}

/// Blocks of the clusters that a kernel is compiled for; 1 where it is for none.
pub fn cluster_size(kernel: &str) -> Option<u32> {
    // SAFETY: the number is one of the table's.
    number(kernel).map(|number| unsafe { foreign::emulator_cluster_size(number) })
}

fn number(kernel: &str) -> Option<usize> {
    table().find(|(_, name)| *name == kernel).map(|(number, _)| number)
}

fn table() -> impl Iterator<Item = (usize, &'static str)> {
    // SAFETY: the table is complete before main and never changes; its strings are literals of C++.
    let count = unsafe { foreign::emulator_kernel_count() };
    (0..count).map(|number| {
        // SAFETY: as above, and the number is below the count.
        let name = unsafe { CStr::from_ptr(foreign::emulator_kernel_name(number)) };
        (number, name.to_str().expect("kernels have names in ASCII"))
    })
}
