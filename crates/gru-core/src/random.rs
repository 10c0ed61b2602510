//! The project's one random generator, and the initial weights drawn from it.
//!
//! The generator is **SplitMix64** (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
//! OOPSLA 2014): 64 bits of state, the same numbers on every platform and in `src/random.ts`, which draws
//! batch orders from it. Every use has a stream of its own, started from (seed, purpose), so
//! that one use never shifts the numbers of another. Test vectors for both languages are in
//! `test/reference/random.json`.

use crate::{Layout, Sizes};

/// Increment of SplitMix64's counter, the odd integer nearest 2^64 / golden ratio.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of pseudorandom 64-bit integers.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream of a seed for one purpose, such as `"weights"`. The purpose is folded in byte by byte.
    pub fn stream(seed: u64, purpose: &str) -> Self {
        let mut state = mix(seed.wrapping_add(GOLDEN_GAMMA));
        for byte in purpose.bytes() {
            state = mix(state.wrapping_add(GOLDEN_GAMMA) ^ u64::from(byte));
        }
        Self { state }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number in [0, 1) with 53 random bits.
    pub fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * 2f64.powi(-53)
    }

    /// Two independent numbers from N(0, 1), by Marsaglia's polar method. Only operations that IEEE 754
    /// defines to the last bit are used, so the numbers are the same everywhere.
    pub fn next_gaussians(&mut self) -> [f64; 2] {
        loop {
            let [x, y] = [2.0 * self.next_f64() - 1.0, 2.0 * self.next_f64() - 1.0];
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let scale = (-2.0 * natural_log(square) / square).sqrt();
                return [x * scale, y * scale];
            }
        }
    }
}

/// SplitMix64's output function: a bijection of the 64-bit integers.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Natural logarithm of a positive, normal f64, to about 1e-15, by additions, multiplications and
/// divisions alone: a platform's own `ln` may differ in the last bits. With x = m 2^e and m near 1,
/// ln x = e ln 2 + 2 atanh((m - 1) / (m + 1)).
fn natural_log(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let s2 = s * s;
    // |s| <= 0.1716, so that the first term left out, s^23 / 23, is below 1e-18.
    let mut series = 0.0;
    for power in (1..=21).rev().step_by(2) {
        series = series * s2 + 1.0 / f64::from(power);
    }
    2.0 * s * series + exponent as f64 * std::f64::consts::LN_2
}

/// Initial parameters in [`Layout`]'s order: `W_x`, `W_h` and `W_y` from N(0, `init_scale`^2), in that order
/// from the stream (`seed`, "weights"); all biases zero.
pub fn initial_parameters(sizes: &Sizes, seed: u64, init_scale: f64) -> Vec<f32> {
    let layout = Layout::new(sizes);
    let mut flat = vec![0.0f32; layout.len()];
    let mut random = Random::stream(seed, "weights");
    let mut spare = None;
    for tensor in layout.tensors.iter().filter(|tensor| tensor.name.starts_with("W_")) {
        for value in &mut flat[tensor.range.clone()] {
            let gaussian = spare.take().unwrap_or_else(|| {
                let [first, second] = random.next_gaussians();
                spare = Some(second);
                first
            });
            *value = (gaussian * init_scale) as f32;
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published output of SplitMix64 from state 1234567 (the reference C code's first three values).
    #[test]
    fn matches_the_published_splitmix64() {
        let mut random = Random { state: 1_234_567 };
        let drawn = [random.next_u64(), random.next_u64(), random.next_u64()];
        assert_eq!(drawn, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
    }

    #[test]
    fn logarithm_is_exact_to_rounding() {
        let mut random = Random::stream(1, "test");
        for _ in 0..100_000 {
            let x = random.next_f64() + 1e-300;
            assert!((natural_log(x) - x.ln()).abs() <= 1e-15 * (1.0 + x.ln().abs()), "{x}");
        }
        assert_eq!(natural_log(1.0), 0.0);
    }

    #[test]
    fn gaussians_have_the_moments_of_the_normal_distribution() {
        let mut random = Random::stream(2, "test");
        let drawn: Vec<f64> = (0..200_000).flat_map(|_| random.next_gaussians()).collect();
        let moment = |power: i32| drawn.iter().map(|x| x.powi(power)).sum::<f64>() / drawn.len() as f64;
        // Standard errors of the four moments at 400,000 draws: 0.0016, 0.0022, 0.006, 0.016.
        for (power, expected, tolerance) in [(1, 0.0, 0.008), (2, 1.0, 0.011), (3, 0.0, 0.03), (4, 3.0, 0.08)]
        {
            assert!((moment(power) - expected).abs() < tolerance, "moment {power}: {}", moment(power));
        }
    }

    #[test]
    fn streams_of_different_purposes_and_seeds_differ() {
        let first = |seed, purpose| Random::stream(seed, purpose).next_u64();
        let drawn = [first(0, "weights"), first(0, "batches"), first(1, "weights"), first(0, "")];
        for (i, a) in drawn.iter().enumerate() {
            assert!(!drawn[i + 1..].contains(a));
        }
    }
}
