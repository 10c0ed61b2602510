//! The CPU backend: the shared conformance suite, and what only it promises.

use gru_core::backend::Stop;
use gru_core::conformance::{Tolerance, train_as_the_chapter};
use gru_core::cpu::CpuBackend;
use gru_core::cpu::kernel::Path;
use gru_core::generation::{Beginning, Sampling, Texts};
use gru_core::random::initial_parameters;
use gru_core::{Backend, Error, Plan, Sizes};
use std::ops::ControlFlow;

fn make(sizes: Sizes) -> Box<dyn Backend> {
    Box::new(CpuBackend::new(sizes, 2).unwrap())
}

/// On the machine's fastest path.
mod conformance {
    use super::*;

    gru_core::conformance_suite!(make, Tolerance::F32);
}

mod portable {
    use super::*;

    fn make(sizes: Sizes) -> Box<dyn Backend> {
        Box::new(CpuBackend::on_path(sizes, 2, Path::Portable).unwrap())
    }

    gru_core::conformance_suite!(make, Tolerance::F32);
}

/// Operands in bf16, on the fastest path that this machine has for them.
mod bf16 {
    use super::*;

    fn make(sizes: Sizes) -> Box<dyn Backend> {
        let path = *Path::available_bf16().last().unwrap();
        Box::new(CpuBackend::on_path(sizes, 2, path).unwrap())
    }

    gru_core::conformance_suite!(make, Tolerance::BF16);
}

/// Bits of all parameters and reports after training on the given number of threads.
fn trained(threads: usize, sizes: Sizes, path: Path) -> Vec<u64> {
    let mut backend = CpuBackend::on_path(sizes, threads, path).unwrap();
    backend.set_parameters(&initial_parameters(&sizes, 5, 0.1)).unwrap();
    let length = 2000u32;
    let ids: Vec<u32> = (0..length).map(|i| (i * i + i / 7) % sizes.vocab_size as u32).collect();
    backend.load_corpus(&ids).unwrap();
    let updates = 6;
    let plan = Plan {
        starts: (0..(updates * sizes.batch_size) as u32).map(|i| i * 61 % (length - 64)).collect(),
        num_steps: sizes.num_steps,
        learning_rate: vec![0.2; updates],
        max_grad_norm: 5.0,
        carry_state: true,
    };
    let mut bits = vec![];
    let outcome = backend.train(&plan, &mut |_, update| {
        bits.extend([update.loss_sum.to_bits(), update.gradient_norm.to_bits()]);
        ControlFlow::Continue(())
    });
    assert_eq!(outcome.unwrap().stop, Stop::Completed);
    bits.extend(backend.parameters().unwrap().iter().map(|value| u64::from(value.to_bits())));
    bits
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for (hidden_size, batch_size) in [(37, 5), (64, 32), (100, 50)] {
        let sizes = Sizes { vocab_size: 301, hidden_size, batch_size, num_steps: 13, candidate_bias: true };
        for path in [Path::available(), Path::available_bf16()].concat() {
            let one = trained(1, sizes, path);
            for threads in [2, 3, 4, 7] {
                assert!(trained(threads, sizes, path) == one, "{threads} threads, {path:?}, {sizes:?}");
            }
        }
    }
}

/// Characters of so many texts on the given number of threads, in pieces of so many.
fn written(threads: usize, texts: usize, piece: usize) -> Vec<u32> {
    let sizes =
        Sizes { vocab_size: 301, hidden_size: 100, batch_size: 1, num_steps: 1, candidate_bias: false };
    let mut backend = CpuBackend::new(sizes, threads).unwrap();
    backend.set_parameters(&initial_parameters(&sizes, 5, 0.5)).unwrap();
    let text = |seed: u64| Beginning { prefix: vec![7; 1 + 70 * seed as usize], seed };
    let sampling = Sampling { temperature: 0.9, top_k: 50, top_p: 0.95, repetition_penalty: 1.1 };
    let mut texts = Texts::new((0..texts as u64).map(text).collect(), sampling).unwrap();
    let mut ids = vec![];
    while ids.len() < 96 * texts.count() {
        ids.extend(texts.write(&mut backend, piece, &mut || false).unwrap().ids);
    }
    ids
}

#[test]
fn threads_texts_side_by_side_and_pieces_change_no_character() {
    let alone = written(1, 1, 96);
    for (threads, texts) in [(2, 1), (3, 1), (1, 5), (2, 5), (4, 19)] {
        let together = written(threads, texts, 32);
        assert!(together == written(1, texts, 1), "{threads} threads, {texts} texts");
        assert!(together.into_iter().step_by(texts).eq(alone.iter().copied()), "{texts} texts");
    }
}

/// Whatever the machine: scripts/emulated-paths.mjs compares the printed digests of machines.
#[test]
fn paths_with_fused_multiply_add_give_the_same_bits() {
    let sizes =
        Sizes { vocab_size: 131, hidden_size: 70, batch_size: 33, num_steps: 9, candidate_bias: true };
    let paths: Vec<Path> = Path::available().into_iter().filter(|path| *path != Path::Portable).collect();
    let results: Vec<Vec<u64>> = paths.iter().map(|path| trained(2, sizes, *path)).collect();
    for (path, result) in paths.iter().zip(&results) {
        assert!(*result == results[0], "{} and {}", path.name(), paths[0].name());
        // The reports are left out: the logarithm in a loss is the system's.
        let parameters = &result[12..];
        let digest =
            parameters.iter().fold(0u64, |digest, bits| digest.rotate_left(5).wrapping_mul(3) ^ bits);
        println!("digest of {}: {digest:016x}", path.name());
    }
}

#[test]
fn networks_side_by_side_take_turns_and_compute_the_same() {
    let sizes =
        Sizes { vocab_size: 61, hidden_size: 40, batch_size: 9, num_steps: 13, candidate_bias: false };
    let alone = trained(2, sizes, Path::detect());
    std::thread::scope(|scope| {
        let runs: Vec<_> =
            [1, 2, 2, 5].map(|threads| scope.spawn(move || trained(threads, sizes, Path::detect()))).into();
        for run in runs {
            assert!(run.join().unwrap() == alone);
        }
    });
}

#[test]
fn a_run_stops_right_after_the_update_that_the_observer_stopped_at() {
    let sizes = Sizes { vocab_size: 5, hidden_size: 3, batch_size: 2, num_steps: 2, candidate_bias: false };
    let mut backend = CpuBackend::new(sizes, 1).unwrap();
    backend.load_corpus(&[0, 1, 2, 3, 4]).unwrap();
    let plan = Plan {
        starts: vec![0; 8],
        num_steps: 2,
        learning_rate: vec![0.1; 4],
        max_grad_norm: 1.0,
        carry_state: true,
    };
    let stop_at_two =
        &mut |index, _| if index == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let outcome = backend.train(&plan, stop_at_two).unwrap();
    assert_eq!((outcome.updates, outcome.stop), (3, Stop::Cancelled));
}

#[test]
fn thread_counts_out_of_range_are_refused() {
    let sizes = Sizes { vocab_size: 2, hidden_size: 1, batch_size: 1, num_steps: 1, candidate_bias: false };
    for threads in [0, 1025] {
        let error = CpuBackend::new(sizes, threads).err().unwrap();
        assert_eq!(error, Error::Size { name: "threads", value: threads, max: 1024 });
    }
}

#[test]
#[ignore = "the oracle takes minutes for two epochs: npm run test:long"]
fn two_epochs_at_the_chapters_sizes_equal_the_oracle() {
    train_as_the_chapter(make, Tolerance::F32, 2 * 17);
}
