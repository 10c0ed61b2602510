//! What only a GPU can show: `npm run gpu:check` runs this file on a machine that has one. It is built with the
//! feature `gpu` alone, so that no run on another machine can take a skipped test for a passed one. `npm test` runs
//! what is small of it on the driver of crates/gru-cuda-fake-driver, so that it is known to work before it matters.
//!
//! Sizes are compared with the CPU backend, which is tested against the oracle, where the oracle would take
//! minutes.

mod one_device;

use gru_core::conformance::{Tolerance, train_as_the_chapter};
use gru_core::cpu::CpuBackend;
use gru_core::random::{Random, initial_parameters};
use gru_core::{Backend, Layout, Plan, Sizes};
use gru_cuda::update::Mode;
use one_device::network;
use std::ops::ControlFlow;

fn make(sizes: Sizes) -> Box<dyn Backend> {
    Box::new(network(sizes))
}

mod conformance {
    use super::*;

    gru_core::conformance_suite!(make, Tolerance::F32);
}

const CHAPTER: Sizes =
    Sizes { vocab_size: 1465, hidden_size: 256, batch_size: 32, num_steps: 35, candidate_bias: false };
const SMALL: Sizes =
    Sizes { vocab_size: 70, hidden_size: 40, batch_size: 9, num_steps: 5, candidate_bias: false };

/// A corpus whose characters are as unequally frequent as a language's, and a plan over it.
fn job(sizes: &Sizes, updates: usize) -> (Vec<u32>, Plan) {
    let mut random = Random::stream(7, "gpu");
    let length = 20 * sizes.num_steps + 1000;
    let vocab = sizes.vocab_size as f64;
    let ids = (0..length).map(|_| (vocab.powf(random.next_f64()) - 1.0) as u32).collect();
    let plan = Plan {
        starts: (0..updates * sizes.batch_size)
            .map(|_| (random.next_f64() * (length - sizes.num_steps) as f64) as u32)
            .collect(),
        num_steps: sizes.num_steps,
        learning_rate: vec![0.2; updates],
        max_grad_norm: 5.0,
        carry_state: true,
    };
    (ids, plan)
}

fn prepare(backend: &mut dyn Backend, ids: &[u32]) {
    let parameters = initial_parameters(backend.sizes(), 3, 0.05);
    backend.set_parameters(&parameters).unwrap();
    backend.load_corpus(ids).unwrap();
    backend.set_state(&vec![0.0; backend.sizes().batch_size * backend.sizes().hidden_size]).unwrap();
}

/// Trains over the plan and gives the losses.
fn train(backend: &mut dyn Backend, plan: &Plan) -> Vec<f64> {
    let mut losses = vec![];
    let outcome = backend.train(plan, &mut |_, update| {
        losses.push(update.loss_sum);
        ControlFlow::Continue(())
    });
    assert_eq!(outcome.unwrap().updates, plan.updates(backend.sizes()));
    losses
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The usual way opens a GPU of its own each time.
#[test]
fn an_opened_network_trains_like_one_on_the_shared_device() {
    let (ids, plan) = job(&SMALL, 3);
    let (mut opened, facts) = gru_cuda::open(None, SMALL).unwrap();
    assert!(facts.load_seconds > 0.0);
    let mut shared = network(SMALL);
    prepare(&mut opened, &ids);
    prepare(&mut shared, &ids);
    assert_eq!(train(&mut opened, &plan), train(&mut shared, &plan));
    assert!(bits(&opened.parameters().unwrap()) == bits(&shared.parameters().unwrap()));
}

#[test]
fn updates_at_the_chapters_sizes_equal_the_oracles() {
    train_as_the_chapter(make, Tolerance::F32, 4);
}

/// Losses and parameters after updates from initial weights, beside the CPU's.
fn train_beside_the_cpu(sizes: Sizes, updates: usize) {
    let (ids, plan) = job(&sizes, updates);
    let (mut gpu, mut cpu) = (network(sizes), CpuBackend::new(sizes, 8).unwrap());
    prepare(&mut gpu, &ids);
    prepare(&mut cpu, &ids);
    let before = cpu.parameters().unwrap();
    let tolerance = Tolerance::F32.training;
    for (index, (loss, exact)) in train(&mut gpu, &plan).iter().zip(train(&mut cpu, &plan)).enumerate() {
        assert!((loss - exact).abs() <= tolerance * exact, "update {index}: {loss} for {exact}");
    }
    let distance =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    let (computed, exact) = (gpu.parameters().unwrap(), cpu.parameters().unwrap());
    let (apart, change) = (distance(&computed, &exact), distance(&exact, &before));
    assert!(change > 0.0 && apart <= tolerance * change, "{apart:e} apart after {change:e}");
}

#[test]
fn an_epoch_at_the_chapters_sizes_equals_the_cpus() {
    train_beside_the_cpu(CHAPTER, 17);
}

/// The same update over and over, captured once and replayed, and its gradient; from dirty scratch now and then.
/// One bit that moves is a race.
fn repeat(sizes: Sizes, count: usize) {
    let (ids, plan) = job(&sizes, 1);
    let mut backend = network(sizes);
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
        assert!(now.0 == first.0, "repeat {repeat}: loss or norm differs");
        assert!(now.1 == first.1, "repeat {repeat}: the gradient differs");
        assert!(now.2 == first.2, "repeat {repeat}: the parameters differ");
        assert!(now.3 == first.3, "repeat {repeat}: the state differs");
    }
    let device = backend.device();
    assert_eq!((device.captures, device.replays), (1, count), "one graph was to be replayed each time");
}

#[test]
fn an_update_at_the_chapters_sizes_repeated_a_thousand_times_gives_the_same_bits() {
    repeat(CHAPTER, 1000);
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
            let (mut gpu, mut cpu) = (make(sizes), CpuBackend::new(sizes, 8).unwrap());
            prepare(gpu.as_mut(), &ids);
            prepare(&mut cpu, &ids);
            let (report, gradient) = gpu.gradient(&plan).unwrap();
            let (exact_report, exact) = cpu.gradient(&plan).unwrap();
            let error = (report.loss_sum - exact_report.loss_sum).abs() / exact_report.loss_sum;
            assert!(error < 1e-5, "{sizes:?}: loss {report:?} for {exact_report:?}");
            for tensor in Layout::new(&sizes).tensors {
                let exact = &exact[tensor.range.clone()];
                let largest = exact.iter().fold(f32::MIN_POSITIVE, |largest, d| largest.max(d.abs()));
                for (d, exact) in gradient[tensor.range].iter().zip(exact) {
                    let error = (d - exact).abs() / largest;
                    assert!(error < 2e-5, "{sizes:?}: d{} {d} for {exact}", tensor.name);
                }
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 48);
}

/// However many updates a launch holds, the bits are the same.
fn launch_by_launch(sizes: Sizes) {
    let (ids, plan) = job(&sizes, 9);
    let all = [1, 4, 9].map(|limit| {
        let mut backend = network(sizes);
        backend.set_limit(limit);
        prepare(&mut backend, &ids);
        train(&mut backend, &plan);
        assert_eq!(backend.device().replays, 9_usize.div_ceil(limit));
        bits(&backend.parameters().unwrap())
    });
    assert!(all[0] == all[1] && all[0] == all[2]);
}

#[test]
fn launches_of_any_length_at_the_chapters_sizes_give_the_same_bits() {
    launch_by_launch(CHAPTER);
}

/// Launches one by one compute what a captured sequence does: the check of the capture.
fn capture(sizes: Sizes) {
    let (ids, plan) = job(&sizes, 1);
    let (mut captured, mut single) = (network(sizes), network(sizes));
    prepare(&mut captured, &ids);
    prepare(&mut single, &ids);
    train(&mut captured, &plan);
    single.run_singly(&plan, Mode::Train).unwrap();
    assert_eq!((captured.device().captures, single.device().captures), (1, 0));
    assert!(bits(&captured.parameters().unwrap()) == bits(&single.parameters().unwrap()));
}

#[test]
fn a_captured_update_at_the_chapters_sizes_equals_its_launches() {
    capture(CHAPTER);
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
        repeat(SMALL, 20);
    }

    #[test]
    fn launches_of_any_length_give_the_same_bits() {
        launch_by_launch(SMALL);
    }

    #[test]
    fn a_captured_update_equals_its_launches() {
        capture(SMALL);
    }
}

/// Small sizes for compute-sanitizer, which is slow: every kernel, every edge; with rates and without.
#[test]
fn sanitized_sizes_run() {
    for (vocab_size, hidden_size, batch_size, num_steps) in [(29, 21, 5, 3), (70, 40, 9, 2), (1, 1, 1, 1)] {
        let sizes = Sizes { vocab_size, hidden_size, batch_size, num_steps, candidate_bias: true };
        let (ids, plan) = job(&sizes, 3);
        let without_rates = Plan { learning_rate: vec![], ..plan.clone() };
        let mut backend = make(sizes);
        prepare(backend.as_mut(), &ids);
        backend.evaluate(&without_rates, &mut |_, _| ControlFlow::Continue(())).unwrap();
        backend.gradient(&without_rates).unwrap();
        train(backend.as_mut(), &plan);
        backend.forward(&ids[..40], &[]).unwrap();
    }
}
