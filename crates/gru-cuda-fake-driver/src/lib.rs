//! A CUDA driver library that runs kernels on the emulator. Copied as `libcuda.so.1` into a folder of the
//! library path it stands in for NVIDIA's, so that the way from the built addon to trained weights can be
//! tested on a machine without a GPU: the probe, cudarc, copies, launches, graphs. It is stricter than a
//! driver where that finds mistakes: handles and ranges are checked, a stream touches host memory no sooner than
//! somebody waits for it, what two streams do at the same time is done in one order and in the other by turns,
//! nothing but launches and waiting for each other may happen during a capture, and whatever is left when the context is
//! given up is reported. It tells nothing about speed, and
//! what it takes for granted about a driver was read, not tried on one.
//!
//! - `settings`: the faults and sizes that `GRU_FAKE_DRIVER` asks for.
//! - `state`: what the driver holds. `codes`: results and their names. `ptx`: what of PTX is checked.
//! - `device`, `memory`, `module`, `occupancy`, `stream`, `capture`, `graph`, `event`: the functions of
//!   the driver API.
#![allow(non_snake_case, reason = "the names are the driver API's")]

mod capture;
mod codes;
mod device;
mod event;
mod graph;
mod memory;
mod module;
mod occupancy;
mod ptx;
mod settings;
mod state;
mod stream;
