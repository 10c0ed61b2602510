//! Memory that networks had, given back to the system.

/// Hands memory that is free back to the system. The allocator of glibc keeps what other threads than the first have
/// freed, for good where later blocks lie behind it: a hundred networks that are gone would still fill the memory.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> i32;
        }
        // SAFETY: takes any number and may be called at any time, from any thread.
        unsafe { malloc_trim(0) };
    }
}
