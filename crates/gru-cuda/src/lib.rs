//! The CUDA backend: the model's kernels, the order in which they run, and the way to a GPU.
//!
//! - [`mod@open`]: from nothing to a network on a GPU. [`mod@search`]: the stages on the way there, device by device,
//!   on a thread that can be left behind; [`probe`]: those of the driver; [`driver`]: a GPU through its driver;
//!   [`self_test`]: whether it computes what it should.
//! - [`backend`]: the [`CudaBackend`] over any [`Device`], the contract in [`mod@device`]. [`arena`]: where
//!   everything lies in device memory; [`memory`]: whether it fits; [`tables`]: what is uploaded of the updates ahead; [`update`]: which
//!   kernels run, in which order; [`mod@recurrence`]: which of them run the time steps; [`choices`]: the table of that;
//!   [`tile`]: how much of a matrix product a block computes; [`kernel`]: their names; [`mod@ptx`]: the modules that they
//!   are loaded from;
//!   [`precision`]: the operands of their products; [`task`]: what each launch is given.

pub mod arena;
pub mod backend;
pub mod choices;
pub mod device;
pub mod driver;
pub mod kernel;
pub mod memory;
pub mod open;
pub mod precision;
pub mod probe;
pub mod ptx;
pub mod recurrence;
pub mod search;
pub mod self_test;
pub mod tables;
pub mod task;
pub mod tile;
pub mod update;

pub use backend::CudaBackend;
pub use device::Device;
pub use kernel::Kernel;
pub use open::{examine, examine_within, open, open_for};
pub use precision::Precision;
pub use recurrence::Recurrence;
pub use task::Task;
