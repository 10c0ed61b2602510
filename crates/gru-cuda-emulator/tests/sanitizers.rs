//! The sanitizers watch over kernels: a fault of each kind is planted in a process of its own and must be reported,
//! so that a flag that got lost is noticed.
#![cfg(feature = "sanitize")]

mod support;

use std::process::Command;
use support::Memory;

/// Names the kernel that the process of its own runs.
const PLANTED: &str = "GRU_EMULATOR_PLANTED";

#[test]
fn planted_faults_are_reported() {
    if let Ok(kernel) = std::env::var(PLANTED) {
        return Memory::new(32).shifted(1).run(&kernel, 1, 32, 0).unwrap();
    }
    for (kernel, report) in
        [("heap_overflow", "heap-buffer-overflow"), ("signed_overflow", "signed integer overflow")]
    {
        Memory::new(32).run(kernel, 1, 32, 0).unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "planted_faults_are_reported", "--nocapture"])
            .env(PLANTED, kernel)
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{kernel} went unnoticed: {words}");
        assert!(words.contains(report) && words.contains("sanitized.cu"), "{kernel}: {words}");
    }
}
