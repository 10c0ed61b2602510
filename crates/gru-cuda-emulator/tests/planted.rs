//! Faults planted in copies of the product's kernels: each is caught, by the emulator or by a wrong result. Not
//! compiled with the sanitizers, which have nothing to find here.
#![cfg(not(feature = "sanitize"))]

use gru_core::conformance::{Make, Tolerance};
use gru_core::{Backend, Sizes, conformance};
use gru_cuda::{CudaBackend, self_test};
use gru_cuda_emulator::{Emulator, Options};
use std::cell::Cell;
use std::panic::catch_unwind;

include!("planted/faults.rs");

thread_local! {
    /// The fault that this test's backends have.
    static FAULT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

fn emulator() -> Emulator {
    let mut emulator = Emulator::new(Options::default());
    if let Some(fault) = FAULT.get() {
        emulator.set_variant(fault);
    }
    emulator
}

fn make(sizes: Sizes) -> Box<dyn Backend> {
    Box::new(CudaBackend::new(emulator(), sizes).unwrap())
}

/// Two updates against the oracle; panics unless they are what they should be.
fn pass_the_self_test(_: Make, _: Tolerance) {
    let error = self_test::greatest_error(emulator()).unwrap();
    assert!(self_test::passes(error), "the self-test sees a relative error of {error}");
}

/// What catches the faults, the quickest first.
const CHECKS: [fn(Make, Tolerance); 3] = [
    pass_the_self_test,
    conformance::shorter_updates_equal_the_oracle,
    conformance::what_is_not_finite_is_never_applied,
];

/// The words of the first check that fails.
fn caught() -> Option<String> {
    CHECKS.iter().find_map(|check| {
        let panic = catch_unwind(|| check(make, Tolerance::F32)).err()?;
        let words = panic.downcast_ref::<String>().cloned();
        Some(words.or_else(|| panic.downcast_ref::<&str>().map(|&words| words.into())).unwrap_or_default())
    })
}

#[test]
fn kernels_without_a_fault_pass_every_check() {
    assert_eq!(caught(), None);
}

#[test]
fn every_planted_fault_is_caught() {
    std::panic::set_hook(Box::new(|_| ())); // the panics below are wanted
    for PlantedFault { name, kernel, file, right, wrong } in &FAULTS {
        let registered = gru_cuda_emulator::argument_size(&format!("{name}/{kernel}"));
        assert!(registered.is_some(), "{name}/{kernel} was not compiled");
        FAULT.set(Some(name));
        let Some(words) = caught() else {
            println!("{file}: {right}\nbecame: {wrong}");
            panic!("{name} in {kernel} was not caught");
        };
        println!("{name}: {words}");
        // A missing barrier is a race, whatever the result.
        assert!(!name.contains("barrier") || words.contains("data race"), "{name}: {words}");
        // A register that never got its value is not just some number: whoever reads what came of it is told.
        assert!(!name.contains("uninitialised") || words.contains("what nobody wrote"), "{name}: {words}");
    }
}
