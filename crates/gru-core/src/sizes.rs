//! The sizes of a network, checked once so that no product of them can overflow later.

use crate::backend::Error;

/// Most f32 elements that one buffer may hold: 2^31 - 1, so that every index fits in an i32 as well.
pub const MAX_ELEMENTS: usize = i32::MAX as usize;

/// The sizes of a network. Everything a backend allocates follows from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Number of distinct characters, V.
    pub vocab_size: usize,
    /// Number of hidden units, H.
    pub hidden_size: usize,
    /// Lanes of the batch that run side by side, B.
    pub batch_size: usize,
    /// Time steps of an update, T: how far truncated BPTT reaches back.
    pub num_steps: usize,
    /// Whether the recurrent candidate bias b_q exists and is trained.
    pub candidate_bias: bool,
}

impl Sizes {
    /// Checks that every size is at least 1 and that no buffer of a backend passes [`MAX_ELEMENTS`].
    ///
    /// # Errors
    /// [`Error::Size`] with the name of the first size or product that does not fit.
    pub fn check(self) -> Result<Self, Error> {
        let named = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("batch_size", self.batch_size),
            ("num_steps", self.num_steps),
        ];
        for (name, value) in named {
            if value == 0 || value > MAX_ELEMENTS {
                return Err(Error::Size { name, value, max: MAX_ELEMENTS });
            }
        }
        // Backends may pad the vocabulary and the hidden units to whole vectors: leave room for that.
        let [vocab, hidden, batch, steps] = named.map(|(_, value)| value as u128 + 64);
        let products = [
            ("vocab_size * 3 * hidden_size", vocab * 3 * hidden),
            ("hidden_size * 3 * hidden_size", hidden * 3 * hidden),
            ("num_steps * batch_size * 4 * hidden_size", steps * batch * 4 * hidden),
            ("num_steps * batch_size * vocab_size", steps * batch * vocab),
        ];
        for (name, value) in products {
            if value > MAX_ELEMENTS as u128 {
                let value = usize::try_from(value).unwrap_or(usize::MAX);
                return Err(Error::Size { name, value, max: MAX_ELEMENTS });
            }
        }
        Ok(self)
    }

    /// Predictions of one update: `num_steps * batch_size`.
    pub fn rows(&self) -> usize {
        self.num_steps * self.batch_size
    }
}
