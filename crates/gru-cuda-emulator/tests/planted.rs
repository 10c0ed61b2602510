//! Faults planted in copies of the product's kernels: each is caught, by the emulator or by a wrong result. Not
//! compiled with the sanitizers, which have nothing to find here.
#![cfg(not(feature = "sanitize"))]

use gru_core::conformance::{Make, Tolerance};
use gru_core::{Backend, Sizes, conformance};
use gru_cuda::recurrence::{Exchange, Persistent};
use gru_cuda::self_test::{self, Subject};
use gru_cuda::{CudaBackend, Precision};
use gru_cuda_emulator::{Emulator, Options};
use std::cell::Cell;
use std::panic::catch_unwind;

include!("planted/faults.rs");
include!("planted/persistent_faults.rs");

thread_local! {
    /// The fault that this test's backends have.
    static FAULT: Cell<Option<&'static str>> = const { Cell::new(None) };
    /// The exchange of the persistent kernels that they run, if any.
    static EXCHANGE: Cell<Option<Exchange>> = const { Cell::new(None) };
    /// The operands of their products.
    static PRECISION: Cell<Precision> = const { Cell::new(Precision::Fp32) };
}

fn emulator() -> Emulator {
    let mut emulator = Emulator::new(Options::default());
    if let Some(exchange) = EXCHANGE.get() {
        emulator.set_exchange(exchange);
    }
    if let Some(fault) = FAULT.get() {
        emulator.set_variant(fault);
    }
    emulator
}

fn make(sizes: Sizes) -> Box<dyn Backend> {
    Box::new(CudaBackend::for_corpus(emulator(), sizes, PRECISION.get(), 0).unwrap())
}

/// Two updates against the oracle; panics unless they are what they should be.
fn pass_the_self_test(_: Make, _: Tolerance) {
    let precision = PRECISION.get();
    let error = self_test::greatest_error(emulator(), Subject { precision, ..Subject::default() }).unwrap();
    assert!(self_test::passes(error, precision), "the self-test sees a relative error of {error}");
}

/// Several tiles in every direction of every product.
fn equal_the_oracle_in_many_tiles(make: Make, tolerance: Tolerance) {
    conformance::gradients_equal_the_oracle_at(&[[150, 70, 27, 5]], conformance::SCALE, make, tolerance);
}

/// What catches the faults, the quickest first.
const CHECKS: [fn(Make, Tolerance); 4] = [
    pass_the_self_test,
    conformance::shorter_updates_equal_the_oracle,
    conformance::what_is_not_finite_is_never_applied,
    equal_the_oracle_in_many_tiles,
];

/// The words of the first check that fails.
fn caught() -> Option<String> {
    let tolerance = match PRECISION.get() {
        Precision::Fp32 => Tolerance::F32,
        Precision::Tf32 => Tolerance::TF32,
        Precision::Bf16 => Tolerance::BF16,
    };
    CHECKS.iter().find_map(|check| {
        let panic = catch_unwind(|| check(make, tolerance)).err()?;
        let words = panic.downcast_ref::<String>().cloned();
        Some(words.or_else(|| panic.downcast_ref::<&str>().map(|&words| words.into())).unwrap_or_default())
    })
}

#[test]
fn kernels_without_a_fault_pass_every_check() {
    for precision in Precision::ALL {
        PRECISION.set(precision);
        for exchange in [None, Some(Exchange::Cluster), Some(Exchange::Words)] {
            EXCHANGE.set(exchange);
            assert_eq!(caught(), None, "{}, {exchange:?}", precision.name());
        }
    }
}

#[test]
fn every_planted_fault_is_caught() {
    every_one_is_caught(&FAULTS, None);
}

#[test]
fn every_planted_fault_of_clusters_is_caught() {
    every_one_is_caught(&CLUSTER_FAULTS, None);
}

#[test]
fn every_planted_fault_of_the_exchange_by_words_is_caught() {
    every_one_is_caught(&WORDS_FAULTS, Some(Exchange::Words));
}

/// `exchange`: that of the persistent kernels where the fault is in another one.
fn every_one_is_caught(faults: &[PlantedFault], exchange: Option<Exchange>) {
    std::panic::set_hook(Box::new(|_| ())); // the panics below are wanted
    for PlantedFault { name, kernel, precision, file, right, wrong } in faults {
        let pair = Persistent::all().find(|pair| pair.name() == *kernel);
        let entry = pair.map_or(*kernel, Persistent::forward_name);
        let named = [format!("{name}/{entry}"), format!("{name}/{entry}_{precision}")];
        let is_registered = named.iter().any(|entry| gru_cuda_emulator::argument_size(entry).is_some());
        assert!(is_registered, "{name}/{kernel} was not compiled");
        FAULT.set(Some(name));
        EXCHANGE.set(pair.map(|pair| pair.exchange).or(exchange));
        PRECISION.set(Precision::ALL.into_iter().find(|each| each.name() == *precision).expect(precision));
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
