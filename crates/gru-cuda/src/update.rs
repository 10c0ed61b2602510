//! Which kernels run, in which order and on which grids. The geometry of each is described in the head of its
//! file in `kernels/`.

use crate::arena::{BIAS_COLUMNS, TILE};
use crate::device::Launch;
use crate::{Kernel, Task};

/// What a run of updates does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Forward, backward, SGD.
    Train,
    /// Forward only.
    Evaluate,
    /// Forward and backward; parameters and carried state stay.
    Gradient,
}

/// Units and lanes of a block of the recurrent kernels.
const UNITS: usize = 16;
const LANES: usize = 4;
/// Elements of a block of `descend`.
const ELEMENTS_PER_BLOCK: usize = 1024;

/// The launches of one update.
pub fn update(task: &Task, mode: Mode) -> Vec<Launch> {
    let size = |value: i32| value as usize;
    let (vocab, hidden, rows) = (size(task.vocab_size), size(task.hidden_size), size(task.rows));
    let (batch, steps) = (size(task.batch_size), size(task.num_steps));
    let per_thread = |elements: usize, kernel: Kernel| elements.div_ceil(kernel.threads() as usize);
    let tiles = |columns: usize, rows: usize| [columns.div_ceil(TILE), rows.div_ceil(TILE)];
    let task = Task { num_slots: if mode == Mode::Evaluate { 0 } else { task.num_slots }, ..*task };
    let launch =
        |kernel: Kernel, blocks: [usize; 2]| Launch { kernel, blocks: blocks.map(|n| n as u32), task };

    let begin = per_thread(rows.max(batch * hidden), Kernel::BeginUpdate);
    let mut launches = vec![launch(Kernel::BeginUpdate, [begin, 1])];
    launches.extend(forward(&task, steps));
    launches.push(launch(Kernel::SoftmaxLoss, [rows, 1]));
    if mode != Mode::Evaluate {
        launches.push(launch(Kernel::HiddenGradient, tiles(hidden, rows)));
        let step_backward = launch(Kernel::StepBackward, [hidden / UNITS, batch.div_ceil(LANES)]);
        launches.extend((0..steps).rev().map(|step| Launch { task: task.at_step(step), ..step_backward }));
        launches.push(launch(Kernel::RecurrentGradient, tiles(3 * hidden, hidden)));
        launches.push(launch(Kernel::OutputGradient, tiles(vocab, hidden)));
        launches.push(launch(Kernel::InputGradient, [rows, 1]));
        launches.push(launch(Kernel::BiasGradients, [(4 * hidden + vocab) / BIAS_COLUMNS, 1]));
    }
    launches.push(launch(Kernel::ReportUpdate, [1, 1]));
    if mode == Mode::Train {
        let dense = (task.dense.length as usize).div_ceil(ELEMENTS_PER_BLOCK);
        launches.push(launch(Kernel::Descend, [rows + dense, 1]));
    }
    if mode != Mode::Gradient {
        launches.push(launch(Kernel::CarryState, [per_thread(batch * hidden, Kernel::CarryState), 1]));
    }
    launches
}

/// The launches of `steps` time steps from the first rows of `h` to logits.
pub fn forward(task: &Task, steps: usize) -> Vec<Launch> {
    let (hidden, batch) = (task.hidden_size as usize, task.batch_size as usize);
    let blocks = [(hidden / UNITS) as u32, batch.div_ceil(LANES) as u32];
    let step = |step| Launch { kernel: Kernel::StepForward, blocks, task: task.at_step(step) };
    let mut launches: Vec<Launch> = (0..steps).map(step).collect();
    let rows = steps * batch;
    launches.push(Launch {
        kernel: Kernel::Projection,
        blocks: [(task.vocab_size as usize).div_ceil(TILE) as u32, rows.div_ceil(TILE) as u32],
        task: Task { num_steps: steps as i32, rows: rows as i32, ..*task },
    });
    launches
}

/// Most updates of one launch: about a tenth of a second of work on a slow device, and few enough that a graph
/// of them is quick to make.
pub fn updates_per_launch(task: &Task) -> usize {
    /// Arithmetic that every device reaches, and the time from one kernel to the next, both on the safe side.
    const FLOPS_PER_SECOND: f64 = 2e12;
    const SECONDS_PER_KERNEL: f64 = 4e-6;
    let [vocab, hidden, rows, steps] =
        [task.vocab_size, task.hidden_size, task.rows, task.num_steps].map(f64::from);
    let flops = 6.0 * rows * hidden * (3.0 * hidden + vocab);
    let seconds = flops / FLOPS_PER_SECOND + (2.0 * steps + 11.0) * SECONDS_PER_KERNEL;
    (0.1 / seconds).clamp(1.0, 32.0) as usize
}
