//! Threads that do not meet: divergent barriers and shuffles.

mod support;

use gru_cuda_emulator::FaultKind;
use support::{Memory, SEEDS, assert_fault};

#[test]
fn threads_that_end_before_a_barrier_are_found() {
    for seed in SEEDS {
        Memory::new(64).run("end_early", 1, 64, seed).unwrap();
        for shift in [1, 32, 63] {
            let result = Memory::new(64).shifted(shift).run("end_early", 1, 64, seed);
            let words = ["block (0, 0) thread", "__syncthreads", "barriers.cu"];
            assert_fault(result, FaultKind::DivergentBarrier, "end_early", &words);
        }
        // All of them may.
        Memory::new(64).shifted(64).run("end_early", 1, 64, seed).unwrap();
    }
}

#[test]
fn threads_at_different_barriers_are_found() {
    for seed in SEEDS {
        Memory::new(64).run("two_barriers", 1, 64, seed).unwrap();
        let result = Memory::new(64).shifted(32).run("two_barriers", 1, 64, seed);
        assert_fault(
            result,
            FaultKind::DivergentBarrier,
            "two_barriers",
            &["block (0, 0) thread", "barriers.cu"],
        );
    }
}

#[test]
fn a_shuffle_without_all_lanes_is_a_deadlock() {
    for seed in SEEDS {
        Memory::new(32).run("shuffle_of_some", 1, 32, seed).unwrap();
        let result = Memory::new(32).shifted(3).run("shuffle_of_some", 1, 32, seed);
        let words = ["thread 0 to 2 ended", "thread 3 to 31 at shuffle_xor", "barriers.cu"];
        assert_fault(result, FaultKind::Deadlock, "shuffle_of_some", &words);
    }
}

#[test]
fn lanes_in_different_shuffles_are_found() {
    for seed in SEEDS {
        let result = Memory::new(32).shifted(16).run("two_shuffles", 1, 32, seed);
        assert_fault(
            result,
            FaultKind::DivergentBarrier,
            "two_shuffles",
            &["shuffle_xor", "lanes of its warp"],
        );
    }
}
