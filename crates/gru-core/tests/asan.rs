//! AddressSanitizer watches when it should: a fault of each kind is planted in a process of its own and must be
//! reported, so that a flag that got lost is noticed. `npm run test:asan`.
#![cfg(asan)]

use std::hint::black_box;
use std::process::Command;

/// Names the fault that the process of its own commits.
const PLANTED: &str = "GRU_ASAN_PLANTED";

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

#[test]
fn planted_faults_are_reported() {
    match std::env::var(PLANTED).as_deref() {
        Ok("out of bounds") => panic!("unnoticed: {}", read(4, false)),
        Ok("use after free") => panic!("unnoticed: {}", read(3, true)),
        _ => assert_eq!(read(3, false), 1.0),
    }
    for (fault, report) in
        [("out of bounds", "heap-buffer-overflow"), ("use after free", "heap-use-after-free")]
    {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "planted_faults_are_reported", "--nocapture"])
            .env(PLANTED, fault)
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && words.contains(report), "{fault} went unnoticed: {words}");
    }
}
