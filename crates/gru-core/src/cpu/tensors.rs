//! The six tensors as the CPU backend keeps them: padded, the weights of the products in panels.

use super::memory::{Buffer, Panels};
use crate::backend::Error;
use crate::{Layout, Sizes};

/// Sizes rounded up to whole cache lines.
#[derive(Clone, Copy)]
pub struct Padded {
    /// Hidden units.
    pub hidden: usize,
    /// Characters.
    pub vocab: usize,
}

/// One piece of memory per tensor, padded; gate columns r, z, n each `hidden` wide.
pub struct Tensors {
    /// `[vocab_size, 3 * hidden]` by rows; of a gradient, only the rows that the batch used, `[R, 3 * hidden]`
    pub w_x: Buffer,
    /// `[hidden, 3 * hidden]`
    pub w_h: Panels,
    /// `[3 * hidden]`
    pub b: Buffer,
    /// `[hidden]`, zeros without the candidate bias
    pub b_q: Buffer,
    /// `[hidden, vocab]`
    pub w_y: Panels,
    /// `[vocab]`
    pub b_y: Buffer,
}

impl Tensors {
    /// Zeros; W_x with so many rows.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn zeros(w_x_rows: usize, Padded { hidden, vocab }: Padded) -> Result<Self, Error> {
        Ok(Self {
            w_x: Buffer::zeros(w_x_rows * 3 * hidden)?,
            w_h: Panels::zeros(hidden, 3 * hidden)?,
            b: Buffer::zeros(3 * hidden)?,
            b_q: Buffer::zeros(hidden)?,
            w_y: Panels::zeros(hidden, vocab)?,
            b_y: Buffer::zeros(vocab)?,
        })
    }

    /// The elements of the six tensors in the layout's order.
    pub fn all_mut(&mut self) -> [&mut [f32]; 6] {
        let Self { w_x, w_h, b, b_q, w_y, b_y } = self;
        [w_x, w_h.elements_mut(), b, b_q, w_y.elements_mut(), b_y]
    }

    /// Copies the unpadded tensors of `flat` in, in the layout's order.
    pub fn pack(&mut self, sizes: &Sizes, flat: &[f32]) {
        let (width, vocab) = (sizes.hidden_size, sizes.vocab_size);
        let padded = self.b_q.len();
        let [w_x, w_h, b, b_q, w_y, b_y] = Layout::new(sizes).split(flat);
        copy_rows(w_x, width, &mut self.w_x, padded);
        self.w_h.pack(&spread(w_h, width, padded), 3 * padded);
        copy_rows(b, width, &mut self.b, padded);
        copy_rows(b_q, width, &mut self.b_q, padded);
        self.w_y.pack(w_y, vocab);
        self.b_y[..vocab].copy_from_slice(b_y);
    }

    /// The reverse of [`Tensors::pack`], but for W_x: a gradient has only some of its rows.
    pub fn unpack(&self, sizes: &Sizes, flat: &mut [f32]) {
        let (width, vocab) = (sizes.hidden_size, sizes.vocab_size);
        let padded = self.b_q.len();
        let [_, w_h, b, b_q, w_y, b_y] = Layout::new(sizes).tensors.map(|tensor| tensor.range);
        let mut gates = vec![0.0; width * 3 * padded];
        self.w_h.unpack(&mut gates, 3 * padded);
        copy_rows(&gates, padded, &mut flat[w_h], width);
        copy_rows(&self.b, padded, &mut flat[b], width);
        copy_rows(&self.b_q, padded, &mut flat[b_q], width);
        self.w_y.unpack(&mut flat[w_y], vocab);
        flat[b_y].copy_from_slice(&self.b_y[..vocab]);
    }
}

/// Rows of `width` elements, each padded with zeros to `padded`.
fn spread(from: &[f32], width: usize, padded: usize) -> Vec<f32> {
    let mut to = vec![0.0; from.len() / width * padded];
    copy_rows(from, width, &mut to, padded);
    to
}

/// Copies rows of `from_width` to rows of `to_width`, as much of each as fits in both.
pub fn copy_rows(from: &[f32], from_width: usize, to: &mut [f32], to_width: usize) {
    let width = from_width.min(to_width);
    for (from, to) in from.chunks_exact(from_width).zip(to.chunks_exact_mut(to_width)) {
        to[..width].copy_from_slice(&from[..width]);
    }
}
