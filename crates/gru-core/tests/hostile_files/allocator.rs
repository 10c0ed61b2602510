//! The allocator of these tests: counts the bytes that a thread holds, so that a test can say how many a call needed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;

/// More than any call may ask for at once. Refused with a line that names the execution, since the process ends there.
const MOST_BYTES: usize = 1 << 30;

thread_local! {
    /// Bytes held by this thread since [`peak_of`] began. What other threads free may make it negative.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    /// The seed of the execution that runs on this thread.
    static EXECUTION: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: hands every call to the system allocator unchanged, or refuses it as the contract allows, with null. What
// reallocates goes through both, as it may have to hold old and new at once.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > MOST_BYTES {
            let execution = EXECUTION.try_with(Cell::get).unwrap_or(0);
            let _ = writeln!(std::io::stderr(), "{} bytes asked for in execution {execution}", layout.size());
            return std::ptr::null_mut();
        }
        let _ = HELD.try_with(|held| {
            held.set(held.get() + layout.size() as isize);
            let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
        });
        // SAFETY: the caller's contract is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _ = HELD.try_with(|held| held.set(held.get() - layout.size() as isize));
        // SAFETY: the caller's contract is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a call gives, and the most bytes it held at once, its result among them.
pub fn peak_of<T>(execution: u64, call: impl FnOnce() -> T) -> (T, usize) {
    EXECUTION.set(execution);
    HELD.set(0);
    PEAK.set(0);
    let result = call();
    (result, PEAK.get() as usize)
}
