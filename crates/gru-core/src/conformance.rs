//! The one test suite that every backend runs, against the f64 oracle: values and all gradients together,
//! odd sizes, dirty scratch, training over many updates, and what must happen when things go wrong.
//!
//! A backend's test file calls [`conformance_suite!`](crate::conformance_suite) with a function that makes
//! it; each case becomes a test of its own. The cases are the `pub fn`s below that take a backend and a tolerance;
//! [`CASES`] names them, and `scripts/test.mjs` asserts that each of them ran for every backend.

mod list;
mod tolerance;

pub use list::CASES;
pub use tolerance::Tolerance;

use crate::backend::{Backend, Error, Plan, Stop, Update};
use crate::generation::{Beginning, Sampling, Texts};
use crate::oracle::Oracle;
use crate::random::{Random, initial_parameters};
use crate::{Layout, Sizes};
use std::ops::ControlFlow;

/// Makes the backend under test.
pub type Make = fn(Sizes) -> Box<dyn Backend>;

/// Sizes at which gradients are compared: each of 1, primes, and both sides of the 8 lanes and 16 elements
/// to which backends cut and pad their work. (vocab_size, hidden_size, batch_size, num_steps)
pub const ODD_SIZES: [[usize; 4]; 10] = [
    [2, 1, 1, 1],
    [1, 5, 3, 4],
    [11, 37, 5, 11],
    [31, 33, 9, 7],
    [65, 64, 8, 4],
    [100, 17, 33, 3],
    [17, 16, 16, 1],
    [16, 15, 7, 2],
    [97, 31, 1, 9],
    [203, 100, 24, 6],
];

/// Standard deviation of the parameters at these sizes: large, so that no gradient is small.
pub const SCALE: f64 = 0.3;

/// The sizes of the book chapter's run.
pub const CHAPTER: [usize; 4] = [1465, 256, 32, 35];

fn sizes([vocab_size, hidden_size, batch_size, num_steps]: [usize; 4], candidate_bias: bool) -> Sizes {
    Sizes { vocab_size, hidden_size, batch_size, num_steps, candidate_bias }
}

/// Parameters, corpus, state and a plan for given sizes, all drawn from their own seed.
struct Case {
    sizes: Sizes,
    parameters: Vec<f32>,
    ids: Vec<u32>,
    state: Vec<f32>,
    plan: Plan,
}

impl Case {
    /// `scale` is the standard deviation of every parameter, biases included.
    fn new(sizes: Sizes, updates: usize, scale: f64) -> Self {
        let mut random = Random::stream(17, "conformance");
        let mut normal = move |scale: f64| (random.next_gaussians()[0] * scale) as f32;
        let parameters = (0..Layout::new(&sizes).len()).map(|_| normal(scale)).collect();
        let state = (0..sizes.batch_size * sizes.hidden_size).map(|_| normal(0.5)).collect();
        let mut random = Random::stream(18, "conformance");
        let mut below = move |limit: usize| (random.next_f64() * limit as f64) as u32;
        let length = sizes.num_steps * 4 + 40;
        let ids = (0..length).map(|_| below(sizes.vocab_size)).collect();
        let starts = (0..updates * sizes.batch_size).map(|_| below(length - sizes.num_steps)).collect();
        let plan = Plan {
            starts,
            num_steps: sizes.num_steps,
            learning_rate: (0..updates).map(|update| 0.2 / (1.0 + update as f32 / 16.0)).collect(),
            max_grad_norm: 1.0,
            carry_state: true,
        };
        Self { sizes, parameters, ids, state, plan }
    }

    fn load<'a>(&self, backend: &'a mut dyn Backend) -> &'a mut dyn Backend {
        backend.set_parameters(&self.parameters).unwrap();
        backend.load_corpus(&self.ids).unwrap();
        backend.set_state(&self.state).unwrap();
        backend
    }

    fn pair(&self, make: Make) -> (Box<dyn Backend>, Oracle) {
        let (mut backend, mut oracle) = (make(self.sizes), Oracle::new(self.sizes).unwrap());
        self.load(backend.as_mut());
        self.load(&mut oracle);
        (backend, oracle)
    }
}

/// Trains over the plan and returns the report of every update.
fn train(backend: &mut dyn Backend, plan: &Plan) -> Vec<Update> {
    let mut updates = vec![];
    let outcome = backend.train(plan, &mut |index, update| {
        assert_eq!(index, updates.len());
        updates.push(update);
        ControlFlow::Continue(())
    });
    assert_eq!(outcome.unwrap().stop, Stop::Completed);
    updates
}

/// Panics unless every element is within `tolerance` of the largest exact one.
fn assert_close(what: &str, computed: &[f32], exact: &[f64], tolerance: f64) {
    assert_eq!(computed.len(), exact.len(), "{what}");
    let largest = exact.iter().fold(f64::MIN_POSITIVE, |largest, x| largest.max(x.abs()));
    for (index, (&computed, &exact)) in computed.iter().zip(exact).enumerate() {
        let error = (f64::from(computed) - exact).abs() / largest;
        // Written so that a NaN fails.
        assert!(error <= tolerance, "{what}[{index}]: {computed} for {exact}, {error:.1e} of the largest");
    }
}

fn assert_report(what: &str, computed: &Update, exact: &Update, tolerance: f64) {
    let close = |a: f64, b: f64| (a - b).abs() <= tolerance * b.abs().max(1e-3);
    assert!(close(computed.loss_sum, exact.loss_sum), "{what}: loss {computed:?} for {exact:?}");
    assert!(close(computed.gradient_norm, exact.gradient_norm), "{what}: norm {computed:?} for {exact:?}");
    assert_eq!(computed.tokens, exact.tokens, "{what}");
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Loss, norm and every gradient tensor of one update at one size, from clean and from dirty scratch.
fn compare_gradients(make: Make, tolerance: Tolerance, sizes: Sizes, scale: f64) {
    let case = Case::new(sizes, 1, scale);
    let (mut backend, oracle) = case.pair(make);
    let (exact_report, exact, _) = oracle.update(&case.plan, 0);
    for scratch in ["clean", "dirty"] {
        let what = format!("{sizes:?}, {scratch} scratch");
        let (report, gradient) = backend.gradient(&case.plan).unwrap();
        assert_report(&what, &report, &exact_report, tolerance.values);
        for tensor in Layout::new(&sizes).tensors {
            let (computed, exact) = (&gradient[tensor.range.clone()], &exact[tensor.range]);
            assert_close(&format!("d{}, {what}", tensor.name), computed, exact, tolerance.gradients);
        }
        backend.poison_scratch().unwrap();
    }
    assert_eq!(backend.parameters().unwrap(), case.parameters, "gradient() changed the parameters");
    assert_eq!(backend.state().unwrap(), case.state, "gradient() changed the state");
}

/// Gradients at `ODD_SIZES`, with and without the candidate bias.
pub fn gradients_equal_the_oracle_at_odd_sizes(make: Make, tolerance: Tolerance) {
    gradients_equal_the_oracle_at(&ODD_SIZES, SCALE, make, tolerance);
}

/// Gradients at given sizes, with and without the candidate bias: for whom all of `ODD_SIZES` take too long. The more
/// hidden units there are, the smaller `scale` must be, the standard deviation of the parameters: each step back
/// magnifies what was rounded by `scale * sqrt(hidden_size)`.
pub fn gradients_equal_the_oracle_at(odd_sizes: &[[usize; 4]], scale: f64, make: Make, tolerance: Tolerance) {
    for &odd in odd_sizes {
        for candidate_bias in [false, true] {
            compare_gradients(make, tolerance, sizes(odd, candidate_bias), scale);
        }
    }
}

/// Gradients at the sizes of the book chapter's run.
pub fn gradients_equal_the_oracle_at_the_chapters_sizes(make: Make, tolerance: Tolerance) {
    compare_gradients(make, tolerance, sizes(CHAPTER, false), 0.05);
}

/// Updates of fewer steps than the network was made for, after longer ones.
pub fn shorter_updates_equal_the_oracle(make: Make, tolerance: Tolerance) {
    let mut case = Case::new(sizes([29, 21, 11, 8], true), 1, SCALE);
    let (mut backend, oracle) = case.pair(make);
    backend.gradient(&case.plan).unwrap();
    for num_steps in [1, 3, 7] {
        case.plan.num_steps = num_steps;
        let (_, exact, _) = oracle.update(&case.plan, 0);
        let (_, gradient) = backend.gradient(&case.plan).unwrap();
        assert_close(&format!("gradient at {num_steps} steps"), &gradient, &exact, tolerance.gradients);
    }
}

/// Reports, parameters and state after training over the plan.
fn compare_training(make: Make, tolerance: Tolerance, case: &Case) {
    let (mut backend, mut oracle) = case.pair(make);
    backend.poison_scratch().unwrap();
    let reports = train(backend.as_mut(), &case.plan);
    for (computed, exact) in reports.iter().zip(train(&mut oracle, &case.plan)) {
        assert_report(&format!("{:?}", case.sizes), computed, &exact, tolerance.training);
    }
    let norm = |squares: &mut dyn Iterator<Item = f64>| squares.map(|d| d * d).sum::<f64>().sqrt();
    let change = norm(&mut oracle.parameters.iter().zip(&case.parameters).map(|(a, &b)| a - f64::from(b)));
    let computed = backend.parameters().unwrap();
    let apart = norm(&mut computed.iter().zip(&oracle.parameters).map(|(&a, b)| f64::from(a) - b));
    assert!(change > 0.0, "{:?}: nothing was learnt", case.sizes);
    assert!(apart <= tolerance.training * change, "{:?}: {apart:e} apart after {change:e}", case.sizes);
    assert_close("state", &backend.state().unwrap(), &oracle.state, tolerance.training);
}

/// Many updates at odd sizes, state carried and zeroed, clipping active and not.
pub fn training_equals_the_oracle(make: Make, tolerance: Tolerance) {
    for (size, updates) in [([11, 37, 5, 11], 40), ([2, 1, 1, 1], 40), ([65, 48, 16, 12], 10)] {
        training_equals_the_oracle_at(size, updates, make, tolerance);
    }
}

/// So many updates at given sizes, likewise: for whom those of the case take too long.
pub fn training_equals_the_oracle_at(size: [usize; 4], updates: usize, make: Make, tolerance: Tolerance) {
    for (carry_state, max_grad_norm) in [(true, 1.0), (false, 5.0), (true, f32::INFINITY)] {
        let mut case = Case::new(sizes(size, false), updates, 0.1);
        case.plan.carry_state = carry_state;
        case.plan.max_grad_norm = max_grad_norm;
        if max_grad_norm.is_infinite() {
            case.plan.learning_rate.fill(0.01);
        }
        compare_training(make, tolerance, &case);
    }
}

/// Two updates at the sizes of the book chapter's run, from initial weights, by its rate and norm.
pub fn training_equals_the_oracle_at_the_chapters_sizes(make: Make, tolerance: Tolerance) {
    train_as_the_chapter(make, tolerance, 2);
}

/// So many updates of the book chapter's run: its sizes, rate, norm and adjacent sampling, epoch after epoch,
/// on 20,000 characters that are as unequally frequent as a language's (the k-th about 1 / k).
pub fn train_as_the_chapter(make: Make, tolerance: Tolerance, updates: usize) {
    let mut case = Case::new(sizes(CHAPTER, false), updates, 0.1);
    let mut random = Random::stream(19, "conformance");
    case.ids = (0..20_000).map(|_| (1465f64.powf(random.next_f64()) - 1.0) as u32).collect();
    case.plan.starts = (0..updates)
        .flat_map(|update| (0..32).map(move |lane| lane * 625 + (update as u32 % 17) * 35))
        .collect();
    case.plan.learning_rate.fill(0.2);
    case.plan.max_grad_norm = 5.0;
    case.parameters = initial_parameters(&case.sizes, 3, 0.01);
    case.state.fill(0.0);
    compare_training(make, tolerance, &case);
}

/// One plan in pieces, and in one piece: the same bytes.
pub fn a_plan_in_pieces_is_the_same_plan(make: Make, _: Tolerance) {
    let case = Case::new(sizes([23, 20, 10, 5], false), 6, SCALE);
    let (mut whole, mut pieces) = (case.pair(make).0, case.pair(make).0);
    let reports = train(whole.as_mut(), &case.plan);
    let mut reports_of_pieces = vec![];
    for (starts, rates) in case.plan.starts.chunks(20).zip(case.plan.learning_rate.chunks(2)) {
        let plan = Plan { starts: starts.to_vec(), learning_rate: rates.to_vec(), ..case.plan.clone() };
        reports_of_pieces.extend(train(pieces.as_mut(), &plan));
        pieces.poison_scratch().unwrap();
    }
    assert_eq!(reports, reports_of_pieces);
    assert_eq!(whole.parameters().unwrap(), pieces.parameters().unwrap());
    assert_eq!(whole.state().unwrap(), pieces.state().unwrap());
}

/// Two networks given the same things compute the same bits.
pub fn the_same_run_gives_the_same_bits(make: Make, _: Tolerance) {
    let case = Case::new(sizes([61, 40, 20, 9], true), 12, SCALE);
    let (mut first, mut second) = (case.pair(make).0, case.pair(make).0);
    second.poison_scratch().unwrap();
    assert_eq!(train(first.as_mut(), &case.plan), train(second.as_mut(), &case.plan));
    assert_eq!(first.parameters().unwrap(), second.parameters().unwrap());
}

/// Evaluation: losses and state as in training, parameters untouched.
pub fn evaluation_equals_the_oracle(make: Make, tolerance: Tolerance) {
    for carry_state in [true, false] {
        let mut case = Case::new(sizes([31, 33, 9, 7], true), 5, SCALE);
        case.plan.carry_state = carry_state;
        let (mut backend, mut oracle) = case.pair(make);
        backend.poison_scratch().unwrap();
        let mut exact = vec![];
        let mut keep = |_, update| {
            exact.push(update);
            ControlFlow::Continue(())
        };
        oracle.evaluate(&case.plan, &mut keep).unwrap();
        let mut observer = |index: usize, update: Update| {
            assert_report("evaluate", &update, &exact[index], tolerance.values);
            ControlFlow::Continue(())
        };
        let outcome = backend.evaluate(&case.plan, &mut observer).unwrap();
        assert_eq!((outcome.updates, outcome.stop), (5, Stop::Completed));
        assert_close("state", &backend.state().unwrap(), &oracle.state, tolerance.values);
        assert_eq!(backend.parameters().unwrap(), case.parameters);
    }
}

/// One lane forward: logits and state, in one call and character by character; the batch's state stays.
pub fn forward_equals_the_oracle(make: Make, tolerance: Tolerance) {
    for size in ODD_SIZES {
        let case = Case::new(sizes(size, true), 1, SCALE);
        let (mut backend, mut oracle) = case.pair(make);
        backend.poison_scratch().unwrap();
        let (ids, state) = (&case.ids[..12], &case.state[..size[1]]);
        let exact = oracle.forward(ids, state).unwrap();
        let computed = backend.forward(ids, state).unwrap();
        assert_close("logits", &computed.logits, &widen(&exact.logits), tolerance.values);
        assert_close("state", &computed.state, &widen(&exact.state), tolerance.values);
        let (mut logits, mut state) = (vec![], state.to_vec());
        for id in ids {
            let step = backend.forward(&[*id], &state).unwrap();
            logits.extend(step.logits);
            state = step.state;
        }
        if tolerance.wide {
            assert_close("logits, step by step", &logits, &widen(&computed.logits), tolerance.values);
            assert_close("state, step by step", &state, &widen(&computed.state), tolerance.values);
        } else {
            assert_eq!((&logits, &state), (&computed.logits, &computed.state), "step by step, {size:?}");
        }
        assert_eq!(backend.state().unwrap(), case.state);
    }
}

/// Characters that a backend writes after each prefix, greedily.
fn write_greedily(backend: &mut dyn Backend, prefixes: &[&[u32]]) -> Vec<Vec<u32>> {
    let beginnings = prefixes.iter().map(|prefix| Beginning { prefix: prefix.to_vec(), seed: 0 }).collect();
    let mut texts = Texts::new(beginnings, Sampling::GREEDY).unwrap();
    let piece = texts.write(backend, 20, &mut || false).unwrap();
    (0..prefixes.len())
        .map(|text| piece.ids[text..].iter().step_by(prefixes.len()).copied().collect())
        .collect()
}

/// Text: greedily the oracle's; and steps of lanes side by side have the bits of each lane alone.
pub fn text_equals_the_oracle_and_lanes_together_lanes_alone(make: Make, tolerance: Tolerance) {
    for size @ [vocab_size, hidden_size, ..] in ODD_SIZES {
        let case = Case::new(sizes(size, true), 1, SCALE);
        let (mut backend, mut oracle) = case.pair(make);
        backend.poison_scratch().unwrap();
        let prefixes: Vec<&[u32]> = (1..=9).map(|text| &case.ids[text..2 * text]).collect();
        let written = write_greedily(backend.as_mut(), &prefixes);
        assert_eq!(written, write_greedily(&mut oracle, &prefixes), "{size:?}");
        for (prefix, written) in prefixes.iter().zip(&written) {
            assert_eq!(&write_greedily(backend.as_mut(), &[prefix])[0], written, "alone, {size:?}");
        }
        for lanes in [2, 3, 9, 20] {
            let mut states: Vec<f32> = case.state.iter().cycle().take(lanes * hidden_size).copied().collect();
            let before = states.clone();
            let mut logits = vec![f32::NAN; lanes * vocab_size];
            backend.poison_scratch().unwrap();
            backend.run_step(&case.ids[..lanes], &mut states, &mut logits).unwrap();
            for lane in 0..lanes {
                let state = &before[lane * hidden_size..][..hidden_size];
                let alone = backend.forward(&case.ids[lane..=lane], state).unwrap();
                assert_eq!(
                    alone.logits,
                    logits[lane * vocab_size..][..vocab_size],
                    "{lane} of {lanes}, {size:?}"
                );
                assert_eq!(
                    alone.state,
                    states[lane * hidden_size..][..hidden_size],
                    "{lane} of {lanes}, {size:?}"
                );
            }
            let exact = oracle.forward(&case.ids[..1], &before[..hidden_size]).unwrap();
            assert_close("logits", &logits[..vocab_size], &widen(&exact.logits), tolerance.values);
        }
        assert_eq!(backend.state().unwrap(), case.state);
    }
}

/// With one character there is nothing to learn: loss and gradient are 0, and nothing changes.
pub fn a_vocabulary_of_one_changes_nothing(make: Make, _: Tolerance) {
    let case = Case::new(sizes([1, 6, 3, 4], false), 8, SCALE);
    let (mut backend, _) = case.pair(make);
    for update in train(backend.as_mut(), &case.plan) {
        assert_eq!(update, Update { loss_sum: 0.0, tokens: 12, gradient_norm: 0.0 });
    }
    assert_eq!(backend.parameters().unwrap(), case.parameters);
}

/// The observer's word ends a run; every update that it was told of was applied, and no other. A backend that
/// starts updates one by one stops at once, others after those they started together.
pub fn a_cancelled_run_has_applied_what_it_reported(make: Make, _: Tolerance) {
    let case = Case::new(sizes([23, 20, 10, 5], false), 6, SCALE);
    let (mut cancelled, mut short) = (case.pair(make).0, case.pair(make).0);
    let mut told = 0;
    let outcome = cancelled
        .train(&case.plan, &mut |index, _| {
            assert_eq!(index, told);
            told += 1;
            if index >= 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert!((4..=6).contains(&told), "{told} updates were told of, and the fourth was to be the last");
    let stop = if told == 6 { Stop::Completed } else { Stop::Cancelled };
    assert_eq!((outcome.updates, outcome.stop), (told, stop));
    let mut plan = case.plan.clone();
    plan.starts.truncate(told * 10);
    plan.learning_rate.truncate(told);
    train(short.as_mut(), &plan);
    assert_eq!(cancelled.parameters().unwrap(), short.parameters().unwrap());
    assert_eq!(cancelled.state().unwrap(), short.state().unwrap());
}

/// The state stays 0 and every gate half open, so that W_h takes the gradient from step to step, 1e37 times each.
fn a_gradient_beyond_f64_stops_at_once(make: Make) {
    let mut case = Case::new(sizes([23, 20, 10, 12], false), 2, 1.0);
    for tensor in Layout::new(&case.sizes).tensors {
        let scale = |index: usize| match tensor.name {
            "W_y" => 1.0,
            "W_h" if index % 60 >= 40 => 1e37, // the candidate's columns
            _ => 0.0,
        };
        let values = case.parameters[tensor.range].iter_mut().enumerate();
        values.for_each(|(index, value)| *value *= scale(index));
    }
    case.state.fill(0.0);
    let (mut backend, _) = case.pair(make);
    let outcome = backend.train(&case.plan, &mut |_, _| ControlFlow::Continue(())).unwrap();
    assert_eq!((outcome.updates, outcome.stop), (0, Stop::NonFinite));
    assert_eq!(backend.parameters().unwrap(), case.parameters);
    assert_eq!(backend.state().unwrap(), case.state);
}

/// A loss or gradient that is not finite stops the run before it touches parameters or state.
pub fn what_is_not_finite_is_never_applied(make: Make, tolerance: Tolerance) {
    a_gradient_beyond_f64_stops_at_once(make);
    if tolerance.wide {
        return; // a step that leaves f32 behind does not leave f64
    }
    let mut case = Case::new(sizes([23, 20, 10, 5], false), 6, SCALE);
    case.plan.learning_rate[2] = 1e38;
    case.plan.max_grad_norm = f32::INFINITY;
    let (mut backend, mut before) = (case.pair(make).0, case.pair(make).0);
    let outcome = backend.train(&case.plan, &mut |_, _| ControlFlow::Continue(())).unwrap();
    assert_eq!((outcome.updates, outcome.stop), (3, Stop::NonFinite));
    case.plan.starts.truncate(3 * 10);
    case.plan.learning_rate.truncate(3);
    train(before.as_mut(), &case.plan);
    assert_eq!(backend.state().unwrap(), before.state().unwrap());
    let bits = |backend: &dyn Backend| {
        backend.parameters().unwrap().iter().map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(bits(backend.as_ref()), bits(before.as_ref()));
}

/// Every wrong argument is refused with what was expected, and leaves the network as it was.
pub fn wrong_arguments_are_refused(make: Make, _: Tolerance) {
    let case = Case::new(sizes([7, 3, 2, 4], false), 2, SCALE);
    let mut backend = make(case.sizes);
    assert_eq!(backend.gradient(&case.plan).unwrap_err(), Error::NoCorpus);
    case.load(backend.as_mut());
    let length = |name| move |error: &Error| matches!(error, Error::Length { name: it, .. } if *it == name);
    let value = |name| move |error: &Error| matches!(error, Error::Value { name: it, .. } if *it == name);
    let is = |error: Error, holds: &dyn Fn(&Error) -> bool| assert!(holds(&error), "{error}");
    is(backend.set_parameters(&[0.0; 3]).unwrap_err(), &length("parameters"));
    is(backend.set_parameters(&vec![f32::NAN; case.parameters.len()]).unwrap_err(), &value("parameters"));
    is(backend.set_state(&[0.0; 5]).unwrap_err(), &length("state"));
    is(backend.load_corpus(&[1]).unwrap_err(), &length("ids"));
    is(backend.load_corpus(&[1, 7]).unwrap_err(), &value("ids"));
    is(backend.forward(&[], &[]).unwrap_err(), &length("ids"));
    is(backend.forward(&[7], &[]).unwrap_err(), &value("ids"));
    is(backend.forward(&[1], &[0.0; 2]).unwrap_err(), &length("state"));
    let bad_plan = |change: fn(&mut Plan)| {
        let mut plan = case.plan.clone();
        change(&mut plan);
        plan.check(&case.sizes, case.ids.len(), true).unwrap_err()
    };
    is(bad_plan(|plan| plan.starts.clear()), &length("starts"));
    is(bad_plan(|plan| plan.starts.truncate(3)), &length("starts"));
    is(bad_plan(|plan| plan.starts[3] = 52), &value("starts"));
    is(bad_plan(|plan| plan.starts[3] = u32::MAX), &value("starts"));
    is(bad_plan(|plan| plan.learning_rate.truncate(1)), &length("learning_rate"));
    is(bad_plan(|plan| plan.learning_rate[1] = f32::NAN), &value("learning_rate"));
    is(bad_plan(|plan| plan.max_grad_norm = 0.0), &value("max_grad_norm"));
    is(bad_plan(|plan| plan.max_grad_norm = f32::NAN), &value("max_grad_norm"));
    let steps = |error: &Error| matches!(error, Error::Size { name: "num_steps", .. });
    is(bad_plan(|plan| plan.num_steps = 5), &steps);
    is(bad_plan(|plan| plan.num_steps = 0), &steps);
    assert_eq!(backend.parameters().unwrap(), case.parameters);
    assert_eq!(backend.state().unwrap(), case.state);
    for size in [
        [0, 1, 1, 1],
        [1, 0, 1, 1],
        [1, 1, 0, 1],
        [1, 1, 1, 0],
        [50_000, 50_000, 1, 1],
        [9, 9, 1 << 20, 1 << 20],
    ] {
        assert!(sizes(size, false).check().is_err(), "{size:?}");
    }
}
