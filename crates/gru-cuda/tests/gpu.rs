//! What only a GPU can show: `npm run gpu:check` runs this file on a machine that has one. It is built with the
//! feature `gpu` alone, so that no run on another machine can take a skipped test for a passed one.
//!
//! Sizes are compared with the CPU backend, which is tested against the oracle, where the oracle would take
//! minutes.

use gru_core::conformance::{Tolerance, train_as_the_chapter};
use gru_core::cpu::CpuBackend;
use gru_core::random::{Random, initial_parameters};
use gru_core::{Backend, Layout, Plan, Sizes};
use gru_cuda::update::Mode;
use std::ops::ControlFlow;

fn make(sizes: Sizes) -> Box<dyn Backend> {
    Box::new(gru_cuda::open(None, sizes).unwrap().0)
}

mod conformance {
    use super::*;

    gru_core::conformance_suite!(make, Tolerance::F32);
}

#[test]
fn an_epoch_at_the_chapters_sizes_equals_the_oracle() {
    train_as_the_chapter(make, Tolerance::F32, 17);
}

const CHAPTER: Sizes =
    Sizes { vocab_size: 1465, hidden_size: 256, batch_size: 32, num_steps: 35, candidate_bias: false };

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

/// The same update, 1,000 times over, from dirty scratch now and then: one bit that moves is a race.
#[test]
fn an_update_repeated_a_thousand_times_gives_the_same_bits() {
    let (ids, plan) = job(&CHAPTER, 1);
    let mut backend = make(CHAPTER);
    let mut first: Option<(Vec<f32>, u64)> = None;
    for repeat in 0..1000 {
        prepare(backend.as_mut(), &ids);
        if repeat % 100 == 50 {
            backend.poison_scratch().unwrap();
        }
        let mut loss = 0;
        backend
            .train(&plan, &mut |_, update| {
                loss = update.loss_sum.to_bits();
                ControlFlow::Continue(())
            })
            .unwrap();
        let now = (backend.parameters().unwrap(), loss);
        match &first {
            None => first = Some(now),
            Some(first) => assert!(now == *first, "repeat {repeat} differs"),
        }
    }
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
#[test]
fn launches_of_any_length_give_the_same_bits() {
    let (ids, plan) = job(&CHAPTER, 9);
    let mut all: Vec<Vec<f32>> = vec![];
    for limit in [1, 4, 9] {
        let (mut backend, _) = gru_cuda::open(None, CHAPTER).unwrap();
        backend.set_limit(limit);
        prepare(&mut backend, &ids);
        backend.train(&plan, &mut |_, _| ControlFlow::Continue(())).unwrap();
        all.push(backend.parameters().unwrap());
    }
    assert!(all[0] == all[1] && all[0] == all[2]);
}

/// Launches one by one compute what a captured sequence does: the check of the capture.
#[test]
fn a_captured_update_equals_its_launches() {
    let (ids, plan) = job(&CHAPTER, 1);
    let (mut captured, _) = gru_cuda::open(None, CHAPTER).unwrap();
    prepare(&mut captured, &ids);
    captured.train(&plan, &mut |_, _| ControlFlow::Continue(())).unwrap();
    let (mut single, _) = gru_cuda::open(None, CHAPTER).unwrap();
    prepare(&mut single, &ids);
    single.run_singly(&plan, Mode::Train).unwrap();
    assert!(captured.parameters().unwrap() == single.parameters().unwrap());
}

/// Small sizes for compute-sanitizer, which is slow: every kernel, every edge.
#[test]
fn sanitized_sizes_run() {
    for (vocab_size, hidden_size, batch_size, num_steps) in [(29, 21, 5, 3), (70, 40, 9, 2), (1, 1, 1, 1)] {
        let sizes = Sizes { vocab_size, hidden_size, batch_size, num_steps, candidate_bias: true };
        let (ids, plan) = job(&sizes, 3);
        let mut backend = make(sizes);
        prepare(backend.as_mut(), &ids);
        backend.train(&plan, &mut |_, _| ControlFlow::Continue(())).unwrap();
        backend.evaluate(&plan, &mut |_, _| ControlFlow::Continue(())).unwrap();
        backend.forward(&ids[..40], &[]).unwrap();
    }
}
