//! How large the tiles of the matrix products are: what one block computes. Mirrors `kernels/tiles.cuh`; a test
//! (`tests/products.rs` of the emulator's crate) launches single blocks and sees how much they compute.
//!
//! They are made for the chapter's sizes (1120 rows, 256 hidden units, a vocabulary of 1472) on 132 multiprocessors:
//! as many of these as possible have a block, and none has two in a row to compute.
//!
//! | product              | C           | tile (fp32)        | blocks         |
//! |----------------------|-------------|--------------------|----------------|
//! | `projection`         | 1120 x 1472 | 128 x 128          | 9 x 12 = 108   |
//! | `hidden_gradient`    | 1120 x 256  | 64 x 64 (40 x 64)  | 72 (112)       |
//! | `output_gradient`    | 256 x 1472  | 64 x 64            | 4 x 23 = 92    |
//! | `recurrent_gradient` | 256 x 768   | 32 x 64            | 8 x 12 = 96    |
//!
//! In f32 arithmetic decides, and tiles are as small as they must be to occupy all. On tensor cores reading decides:
//! a tile of 64 x 64 reads a fifth less than one of 40 x 64.

use crate::Precision;

/// The elements of a product that one block computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
}

/// Columns of a warp of `projection`: of so many each it leaves a row's maximum and sum of exponentials.
pub const PART_COLUMNS: usize = 64;

/// Of `projection`.
pub const PROJECTION: Tile = Tile { rows: 128, columns: 128 };

/// Of `output_gradient`; the same in each precision, since its slots of `squares` depend on it.
pub const OUTPUT_GRADIENT: Tile = Tile { rows: 64, columns: 64 };

/// Of `recurrent_gradient`, likewise.
pub const RECURRENT_GRADIENT: Tile = Tile { rows: 32, columns: 64 };

/// Of `hidden_gradient`.
pub const fn hidden_gradient(precision: Precision) -> Tile {
    match precision {
        Precision::Fp32 => Tile { rows: 40, columns: 64 },
        Precision::Tf32 | Precision::Bf16 => Tile { rows: 64, columns: 64 },
    }
}

impl Tile {
    /// Blocks that cover a matrix, in x (its columns) and y (its rows).
    pub const fn blocks(self, rows: usize, columns: usize) -> [usize; 2] {
        [columns.div_ceil(self.columns), rows.div_ceil(self.rows)]
    }
}
