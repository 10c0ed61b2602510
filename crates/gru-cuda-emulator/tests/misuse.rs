//! Clusters and mbarriers used as they must not be: each way is refused, in its own words.

mod support;

use bytemuck::{Pod, Zeroable};
use gru_cuda_emulator::{Fault, FaultKind, Options, launch};
use support::{SEEDS, assert_fault, run};

/// Mirrors MisuseTask in tests/kernels/misuse.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct MisuseTask {
    fault: i32,
}

fn misuse(fault: i32, seed: u64) -> Result<(), Fault> {
    run("misuse", 2, 32, &MisuseTask { fault }, seed)
}

#[test]
fn each_misuse_is_refused_in_its_own_words() {
    // The numbers of misuse.cu.
    let faults = [
        (1, "arrives at the cluster's barrier twice without waiting"),
        (2, "waits at the cluster's barrier without having arrived"),
        (3, "arrives once more than the mbarrier counts in a phase"),
        (4, "expects more bytes than an mbarrier can count"),
        (5, "uses an mbarrier that nobody initialised"),
        (6, "uses an mbarrier that nobody initialised"),
        (7, "completes on a barrier that is not in the same block"),
    ];
    for seed in SEEDS {
        misuse(0, seed).unwrap();
        for (fault, words) in faults {
            assert_fault(misuse(fault, seed), FaultKind::Misuse, "misuse", &["block (", words]);
        }
    }
}

/// The stores overwrite each other, so races are not looked for.
#[test]
fn more_bytes_than_an_mbarrier_counts_are_refused() {
    let task = MisuseTask { fault: 8 };
    for seed in 0..2 {
        let options = Options { seed, check_races: false };
        let result = launch("misuse", [2, 1], 32, bytemuck::bytes_of(&task), options);
        let words = ["stored more bytes than the mbarrier can count"];
        assert_fault(result, FaultKind::Misuse, "misuse", &words);
    }
}

#[test]
fn more_mbarriers_than_are_numbered_are_refused() {
    run("many_barriers", 1, 32, &MisuseTask { fault: 0 }, 0).unwrap();
    let result = run("many_barriers", 1, 32, &MisuseTask { fault: 1 }, 0);
    assert_fault(result, FaultKind::Launch, "many_barriers", &["more than 128 mbarriers in a cluster"]);
}
