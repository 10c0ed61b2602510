//! At the largest sizes that are accepted, every index that a kernel computes fits in the 32 bits it computes with
//! and in the region it is for, and every grid is one that a driver takes.
//!
//! The formulas are those of `kernels/*.cu`, at the last thread of the last block.

use gru_core::Sizes;
use gru_core::random::Random;
use gru_cuda::arena::{Arena, BIAS_COLUMNS, LANE_STEPS};
use gru_cuda::recurrence::Persistent;
use gru_cuda::task::Region;
use gru_cuda::update::{self, Mode, Path};
use gru_cuda::{Kernel, Precision, Task, tile};

const INT: i128 = i32::MAX as i128;
const UNSIGNED: i128 = u32::MAX as i128;

/// A number that a kernel computes, the largest that its type holds, and what it is the index of.
struct Number {
    kernel: Kernel,
    what: &'static str,
    largest: i128,
    limit: i128,
    region: Option<Region>,
}

/// Every index into a region, and every other number that grows with the sizes.
fn numbers(task: &Task, updates: i128) -> Vec<Number> {
    let size = i128::from;
    let (vocab, hidden, batch) = (size(task.vocab_size), size(task.hidden_size), size(task.batch_size));
    let (rows, columns) = (size(task.rows), 3 * hidden);
    let threads = i128::from(Kernel::BeginUpdate.threads());
    let whole = |count: i128, of: i128| (count + of - 1) / of * of;
    // What blocks that cover a matrix count up to, from 1: rows, columns and blocks. A tile's depth is at most 64.
    let covered = |tile: tile::Tile, rows: i128, columns: i128| {
        let [below, across] = [whole(rows, tile.rows as i128), whole(columns, tile.columns as i128)];
        [below, across, below / tile.rows as i128 * (across / tile.columns as i128)]
    };
    let deep = |length: i128| whole(length, 64);
    let parts = whole(vocab, tile::PART_COLUMNS as i128) / tile::PART_COLUMNS as i128;
    let mut all = vec![];
    let mut add = |kernel, what, largest, limit, region| {
        all.push(Number { kernel, what, largest, limit, region });
    };
    let dense = i128::from(task.dense.length);

    let kernel = Kernel::BeginUpdate;
    add(kernel, "index", whole(rows.max(batch * hidden), threads) - 1, INT, None);
    add(kernel, "starts", updates * batch - 1, UNSIGNED, Some(task.starts));
    add(kernel, "inputs", rows - 1, INT, Some(task.inputs));
    add(kernel, "targets", rows - 1, INT, Some(task.targets));
    add(kernel, "state", batch * hidden - 1, INT, Some(task.state));

    let kernel = Kernel::StepForward;
    add(kernel, "lane", whole(batch, 4) - 1 + rows, INT, None);
    add(kernel, "w_h", hidden * columns - 1, INT, Some(task.w_h));
    add(kernel, "w_x", vocab * columns - 1, UNSIGNED, None);
    add(kernel, "b", columns - 1, INT, Some(task.b));
    add(kernel, "b_q", hidden - 1, INT, Some(task.b_q));
    add(kernel, "h", (rows + batch) * hidden - 1, INT, Some(task.h));
    for region in [task.r, task.z, task.q, task.n] {
        add(kernel, "r, z, q, n", rows * hidden - 1, INT, Some(region));
    }

    let kernel = Kernel::Projection(Precision::Fp32);
    let [below, across, _] = covered(tile::PROJECTION, rows, vocab);
    add(kernel, "row of a tile", below - 1, INT, None);
    add(kernel, "column of a tile", across - 1, INT, None);
    add(kernel, "depth", deep(hidden), INT, None);
    add(kernel, "w_y", hidden * vocab - 1, INT, Some(task.w_y));
    add(kernel, "b_y", vocab - 1, INT, Some(task.b_y));
    add(kernel, "logits", rows * vocab - 1, INT, Some(task.logits));
    add(kernel, "parts before a row", rows * parts, INT, None);
    if task.part_max.length > 0 {
        add(kernel, "part_max", rows * parts - 1, INT, Some(task.part_max));
        add(kernel, "part_sum", rows * parts - 1, INT, Some(task.part_sum));
    }

    let kernel = Kernel::SoftmaxLoss;
    add(kernel, "id", vocab - 1 + 4 * threads, INT, None);
    add(kernel, "rounded up to parts", vocab + tile::PART_COLUMNS as i128 - 1, INT, None);
    add(kernel, "part", parts - 1 + 32, INT, None);
    add(kernel, "loss", rows - 1, INT, Some(task.loss));

    for precision in Precision::ALL {
        let kernel = Kernel::HiddenGradient(precision);
        let [below, across, _] = covered(tile::hidden_gradient(precision), rows, hidden);
        add(kernel, "row of a tile", below - 1, INT, None);
        add(kernel, "column of a tile", across - 1, INT, None);
        add(kernel, "dh", rows * hidden - 1, INT, Some(task.dh));
        add(kernel, "depth", deep(vocab), INT, None);
    }

    let kernel = Kernel::StepBackward;
    add(kernel, "cell_after", (rows + batch) * hidden - 1, INT, None);
    add(kernel, "column", columns + 768, INT, None);
    add(kernel, "dq", rows * columns - 1, INT, Some(task.dq));
    add(kernel, "dn", rows * hidden - 1, INT, Some(task.dn));

    for pair in Persistent::all().filter(|pair| pair.capacity as i128 >= hidden) {
        let lanes = whole(batch, pair.lanes() as i128);
        for kernel in [Kernel::Forward(pair), Kernel::Backward(pair)] {
            add(kernel, "lane", lanes - 1, INT, None);
            add(kernel, "block", lanes / pair.lanes() as i128 * pair.blocks() as i128 - 1, INT, None);
            add(kernel, "w_h", hidden * columns - 1, INT, Some(task.w_h));
            add(kernel, "cell of the step after", (rows + batch) * hidden - 1, INT, None);
            add(kernel, "column of a row", rows * columns - 1, INT, Some(task.dq));
        }
        add(Kernel::Forward(pair), "inputs", rows - 1, INT, Some(task.inputs));
        add(Kernel::Forward(pair), "w_x", vocab * columns - 1, UNSIGNED, None);
        add(Kernel::Forward(pair), "h", (rows + batch) * hidden - 1, INT, Some(task.h));
        add(Kernel::Backward(pair), "dh", rows * hidden - 1, INT, Some(task.dh));
    }

    let kernel = Kernel::RecurrentGradient(Precision::Fp32);
    let [below, across, slots] = covered(tile::RECURRENT_GRADIENT, hidden, columns);
    add(kernel, "row of a tile", below - 1, INT, None);
    add(kernel, "column of a tile", across - 1, INT, None);
    add(kernel, "gradient_w_h", hidden * columns - 1, INT, Some(task.gradient_w_h));
    add(kernel, "squares", slots - 1, size(task.output_slot) - 1, Some(task.squares));

    let kernel = Kernel::OutputGradient(Precision::Fp32);
    let [below, across, slots] = covered(tile::OUTPUT_GRADIENT, hidden, vocab);
    let slots = size(task.output_slot) + slots;
    add(kernel, "row of a tile", below - 1, INT, None);
    add(kernel, "column of a tile", across - 1, INT, None);
    add(kernel, "gradient_w_y", hidden * vocab - 1, INT, Some(task.gradient_w_y));
    add(kernel, "squares", slots - 1, size(task.input_slot) - 1, Some(task.squares));
    add(kernel, "depth", deep(rows), INT, None);

    let kernel = Kernel::InputGradient;
    add(kernel, "num_runs", updates - 1, UNSIGNED, Some(task.num_runs));
    add(kernel, "run_begins", updates * (rows + 1) - 1, UNSIGNED, Some(task.run_begins));
    add(kernel, "run_rows", updates * rows - 1, UNSIGNED, Some(task.run_rows));
    add(kernel, "gradient_w_x", rows * columns - 1, INT, Some(task.gradient_w_x));
    add(kernel, "column", columns - 1 + threads, INT, None);
    add(kernel, "squares", size(task.input_slot) + rows - 1, size(task.bias_slot) - 1, Some(task.squares));

    let kernel = Kernel::BiasGradients;
    add(kernel, "gradient_b", 4 * hidden - 1, INT, Some(task.gradient_b));
    add(kernel, "gradient_b_y", vocab - 1, INT, Some(task.gradient_b_y));
    add(kernel, "column", 4 * hidden + vocab - 1, INT, None);
    add(kernel, "row", rows + 15, INT, None);
    let slots = size(task.bias_slot) + (4 * hidden + vocab) / BIAS_COLUMNS as i128;
    add(kernel, "squares", slots - 1, size(task.num_slots) - 1, Some(task.squares));

    let kernel = Kernel::ReportUpdate;
    add(kernel, "row", rows - 1 + threads, INT, None);
    add(kernel, "slot", size(task.num_slots) - 1 + threads, INT, None);
    add(kernel, "learning_rate", updates - 1, UNSIGNED, Some(task.learning_rate));
    add(kernel, "loss_sum", updates - 1, UNSIGNED, Some(task.loss_sum));
    add(kernel, "gradient_norm", updates - 1, UNSIGNED, Some(task.gradient_norm));

    let kernel = Kernel::Descend;
    add(kernel, "run_ids", updates * rows - 1, UNSIGNED, Some(task.run_ids));
    add(kernel, "block", rows + whole(dense, 1024) / 1024 - 1, INT, None);
    add(kernel, "index", whole(dense, 1024) - 1, INT, None);
    add(kernel, "end", dense, INT, None);
    add(kernel, "gradient_dense", dense - 1, INT, Some(task.gradient_dense));

    let kernel = Kernel::CarryState;
    add(kernel, "index", whole(batch * hidden, threads) - 1, INT, None);
    add(kernel, "h", (rows + batch) * hidden - 1, INT, Some(task.h));
    all
}

/// The largest sizes from some: one of them as large as is accepted.
fn stretched(sizes: Sizes, which: usize) -> Option<(Sizes, Arena)> {
    let with = |value: usize| {
        let mut sizes = sizes;
        let fields =
            [&mut sizes.vocab_size, &mut sizes.hidden_size, &mut sizes.batch_size, &mut sizes.num_steps];
        *fields.into_iter().nth(which).unwrap() = value;
        Some((sizes, Arena::new(&sizes).ok()?))
    };
    let (mut fitting, mut too_large) = (1, 1 << 31);
    with(fitting)?;
    while too_large - fitting > 1 {
        let middle = fitting + (too_large - fitting) / 2;
        if with(middle).is_some() { fitting = middle } else { too_large = middle }
    }
    with(fitting)
}

fn check(sizes: &Sizes, arena: &Arena) -> i128 {
    let lane = numbers(&arena.lane, 1).into_iter().filter(|number| {
        // What a lane outside of an update runs.
        matches!(number.kernel, Kernel::StepForward | Kernel::Projection(_))
    });
    let mut greatest = 0;
    for number in numbers(&arena.update, arena.capacity as i128).into_iter().chain(lane) {
        let Number { kernel, what, largest, limit, region } = number;
        let name = kernel.name();
        assert!(largest <= limit, "{name}: {what} reaches {largest} of at most {limit}, {sizes:?}");
        if let Some(region) = region {
            let length = i128::from(region.length);
            assert!(largest < length, "{name}: {what}[{largest}] of {length}, {sizes:?}");
        }
        if limit == INT {
            greatest = greatest.max(largest);
        }
    }
    // W_x has rows for the characters that exist, and no id is of the padding.
    let rows = arena.update.w_x.length / (3 * arena.update.hidden_size as u64);
    assert_eq!(rows, sizes.vocab_size as u64);

    // One step stands for all: their grids are the same; but the projection's is of all rows.
    let one_step = Task { num_steps: 1, ..arena.update };
    let paths = Precision::ALL.map(|precision| Path { precision, ..Path::default() });
    let updates = paths.map(|path| update::update(&one_step, Mode::Train, path));
    for launch in updates.into_iter().flatten().chain(update::forward(&arena.lane, LANE_STEPS)) {
        let [x, y] = launch.blocks;
        assert!(x >= 1 && x <= i32::MAX as u32, "{}: {x} x {y}, {sizes:?}", launch.kernel.name());
        assert!((1..=65_535).contains(&y), "{}: {x} x {y}, {sizes:?}", launch.kernel.name());
    }
    for precision in Precision::ALL {
        let blocks = tile::hidden_gradient(precision).blocks(sizes.rows(), 1);
        assert!(blocks[1] <= 65_535, "{sizes:?}");
    }
    greatest
}

#[test]
fn every_index_and_grid_fits_at_the_largest_sizes() {
    let mut random = Random::stream(3, "limits");
    let mut greatest = 0;
    let mut stretches = [0; 4];
    for round in 0..400 {
        // From 1 up, each scale as often as the others; in the first round all of them 1.
        let mut some = |most: f64| if round == 0 { 1 } else { most.powf(random.next_f64()) as usize };
        let sizes = Sizes {
            vocab_size: some(1e6),
            hidden_size: some(2e4),
            batch_size: some(1e5),
            num_steps: some(1e4),
            candidate_bias: true,
        };
        for (which, stretches) in stretches.iter_mut().enumerate() {
            if let Some((sizes, arena)) = stretched(sizes, which) {
                *stretches += 1;
                greatest = greatest.max(check(&sizes, &arena));
            }
        }
    }
    assert!(stretches.iter().all(|&count| count > 50), "{stretches:?}");
    // The limits were reached, or nothing was shown.
    assert!(greatest > INT - INT / 50, "{greatest}");
}

/// Where all parameters but W_x, which `descend` takes as one, are near their limit. Chance would not come there.
#[test]
fn every_index_and_grid_fits_with_the_most_parameters() {
    let mut greatest = 0;
    for hidden_size in (21_000..27_000).step_by(16) {
        let sizes = Sizes { vocab_size: 1, hidden_size, batch_size: 1, num_steps: 1, candidate_bias: true };
        if let Some((sizes, arena)) = stretched(sizes, 0) {
            greatest = greatest.max(check(&sizes, &arena));
        }
    }
    assert!(greatest > INT - 20_000, "{greatest}");
}
