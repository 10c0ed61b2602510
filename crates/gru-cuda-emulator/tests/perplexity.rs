//! Training with operands in tf32 and bf16 goes as well as in f32: after every epoch the perplexity differs from that
//! of f32 by less than the perplexities of f32 differ from seed to seed.
//!
//! Trajectories are not compared: learning magnifies any rounding, and clipping more so.

use gru_core::random::{Random, initial_parameters};
use gru_core::{Backend, Plan, Sizes};
use gru_cuda::recurrence::Exchange;
use gru_cuda::{CudaBackend, Precision};
use gru_cuda_emulator::{Emulator, Options};
use std::ops::ControlFlow;
use std::thread::spawn;

const SIZES: Sizes =
    Sizes { vocab_size: 64, hidden_size: 32, batch_size: 8, num_steps: 8, candidate_bias: false };
const UPDATES: usize = 12;
const EPOCHS: usize = 5;
const SEEDS: std::ops::Range<u64> = 0..3;

/// Characters of which each follows from the one before, but for every fourth.
fn corpus() -> Vec<u32> {
    let mut random = Random::stream(5, "perplexity");
    let mut id = 0;
    let length = SIZES.batch_size * UPDATES * SIZES.num_steps + 1;
    (0..length)
        .map(|_| {
            let any = (random.next_f64() * 64.0) as u32;
            id = if random.next_f64() < 0.25 { any } else { (5 * id + 3) % 64 };
            id
        })
        .collect()
}

/// Perplexity of each epoch.
fn train(precision: Precision, seed: u64) -> Vec<f64> {
    let mut emulator = Emulator::new(Options { seed, check_races: false });
    emulator.set_exchange(Exchange::Cluster);
    let mut backend = CudaBackend::for_corpus(emulator, SIZES, precision, 0).unwrap();
    backend.set_parameters(&initial_parameters(&SIZES, seed, 0.1)).unwrap();
    backend.load_corpus(&corpus()).unwrap();
    let lane_length = (UPDATES * SIZES.num_steps) as u32;
    let starts = (0..UPDATES as u32)
        .flat_map(|update| (0..SIZES.batch_size as u32).map(move |lane| lane * lane_length + update * 8))
        .collect();
    let plan = Plan {
        starts,
        num_steps: SIZES.num_steps,
        learning_rate: vec![0.2; UPDATES],
        max_grad_norm: 5.0,
        carry_state: true,
    };
    let epoch = |_| {
        backend.set_state(&vec![0.0; SIZES.batch_size * SIZES.hidden_size]).unwrap();
        let (mut loss, mut tokens) = (0.0, 0);
        backend
            .train(&plan, &mut |_, update| {
                loss += update.loss_sum;
                tokens += update.tokens;
                ControlFlow::Continue(())
            })
            .unwrap();
        (loss / tokens as f64).exp()
    };
    (0..EPOCHS).map(epoch).collect()
}

#[test]
fn curves_stay_within_the_spread_of_seeds() {
    let others = [Precision::Tf32, Precision::Bf16].map(|precision| (precision, SEEDS.start));
    let runs = SEEDS.map(|seed| (Precision::Fp32, seed)).chain(others);
    let threads: Vec<_> = runs.map(|(precision, seed)| spawn(move || train(precision, seed))).collect();
    let mut curves: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let rounded = curves.split_off(curves.len() - others.len());
    let exact = curves;
    println!("fp32 {exact:.3?}");
    let learnt = exact.iter().all(|curve| curve[EPOCHS - 1] < 0.6 * curve[0]);
    assert!(learnt, "nothing was learnt: {exact:?}");
    for ((precision, seed), curve) in others.into_iter().zip(&rounded) {
        println!("{} {curve:.3?}", precision.name());
        for epoch in 0..EPOCHS {
            let of_seeds = exact.iter().map(|curve| curve[epoch]);
            let spread = of_seeds.clone().fold(f64::MIN, f64::max) - of_seeds.fold(f64::MAX, f64::min);
            let apart = (curve[epoch] - exact[0][epoch]).abs();
            assert!(
                apart < spread,
                "{} at epoch {epoch}, seed {seed}: {apart} from fp32, seeds are {spread} apart",
                precision.name()
            );
        }
    }
}
