//! The one kernel behind every matrix product: a tile of C += A B that stays in registers along K.
//!
//! Matrices lie in panels of [`LINE`] columns (`memory.rs`), so that B is read straight through, 64 bytes a step,
//! and a tile of C is a few whole lines. A is read element by element, in one of two ways ([`Left`]).
//!
//! Every element of a product is one chain of fused multiply-adds in ascending k, whatever the tile, the block
//! along K or the path; so its bits depend neither on how work is cut nor on the vector width. The portable path
//! has no fused multiply-add and rounds after every product: its bits are its own.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_bf16;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_bf16;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod registers;

use super::memory::LINE;

/// Which instructions the products use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Whatever the compiler makes of plain loops.
    Portable,
    /// AVX2 with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// The first of the AVX-512 extensions, `avx512f`.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// What every 64-bit Arm machine has.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// Operands in bf16, plain loops: the bits of [`Path::Avx512Bf16`] on every machine, slowly.
    PortableBf16,
    /// The same in AVX2 with fused multiply-add, not quite as slowly.
    #[cfg(target_arch = "x86_64")]
    Avx2Bf16,
    /// Operands in bf16 by the instructions that multiply them, `avx512bf16`.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
}

/// How A lies: element (row i of the tile, k) is at `(k / LINE) * block + i * LINE + k % LINE`, or transposed at
/// `k * LINE + i`.
#[derive(Clone, Copy)]
pub enum Left {
    /// Rows of a matrix in panels along K, `block` elements from panel to panel.
    Along {
        /// Elements of a panel.
        block: usize,
    },
    /// Columns of one panel: k runs along its rows.
    Across,
}

/// What a tile's sums start from: a line that is the same for every row, or what the tile holds.
pub type Start<'a> = Option<&'a [f32; LINE]>;

impl Path {
    /// The fastest path of this machine with operands in f32.
    pub fn detect() -> Self {
        Self::available().last().copied().unwrap_or(Self::Portable)
    }

    /// Every path that this machine can run with operands in f32, the slowest first.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "there are architectures with one path")]
        let mut paths = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                paths.push(Self::Avx2);
            }
            if std::arch::is_x86_feature_detected!("avx512f") {
                paths.push(Self::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            paths.push(Self::Neon);
        }
        paths
    }

    /// Every path that this machine can run with operands in bf16, the slowest first. All give the same bits.
    pub fn available_bf16() -> Vec<Self> {
        #[allow(unused_mut, reason = "there are architectures with one path")]
        let mut paths = vec![Self::PortableBf16];
        #[cfg(target_arch = "x86_64")]
        {
            if Self::available().contains(&Self::Avx2) {
                paths.push(Self::Avx2Bf16);
            }
            if std::arch::is_x86_feature_detected!("avx512f")
                && std::arch::is_x86_feature_detected!("avx512bf16")
            {
                paths.push(Self::Avx512Bf16);
            }
        }
        paths
    }

    /// The path of this machine that multiplies bf16 by instructions for it, if there is one.
    pub fn detect_bf16() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return Self::available_bf16().into_iter().find(|path| *path == Self::Avx512Bf16);
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// Whether the operands of products are pairs of bf16 (see `bf16.rs`).
    pub fn is_bf16(self) -> bool {
        self.f32_path() != self
    }

    /// Whether nothing but what every machine has is used, rounded after every operation.
    pub fn is_portable(self) -> bool {
        self.f32_path() == Self::Portable
    }

    /// The path with operands in f32 and otherwise the same instructions.
    pub fn f32_path(self) -> Self {
        match self {
            Self::PortableBf16 => Self::Portable,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Bf16 => Self::Avx2,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => Self::Avx512,
            other => other,
        }
    }

    /// The path's name, as in `GRU_NATIVE_CPU`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
            Self::PortableBf16 => "portable-bf16",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Bf16 => "avx2-bf16",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => "avx512-bf16",
        }
    }

    /// Most rows of a tile: as many as have their sums in registers.
    pub fn max_rows(self) -> usize {
        match self {
            Self::Portable | Self::PortableBf16 => 6,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::MAX_ROWS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::MAX_ROWS,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => neon::MAX_ROWS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Bf16 => avx2_bf16::MAX_ROWS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => avx512_bf16::MAX_ROWS,
        }
    }

    /// Cuts `rows` into tiles of at most [`Path::max_rows`] rows whose sizes differ by at most one: (first, rows) of
    /// each.
    pub fn tiles(self, rows: usize) -> impl Iterator<Item = (usize, usize)> {
        let count = rows.div_ceil(self.max_rows());
        (0..count).map(move |tile| {
            let first = tile * rows / count;
            (first, (tile + 1) * rows / count - first)
        })
    }

    /// `to = start + left right` for a tile of C: `to` holds its rows, [`LINE`] elements each, at most
    /// [`Path::max_rows`] of them; `right` is a panel's rows of B, [`LINE`] elements for each k. Along K only whole lines are allowed
    /// with [`Left::Along`].
    ///
    /// # Safety
    /// The machine has this path. `left` points to every element that `how` names for those rows and lines; nobody
    /// writes them meanwhile.
    #[inline]
    pub unsafe fn tile(self, to: &mut [f32], start: Start, left: *const f32, how: Left, right: &[f32]) {
        debug_assert!((1..=self.max_rows()).contains(&(to.len() / LINE)));
        debug_assert!(matches!(how, Left::Across) || right.len().is_multiple_of(LINE * LINE));
        // SAFETY: the caller's promise; a backend is made only on a path that the machine has.
        unsafe {
            match self {
                Self::Portable => portable::tile(to, start, left, how, right, portable::multiply_add),
                Self::PortableBf16 => {
                    portable::tile(to, start, left, how, right, portable::multiply_add_pairs)
                }
                #[cfg(target_arch = "x86_64")]
                Self::Avx2Bf16 => avx2_bf16::tile(to, start, left, how, right),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512Bf16 => avx512_bf16::tile(to, start, left, how, right),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => avx2::tile(to, start, left, how, right),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 => avx512::tile(to, start, left, how, right),
                #[cfg(target_arch = "aarch64")]
                Self::Neon => neon::tile(to, start, left, how, right),
            }
        }
    }
}

impl Path {
    /// `to += left right` for one row of C and several panels at once, which keeps more sums going than a tile of
    /// one row: `to` holds a line for each panel, `right` the panels one after the other, and element k of `left` is
    /// at `k / LINE * block + k % LINE`. The bits are those of [`Path::tile`].
    ///
    /// # Panics
    /// If `left` is too short, or K no multiple of [`LINE`].
    pub(super) fn row(self, to: &mut [f32], left: &[f32], block: usize, right: &[f32]) {
        let depth = right.len() / to.len().max(1);
        assert!(depth.is_multiple_of(LINE) && left.len() >= (depth / LINE).saturating_sub(1) * block + LINE);
        for (to, right) in to.chunks_mut(ROW_PANELS * LINE).zip(right.chunks(ROW_PANELS * depth * LINE)) {
            // SAFETY: `left` was checked to hold every element that is read; a backend is made only on a path that
            // the machine has.
            unsafe {
                match self {
                    #[cfg(target_arch = "x86_64")]
                    Self::Avx2 => avx2::row(to, left.as_ptr(), block, right),
                    #[cfg(target_arch = "x86_64")]
                    Self::Avx512 => avx512::row(to, left.as_ptr(), block, right),
                    #[cfg(target_arch = "aarch64")]
                    Self::Neon => neon::row(to, left.as_ptr(), block, right),
                    _ => {
                        for (to, right) in to.chunks_mut(LINE).zip(right.chunks(depth * LINE)) {
                            self.tile(to, None, left.as_ptr(), Left::Along { block }, right);
                        }
                    }
                }
            }
        }
    }
}

/// Panels whose sums of one row are kept in registers together.
const ROW_PANELS: usize = 4;

/// Asks for the line of memory that an element is in, for soon; it need not exist.
#[inline(always)]
pub fn prefetch(element: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which reads nothing and never faults; every x86-64 machine has it.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(element.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = element;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_row_once() {
        for path in Path::available() {
            for rows in 1..200 {
                let mut next = 0;
                for (first, rows) in path.tiles(rows) {
                    assert_eq!(first, next);
                    assert!((1..=path.max_rows()).contains(&rows));
                    next += rows;
                }
                assert_eq!(next, rows);
            }
        }
    }

    /// Element (i, k) of the left factor, wherever it lies.
    fn at(left: &[f32], how: Left, i: usize, k: usize) -> f32 {
        match how {
            Left::Along { block } => left[k / LINE * block + i * LINE + k % LINE],
            Left::Across => left[k * LINE + i],
        }
    }

    #[test]
    fn a_row_has_the_bits_of_its_tiles() {
        let value = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 64.0;
        for path in Path::available() {
            for (panels, depth) in [(1, 16), (3, 48), (4, 16), (9, 32)] {
                let block = 2 * LINE;
                let left: Vec<f32> = (0..depth * 2).map(value).collect();
                let right: Vec<f32> = (0..panels * depth * LINE).map(|i| value(i + 7)).collect();
                let mut row: Vec<f32> = (0..panels * LINE).map(|i| value(i + 3)).collect();
                let mut by_tiles = row.clone();
                path.row(&mut row, &left, block, &right);
                for (to, right) in by_tiles.chunks_mut(LINE).zip(right.chunks(depth * LINE)) {
                    // SAFETY: `left` holds `depth` elements in blocks of two lines.
                    unsafe { path.tile(to, None, left.as_ptr(), Left::Along { block }, right) };
                }
                assert_eq!(row, by_tiles, "{path:?}, {panels} panels, {depth} deep");
            }
        }
    }

    /// Near the exact sum, and with the very bits of one chain of fused multiply-adds: so any two paths but the
    /// portable one have the same bits, be they of one machine or of two.
    #[test]
    fn every_path_computes_every_tile() {
        // Hardly a product of two of these is exact in f32: a chain that rounds anywhere else has other bits.
        let value = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 63.0;
        for path in Path::available() {
            for rows in 1..=path.max_rows() {
                for depth in [0, 16, 48, 160] {
                    let block = (rows + 3) * LINE;
                    for how in [Left::Along { block }, Left::Across] {
                        let depth = if matches!(how, Left::Across) { depth + 5 } else { depth };
                        let left: Vec<f32> = (0..depth * block.max(LINE) + 99).map(value).collect();
                        let right: Vec<f32> = (0..depth * LINE).map(|i| value(i + 7)).collect();
                        let mut before: Vec<f32> = (0..rows * LINE).map(|i| value(i + 3)).collect();
                        let mut to = before.clone();
                        let line = [0.75; LINE];
                        let start = (rows % 2 == 0).then_some(&line);
                        before.iter_mut().filter(|_| start.is_some()).for_each(|value| *value = 0.75);
                        // SAFETY: `left` was made longer than what is read.
                        unsafe { path.tile(&mut to, start, left.as_ptr(), how, &right) };
                        for (index, computed) in to.iter().enumerate() {
                            let (i, j) = (index / LINE, index % LINE);
                            let products = (0..depth)
                                .map(|k| f64::from(at(&left, how, i, k)) * f64::from(right[k * LINE + j]));
                            let exact = f64::from(before[index]) + products.sum::<f64>();
                            let what = format!("{path:?}, {rows} rows, {depth} deep, {i} {j}");
                            assert!(
                                (f64::from(*computed) - exact).abs() < 1e-4,
                                "{what}: {computed} for {exact}"
                            );
                            if path != Path::Portable {
                                let chain = (0..depth).fold(before[index], |sum, k| {
                                    at(&left, how, i, k).mul_add(right[k * LINE + j], sum)
                                });
                                assert_eq!(computed.to_bits(), chain.to_bits(), "{what}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_path_multiplies_pairs_of_bf16_to_the_same_bits() {
        let cell =
            |i: usize| f32::from_bits((i as u32).wrapping_mul(0x9e37_79b9) & 0xbfff_bfff | 0x3000_3000);
        let (left, right): (Vec<f32>, Vec<f32>) =
            ((0..LINE * 48).map(cell).collect(), (0..LINE * 32).map(|i| cell(i + 7)).collect());
        let tile = |path: Path, rows: usize, how: Left| {
            let mut to = vec![0.5; rows * LINE];
            for (first, count) in path.tiles(rows) {
                let step = if matches!(how, Left::Across) { 1 } else { LINE };
                let to = &mut to[first * LINE..(first + count) * LINE];
                // SAFETY: the path is available, and `left` has a line for each of the rows and terms.
                unsafe { path.tile(to, None, left[first * step..].as_ptr(), how, &right) };
            }
            to.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        for path in Path::available_bf16() {
            assert!(path.is_bf16() && !path.f32_path().is_bf16());
            for rows in 1..=16 {
                for how in [Left::Along { block: 16 * LINE }, Left::Across] {
                    assert_eq!(tile(path, rows, how), tile(Path::PortableBf16, rows, how), "{path:?} {rows}");
                }
            }
        }
        // By hand: (2 * 3) + (1 * 5) + 0.5, the low halves first in K.
        let pair = |low: f32, high: f32| f32::from_bits(low.to_bits() >> 16 | high.to_bits());
        let (left, right) = ([pair(2.0, 1.0)], [pair(3.0, 5.0); LINE]);
        let mut to = [0.5; LINE];
        // SAFETY: one row, one term.
        unsafe { Path::PortableBf16.tile(&mut to, None, left.as_ptr(), Left::Across, &right) };
        assert_eq!(to, [11.5; LINE]);
    }
}
