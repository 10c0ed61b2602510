//! Memory of the CPU backend: buffers aligned to cache lines, matrices in panels, and their products.

use super::kernel::{Left, Path, Start};
use crate::backend::Error;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};

/// f32 elements of a cache line, and the multiple to which rows are padded: no vector load of a row ever
/// crosses a line, and no inner loop has a remainder.
pub const LINE: usize = 16;

/// A line for sums to start from.
pub const ZEROS: [f32; LINE] = [0.0; LINE];

/// Terms of a product that are summed up before the next tile: with a line of B each, half of a first-level cache.
const DEPTH: usize = 256;

/// Lines of a page of memory, and of one way of a first-level cache.
const PAGE_LINES: usize = 64;

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct CacheLine([f32; LINE]);

/// A zeroed f32 buffer whose start is aligned to a cache line.
pub struct Buffer(Vec<CacheLine>);

impl Buffer {
    /// `len` zeros, `len` being a multiple of [`LINE`].
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn zeros(len: usize) -> Result<Self, Error> {
        debug_assert!(len.is_multiple_of(LINE));
        let lines = len.div_ceil(LINE);
        let mut memory = Vec::new();
        memory
            .try_reserve_exact(lines)
            .map_err(|_| Error::OutOfMemory { bytes: lines * size_of::<CacheLine>() })?;
        memory.resize(lines, CacheLine([0.0; LINE]));
        Ok(Self(memory))
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        bytemuck::cast_slice(&self.0)
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}

/// A matrix in panels of [`LINE`] columns, `[columns / LINE][pitch][LINE]`, of which the first `rows` are used: what
/// the products read and write whole lines of.
pub struct Panels {
    buffer: Buffer,
    rows: usize,
    pitch: usize,
}

impl Panels {
    /// Zeros, `columns` being a multiple of [`LINE`].
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn zeros(rows: usize, columns: usize) -> Result<Self, Error> {
        Ok(Self { buffer: Buffer::zeros(rows * columns)?, rows, pitch: rows })
    }

    /// Zeros for a left factor: a tile reads a few lines at the same rows of many panels, and a pitch of whole
    /// pages would send all of them to the same few places of the cache. So panels lie 8 lines beside each other
    /// there, which spreads tiles of 6 rows and of 16 alike.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn spaced(rows: usize, columns: usize) -> Result<Self, Error> {
        let pitch = if rows <= PAGE_LINES { rows } else { (rows - 8).next_multiple_of(PAGE_LINES) + 8 };
        Ok(Self { buffer: Buffer::zeros(pitch * columns)?, rows, pitch })
    }

    /// The rows of a panel, [`LINE`] elements each.
    pub fn panel(&self, index: usize) -> &[f32] {
        &self.buffer[index * self.pitch * LINE..][..self.rows * LINE]
    }

    /// The rows of a panel, to write.
    pub fn panel_mut(&mut self, index: usize) -> &mut [f32] {
        &mut self.buffer[index * self.pitch * LINE..][..self.rows * LINE]
    }

    /// Number of panels.
    pub fn panels(&self) -> usize {
        self.buffer.len() / (self.pitch * LINE).max(1)
    }

    /// All elements, panel after panel.
    pub fn elements(&self) -> &[f32] {
        &self.buffer
    }

    /// All elements to write, panel after panel.
    pub fn elements_mut(&mut self) -> &mut [f32] {
        &mut self.buffer
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The matrix for the threads of a parallel region.
    pub fn share(&mut self) -> Shared<'_> {
        let (rows, pitch, panels) = (self.rows, self.pitch, self.panels());
        Shared { start: self.buffer.as_mut_ptr(), rows, pitch, panels, owner: PhantomData }
    }

    /// Fills the matrix from a row-major one of `width` columns; of the padding nothing is touched.
    pub fn pack(&mut self, from: &[f32], width: usize) {
        for (row, from) in from.chunks_exact(width).enumerate() {
            for (panel, from) in from.chunks(LINE).enumerate() {
                self.buffer[(panel * self.pitch + row) * LINE..][..from.len()].copy_from_slice(from);
            }
        }
    }

    /// The reverse of [`Panels::pack`].
    pub fn unpack(&self, to: &mut [f32], width: usize) {
        for (row, to) in to.chunks_exact_mut(width).enumerate() {
            for (panel, to) in to.chunks_mut(LINE).enumerate() {
                to.copy_from_slice(&self.buffer[(panel * self.pitch + row) * LINE..][..to.len()]);
            }
        }
    }
}

/// A matrix in panels that several threads read and write side by side. It hands out pieces without asking who
/// else holds some: that no piece is written while another thread uses it is the callers' promise, which they
/// keep by cutting their region into rows or panels of which each has one owner.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    start: *mut f32,
    rows: usize,
    pitch: usize,
    panels: usize,
    owner: PhantomData<&'a mut [f32]>,
}

// SAFETY: a Shared is an exclusive borrow of its elements; what is done with them from several threads at once
// is promised by the callers of its unsafe functions.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// Number of panels.
    pub fn panels(&self) -> usize {
        self.panels
    }

    /// Where a line begins.
    ///
    /// # Panics
    /// If there is no such line.
    fn line(&self, panel: usize, row: usize) -> *mut f32 {
        assert!(panel < self.panels && row <= self.rows, "line {row} of panel {panel}");
        self.start.wrapping_add((panel * self.pitch + row) * LINE)
    }

    /// Rows of a panel, to write.
    ///
    /// # Safety
    /// Nobody else uses them while the slice lives.
    pub unsafe fn lines(&self, panel: usize, rows: Range<usize>) -> &'a mut [f32] {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows {rows:?} of {}", self.rows);
        // SAFETY: the rows were checked to lie in the borrowed buffer; the caller promises the rest.
        unsafe { std::slice::from_raw_parts_mut(self.line(panel, rows.start), rows.len() * LINE) }
    }

    /// All rows of a panel, to write.
    ///
    /// # Safety
    /// Nobody else uses them while the slice lives.
    pub unsafe fn all_lines(&self, panel: usize) -> &'a mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { self.lines(panel, 0..self.rows) }
    }

    /// Rows of a panel, to read.
    ///
    /// # Safety
    /// Nobody writes them while the slice lives.
    pub unsafe fn read(&self, panel: usize, rows: Range<usize>) -> &'a [f32] {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows {rows:?} of {}", self.rows);
        // SAFETY: as for `lines`.
        unsafe { std::slice::from_raw_parts(self.line(panel, rows.start), rows.len() * LINE) }
    }

    /// `self[rows, panels] = start + left[rows + offset] right[.., panels]`, K running along the first panels of
    /// `left` and the rows of `right`.
    ///
    /// # Safety
    /// Nobody else uses those rows of these panels, and nobody writes those rows of `left`, until this returns.
    pub unsafe fn product(
        &self,
        path: Path,
        (panels, rows): (Range<usize>, Range<usize>),
        start: Start,
        (left, offset): (Shared, usize),
        right: &Panels,
    ) {
        assert!(rows.end + offset <= left.rows && right.rows <= left.panels * LINE);
        assert!(right.rows.is_multiple_of(LINE) && panels.end <= right.panels());
        let how = Left::Along { block: left.pitch * LINE };
        // A piece of `left` stays in the second cache while the panels of `right` pass over it, and a piece of such
        // a panel in the first one while the tiles do.
        for first_term in (0..right.rows).step_by(DEPTH) {
            let terms = first_term..right.rows.min(first_term + DEPTH);
            let start = start.filter(|_| first_term == 0);
            for panel in panels.clone() {
                let right = &right.panel(panel)[terms.start * LINE..terms.end * LINE];
                for (first, count) in path.tiles(rows.len()) {
                    let first = rows.start + first;
                    // SAFETY: rows and panels were checked; the caller promises the rest.
                    unsafe {
                        let to = self.lines(panel, first..first + count);
                        let left = left.line(first_term / LINE, first + offset);
                        path.tile(to, start, left, how, right);
                    }
                }
            }
        }
    }

    /// `self[units, panel] = left[rows + offset, units]^T right[rows, panel]`, K running along the rows of both: the
    /// gradient of a panel of weights, `LINE` units for each panel of `left`.
    ///
    /// # Safety
    /// Nobody else uses this panel, and nobody writes those rows of `left` or `right`, until this returns.
    pub unsafe fn product_of_transposed(
        &self,
        path: Path,
        panel: usize,
        left: (Shared, usize),
        right: (Shared, Range<usize>),
    ) {
        let ((left, offset), (right, rows)) = (left, right);
        assert!(rows.end + offset <= left.rows && self.rows == left.panels * LINE);
        // A piece of `right` stays in the first cache while the tiles pass over it.
        for first_row in rows.clone().step_by(DEPTH) {
            let start = (first_row == rows.start).then_some(&ZEROS);
            // SAFETY: the caller's promise.
            let right = unsafe { right.read(panel, first_row..rows.end.min(first_row + DEPTH)) };
            for units in 0..left.panels {
                let from = left.line(units, first_row + offset);
                for (first, count) in path.tiles(LINE) {
                    // SAFETY: rows and panels were checked; the caller promises the rest.
                    unsafe {
                        let to = self.lines(panel, units * LINE + first..units * LINE + first + count);
                        path.tile(to, start, from.wrapping_add(first), Left::Across, right);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_zero() {
        let buffer = Buffer::zeros(48).unwrap();
        assert_eq!(buffer.as_ptr() as usize % 64, 0);
        assert_eq!(&*buffer, &[0.0; 48]);
    }

    fn value(i: usize) -> f32 {
        ((i * 37 % 101) as f32 - 50.0) / 64.0
    }

    fn packed(rows: usize, columns: usize, offset: usize) -> (Panels, Vec<f32>) {
        let plain: Vec<f32> = (0..rows * columns).map(|i| value(i + offset)).collect();
        let mut panels = Panels::spaced(rows, columns).unwrap();
        panels.pack(&plain, columns);
        (panels, plain)
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        for (rows, width) in [(1, 16), (3, 5), (7, 40), (64, 16), (65, 33), (72, 16), (73, 16)] {
            let plain: Vec<f32> = (0..rows * width).map(value).collect();
            let mut panels = Panels::spaced(rows, width.next_multiple_of(LINE)).unwrap();
            panels.pack(&plain, width);
            assert_eq!(panels.panel(0)[..width.min(LINE)], plain[..width.min(LINE)]);
            let mut back = vec![0.0; plain.len()];
            panels.unpack(&mut back, width);
            assert_eq!(back, plain);
        }
    }

    #[test]
    fn products_equal_plain_loops() {
        for path in Path::available() {
            for (rows, depth, columns) in [(1, 16, 16), (13, 272, 48), (7, 528, 16)] {
                let (mut left, a) = packed(rows + 2, depth, 0);
                let (right, b) = packed(depth, columns, 5);
                let (mut to, before) = packed(rows, columns, 9);
                let shared = to.share();
                let factor = (left.share(), 2);
                // SAFETY: one thread.
                unsafe { shared.product(path, (0..columns / LINE, 0..rows), None, factor, &right) };
                let mut computed = vec![0.0; rows * columns];
                to.unpack(&mut computed, columns);
                for (index, computed) in computed.iter().enumerate() {
                    let (i, j) = (index / columns, index % columns);
                    let sum: f32 = (0..depth).map(|k| a[(i + 2) * depth + k] * b[k * columns + j]).sum();
                    assert!((computed - before[index] - sum).abs() < 1e-3, "{path:?} {rows} {depth} {i} {j}");
                }
            }
        }
    }

    #[test]
    fn products_of_transposed_equal_plain_loops() {
        for path in Path::available() {
            for (rows, units, columns) in [(1, 16, 16), (300, 48, 32)] {
                let (mut left, a) = packed(rows + 3, units, 0);
                let (mut right, b) = packed(rows, columns, 5);
                let (mut to, _) = packed(units, columns, 9);
                let (shared, factors) = (to.share(), (left.share(), right.share()));
                for panel in 0..columns / LINE {
                    let right = (factors.1, 0..rows);
                    // SAFETY: one thread.
                    unsafe { shared.product_of_transposed(path, panel, (factors.0, 3), right) };
                }
                let mut computed = vec![0.0; units * columns];
                to.unpack(&mut computed, columns);
                for (index, computed) in computed.iter().enumerate() {
                    let (i, j) = (index / columns, index % columns);
                    let sum: f32 = (0..rows).map(|k| a[(k + 3) * units + i] * b[k * columns + j]).sum();
                    assert!((computed - sum).abs() < 1e-3, "{path:?} {rows} {units} {i} {j}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "rows 2..4 of 3")]
    fn rows_that_are_not_there_are_refused() {
        let mut panels = Panels::zeros(3, 16).unwrap();
        // SAFETY: one thread; and it panics.
        let _ = unsafe { panels.share().lines(0, 2..4) };
    }
}
