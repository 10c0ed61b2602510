//! The sanitizers watch when they should: a fault of each kind is planted in a process of its own and must be
//! reported, so that a flag that got lost is noticed. `npm run test:sanitizers`.
#![cfg(any(asan, tsan))]

use std::hint::black_box;
use std::process::Command;

/// Names the fault that the process of its own commits.
const PLANTED: &str = "GRU_SANITIZER_PLANTED";

/// Faults and the words that report them.
const FAULTS: &[(&str, &str)] = if cfg!(asan) {
    &[("out of bounds", "heap-buffer-overflow"), ("use after free", "heap-use-after-free")]
} else {
    &[("race", "data race")]
};

/// Reads an element of a buffer of four, which has been freed by then if so asked.
fn read(index: usize, freed: bool) -> f32 {
    let buffer = black_box(vec![1.0f32; 4]);
    let start = buffer.as_ptr();
    let kept = Some(buffer).filter(|_| !freed);
    // SAFETY: none for the planted faults; index 3 of a buffer that is kept is there.
    let element = unsafe { black_box(start.add(index)).read() };
    drop(black_box(kept));
    element
}

/// Two threads that write one place, and do not wait for each other.
fn race() -> u64 {
    static mut PLACE: u64 = 0;
    // SAFETY: none, this is the planted fault.
    let write = || (0..1000).for_each(|_| unsafe { *black_box(&raw mut PLACE) += 1 });
    std::thread::scope(|scope| {
        scope.spawn(write);
        scope.spawn(write);
    });
    // SAFETY: both threads have ended.
    unsafe { PLACE }
}

#[test]
fn planted_faults_are_reported() {
    match std::env::var(PLANTED).as_deref() {
        Ok("out of bounds") => panic!("unnoticed: {}", read(4, false)),
        Ok("use after free") => panic!("unnoticed: {}", read(3, true)),
        Ok("race") => return println!("{}", race()),
        _ => assert_eq!(read(3, false), 1.0),
    }
    for (fault, report) in FAULTS {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "planted_faults_are_reported", "--nocapture"])
            .env(PLANTED, fault)
            .env("TSAN_OPTIONS", "")
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(words.contains(report) && words.contains("sanitizers::"), "{fault} went unnoticed: {words}");
    }
}
