//! Device memory. Allocations belong to the process; any thread may use them.

use crate::foreign;

/// Allocates memory, every byte 0xff: a NaN wherever a number is read. The address is a multiple of 256.
/// `None` if there is not so much.
pub fn allocate(bytes: usize) -> Option<u64> {
    // SAFETY: takes any size.
    let address = unsafe { foreign::emulator_allocate(bytes) };
    (address != 0).then_some(address)
}

/// Gives memory back. False if nothing was allocated at the address.
pub fn free(address: u64) -> bool {
    // SAFETY: looks the address up before it frees. Nobody holds a reference into device memory.
    unsafe { foreign::emulator_free(address) }
}

/// Copies to device memory. False, and nothing copied, if the place is not all in one allocation.
pub fn write(address: u64, bytes: &[u8]) -> bool {
    // SAFETY: the slice is readable for its length; the destination is looked up.
    unsafe { foreign::emulator_write(address, bytes.as_ptr().cast(), bytes.len()) }
}

/// Copies from device memory. False, and nothing copied, if the place is not all in one allocation.
pub fn read(address: u64, bytes: &mut [u8]) -> bool {
    // SAFETY: the slice is writable for its length; the source is looked up.
    unsafe { foreign::emulator_read(bytes.as_mut_ptr().cast(), address, bytes.len()) }
}
