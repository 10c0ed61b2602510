//! What the tests for a GPU train: sizes, a corpus, a plan over it, and one way to run it.

use gru_core::random::{Random, initial_parameters};
use gru_core::{Backend, Plan, Sizes};
use std::ops::ControlFlow;

/// The book chapter's run.
pub const CHAPTER: Sizes =
    Sizes { vocab_size: 1465, hidden_size: 256, batch_size: 32, num_steps: 35, candidate_bias: false };
/// Small enough for the emulator, and on no edge of a block.
pub const SMALL: Sizes =
    Sizes { vocab_size: 70, hidden_size: 40, batch_size: 9, num_steps: 5, candidate_bias: false };

/// A corpus whose characters are as unequally frequent as a language's, and a plan over it.
pub fn job(sizes: &Sizes, updates: usize) -> (Vec<u32>, Plan) {
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

/// Initial parameters, the corpus, a state of zeros.
pub fn prepare(backend: &mut dyn Backend, ids: &[u32]) {
    let parameters = initial_parameters(backend.sizes(), 3, 0.05);
    backend.set_parameters(&parameters).unwrap();
    backend.load_corpus(ids).unwrap();
    backend.set_state(&vec![0.0; backend.sizes().batch_size * backend.sizes().hidden_size]).unwrap();
}

/// Trains over the plan and gives the losses.
pub fn train(backend: &mut dyn Backend, plan: &Plan) -> Vec<f64> {
    let mut losses = vec![];
    let outcome = backend.train(plan, &mut |_, update| {
        losses.push(update.loss_sum);
        ControlFlow::Continue(())
    });
    assert_eq!(outcome.unwrap().updates, plan.updates(backend.sizes()));
    losses
}

/// What is compared where not a bit may differ.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
