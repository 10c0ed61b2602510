//! The driver behind `gru-cuda`, with a driver library for every way in which it can end. Each test runs `try-driver` as
//! a process of its own with a library path of its own, since a process loads one driver for good.
#![cfg(target_os = "linux")]

mod device;
mod folder;
mod stages;

/// The function that only the timing of launches calls.
const TIMING: &str = "cuEventElapsedTime";
