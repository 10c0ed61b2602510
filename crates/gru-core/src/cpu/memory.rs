//! Memory of the CPU backend: buffers aligned to cache lines, and matrices as views into them.

use crate::backend::Error;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// f32 elements of a cache line, and the multiple to which rows are padded: no vector load of a row ever
/// crosses a line, and no inner loop has a remainder.
pub const LINE: usize = 16;

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

/// A matrix to read: element (i, j) is at `i * row_stride + j * column_stride` of the slice.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix with `stride` elements from row to row.
    ///
    /// # Panics
    /// If the last element would lie outside `data`.
    pub fn new(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        check_extent(data.len(), rows, columns, stride);
        Self { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The same elements with rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Columns `from .. from + width`.
    ///
    /// # Panics
    /// If there are fewer columns.
    pub fn columns(self, from: usize, width: usize) -> Self {
        assert!(from + width <= self.columns, "columns {from}+{width} of {}", self.columns);
        Self { data: &self.data[from * self.column_stride..], columns: width, ..self }
    }

    /// Sums of the columns of a row-major matrix, rows added in order: `sums[j]` is the sum of column j.
    pub fn sum_rows(self, sums: &mut [f32]) {
        debug_assert!(self.column_stride == 1 && sums.len() == self.columns);
        sums.fill(0.0);
        for row in self.data.chunks(self.row_stride).take(self.rows) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
    }
}

/// A row-major matrix to write. It may be a panel of columns of a larger one, and several panels may be
/// held at once, by several threads: each touches its own columns only.
pub struct MatrixMut<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    stride: usize,
    owner: PhantomData<&'a mut [f32]>,
}

// SAFETY: a MatrixMut is an exclusive borrow of its elements, as `&mut [f32]` is, and no two live ones share
// an element (`MatrixMut::new` borrows the whole slice, `column_panel` demands disjoint columns).
unsafe impl Send for MatrixMut<'_> {}
// SAFETY: as above; through a shared reference nothing can be reached but by `column_panel`'s contract.
unsafe impl Sync for MatrixMut<'_> {}

impl<'a> MatrixMut<'a> {
    /// A matrix over a whole slice, with `stride` elements from row to row.
    ///
    /// # Panics
    /// If the last element would lie outside `data`.
    pub fn new(data: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> Self {
        check_extent(data.len(), rows, columns, stride);
        Self { start: data.as_mut_ptr(), rows, columns, stride, owner: PhantomData }
    }

    /// The panel of columns `index * width ..`, at most `width` wide.
    ///
    /// # Safety
    /// No two panels that overlap may be alive at once.
    pub unsafe fn column_panel(&self, index: usize, width: usize) -> MatrixMut<'_> {
        let from = index * width;
        assert!(from < self.columns, "panel {index} of width {width} in {} columns", self.columns);
        MatrixMut {
            // SAFETY: `from` is below `columns`, so the pointer stays inside the first row.
            start: unsafe { self.start.add(from) },
            columns: width.min(self.columns - from),
            owner: PhantomData,
            ..*self
        }
    }

    /// Row `index`, `[columns]`.
    pub fn row(&mut self, index: usize) -> &mut [f32] {
        assert!(index < self.rows, "row {index} of {}", self.rows);
        // SAFETY: the extent was checked when the matrix was made, so the row lies inside the borrowed slice;
        // `&mut self` makes this the only reference to the matrix's elements.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(index * self.stride), self.columns) }
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Sum of the squares of all elements, in f64.
    pub fn sum_of_squares(&mut self) -> f64 {
        (0..self.rows).map(|row| super::backward::sum_of_squares(self.row(row))).sum()
    }
}

fn check_extent(len: usize, rows: usize, columns: usize, stride: usize) {
    assert!(rows > 0 && columns > 0 && columns <= stride, "{rows}x{columns} matrix with stride {stride}");
    assert!(
        (rows - 1) * stride + columns <= len,
        "{rows}x{columns} matrix, stride {stride}, in {len} elements"
    );
}

/// `to = a b`, or `to += a b` when `accumulate`. The order of every sum depends on the shapes alone.
///
/// # Panics
/// If the shapes do not fit.
pub fn multiply(to: &mut MatrixMut, a: Matrix, b: Matrix, accumulate: bool) {
    assert!(
        a.rows == to.rows && b.columns == to.columns && a.columns == b.rows,
        "{}x{} = {}x{} times {}x{}",
        to.rows,
        to.columns,
        a.rows,
        a.columns,
        b.rows,
        b.columns
    );
    #[cfg(test)]
    let _inside = super::allocation_tests::InsideProduct::enter();
    // The gemm crate prefers its destination by columns: computed as to^T = b^T a^T.
    // SAFETY: the constructors checked that every element of the three matrices lies inside its slice, and
    // the shapes were compared above; `to` is borrowed mutably, so it cannot overlap `a` or `b`.
    unsafe {
        gemm::gemm(
            to.columns,
            to.rows,
            a.columns,
            to.start,
            to.stride as isize,
            1,
            accumulate,
            b.data.as_ptr(),
            b.row_stride as isize,
            b.column_stride as isize,
            a.data.as_ptr(),
            a.row_stride as isize,
            a.column_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
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

    #[test]
    fn panels_cover_every_element_once_and_nothing_else() {
        let (rows, columns, stride, width) = (3, 10, 12, 4);
        let mut data = vec![0.0; rows * stride];
        let matrix = MatrixMut::new(&mut data, rows, columns, stride);
        for panel in 0..columns.div_ceil(width) {
            // SAFETY: one panel at a time.
            let mut panel = unsafe { matrix.column_panel(panel, width) };
            for row in 0..rows {
                panel.row(row).iter_mut().for_each(|value| *value += 1.0);
            }
        }
        for (index, value) in data.iter().enumerate() {
            assert_eq!(*value, f32::from(u8::from(index % stride < columns)), "{index}");
        }
    }

    #[test]
    fn products_equal_plain_loops_in_every_arrangement() {
        let value = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 64.0;
        for (m, n, k) in [(1, 16, 3), (5, 33, 7), (8, 48, 64), (13, 100, 1)] {
            let (a, b): (Vec<f32>, Vec<f32>) =
                ((0..m * (k + 2)).map(value).collect(), (0..k * (n + 1)).map(value).collect());
            let a_transposed: Vec<f32> = (0..k * m).map(|at| a[(at % m) * (k + 2) + at / m]).collect();
            for accumulate in [false, true] {
                for transposed in [false, true] {
                    let mut to = vec![if accumulate { 0.5 } else { f32::NAN }; m * (n + 3)];
                    let a_view = if transposed {
                        Matrix::new(&a_transposed, k, m, m).transposed()
                    } else {
                        Matrix::new(&a, m, k, k + 2)
                    };
                    let b_view = Matrix::new(&b, k, n, n + 1);
                    multiply(&mut MatrixMut::new(&mut to, m, n, n + 3), a_view, b_view, accumulate);
                    for i in 0..m {
                        for j in 0..n {
                            let sum: f32 = (0..k).map(|x| a[i * (k + 2) + x] * b[x * (n + 1) + j]).sum();
                            let expected = sum + if accumulate { 0.5 } else { 0.0 };
                            assert!((to[i * (n + 3) + j] - expected).abs() < 1e-4, "{m} {n} {k} at {i},{j}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "stride")]
    fn a_matrix_larger_than_its_slice_is_refused() {
        let _ = Matrix::new(&[0.0; 11], 2, 4, 8);
    }
}
