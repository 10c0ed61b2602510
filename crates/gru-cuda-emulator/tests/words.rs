//! Words with tags in device memory: groups of blocks that exchange by them. The right version passes whatever the
//! order in which stores come; each planted fault is found.

mod support;

use bytemuck::{Pod, Zeroable};
use gru_cuda::task::Region;
use gru_cuda_emulator::{Fault, FaultKind, write};
use support::{Buffer, SEEDS, assert_fault, run};

const RANKS: usize = 4;
const WIDTH: usize = 32;

/// Mirrors WordsTask in tests/kernels/words.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct WordsTask {
    input: Region,
    out: Region,
    words: Region,
    steps: i32,
    fault: i32,
}

/// Planted faults, by the names of words.cu.
const ONE_BUFFER: i32 = 1;
const WRONG_TAG: i32 = 2;
const PLAIN_STORE: i32 = 3;
const PLAIN_LOAD: i32 = 4;
const OTHER_GROUP: i32 = 5;
const ODD_PAIR: i32 = 6;
const OUT_OF_BOUNDS: i32 = 7;
const ON_THE_STRENGTH_OF_A_WORD: i32 = 8;

const GROUPS: usize = 2;
const STEPS: i32 = 6;

fn numbers() -> Vec<f32> {
    (0..GROUPS * RANKS * WIDTH).map(|i| (i * 37 % 101) as f32 / 8.0).collect()
}

/// What `ring_of_words` gives, with words that are zero before, or that nobody wrote.
fn ring(fault: i32, seed: u64, is_cleared: bool) -> (Vec<f32>, Result<(), Fault>) {
    let (input, out) = (Buffer::of(&numbers()), Buffer::new(GROUPS * RANKS * WIDTH, 4));
    let words = Buffer::new(GROUPS * 2 * RANKS * WIDTH, 8);
    if is_cleared {
        let zeros = vec![0_u64; words.region.length as usize];
        assert!(write(words.region.address, bytemuck::cast_slice(&zeros)));
    }
    let task = WordsTask { input: input.region, out: out.region, words: words.region, steps: STEPS, fault };
    let result = run("ring_of_words", (GROUPS * RANKS) as u32, WIDTH as u32, &task, seed);
    (out.get(), result)
}

fn fault(fault: i32, seed: u64) -> Result<(), Fault> {
    ring(fault, seed, true).1
}

#[test]
fn a_ring_exchanges_with_every_order_of_stores() {
    let mut expected = numbers();
    for _ in 0..STEPS {
        for group in expected.chunks_exact_mut(RANKS * WIDTH) {
            for i in 0..WIDTH {
                let sum: f32 = (0..RANKS).map(|rank| group[rank * WIDTH + i]).sum();
                for rank in 0..RANKS {
                    group[rank * WIDTH + i] = sum / RANKS as f32 + rank as f32;
                }
            }
        }
    }
    for seed in SEEDS {
        let (out, result) = ring(0, seed, true);
        result.unwrap();
        assert_eq!(out, expected);
    }
}

#[test]
fn a_word_that_never_comes_is_a_deadlock() {
    for seed in SEEDS {
        let words = ["no thread can go on", "at await_words", "words.cu"];
        assert_fault(fault(WRONG_TAG, seed), FaultKind::Deadlock, "ring_of_words", &words);
    }
}

/// The block that is held back finds the next word in the place of the one that it awaits.
#[test]
fn a_word_that_is_replaced_before_all_had_it_is_a_deadlock() {
    let found = SEEDS.filter(|&seed| match fault(ONE_BUFFER, seed) {
        Ok(()) => false,
        Err(fault) => fault.kind == FaultKind::Deadlock,
    });
    assert!(found.count() > 8);
}

#[test]
fn plain_accesses_and_those_of_another_group_are_races() {
    for seed in SEEDS {
        for planted in [PLAIN_STORE, PLAIN_LOAD, OTHER_GROUP] {
            let words = ["the word", "device memory", "byte 32 of the task"];
            let result = fault(planted, seed);
            let words = if planted == OTHER_GROUP { &words } else { &words[1..] };
            assert_fault(result, FaultKind::Race, "ring_of_words", words);
        }
    }
}

#[test]
fn a_word_orders_nothing_but_itself() {
    for seed in SEEDS {
        let words = ["device memory", "byte 16 of the task"];
        assert_fault(fault(ON_THE_STRENGTH_OF_A_WORD, seed), FaultKind::Race, "ring_of_words", &words);
    }
}

#[test]
fn words_that_nobody_wrote_are_found() {
    for seed in SEEDS {
        let result = ring(0, seed, false).1;
        assert_fault(result, FaultKind::Unwritten, "ring_of_words", &["byte 32 of the task"]);
    }
}

#[test]
fn places_of_words_are_checked() {
    for seed in SEEDS {
        let words = ["multiple of"];
        assert_fault(fault(ODD_PAIR, seed), FaultKind::Misaligned, "ring_of_words", &words);
        assert_fault(fault(OUT_OF_BOUNDS, seed), FaultKind::OutOfBounds, "ring_of_words", &["byte 32"]);
    }
}
