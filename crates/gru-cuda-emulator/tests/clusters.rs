//! Clusters: blocks that exchange by asynchronous stores and mbarriers. The right versions pass whatever the
//! order of deliveries; each planted fault is found.

mod support;

use bytemuck::{Pod, Zeroable};
use gru_cuda::task::Region;
use gru_cuda_emulator::{Fault, FaultKind};
use support::{Buffer, SEEDS, assert_fault, run};

const RANKS: usize = 4;
const WIDTH: usize = 32;

/// Mirrors RingTask in tests/kernels/instructions.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct RingTask {
    input: Region,
    out: Region,
    steps: i32,
    fault: i32,
}

/// Planted faults of `ring`, by the names of instructions.cu.
const WRONG_BYTES: i32 = 1;
const ONE_BUFFER: i32 = 2;
const NO_WAIT: i32 = 3;
const NO_FENCE: i32 = 4;
const NO_FIRST_SYNC: i32 = 5;
const NO_LAST_SYNC: i32 = 6;
const WRONG_RANK: i32 = 7;
const OUT_OF_BOUNDS: i32 = 8;

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 37 % 101) as f32 / 8.0).collect()
}

fn cluster(kernel: &str, blocks: usize, steps: i32, fault: i32, seed: u64) -> (Vec<f32>, Result<(), Fault>) {
    let input = Buffer::of(&numbers(blocks * WIDTH));
    let out = Buffer::new(blocks * WIDTH, 4);
    let task = RingTask { input: input.region, out: out.region, steps, fault };
    let result = run(kernel, blocks as u32, WIDTH as u32, &task, seed);
    (out.get(), result)
}

fn ring_with(fault: i32, seed: u64) -> Result<(), Fault> {
    cluster("ring", RANKS, 5, fault, seed).1
}

#[test]
fn a_ring_exchanges_with_every_order_of_deliveries() {
    let (steps, clusters) = (7, 2);
    let mut expected = numbers(clusters * RANKS * WIDTH);
    for _ in 0..steps {
        for cluster in expected.chunks_exact_mut(RANKS * WIDTH) {
            for i in 0..WIDTH {
                let sum: f32 = (0..RANKS).map(|rank| cluster[rank * WIDTH + i]).sum();
                for rank in 0..RANKS {
                    cluster[rank * WIDTH + i] = sum / RANKS as f32 + rank as f32;
                }
            }
        }
    }
    for seed in SEEDS {
        let (out, result) = cluster("ring", clusters * RANKS, steps, 0, seed);
        result.unwrap();
        assert_eq!(out, expected);
    }
}

#[test]
fn pairs_and_words_arrive() {
    for seed in SEEDS {
        let (out, result) = cluster("pairs", 2, 1, 0, seed);
        result.unwrap();
        for (i, x) in numbers(WIDTH).into_iter().enumerate() {
            assert_eq!(out[i], -x);
            assert_eq!(out[WIDTH + i], (2 * i + 100) as f32);
        }
        let (out, result) = cluster("words_between", 2, 1, 0, seed);
        result.unwrap();
        for i in 0..WIDTH {
            assert_eq!(out[i], (3 * i + 1) as f32);
            assert_eq!(out[WIDTH + i], (3 * i) as f32);
        }
    }
}

#[test]
fn bytes_that_never_come_are_a_deadlock() {
    for seed in SEEDS {
        let words = ["no thread can go on", "block (0, 0) thread 0", "at barrier_wait", "instructions.cu"];
        assert_fault(ring_with(WRONG_BYTES, seed), FaultKind::Deadlock, "ring", &words);
        let result = cluster("words_between", 2, 1, 1, seed).1;
        assert_fault(result, FaultKind::Deadlock, "words_between", &words);
    }
}

#[test]
fn a_buffer_that_a_peer_still_reads_must_not_be_overwritten() {
    for seed in SEEDS {
        assert_fault(ring_with(ONE_BUFFER, seed), FaultKind::Race, "ring", &["shared array 'inbox'"]);
    }
}

#[test]
fn reading_without_waiting_is_found() {
    // As a race when the store comes while its peer lives, else because it comes too late.
    let faults: Vec<_> = SEEDS.map(|seed| cluster("ring", RANKS, 1, NO_WAIT, seed).1.unwrap_err()).collect();
    for fault in &faults {
        let race = fault.kind == FaultKind::Race && fault.message.contains("shared array 'inbox'");
        assert!(race || fault.message.contains("ended before the store came"), "{fault}");
    }
    assert!(faults.iter().any(|fault| fault.kind == FaultKind::Race));
}

#[test]
fn peers_must_know_that_a_barrier_was_initialised() {
    for seed in SEEDS {
        assert_fault(ring_with(NO_FENCE, seed), FaultKind::Misuse, "ring", &["barrier_fence_init"]);
        let fault = ring_with(NO_FIRST_SYNC, seed).unwrap_err();
        assert!(fault.message.contains("initialis"), "{fault}");
    }
}

#[test]
fn a_store_must_come_before_its_peer_ends() {
    // Whether it does is up to chance: the stores are held back with half of the seeds.
    let faults: Vec<_> = SEEDS.filter_map(|seed| ring_with(NO_LAST_SYNC, seed).err()).collect();
    assert!(faults.len() > 8, "{}", faults.len());
    assert!(
        faults.iter().any(|fault| fault.kind == FaultKind::Misuse && fault.message.contains("ended before"))
    );
}

#[test]
fn ranks_and_elements_of_peers_are_checked() {
    for seed in SEEDS {
        assert_fault(
            ring_with(WRONG_RANK, seed),
            FaultKind::OutOfBounds,
            "ring",
            &["rank 4 of a cluster of 4"],
        );
        let words = ["of shared array 'inbox' of 256"];
        assert_fault(ring_with(OUT_OF_BOUNDS, seed), FaultKind::OutOfBounds, "ring", &words);
        let result = cluster("pairs", 2, 1, 1, seed).1;
        assert_fault(result, FaultKind::Misaligned, "pairs", &["shared array 'numbers'"]);
    }
}

#[test]
fn a_grid_is_whole_clusters() {
    let result = cluster("ring", RANKS + 1, 1, 0, 0).1;
    assert_fault(result, FaultKind::Launch, "ring", &["clusters of 4"]);
}
