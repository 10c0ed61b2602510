//! Data races: each planted one is found with every seed, and the right version passes with every seed.

mod support;

use gru_cuda_emulator::{FaultKind, Options, launch};
use support::{Memory, SEEDS, assert_fault};

#[test]
fn a_missing_barrier_between_write_and_read_is_found() {
    for seed in SEEDS {
        Memory::new(512).run("reverse", 4, 128, seed).unwrap();
        let result = Memory::new(512).run("reverse_without_barrier", 4, 128, seed);
        let words = ["shared array 'tile'", "block (", "thread"];
        assert_fault(result, FaultKind::Race, "reverse_without_barrier", &words);
    }
}

#[test]
fn a_missing_barrier_between_read_and_write_is_found() {
    for seed in SEEDS {
        Memory::new(512).run("smooth_twice", 4, 128, seed).unwrap();
        let result = Memory::new(512).run("smooth_without_barrier", 4, 128, seed);
        assert_fault(result, FaultKind::Race, "smooth_without_barrier", &["shared array 'tile'"]);
    }
}

#[test]
fn blocks_that_touch_the_same_element_are_found() {
    for seed in SEEDS {
        Memory::new(32).run("blocks_collide", 1, 32, seed).unwrap();
        let result = Memory::new(32).run("blocks_collide", 2, 32, seed);
        assert_fault(result, FaultKind::Race, "blocks_collide", &["device memory", "byte 16 of the task"]);

        Memory::new(128).run("read_next_block", 1, 32, seed).unwrap();
        let result = Memory::new(128).run("read_next_block", 4, 32, seed);
        assert_fault(result, FaultKind::Race, "read_next_block", &["device memory", "block ("]);
    }
}

#[test]
fn launches_are_ordered() {
    let memory = Memory::new(128);
    for seed in SEEDS {
        memory.run("copy_shifted", 1, 128, seed).unwrap();
        memory.run("reverse", 1, 128, seed).unwrap();
    }
}

#[test]
fn threads_of_a_block_that_pass_on_through_device_memory_need_a_barrier() {
    for seed in SEEDS {
        Memory::new(64).run("pass_on", 1, 64, seed).unwrap();
        let result = Memory::new(64).shifted(1).run("pass_on", 1, 64, seed);
        assert_fault(result, FaultKind::Race, "pass_on", &["device memory", "thread 63", "thread 0"]);
    }
}

#[test]
fn a_warp_barrier_orders_a_warp_and_no_more() {
    for seed in SEEDS {
        Memory::new(64).run("exchange_in_warp", 1, 64, seed).unwrap();
        let result = Memory::new(64).shifted(1).run("exchange_in_warp", 1, 64, seed);
        assert_fault(result, FaultKind::Race, "exchange_in_warp", &["shared array 'tile'"]);
        let result = Memory::new(64).run("exchange_across_warps", 1, 64, seed);
        assert_fault(result, FaultKind::Race, "exchange_across_warps", &["shared array 'tile'"]);
    }
}

#[test]
fn the_check_can_be_turned_off() {
    let memory = Memory::new(64);
    let options = Options { seed: 0, check_races: false };
    launch("blocks_collide", [2, 1], 32, bytemuck::bytes_of(&memory.task()), options).unwrap();
}
