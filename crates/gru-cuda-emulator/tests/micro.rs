//! The kernels that measure single operations on a GPU (`kernels/micro`) do what they say as often as they say, and
//! read the clock around it.

mod support;

use bytemuck::{Pod, Zeroable};
use gru_cuda::task::Region;
use support::{Buffer, SEEDS, run};

/// Mirrors MicroTask in kernels/micro/micro_task.cuh.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct MicroTask {
    cycles: Region,
    result: Region,
    rounds: i32,
    padding: i32,
}

/// The cycles of each block and the result of each thread.
fn measured(kernel: &str, blocks: usize, threads: usize, rounds: i32, seed: u64) -> (Vec<u32>, Vec<u32>) {
    let (cycles, result) = (Buffer::new(blocks, 4), Buffer::new(blocks * threads, 4));
    let task = MicroTask { cycles: cycles.region, result: result.region, rounds, padding: 0 };
    run(kernel, blocks as u32, threads as u32, &task, seed).unwrap();
    (cycles.get(), result.get())
}

#[test]
fn a_number_goes_to_the_peer_and_back() {
    for seed in SEEDS {
        for rounds in [1, 2, 7] {
            let (cycles, result) = measured("round_trip_async", 4, 32, rounds, seed);
            let numbers: Vec<_> = result.iter().step_by(32).copied().collect();
            let rounds = rounds as u32;
            assert_eq!(numbers, [2 * rounds, 2 * rounds - 1, 2 * rounds, 2 * rounds - 1]);
            assert!(cycles.iter().all(|&count| (1..8).contains(&count)), "{cycles:?}");
        }
    }
}

#[test]
fn each_thread_does_its_rounds() {
    for (kernel, blocks, threads, expected) in [
        ("round_trip_cluster", 16, 256, 5),
        ("round_trip_block", 2, 256, 5),
        ("broadcast_load", 2, 32, 5),
        ("products_tf32_1", 2, 256, 5 * 4 * 8),
        ("products_tf32_8", 1, 256, 5 * 4 * 8 * 8),
        ("products_bf16_1", 2, 256, 5 * 4 * 16),
        ("products_bf16_8", 1, 256, 5 * 4 * 16 * 8),
    ] {
        let (cycles, result) = measured(kernel, blocks, threads, 5, 3);
        assert!(result.iter().all(|&found| found == expected), "{kernel}: {expected}, {result:?}");
        // The emulator's clock goes on by one a read.
        assert!(cycles.iter().all(|&count| (1..10_000).contains(&count)), "{kernel}: {cycles:?}");
    }
    // Once around the ring of places.
    let (_, result) = measured("broadcast_load", 1, 32, 66, 0);
    assert_eq!(result, [66; 32]);
}

#[test]
fn nothing_touches_nothing() {
    let (cycles, result) = measured("nothing", 3, 32, 1, 0);
    assert!(cycles.iter().chain(&result).all(|&bits| f32::from_bits(bits).is_nan()));
}
