//! Which kernels run, in which order and on which grids. The geometry of each is described in the head of its
//! file in `kernels/`.

use crate::arena::BIAS_COLUMNS;
use crate::device::{Launch, Order};
use crate::recurrence::Persistent;
use crate::{Kernel, Precision, Recurrence, Task, tile};

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

/// Which of several kernels for the same thing run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path {
    /// Operands of the products.
    pub precision: Precision,
    /// How the time steps are run.
    pub recurrence: Recurrence,
}

/// The launches of one update.
pub fn update(task: &Task, mode: Mode, path: Path) -> Vec<Launch> {
    let size = |value: i32| value as usize;
    let (vocab, hidden, rows) = (size(task.vocab_size), size(task.hidden_size), size(task.rows));
    let (batch, steps) = (size(task.batch_size), size(task.num_steps));
    let per_thread = |elements: usize, kernel: Kernel| elements.div_ceil(kernel.threads() as usize);
    let precision = path.precision;
    let task = Task { num_slots: if mode == Mode::Evaluate { 0 } else { task.num_slots }, ..*task };
    let launch = |kernel: Kernel, blocks: [usize; 2]| Launch {
        kernel,
        blocks: blocks.map(|n| n as u32),
        task,
        order: Order::Next,
    };

    let groups = |pair: Persistent| [pair.blocks() * pair.groups(batch), 1];

    let begin = per_thread(rows.max(batch * hidden), Kernel::BeginUpdate);
    let mut launches = vec![launch(Kernel::BeginUpdate, [begin, 1])];
    match path.recurrence {
        Recurrence::Steps => launches.extend(steps_forward(&task, steps)),
        Recurrence::Persistent(pair) => launches.push(launch(Kernel::Forward(pair), groups(pair))),
    }
    launches.push(projection(&task, steps, precision));
    launches.push(launch(Kernel::SoftmaxLoss, [rows, 1]));
    if mode != Mode::Evaluate {
        let blocks = tile::hidden_gradient(precision).blocks(rows, hidden);
        launches.push(launch(Kernel::HiddenGradient(precision), blocks));
        // It reads h and the logits' gradient, and until the norm nobody reads what it writes: W_y's gradient and slots
        // of `squares` of its own. So it fills what BPTT leaves idle.
        let blocks = tile::OUTPUT_GRADIENT.blocks(hidden, vocab);
        let output_gradient = launch(Kernel::OutputGradient(precision), blocks);
        launches.push(Launch { order: Order::Beside, ..output_gradient });
        match path.recurrence {
            Recurrence::Steps => {
                let each = launch(Kernel::StepBackward, [hidden / UNITS, batch.div_ceil(LANES)]);
                launches.extend((0..steps).rev().map(|step| Launch { task: task.at_step(step), ..each }));
            }
            Recurrence::Persistent(pair) => launches.push(launch(Kernel::Backward(pair), groups(pair))),
        }
        // What reads the gradients of all steps; each writes its own gradients and slots.
        for (kernel, blocks) in
            [(Kernel::InputGradient, rows), (Kernel::BiasGradients, (4 * hidden + vocab) / BIAS_COLUMNS)]
        {
            launches.push(Launch { order: Order::Beside, ..launch(kernel, [blocks, 1]) });
        }
        let blocks = tile::RECURRENT_GRADIENT.blocks(hidden, 3 * hidden);
        launches.push(launch(Kernel::RecurrentGradient(precision), blocks));
    }
    launches.push(Launch { order: Order::Join, ..launch(Kernel::ReportUpdate, [1, 1]) });
    if mode == Mode::Train {
        let dense = (task.dense.length as usize).div_ceil(ELEMENTS_PER_BLOCK);
        launches.push(launch(Kernel::Descend, [rows + dense, 1]));
    }
    if mode != Mode::Gradient {
        launches.push(launch(Kernel::CarryState, [per_thread(batch * hidden, Kernel::CarryState), 1]));
    }
    launches
}

/// The launches of `steps` time steps from the first rows of `h` to logits, always in f32.
pub fn forward(task: &Task, steps: usize) -> Vec<Launch> {
    let mut launches: Vec<Launch> = steps_forward(task, steps).collect();
    launches.push(projection(task, steps, Precision::Fp32));
    launches
}

fn steps_forward(task: &Task, steps: usize) -> impl Iterator<Item = Launch> {
    let (hidden, batch) = (task.hidden_size as usize, task.batch_size as usize);
    let blocks = [(hidden / UNITS) as u32, batch.div_ceil(LANES) as u32];
    (0..steps).map(move |step| Launch {
        kernel: Kernel::StepForward,
        blocks,
        task: task.at_step(step),
        order: Order::Next,
    })
}

fn projection(task: &Task, steps: usize, precision: Precision) -> Launch {
    let rows = steps * task.batch_size as usize;
    Launch {
        kernel: Kernel::Projection(precision),
        blocks: tile::PROJECTION.blocks(rows, task.vocab_size as usize).map(|n| n as u32),
        task: Task { num_steps: steps as i32, rows: rows as i32, ..*task },
        order: Order::Next,
    }
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
