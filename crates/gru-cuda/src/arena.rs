//! One piece of device memory for everything a network needs but the corpus, laid out before the first update.
//! [`crate::memory`] tells whether it fits.
//!
//! Parameters and carried state come first, then scratch: what every update writes before it reads it.

use crate::task::{Region, Task};
use crate::{Precision, tile};
use gru_core::{Error, Sizes};

/// Hidden units and vocabulary are padded to this many elements: 64 bytes, what a quarter of a warp reads at
/// once. Padded weights are 0 and stay 0, as their gradients are; padded `b_y` is -1e30, which the softmax turns
/// into a probability of exactly 0.
pub const LINE: usize = 16;

/// `b_y` of the padding: far below every logit, far above f32's minimum.
pub const PADDING_BIAS: f32 = -1e30;

/// Columns of a block of `bias_gradients`.
pub const BIAS_COLUMNS: usize = 16;

/// Steps that one lane runs together when it is fed characters outside of an update.
pub const LANE_STEPS: usize = 32;

/// Most blocks that a grid may have in y.
const MAX_BLOCKS_Y: usize = 65_535;

/// Rows of the lowest tile of a product with a row for each of an update's.
const LEAST_TILE_ROWS: usize = tile::hidden_gradient(Precision::Fp32).rows;

/// More than `descend` counts beyond its last element.
const DENSE_MARGIN: usize = 8192;

/// Most elements of the tables of updates that are uploaded together.
const TABLE_ELEMENTS: usize = 1 << 20;

/// Where everything lies.
#[derive(Clone, Debug)]
pub struct Arena {
    /// Bytes in all.
    pub bytes: usize,
    /// Bytes before the scratch.
    pub scratch: usize,
    /// Updates whose tables fit.
    pub capacity: usize,
    /// What the kernels of an update are given, for the longest update; without the corpus.
    pub update: Task,
    /// What the kernels are given that feed one lane, [`LANE_STEPS`] at a time.
    pub lane: Task,
    /// From `cursor` to the end of `gradient_norm`: what is read after a launch.
    pub report: Region,
}

/// Hands out regions one after the other.
struct Cursor {
    address: usize,
}

impl Cursor {
    /// The next region of `length` elements of 4 bytes, at a multiple of 256.
    fn take(&mut self, length: usize) -> Region {
        self.address = self.address.next_multiple_of(256);
        self.adjoin(length)
    }

    /// The next region, right behind the last one.
    fn adjoin(&mut self, length: usize) -> Region {
        let region = Region { address: self.address as u64, length: length as u64 };
        self.address += 4 * length;
        region
    }

    /// The next region of elements of 8 bytes.
    fn take_wide(&mut self, length: usize) -> Region {
        let region = self.take(2 * length);
        Region { length: length as u64, ..region }
    }
}

impl Arena {
    /// The arena for these sizes, from address 0.
    ///
    /// # Errors
    /// [`Error::Size`] for sizes that the kernels cannot index.
    pub fn new(sizes: &Sizes) -> Result<Self, Error> {
        let sizes = sizes.check()?;
        let (hidden, vocab) = padded(&sizes);
        let (batch, rows) = (sizes.batch_size, sizes.rows());
        let dense = hidden * 3 * hidden + 4 * hidden + hidden * vocab + vocab;
        let limits = [
            ("num_steps * batch_size", rows, LEAST_TILE_ROWS * MAX_BLOCKS_Y),
            ("all parameters but W_x", dense, gru_core::sizes::MAX_ELEMENTS - DENSE_MARGIN),
        ];
        for (name, value, max) in limits {
            if value > max {
                return Err(Error::Size { name, value, max });
            }
        }
        let capacity = (TABLE_ELEMENTS / (3 * rows + batch + 1)).clamp(1, 1024);

        let mut at = Cursor { address: 0 };
        let w_x = at.take(sizes.vocab_size * 3 * hidden);
        let w_h = at.take(hidden * 3 * hidden);
        let b = at.adjoin(3 * hidden);
        let b_q = at.adjoin(hidden);
        let w_y = at.adjoin(hidden * vocab);
        let b_y = at.adjoin(vocab);
        let state = at.take(batch * hidden);
        let scratch = at.address.next_multiple_of(256);

        let gradient_w_h = at.take(hidden * 3 * hidden);
        let gradient_b = at.adjoin(4 * hidden);
        let gradient_w_y = at.adjoin(hidden * vocab);
        let gradient_b_y = at.adjoin(vocab);
        let blocks = |[x, y]: [usize; 2]| x * y;
        let recurrent_slots = blocks(tile::RECURRENT_GRADIENT.blocks(hidden, 3 * hidden));
        let output_slots = blocks(tile::OUTPUT_GRADIENT.blocks(hidden, vocab));
        let input_slot = recurrent_slots + output_slots;
        let bias_slot = input_slot + rows;
        let num_slots = bias_slot + (4 * hidden + vocab) / BIAS_COLUMNS;

        let parameters = Task {
            vocab_size: vocab as i32,
            hidden_size: hidden as i32,
            candidate_bias: sizes.candidate_bias.into(),
            w_x,
            w_h,
            b,
            b_q,
            w_y,
            b_y,
            dense: Region { length: dense as u64, ..w_h },
            ..Task::default()
        };
        let activations = |at: &mut Cursor, batch: usize, steps: usize| Task {
            batch_size: batch as i32,
            num_steps: steps as i32,
            rows: (batch * steps) as i32,
            inputs: at.take(batch * steps),
            h: at.take((steps + 1) * batch * hidden),
            r: at.take(batch * steps * hidden),
            z: at.take(batch * steps * hidden),
            q: at.take(batch * steps * hidden),
            n: at.take(batch * steps * hidden),
            logits: at.take(batch * steps * vocab),
            ..parameters
        };
        let lane = activations(&mut at, 1, LANE_STEPS);
        let mut update = Task {
            output_slot: recurrent_slots as i32,
            input_slot: input_slot as i32,
            bias_slot: bias_slot as i32,
            num_slots: num_slots as i32,
            state,
            gradient_w_x: at.take(rows * 3 * hidden),
            gradient_w_h,
            gradient_b,
            gradient_w_y,
            gradient_b_y,
            gradient_dense: Region { length: dense as u64, ..gradient_w_h },
            squares: at.take_wide(num_slots),
            starts: at.take(capacity * batch),
            learning_rate: at.take(capacity),
            max_grad_norm: at.take(1),
            num_runs: at.take(capacity),
            run_ids: at.take(capacity * rows),
            run_begins: at.take(capacity * (rows + 1)),
            run_rows: at.take(capacity * rows),
            targets: at.take(rows),
            part_max: at.take(rows * vocab.div_ceil(tile::PART_COLUMNS)),
            part_sum: at.take(rows * vocab.div_ceil(tile::PART_COLUMNS)),
            loss: at.take(rows),
            dh: at.take(rows * hidden),
            dq: at.take(rows * 3 * hidden),
            dn: at.take(rows * hidden),
            ..activations(&mut at, batch, sizes.num_steps)
        };
        update.cursor = at.take(1);
        update.reported = at.adjoin(1);
        update.stopped = at.adjoin(1);
        update.rate = at.adjoin(1);
        update.loss_sum = at.take_wide(capacity);
        update.gradient_norm = at.take_wide(capacity);
        let report =
            Region { address: update.cursor.address, length: at.address as u64 - update.cursor.address };
        let bytes = at.address.next_multiple_of(256);
        Ok(Self { bytes, scratch, capacity, update, lane, report })
    }

    /// The same arena at `base`.
    pub fn moved_to(mut self, base: u64) -> Self {
        for task in [&mut self.update, &mut self.lane] {
            for region in task.regions_mut().iter_mut().filter(|region| region.length > 0) {
                region.address += base;
            }
        }
        self.report.address += base;
        self
    }

    /// The regions of the parameters in the order of [`gru_core::Layout`], each with the width of the groups of
    /// columns that are padded as one: (unpadded, padded).
    pub fn parameters(&self, sizes: &Sizes) -> [(Region, usize, usize); 6] {
        let task = &self.update;
        self.with_widths(sizes, [task.w_x, task.w_h, task.b, task.b_q, task.w_y, task.b_y])
    }

    /// The regions of the gradients, likewise; of W_x only the rows that were used.
    pub fn gradients(&self, sizes: &Sizes) -> [(Region, usize, usize); 6] {
        let task = &self.update;
        let (hidden, _) = padded(sizes);
        let b = Region { length: 3 * hidden as u64, ..task.gradient_b };
        let b_q = Region { address: b.address + 4 * b.length, length: hidden as u64 };
        self.with_widths(
            sizes,
            [task.gradient_w_x, task.gradient_w_h, b, b_q, task.gradient_w_y, task.gradient_b_y],
        )
    }

    fn with_widths(&self, sizes: &Sizes, regions: [Region; 6]) -> [(Region, usize, usize); 6] {
        let (hidden, vocab) = padded(sizes);
        let gate = |region| (region, sizes.hidden_size, hidden);
        let word = |region| (region, sizes.vocab_size, vocab);
        let [w_x, w_h, b, b_q, w_y, b_y] = regions;
        [gate(w_x), gate(w_h), gate(b), gate(b_q), word(w_y), word(b_y)]
    }
}

/// Hidden size and vocabulary size, padded.
pub fn padded(sizes: &Sizes) -> (usize, usize) {
    (sizes.hidden_size.next_multiple_of(LINE), sizes.vocab_size.next_multiple_of(LINE))
}
