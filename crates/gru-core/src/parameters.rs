//! The parameters of a network as one flat block of f32, and the table that says where each tensor lies.

use crate::sizes::Sizes;
use std::ops::Range;

/// One tensor of the flat block: row-major, `rows * columns` elements at `range`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The name used in every language and message of this project, such as `W_x`.
    pub name: &'static str,
    /// Rows; 1 for a bias.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Where its elements lie in the flat block.
    pub range: Range<usize>,
}

/// The table of tensors for given [`Sizes`], in the order in which they lie in the flat block:
///
/// | tensor | shape |
/// |---|---|
/// | `W_x` | `[vocab_size, 3 * hidden_size]`, columns r, z, n |
/// | `W_h` | `[hidden_size, 3 * hidden_size]`, columns r, z, n |
/// | `b` | `[3 * hidden_size]`, r, z, n |
/// | `b_q` | `[hidden_size]`; `[0]` without the candidate bias |
/// | `W_y` | `[hidden_size, vocab_size]` |
/// | `b_y` | `[vocab_size]` |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The six tensors, in memory order.
    pub tensors: [Tensor; 6],
}

impl Layout {
    /// The layout for the given sizes.
    pub fn new(sizes: &Sizes) -> Self {
        let (vocab, hidden) = (sizes.vocab_size, sizes.hidden_size);
        let candidate_bias = if sizes.candidate_bias { hidden } else { 0 };
        let mut end = 0;
        let tensors = [
            ("W_x", vocab, 3 * hidden),
            ("W_h", hidden, 3 * hidden),
            ("b", 1, 3 * hidden),
            ("b_q", 1, candidate_bias),
            ("W_y", hidden, vocab),
            ("b_y", 1, vocab),
        ]
        .map(|(name, rows, columns)| {
            let start = end;
            end += rows * columns;
            Tensor { name, rows, columns, range: start..end }
        });
        Self { tensors }
    }

    /// Number of parameters in all.
    pub fn len(&self) -> usize {
        self.tensors[5].range.end
    }

    /// Never true: sizes are at least 1.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The six tensors of `flat`, in memory order: `W_x, W_h, b, b_q, W_y, b_y`.
    ///
    /// # Panics
    /// If `flat` is shorter than [`Layout::len`]; callers check lengths where data comes in.
    pub fn split<'a, T>(&self, flat: &'a [T]) -> [&'a [T]; 6] {
        self.tensors.each_ref().map(|tensor| &flat[tensor.range.clone()])
    }
}
