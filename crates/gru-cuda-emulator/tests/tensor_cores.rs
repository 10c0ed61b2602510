//! Tensor cores: roundings, and products of tiles whose fragments are laid out by the PTX ISA's formulas.

mod support;

use bytemuck::{Pod, Zeroable};
use gru_cuda::task::Region;
use support::{Buffer, SEEDS, run};

/// Mirrors TensorTask in tests/kernels/instructions.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct TensorTask {
    a: Region,
    b: Region,
    c: Region,
    d: Region,
}

/// Mirrors RoundingTask in tests/kernels/instructions.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct RoundingTask {
    input: Region,
    tf32: Region,
    bf16: Region,
}

/// (f32, as tf32, as bf16), bits: exact values, both sides of a tie, ties (away from zero; to even), carries
/// into the exponent, subnormal numbers, overflow, infinities and NaN.
const ROUNDINGS: [(u32, u32, u32); 20] = [
    (0x0000_0000, 0x0000_0000, 0x0000),
    (0x8000_0000, 0x8000_0000, 0x8000),
    (0x3f80_0000, 0x3f80_0000, 0x3f80),
    (0x3f80_0fff, 0x3f80_0000, 0x3f80),
    (0x3f80_1000, 0x3f80_2000, 0x3f80),
    (0xbf80_1000, 0xbf80_2000, 0xbf80),
    (0x3f80_1001, 0x3f80_2000, 0x3f80),
    (0x3f80_3000, 0x3f80_4000, 0x3f80),
    (0x3f80_7fff, 0x3f80_8000, 0x3f80),
    (0x3f80_8000, 0x3f80_8000, 0x3f80),
    (0x3f80_8001, 0x3f80_8000, 0x3f81),
    (0x3f81_8000, 0x3f81_8000, 0x3f82),
    (0xbf81_8000, 0xbf81_8000, 0xbf82),
    (0x3fff_ffff, 0x4000_0000, 0x4000),
    (0x0000_1000, 0x0000_2000, 0x0000),
    (0x0000_8001, 0x0000_8000, 0x0001),
    (0x7f7f_ffff, 0x7f80_0000, 0x7f80),
    (0x7f80_0000, 0x7f80_0000, 0x7f80),
    (0xff80_0000, 0xff80_0000, 0xff80),
    (0x7fc0_1234, 0x7fff_ffff, 0x7fff),
];

#[test]
fn roundings_at_ties_and_edges() {
    let mut numbers = vec![0.0; 32];
    for (number, (bits, _, _)) in numbers.iter_mut().zip(ROUNDINGS) {
        *number = f32::from_bits(bits);
    }
    let (input, tf32, bf16) = (Buffer::of(&numbers), Buffer::new(32, 4), Buffer::new(32, 4));
    let task = RoundingTask { input: input.region, tf32: tf32.region, bf16: bf16.region };
    run("roundings", 1, 32, &task, 0).unwrap();
    let (tf32, bf16) = (tf32.get::<u32>(), bf16.get::<u32>());
    for (i, (bits, expected_tf32, expected_bf16)) in ROUNDINGS.into_iter().enumerate() {
        assert_eq!(tf32[i], expected_tf32, "{bits:#x} as tf32");
        assert_eq!(bf16[i], expected_bf16 << 16 | expected_bf16, "{bits:#x} as bf16");
    }
}

/// Numbers with more digits than an operand keeps.
fn numbers(count: usize, stride: usize) -> Vec<f32> {
    (0..count).map(|i| (i * stride % 1009) as f32 / 313.0 - 1.6).collect()
}

/// To the nearest number with this many bits below the leading one, in f64; ties do not occur in `numbers`.
fn rounded(value: f32, bits: i32) -> f64 {
    let unit = 2_f64.powi(f64::from(value).abs().log2().floor() as i32 - bits);
    (f64::from(value) / unit).round() * unit
}

fn assert_product(kernel: &str, depth: usize, bits: i32) {
    let (a, b, c) = (numbers(16 * depth, 353), numbers(depth * 8, 271), numbers(128, 97));
    for seed in SEEDS {
        let (a_there, b_there, c_there) = (Buffer::of(&a), Buffer::of(&b), Buffer::of(&c));
        let d = Buffer::new(128, 4);
        let task = TensorTask { a: a_there.region, b: b_there.region, c: c_there.region, d: d.region };
        run(kernel, 1, 32, &task, seed).unwrap();
        for (i, d) in d.get::<f32>().into_iter().enumerate() {
            let (row, column) = (i / 8, i % 8);
            let products =
                (0..depth).map(|k| rounded(a[row * depth + k], bits) * rounded(b[k * 8 + column], bits));
            let expected = f64::from(c[i]) + products.sum::<f64>();
            // Sums of 17 terms below 3 in f32.
            assert!(
                (f64::from(d) - expected).abs() < 1e-5,
                "{kernel} [{row}, {column}]: {d}, expected {expected}"
            );
        }
    }
}

#[test]
fn a_tf32_tile_is_the_product_of_rounded_operands() {
    assert_product("product_tf32", 8, 10);
}

#[test]
fn a_bf16_tile_is_the_product_of_rounded_operands() {
    assert_product("product_bf16", 16, 7);
}
