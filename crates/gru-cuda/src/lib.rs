//! The CUDA backend: the model's kernels, the order in which they run, and the way to a GPU.
//!
//! - [`mod@open`]: from nothing to a network on a GPU. [`probe`]: what of that is there, stage by stage;
//!   [`driver`]: a GPU through its driver; [`self_test`]: whether it computes what it should.
//! - [`backend`]: the [`CudaBackend`] over any [`Device`], the contract in [`mod@device`]. [`arena`]: where
//!   everything lies in device memory; [`tables`]: what is uploaded of the updates ahead; [`update`]: which
//!   kernels run, in which order; [`kernel`]: their names; [`task`]: what each launch is given.

pub mod arena;
pub mod backend;
pub mod device;
pub mod driver;
pub mod kernel;
pub mod open;
pub mod probe;
pub mod self_test;
pub mod tables;
pub mod task;
pub mod update;

pub use backend::CudaBackend;
pub use device::Device;
pub use kernel::Kernel;
pub use open::{examine, open};
pub use task::Task;
