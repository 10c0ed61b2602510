//! The functions of `cpp/interface.cpp`.

use std::ffi::{c_char, c_int, c_void};

unsafe extern "C" {
    pub fn emulator_kernel_count() -> usize;
    /// `number` is below the count. The string is static.
    pub fn emulator_kernel_name(number: usize) -> *const c_char;
    /// `number` is below the count.
    pub fn emulator_task_bytes(number: usize) -> usize;
    /// `number` is below the count.
    pub fn emulator_cluster_size(number: usize) -> u32;

    /// 0 if there is no memory.
    pub fn emulator_allocate(bytes: usize) -> u64;
    /// False if nothing was allocated there.
    pub fn emulator_free(address: u64) -> bool;
    /// False if it is not all in one allocation; then nothing was copied.
    pub fn emulator_write(address: u64, bytes: *const c_void, count: usize) -> bool;
    /// False if it is not all in one allocation; then nothing was copied.
    pub fn emulator_read(bytes: *mut c_void, address: u64, count: usize) -> bool;

    /// The number of a `FaultKind`, 0 if all went well. `task` is aligned to 16 bytes.
    pub fn emulator_launch(
        name: *const c_char,
        blocks_x: u32,
        blocks_y: u32,
        threads: u32,
        task: *const c_void,
        task_bytes: usize,
        seed: u64,
        check_races: bool,
    ) -> c_int;
    /// Words of this system thread's last launch; gives how many bytes it wrote.
    pub fn emulator_message(words: *mut u8, capacity: usize) -> usize;
}
