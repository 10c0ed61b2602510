//! What only a GPU can show: `npm run gpu:check` runs this file on a machine that has one. It is built with the feature
//! `gpu` alone, so that no run on another machine can take a skipped test for a passed one. `npm test` runs what is
//! small of it on the driver of crates/gru-cuda-fake-driver, so that it is known to work before it matters.
//!
//! Where the oracle would take minutes, the CPU backend stands for it, which is tested against it.

mod gpu_job;
mod one_device;

use gpu_job::{CHAPTER, SMALL, bits, job, prepare, train};
use gru_core::conformance::{Make, Tolerance, train_as_the_chapter};
use gru_core::cpu::CpuBackend;
use gru_core::{Backend, Layout, Plan, Sizes};
use gru_cuda::update::Mode;
use gru_cuda::{CudaBackend, Precision, Recurrence};
use one_device::{Share, network, network_of_words};
use std::ops::ControlFlow;

fn make(sizes: Sizes) -> Box<dyn Backend> {
    Box::new(network(sizes, Precision::Fp32))
}

fn make_tf32(sizes: Sizes) -> Box<dyn Backend> {
    Box::new(network(sizes, Precision::Tf32))
}

fn make_bf16(sizes: Sizes) -> Box<dyn Backend> {
    Box::new(network(sizes, Precision::Bf16))
}

/// The path of devices without clusters and of sizes that no pair holds.
fn make_steps(sizes: Sizes) -> Box<dyn Backend> {
    let mut network = network(sizes, Precision::Fp32);
    network.set_recurrence(Recurrence::Steps).unwrap();
    Box::new(network)
}

fn make_words(sizes: Sizes) -> Box<dyn Backend> {
    Box::new(network_of_words(sizes, Precision::Fp32))
}

/// Every precision with how far it may be from the oracle, and what makes a network of it.
const MODES: [(Precision, Tolerance, Make); 3] = [
    (Precision::Fp32, Tolerance::F32, make),
    (Precision::Tf32, Tolerance::TF32, make_tf32),
    (Precision::Bf16, Tolerance::BF16, make_bf16),
];

mod conformance {
    use super::*;

    gru_core::conformance_suite!(make, Tolerance::F32);
}

mod conformance_tf32 {
    use super::*;

    gru_core::conformance_suite!(make_tf32, Tolerance::TF32);
}

mod conformance_bf16 {
    use super::*;

    gru_core::conformance_suite!(make_bf16, Tolerance::BF16);
}

mod words {
    use super::*;

    gru_core::conformance_suite!(make_words, Tolerance::F32);
}

mod steps {
    use super::*;

    gru_core::conformance_suite!(make_steps, Tolerance::F32);
}

/// The usual way opens a GPU of its own each time.
#[test]
fn an_opened_network_trains_like_one_on_the_shared_device() {
    let (ids, plan) = job(&SMALL, 3);
    let (mut opened, facts) = gru_cuda::open(None, SMALL).unwrap();
    assert!(facts.load_seconds > 0.0);
    let mut shared = network(SMALL, Precision::Fp32);
    prepare(&mut opened, &ids);
    prepare(&mut shared, &ids);
    assert_eq!(train(&mut opened, &plan), train(&mut shared, &plan));
    assert!(bits(&opened.parameters().unwrap()) == bits(&shared.parameters().unwrap()));
}

#[test]
fn updates_at_the_chapters_sizes_equal_the_oracles() {
    train_as_the_chapter(make, Tolerance::F32, 4);
}

/// Losses and parameters after updates from initial weights in every precision, beside the CPU's.
fn train_beside_the_cpu(sizes: Sizes, updates: usize) {
    let (ids, plan) = job(&sizes, updates);
    let mut cpu = CpuBackend::new(sizes, 8).unwrap();
    prepare(&mut cpu, &ids);
    let before = cpu.parameters().unwrap();
    let (exact_losses, exact) = (train(&mut cpu, &plan), cpu.parameters().unwrap());
    let distance =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    let change = distance(&exact, &before);
    assert!(change > 0.0);
    let mut others = vec![];
    for (precision, Tolerance { training, .. }, _) in MODES {
        let mut gpu = network(sizes, precision);
        prepare(&mut gpu, &ids);
        for (index, (loss, exact)) in train(&mut gpu, &plan).iter().zip(&exact_losses).enumerate() {
            let close = (loss - exact).abs() <= training * exact;
            assert!(close, "{precision:?}, update {index}: {loss} for {exact}");
        }
        let computed = gpu.parameters().unwrap();
        let apart = distance(&computed, &exact);
        assert!(apart <= training * change, "{precision:?}: {apart:e} apart after {change:e}");
        assert!(!others.contains(&computed), "{precision:?} computes what another precision does");
        others.push(computed);
    }
}

#[test]
fn an_epoch_at_the_chapters_sizes_equals_the_cpus() {
    train_beside_the_cpu(CHAPTER, 17);
}

/// The same update over and over, captured once and replayed, and its gradient; from dirty scratch now and then.
/// One bit that moves is a race.
fn repeat(mut backend: CudaBackend<Share>, count: usize) {
    let (ids, plan) = job(backend.sizes(), 1);
    let path = backend.path();
    prepare(&mut backend, &ids);
    let (parameters, state) = (backend.parameters().unwrap(), backend.state().unwrap());
    let mut first = None;
    for repeat in 0..count {
        if repeat % 100 == 7 {
            backend.poison_scratch().unwrap();
        }
        backend.set_parameters(&parameters).unwrap();
        backend.set_state(&state).unwrap();
        let (report, gradient) = backend.gradient(&plan).unwrap();
        let losses = train(&mut backend, &plan);
        let now = (
            [report.loss_sum, report.gradient_norm, losses[0]].map(f64::to_bits),
            bits(&gradient),
            bits(&backend.parameters().unwrap()),
            bits(&backend.state().unwrap()),
        );
        let first = first.get_or_insert_with(|| now.clone());
        assert!(now.0 == first.0, "{path:?}, repeat {repeat}: loss or norm differs");
        assert!(now.1 == first.1, "{path:?}, repeat {repeat}: the gradient differs");
        assert!(now.2 == first.2, "{path:?}, repeat {repeat}: the parameters differ");
        assert!(now.3 == first.3, "{path:?}, repeat {repeat}: the state differs");
    }
    let device = backend.device();
    assert_eq!((device.captures, device.replays), (1, count), "one graph was to be replayed each time");
}

#[test]
fn an_update_at_the_chapters_sizes_repeated_a_thousand_times_gives_the_same_bits() {
    for precision in Precision::ALL {
        repeat(network(CHAPTER, precision), 1000);
    }
    repeat(network_of_words(CHAPTER, Precision::Fp32), 1000);
}

/// How many times the suite's tolerance: in f32 sums round the more the longer they are, and the CPU rounds too; what
/// rounded operands cost averages out.
fn times_the_suites(precision: Precision) -> f64 {
    if precision == Precision::Fp32 { 4.0 } else { 1.0 }
}

/// Gradients at sizes from small to large, on both sides of every block edge, against the CPU.
#[test]
fn gradients_equal_the_cpus_at_many_sizes() {
    let mut compared = 0;
    for hidden_size in [16, 17, 64, 128, 255, 256, 512, 1024] {
        for (vocab_size, batch_size, num_steps) in
            [(65, 1, 5), (65, 64, 64), (1465, 31, 35), (1465, 128, 3), (5000, 33, 7), (4, 130, 1)]
        {
            let sizes = Sizes { vocab_size, hidden_size, batch_size, num_steps, candidate_bias: true };
            let (ids, plan) = job(&sizes, 1);
            let mut cpu = CpuBackend::new(sizes, 8).unwrap();
            prepare(&mut cpu, &ids);
            let (exact_report, exact) = cpu.gradient(&plan).unwrap();
            for (precision, tolerance, make) in MODES {
                let mut gpu = make(sizes);
                prepare(gpu.as_mut(), &ids);
                let (report, gradient) = gpu.gradient(&plan).unwrap();
                let error = (report.loss_sum - exact_report.loss_sum).abs() / exact_report.loss_sum;
                let (what, times) = (format!("{precision:?}, {sizes:?}"), times_the_suites(precision));
                assert!(error < times * tolerance.values, "{what}: loss {report:?} for {exact_report:?}");
                for tensor in Layout::new(&sizes).tensors {
                    let exact = &exact[tensor.range.clone()];
                    let largest = exact.iter().fold(f32::MIN_POSITIVE, |largest, d| largest.max(d.abs()));
                    for (d, exact) in gradient[tensor.range].iter().zip(exact) {
                        let error = f64::from((d - exact).abs() / largest);
                        let close = error < times * tolerance.gradients;
                        assert!(close, "{what}: d{} {d} for {exact}", tensor.name);
                    }
                }
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 3 * 48);
}

/// However many updates a launch holds, the bits are the same.
fn launch_by_launch(sizes: Sizes, precision: Precision) {
    let (ids, plan) = job(&sizes, 9);
    let all = [1, 4, 9].map(|limit| {
        let mut backend = network(sizes, precision);
        backend.set_limit(limit);
        prepare(&mut backend, &ids);
        train(&mut backend, &plan);
        assert_eq!(backend.device().replays, 9_usize.div_ceil(limit));
        bits(&backend.parameters().unwrap())
    });
    assert!(all[0] == all[1] && all[0] == all[2], "{precision:?}");
}

#[test]
fn launches_of_any_length_at_the_chapters_sizes_give_the_same_bits() {
    Precision::ALL.into_iter().for_each(|precision| launch_by_launch(CHAPTER, precision));
}

/// Launches one by one compute what a captured sequence does: the check of the capture.
fn capture(sizes: Sizes, precision: Precision) {
    let (ids, plan) = job(&sizes, 1);
    let (mut captured, mut single) = (network(sizes, precision), network(sizes, precision));
    prepare(&mut captured, &ids);
    prepare(&mut single, &ids);
    train(&mut captured, &plan);
    single.run_singly(&plan, Mode::Train).unwrap();
    assert_eq!((captured.device().captures, single.device().captures), (1, 0));
    let equal = bits(&captured.parameters().unwrap()) == bits(&single.parameters().unwrap());
    assert!(equal, "{precision:?}");
}

#[test]
fn a_captured_update_at_the_chapters_sizes_equals_its_launches() {
    Precision::ALL.into_iter().for_each(|precision| capture(CHAPTER, precision));
}

/// The checks above at sizes that also the emulator runs in a moment.
mod small {
    use super::*;

    #[test]
    fn training_equals_the_cpus() {
        train_beside_the_cpu(SMALL, 6);
    }

    #[test]
    fn an_update_repeated_gives_the_same_bits() {
        for precision in Precision::ALL {
            repeat(network(SMALL, precision), 20);
        }
        repeat(network_of_words(SMALL, Precision::Fp32), 20);
    }

    #[test]
    fn launches_of_any_length_give_the_same_bits() {
        Precision::ALL.into_iter().for_each(|precision| launch_by_launch(SMALL, precision));
    }

    #[test]
    fn a_captured_update_equals_its_launches() {
        Precision::ALL.into_iter().for_each(|precision| capture(SMALL, precision));
    }
}

/// Small sizes for compute-sanitizer, which is slow: every kernel, every edge; with rates and without.
#[test]
fn sanitized_sizes_run() {
    for (vocab_size, hidden_size, batch_size, num_steps) in [(29, 21, 5, 3), (70, 40, 9, 2), (1, 1, 1, 1)] {
        let sizes = Sizes { vocab_size, hidden_size, batch_size, num_steps, candidate_bias: true };
        let (ids, plan) = job(&sizes, 3);
        let without_rates = Plan { learning_rate: vec![], ..plan.clone() };
        for make in [make, make_tf32, make_bf16, make_steps] {
            let mut backend = make(sizes);
            prepare(backend.as_mut(), &ids);
            backend.evaluate(&without_rates, &mut |_, _| ControlFlow::Continue(())).unwrap();
            backend.gradient(&without_rates).unwrap();
            train(backend.as_mut(), &plan);
            backend.forward(&ids[..40], &[]).unwrap();
        }
    }
    // One size for the pairs that hold more hidden units.
    for (precision, hidden_size) in Precision::ALL.into_iter().flat_map(|one| [(one, 130), (one, 300)]) {
        let sizes = Sizes { vocab_size: 20, hidden_size, batch_size: 5, num_steps: 2, candidate_bias: true };
        let (ids, plan) = job(&sizes, 1);
        let mut backend = network(sizes, precision);
        prepare(&mut backend, &ids);
        train(&mut backend, &plan);
    }
}
