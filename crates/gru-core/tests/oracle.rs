//! The oracle against truths of other origin: PyTorch's results in the committed reference files, and finite
//! differences. Then the CPU backend against the same files, so that the chain does not hang on one link.
//!
//! The conformance suite runs here too. Where it compares with the oracle it compares the oracle with itself, which
//! shows nothing but that numbers survive the way through f32; what it expects apart from that (plans in pieces,
//! cancelling, refusals, evaluation beside training, one step beside many) holds for the oracle like for any other.

use gru_core::backend::{Stop, Update};
use gru_core::conformance::Tolerance;
use gru_core::cpu::CpuBackend;
use gru_core::oracle::Oracle;
use gru_core::random::{Random, initial_parameters};
use gru_core::{Backend, Layout, Plan, Sizes};
use safetensors::{Dtype, SafeTensors};
use std::ops::ControlFlow;
use std::path::Path;

/// A committed file made by test/reference/generate.py.
struct Reference(Vec<u8>);

impl Reference {
    fn open(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/reference").join(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let facts = &header.metadata().as_ref().unwrap()["gru-native-reference"];
        let facts: serde_json::Value = serde_json::from_str(facts).unwrap();
        assert_eq!(facts["version"], 1, "{name} is of another version");
        Self(bytes)
    }

    fn file(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }

    fn shape(&self, name: &str) -> Vec<usize> {
        self.file().tensor(name).unwrap().shape().to_vec()
    }

    /// A tensor's values, whatever its type; empty where the file has none.
    fn read(&self, name: &str) -> Vec<f64> {
        let file = self.file();
        let Ok(view) = file.tensor(name) else { return vec![] };
        let data = view.data();
        match view.dtype() {
            Dtype::F64 => data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
            Dtype::F32 => {
                data.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
            }
            Dtype::I32 => {
                data.as_chunks().0.iter().map(|bytes| f64::from(i32::from_le_bytes(*bytes))).collect()
            }
            other => panic!("{name} is of {other:?}"),
        }
    }

    /// The six tensors under a name's prefix, in the layout's order.
    fn flat(&self, prefix: &str) -> Vec<f64> {
        ["W_x", "W_h", "b", "b_q", "W_y", "b_y"]
            .iter()
            .flat_map(|name| self.read(&format!("{prefix}{name}")))
            .collect()
    }
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// Largest difference, relative to the largest exact element.
fn apart(computed: impl IntoIterator<Item = f64>, exact: &[f64]) -> f64 {
    let computed: Vec<f64> = computed.into_iter().collect();
    assert_eq!(computed.len(), exact.len());
    let largest = exact.iter().fold(f64::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let difference = |(a, b): (f64, &f64)| if a.is_nan() { f64::INFINITY } else { (a - b).abs() };
    computed.into_iter().zip(exact).map(difference).fold(0.0, f64::max) / largest
}

fn widen(values: &[f32]) -> impl Iterator<Item = f64> + '_ {
    values.iter().map(|&value| f64::from(value))
}

/// Compares loss, logits, state, norm and every gradient of one step with a reference file.
fn check_step(name: &str, make: fn(Sizes) -> Box<dyn Backend>, tolerance: f64) {
    let reference = Reference::open(name);
    let [num_steps, batch_size] = reference.shape("ids")[..] else { panic!("ids of {name}") };
    let [vocab_size, _] = reference.shape("W_x")[..] else { panic!("W_x of {name}") };
    let hidden_size = reference.shape("W_h")[0];
    let candidate_bias = !reference.read("b_q").is_empty();
    let sizes = Sizes { vocab_size, hidden_size, batch_size, num_steps, candidate_bias };
    let mut backend = make(sizes);
    backend.set_parameters(&narrow(&reference.flat(""))).unwrap();
    backend.set_state(&narrow(&reference.read("state"))).unwrap();
    // The file's [num_steps, batch_size] become one stretch a lane: its inputs and the last target.
    let (ids, targets) = (reference.read("ids"), reference.read("targets"));
    let mut corpus = vec![];
    for lane in 0..batch_size {
        corpus.extend((0..num_steps).map(|step| ids[step * batch_size + lane] as u32));
        corpus.push(targets[(num_steps - 1) * batch_size + lane] as u32);
        for step in 1..num_steps {
            assert_eq!(ids[step * batch_size + lane], targets[(step - 1) * batch_size + lane], "{name}");
        }
    }
    backend.load_corpus(&corpus).unwrap();
    let starts = (0..batch_size).map(|lane| (lane * (num_steps + 1)) as u32).collect();
    let plan = Plan { starts, num_steps, learning_rate: vec![1.0], max_grad_norm: 1.0, carry_state: true };

    let (update, gradient) = backend.gradient(&plan).unwrap();
    assert!(apart([update.loss_sum], &reference.read("loss")) <= tolerance, "{name}: loss");
    assert!(apart([update.gradient_norm], &reference.read("gradient_norm")) <= tolerance, "{name}: norm");
    let exact = reference.flat("grad.");
    for tensor in Layout::new(&sizes).tensors {
        let error = apart(widen(&gradient[tensor.range.clone()]), &exact[tensor.range]);
        assert!(error <= tolerance, "{name}: d{} is {error:.1e} apart", tensor.name);
    }
    let (logits, states) = (reference.read("logits"), reference.read("final_state"));
    for lane in 0..batch_size {
        let inputs = &corpus[lane * (num_steps + 1)..][..num_steps];
        let state = &narrow(&reference.read("state"))[lane * hidden_size..][..hidden_size];
        let output = backend.forward(inputs, state).unwrap();
        let of_lane = |step: usize| &logits[(step * batch_size + lane) * vocab_size..][..vocab_size];
        let exact: Vec<f64> = (0..num_steps).flat_map(of_lane).copied().collect();
        assert!(apart(widen(&output.logits), &exact) <= tolerance, "{name}: logits of lane {lane}");
        let exact = &states[lane * hidden_size..][..hidden_size];
        assert!(apart(widen(&output.state), exact) <= tolerance, "{name}: state of lane {lane}");
    }
}

/// Replays the ten updates of the training track, zeroing the state at the start of each epoch.
fn check_track(make: fn(Sizes) -> Box<dyn Backend>, tolerance: f64) {
    let reference = Reference::open("training-track.safetensors");
    let corpus: Vec<u32> = reference.read("corpus").iter().map(|&id| id as u32).collect();
    let (vocab_size, hidden_size) = (reference.shape("W_x")[0], reference.shape("W_h")[0]);
    let (batch_size, num_steps) =
        (reference.read("batch_size")[0] as usize, reference.read("num_steps")[0] as usize);
    let sizes = Sizes { vocab_size, hidden_size, batch_size, num_steps, candidate_bias: false };
    let mut backend = make(sizes);
    backend.set_parameters(&narrow(&reference.flat(""))).unwrap();
    backend.load_corpus(&corpus).unwrap();
    let lane_length = corpus.len() / batch_size;
    let epoch: Vec<u32> = (0..(lane_length - 1) / num_steps)
        .flat_map(|update| (0..batch_size).map(move |lane| (lane * lane_length + update * num_steps) as u32))
        .collect();
    let (losses, norms) = (reference.read("losses"), reference.read("norms"));
    let max_grad_norm = reference.read("max_grad_norm")[0] as f32;
    let learning_rate = reference.read("learning_rate")[0] as f32;
    assert!(epoch.len() / batch_size < losses.len(), "the track must cross the end of an epoch");
    let clipped = norms.iter().filter(|&&norm| norm > f64::from(max_grad_norm)).count();
    assert!((1..norms.len()).contains(&clipped), "some updates must be clipped and some not");
    let mut reports: Vec<Update> = vec![];
    while reports.len() < losses.len() {
        backend.set_state(&vec![0.0; batch_size * hidden_size]).unwrap();
        let updates = (epoch.len() / batch_size).min(losses.len() - reports.len());
        let starts = epoch[..updates * batch_size].to_vec();
        let plan = Plan {
            starts,
            num_steps,
            learning_rate: vec![learning_rate; updates],
            max_grad_norm,
            carry_state: true,
        };
        let outcome = backend.train(&plan, &mut |_, update| {
            reports.push(update);
            ControlFlow::Continue(())
        });
        assert_eq!(outcome.unwrap().stop, Stop::Completed);
    }
    assert!(apart(reports.iter().map(|update| update.loss_sum), &losses) <= tolerance, "losses");
    assert!(apart(reports.iter().map(|update| update.gradient_norm), &norms) <= tolerance, "norms");
    let error = apart(widen(&backend.parameters().unwrap()), &reference.flat("final."));
    assert!(error <= tolerance, "final parameters {error:.1e} apart");
}

fn oracle(sizes: Sizes) -> Box<dyn Backend> {
    Box::new(Oracle::new(sizes).unwrap())
}

fn cpu(sizes: Sizes) -> Box<dyn Backend> {
    Box::new(CpuBackend::new(sizes, 2).unwrap())
}

mod oracle_suite {
    use super::*;

    gru_core::conformance_suite!(oracle, Tolerance::ORACLE);
}

/// The oracle's results pass through f32 on their way out: half a unit of 2^-23.
const ROUNDING: f64 = 1.2e-7;

#[test]
fn the_oracle_equals_pytorch() {
    for name in ["step-one.safetensors", "step-odd.safetensors", "step-bias.safetensors"] {
        check_step(name, oracle, ROUNDING);
    }
    check_track(oracle, ROUNDING);
}

#[test]
fn the_cpu_backend_equals_pytorch() {
    for name in ["step-one.safetensors", "step-odd.safetensors", "step-bias.safetensors"] {
        check_step(name, cpu, 5e-6);
    }
    check_track(cpu, 5e-6);
}

#[test]
fn the_oracles_gradient_equals_finite_differences() {
    let sizes = Sizes { vocab_size: 5, hidden_size: 4, batch_size: 2, num_steps: 3, candidate_bias: true };
    let mut network = Oracle::new(sizes).unwrap();
    let mut random = Random::stream(9, "test");
    network.parameters.iter_mut().for_each(|value| *value = random.next_gaussians()[0] * 0.5);
    network.state.iter_mut().for_each(|value| *value = random.next_gaussians()[0] * 0.5);
    network.load_corpus(&[0, 3, 1, 4, 2, 2, 0, 1]).unwrap();
    let plan = Plan {
        starts: vec![0, 4],
        num_steps: 3,
        learning_rate: vec![],
        max_grad_norm: 1.0,
        carry_state: true,
    };
    let (_, gradient, _) = network.update(&plan, 0);
    let step = 1e-5;
    for (index, exact) in gradient.iter().enumerate() {
        let mut loss_at = |offset: f64| {
            let before = network.parameters[index];
            network.parameters[index] = before + offset;
            let (update, _, _) = network.update(&plan, 0);
            network.parameters[index] = before;
            update.loss_sum
        };
        // Central differences: the error is of the order of step^2.
        let difference = (loss_at(step) - loss_at(-step)) / (2.0 * step);
        assert!(
            (difference - exact).abs() < 1e-8,
            "parameter {index}: {exact} by BPTT, {difference} by differences"
        );
    }
}

/// Numbers of SplitMix64 and initial weights, the same for src/random.ts and for every platform.
#[test]
fn random_numbers_equal_the_committed_ones() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/reference/random.json");
    let vectors: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for stream in vectors["streams"].as_array().unwrap() {
        let mut random =
            Random::stream(stream["seed"].as_u64().unwrap(), stream["purpose"].as_str().unwrap());
        for number in stream["uint64"].as_array().unwrap() {
            assert_eq!(random.next_u64().to_string(), number.as_str().unwrap());
        }
    }
    let weights = &vectors["weights"];
    let size = |name: &str| weights[name].as_u64().unwrap() as usize;
    let sizes = Sizes {
        vocab_size: size("vocabSize"),
        hidden_size: size("hiddenSize"),
        batch_size: 1,
        num_steps: 1,
        candidate_bias: false,
    };
    let scale = weights["initScale"].as_f64().unwrap();
    let parameters = initial_parameters(&sizes, weights["seed"].as_u64().unwrap(), scale);
    let bits: Vec<String> = parameters.iter().map(|value| format!("{:08x}", value.to_bits())).collect();
    assert_eq!(serde_json::json!(bits), weights["f32Bits"]);
}
