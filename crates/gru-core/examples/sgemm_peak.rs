//! What this machine can do at most in f32, for `npm run bench` to compare the training with.
//!
//! `cargo run --release -p gru-core --example sgemm_peak -- THREADS` prints one line of JSON, in GFLOP/s of
//! all threads together: `sgemm`, square products by the gemm crate, one product after the other on each
//! thread; and `fma`, multiply-adds on registers alone, null where pulp knows no vector instructions of the
//! processor. Each is the best of several rounds.

use pulp::{Simd, WithSimd};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

/// Rounds whose best counts.
const ROUNDS: usize = 10;
/// Floating-point operations of a round on one thread: tens of milliseconds, far more than starting one.
const ROUND_FLOP: f64 = 4e9;
/// Widths of the square matrices: large enough for full speed, and three of them fit into a server's cache.
const WIDTHS: [usize; 2] = [768, 1024];

fn main() {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let Some(threads) = argument.parse().ok().filter(|threads| (1..=1024).contains(threads)) else {
        eprintln!("expected a number of threads from 1 to 1024, received {argument:?}");
        std::process::exit(2);
    };
    let sgemm = WIDTHS.map(|width| peak(threads, || product(width))).into_iter().fold(0.0, f64::max);
    let fma = match pulp::Arch::new() {
        pulp::Arch::Scalar => "null".to_string(),
        arch => format!("{:.1}", peak(threads, || move || multiply_adds(arch))),
    };
    println!("{{\"threads\":{threads},\"sgemm\":{sgemm:.1},\"fma\":{fma}}}");
}

/// GFLOP/s of all threads together in the best round. `prepare` makes each thread's work, which does one
/// piece and returns how many floating-point operations that was.
fn peak<Work: FnMut() -> f64>(threads: usize, prepare: impl Fn() -> Work + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let rounds_of_one_thread = || {
        let mut work = prepare();
        let repeats = (ROUND_FLOP / work()).ceil() as usize;
        let round = |_| {
            barrier.wait();
            let start = Instant::now();
            let flop: f64 = (0..repeats).map(|_| work()).sum();
            (flop, start, Instant::now())
        };
        (0..ROUNDS).map(round).collect::<Vec<_>>()
    };
    let rounds: Vec<Vec<_>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(rounds_of_one_thread)).collect();
        handles.into_iter().map(|handle| handle.join().expect("a thread panicked")).collect()
    });
    let speed = |round: usize| {
        // From the first thread's start to the last one's end.
        let of_round = || rounds.iter().map(move |thread| thread[round]);
        let flop: f64 = of_round().map(|(flop, ..)| flop).sum();
        let start = of_round().map(|(_, start, _)| start).min().expect("a thread");
        let end = of_round().map(|(.., end)| end).max().expect("a thread");
        flop / (end - start).as_secs_f64() / 1e9
    };
    (0..ROUNDS).map(speed).fold(0.0, f64::max)
}

/// One product of square matrices.
fn product(width: usize) -> impl FnMut() -> f64 {
    let values = |factor: usize| (0..width * width).map(|i| (i * factor % 17) as f32).collect::<Vec<f32>>();
    let (a, b) = (values(3), values(5));
    let mut to = vec![0.0_f32; width * width];
    move || {
        let stride = width as isize;
        // SAFETY: the three matrices are `width` columns one after the other, of `width` elements each, and
        // `to` is borrowed mutably, so it overlaps neither `a` nor `b`; it is only written (`read_dst` false).
        unsafe {
            gemm::gemm(
                width,
                width,
                width,
                to.as_mut_ptr(),
                stride,
                1,
                false,
                a.as_ptr(),
                stride,
                1,
                b.as_ptr(),
                stride,
                1,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
        black_box(&to);
        2.0 * (width as f64).powi(3)
    }
}

/// Multiply-adds in as many independent chains as hide their latency and fit into 16 registers.
fn multiply_adds(arch: pulp::Arch) -> f64 {
    const CHAINS: usize = 12;
    const LENGTH: usize = 1_000_000;

    struct Chains;

    impl WithSimd for Chains {
        type Output = f64;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> f64 {
            let (factor, addend) =
                (simd.splat_f32s(black_box(0.999_f32)), simd.splat_f32s(black_box(0.001_f32)));
            let mut chains = [simd.splat_f32s(black_box(1.0_f32)); CHAINS];
            for _ in 0..LENGTH {
                for chain in &mut chains {
                    *chain = simd.mul_add_f32s(*chain, factor, addend);
                }
            }
            let sum = chains.into_iter().reduce(|sum, chain| simd.add_f32s(sum, chain));
            black_box(simd.reduce_sum_f32s(sum.expect("a chain")));
            (2 * CHAINS * LENGTH * S::F32_LANES) as f64
        }
    }

    arch.dispatch(Chains)
}
