//! Which kernels run the time steps on which GPU, for `doctor --kernels`.

use crate::device::capability_text;
use crate::error::{self, Result};
use crate::panics;
use gru_cuda::Recurrence;
use gru_cuda::choices::{Choice, Told, choices};
use gru_cuda::recurrence::Exchange;
use napi_derive::napi;

/// What runs the time steps of networks of some hidden sizes. Where there are two numbers, they are of the kernel that
/// goes forward and of the one that goes backward.
#[napi(object, object_from_js = false)]
pub struct KernelChoice {
    /// The oldest compute capability that it is for, such as `8.6`.
    pub oldest_capability: String,
    /// The newest; absent where it is for all newer ones.
    pub newest_capability: Option<String>,
    /// Operands of the products.
    #[napi(ts_type = "'fp32' | 'tf32' | 'bf16'")]
    pub precision: &'static str,
    /// The fewest hidden units.
    pub fewest_hidden: u32,
    /// The most; absent where there is no limit.
    pub most_hidden: Option<u32>,
    /// `steps`: one launch a time step. `cluster` and `words`: one for all of them, whose blocks exchange in clusters or
    /// by words in device memory.
    #[napi(ts_type = "'steps' | 'cluster' | 'words'")]
    pub way: &'static str,
    /// The names of both kernels.
    pub kernels: Vec<&'static str>,
    /// Blocks of a group, if there are groups.
    pub blocks: Option<u32>,
    /// Lanes of the batch that a group computes.
    pub lanes: Option<u32>,
    /// Groups that the GPU holds at the same time; absent where no such GPU was asked.
    pub groups_at_once: Option<Vec<u32>>,
    /// Registers of a thread on that GPU.
    pub registers: Option<Vec<i32>>,
    /// Shared memory of a block on that GPU, in bytes.
    pub shared_bytes: Option<Vec<i32>>,
}

/// The table of the kernels that run the time steps. With `askGpu` the first GPU that will do tells what it holds, which
/// blocks for as long as `cudaReport` does.
#[napi(catch_unwind)]
pub fn kernel_choices(ask_gpu: bool) -> Result<Vec<KernelChoice>> {
    let choices = panics::catch(|| choices(ask_gpu)).map_err(|text| error::panicked(&text))?;
    Ok(choices.iter().map(row).collect())
}

fn row(choice: &Choice) -> KernelChoice {
    let pair = match choice.recurrence {
        Recurrence::Steps => None,
        Recurrence::Persistent(pair) => Some(pair),
    };
    let told = choice.told.as_ref();
    let resource = |of: fn(&Told) -> i32| told.map(|told| told.iter().map(of).collect());
    KernelChoice {
        oldest_capability: capability_text(choice.oldest),
        newest_capability: choice.newest.map(capability_text),
        precision: choice.precision.name(),
        fewest_hidden: choice.fewest as u32,
        most_hidden: choice.most.map(|most| most as u32),
        way: match pair.map(|pair| pair.exchange) {
            None => "steps",
            Some(Exchange::Cluster) => "cluster",
            Some(Exchange::Words) => "words",
        },
        kernels: choice.recurrence.kernels().iter().map(|kernel| kernel.name()).collect(),
        blocks: pair.map(|pair| pair.blocks() as u32),
        lanes: pair.map(|pair| pair.lanes() as u32),
        groups_at_once: pair.and(told).map(|told| told.iter().map(|told| told.groups).collect()),
        registers: resource(|told| told.resources.registers),
        shared_bytes: resource(|told| told.resources.shared_bytes),
    }
}
