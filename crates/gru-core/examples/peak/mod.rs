//! Speed limits of the machine, measured: what the examples beside this folder share.

use pulp::{Simd, WithSimd};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

/// Floating-point operations of a round on one thread: tens of milliseconds, far more than starting one.
const ROUND_FLOP: f64 = 4e9;

/// GFLOP/s of multiply-adds on registers alone; nothing where pulp knows no vector instructions of the processor.
pub fn fma(threads: usize, rounds: usize) -> Option<f64> {
    match pulp::Arch::new() {
        pulp::Arch::Scalar => None,
        arch => Some(best(threads, rounds, || move || multiply_adds(arch))),
    }
}

/// GFLOP/s of all threads together in the best round. `prepare` makes each thread's work, which does one
/// piece and returns how many floating-point operations that was.
pub fn best<Work: FnMut() -> f64>(threads: usize, count: usize, prepare: impl Fn() -> Work + Sync) -> f64 {
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
        (0..count).map(round).collect::<Vec<_>>()
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
    (0..count).map(speed).fold(0.0, f64::max)
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
