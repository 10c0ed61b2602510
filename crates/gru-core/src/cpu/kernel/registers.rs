//! The tile and the row for instruction sets whose registers hold a line of B whole or halved: one text for all of
//! them, compiled for each.

/// Defines `MAX_ROWS` and `tile` of a path from its registers and what is done with them. `few` are the numbers of rows
/// below `max_rows`.
macro_rules! tile_of_registers {
    (
        features: $features:literal, register: $register:ty, zero: $zero:ident, load: $load:ident,
        store: $store:ident, same: $same:ident, multiply_add: $multiply_add:ident,
        few: [$($few:literal)*], max_rows: $max_rows:literal $(,)?
    ) => {
        use super::super::memory::LINE;
        use super::{Left, Start, prefetch};

        /// See [`super::Path::max_rows`].
        pub const MAX_ROWS: usize = $max_rows;

        /// f32 elements of a register.
        const WIDTH: usize = size_of::<$register>() / size_of::<f32>();

        /// A line in registers.
        type Line = [$register; LINE / WIDTH];

        /// See [`super::Path::tile`].
        ///
        /// # Safety
        /// As for [`super::Path::tile`], on a machine that has the instructions.
        #[target_feature(enable = $features)]
        pub unsafe fn tile(to: &mut [f32], start: Start, left: *const f32, how: Left, right: &[f32]) {
            // SAFETY: the caller's promise, and the number of rows is that of `to`.
            unsafe {
                match to.len() / LINE {
                    $($few => rows::<$few>(to, start, left, how, right),)*
                    _ => rows::<MAX_ROWS>(to, start, left, how, right),
                }
            }
        }

        /// # Safety
        /// As for [`tile`]; `to` holds `ROWS` lines.
        #[target_feature(enable = $features)]
        unsafe fn rows<const ROWS: usize>(
            to: &mut [f32],
            start: Start,
            left: *const f32,
            how: Left,
            right: &[f32],
        ) {
            let lines = to.as_mut_ptr();
            let mut sums: [Line; ROWS] = [[$zero(); LINE / WIDTH]; ROWS];
            for (row, sums) in sums.iter_mut().enumerate() {
                // SAFETY: `to` holds ROWS lines, and a start is one.
                unsafe {
                    *sums = line(start.map_or(lines.add(row * LINE).cast_const(), |line| line.as_ptr()));
                }
            }
            let depth = right.len() / LINE;
            let (mut a, mut b) = (left, right.as_ptr());
            match how {
                Left::Along { block } => {
                    for _ in 0..depth / LINE {
                        for k in 0..LINE {
                            // The next panel's lines of these rows, far away in memory, come while this one's are
                            // used.
                            if k < ROWS {
                                prefetch(a.wrapping_add(block + k * LINE));
                            }
                            // SAFETY: the caller's promise for `a`; `right` holds `depth` lines.
                            unsafe { term::<ROWS, LINE>(&mut sums, a.add(k), b.add(k * LINE)) };
                        }
                        a = a.wrapping_add(block);
                        b = b.wrapping_add(LINE * LINE);
                    }
                }
                Left::Across => {
                    for _ in 0..depth {
                        // SAFETY: as above.
                        unsafe { term::<ROWS, 1>(&mut sums, a, b) };
                        a = a.wrapping_add(LINE);
                        b = b.wrapping_add(LINE);
                    }
                }
            }
            // SAFETY: as for the loads.
            unsafe { store(lines, sums.as_flattened()) };
        }

        /// One k: `sums[i] += a[i * STRIDE] * b`.
        ///
        /// # Safety
        /// `a` and `b` point to what is read.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn term<const ROWS: usize, const STRIDE: usize>(
            sums: &mut [Line; ROWS],
            a: *const f32,
            b: *const f32,
        ) {
            // SAFETY: the caller's promise.
            unsafe {
                let b = line(b);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let a = $same(*a.add(row * STRIDE));
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = $multiply_add(a, b, *sum);
                    }
                }
            }
        }

        /// # Safety
        /// `from` points to a line.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn line(from: *const f32) -> Line {
            let mut line = [$zero(); LINE / WIDTH];
            for (index, register) in line.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                *register = unsafe { $load(from.add(index * WIDTH)) };
            }
            line
        }

        /// # Safety
        /// `to` points to as many elements.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn store(to: *mut f32, registers: &[$register]) {
            for (index, register) in registers.iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { $store(to.add(index * WIDTH), *register) };
            }
        }
    };
}

/// Defines `row` of a path, where its tile is defined too.
macro_rules! row_of_registers {
    (
        features: $features:literal, zero: $zero:ident, same: $same:ident, multiply_add: $multiply_add:ident $(,)?
    ) => {
        /// See [`super::Path::row`]: at most four panels.
        ///
        /// # Safety
        /// As there, on a machine that has the instructions.
        #[target_feature(enable = $features)]
        pub unsafe fn row(to: &mut [f32], left: *const f32, block: usize, right: &[f32]) {
            // SAFETY: the caller's promise, and the number of panels is that of `to`.
            unsafe {
                match to.len() / LINE {
                    1 => panels::<1>(to, left, block, right),
                    2 => panels::<2>(to, left, block, right),
                    3 => panels::<3>(to, left, block, right),
                    _ => panels::<4>(to, left, block, right),
                }
            }
        }

        /// # Safety
        /// As for [`row`]; `to` holds `PANELS` lines.
        #[target_feature(enable = $features)]
        unsafe fn panels<const PANELS: usize>(to: &mut [f32], left: *const f32, block: usize, right: &[f32]) {
            let panel = right.len() / PANELS;
            let lines = to.as_mut_ptr();
            let mut sums: [Line; PANELS] = [[$zero(); LINE / WIDTH]; PANELS];
            // SAFETY: `to` holds PANELS lines, `right` as many panels; the caller's promise for `left`.
            unsafe {
                for (index, sums) in sums.iter_mut().enumerate() {
                    *sums = line(lines.add(index * LINE));
                }
                for k in 0..panel / LINE {
                    let a = $same(*left.add(k / LINE * block + k % LINE));
                    for (index, sums) in sums.iter_mut().enumerate() {
                        let b = line(right.as_ptr().add(index * panel + k * LINE));
                        for (sum, b) in sums.iter_mut().zip(b) {
                            *sum = $multiply_add(a, b, *sum);
                        }
                    }
                }
                store(lines, sums.as_flattened());
            }
        }
    };
}

pub(super) use {row_of_registers, tile_of_registers};
