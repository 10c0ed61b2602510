//! The CUDA backend on the emulator: the shared conformance suite, whole, and what only this backend promises. No
//! network computes here whose sizes are not in [`TABLE`], but for the self-test's; scripts/test.mjs holds the whole
//! file to a time.

use gru_core::conformance::{self, Tolerance};
use gru_core::random::initial_parameters;
use gru_core::{Backend, Error, Plan, Sizes};
use gru_cuda::device::{Launch, Order};
use gru_cuda::recurrence::{Exchange, Persistent};
use gru_cuda::self_test::{self, Subject};
use gru_cuda::update::Mode;
use gru_cuda::{CudaBackend, Precision, Recurrence};
use gru_cuda_emulator::{Emulator, Options};
use std::ops::ControlFlow;

/// What is run at one size.
struct Row {
    /// (vocab_size, hidden_size, batch_size, num_steps)
    sizes: [usize; 4],
    /// Whether races are looked for, which doubles the time. At the chapter's sizes they are not: they depend on
    /// the code and not on how often it runs.
    races: bool,
    /// Where it comes from.
    #[allow(dead_code, reason = "for the reader")]
    what: &'static str,
}

const fn row(sizes: [usize; 4], what: &'static str) -> Row {
    Row { sizes, races: true, what }
}

/// All sizes.
const TABLE: [Row; 20] = [
    row(conformance::ODD_SIZES[0], "gradients, forward, 40 updates"),
    row(conformance::ODD_SIZES[1], "gradients, forward"),
    row(conformance::ODD_SIZES[2], "gradients, forward, 40 updates"),
    row(conformance::ODD_SIZES[3], "gradients, forward, evaluation"),
    row(conformance::ODD_SIZES[4], "gradients, forward"),
    row(conformance::ODD_SIZES[5], "gradients, forward"),
    row(conformance::ODD_SIZES[6], "gradients, forward"),
    row(conformance::ODD_SIZES[7], "gradients, forward"),
    row(conformance::ODD_SIZES[8], "gradients, forward"),
    row(conformance::ODD_SIZES[9], "gradients, forward"),
    Row { races: false, ..row(conformance::CHAPTER, "gradients, 2 updates") },
    row([29, 21, 11, 8], "shorter updates"),
    row([65, 48, 16, 12], "10 updates"),
    row([23, 20, 10, 5], "a plan in pieces, cancelled, not finite"),
    row([23, 20, 10, 12], "a gradient beyond f64"),
    row([61, 40, 20, 9], "the same run twice"),
    row([1, 6, 3, 4], "a vocabulary of one"),
    row([7, 3, 2, 4], "wrong arguments"),
    row([23, 20, 6, 5], "what only this backend promises"),
    Row { races: false, ..row([3, 2, 1, 1], "1,500 updates") },
];

/// The emulator, as the table says for these sizes.
fn emulator(seed: u64, sizes: &Sizes) -> Emulator {
    let received = [sizes.vocab_size, sizes.hidden_size, sizes.batch_size, sizes.num_steps];
    let row = TABLE.iter().find(|row| row.sizes == received);
    let check_races = row.unwrap_or_else(|| panic!("{received:?} is not in the table")).races;
    Emulator::new(Options { seed, check_races })
}

/// A backend whose launches hold at most 4 updates, so that runs of more need several.
fn make(sizes: Sizes) -> Box<dyn Backend> {
    let mut backend = CudaBackend::new(emulator(1, &sizes), sizes).unwrap();
    backend.set_limit(4);
    Box::new(backend)
}

mod emulator_suite {
    use super::*;

    gru_core::conformance_suite!(make, Tolerance::F32);
}

/// What depends on the operands' precision, on tensor cores; the time steps are run in f32. Of what takes long only so
/// much as differs from fp32.
macro_rules! tensor_suite {
    ($module:ident, $precision:expr, $tolerance:expr) => {
        mod $module {
            use super::*;

            fn make(sizes: Sizes) -> Box<dyn Backend> {
                let device = emulator(1, &sizes);
                Box::new(CudaBackend::for_corpus(device, sizes, $precision, 0).unwrap())
            }

            #[test]
            fn gradients_equal_the_oracle_at_odd_sizes() {
                conformance::gradients_equal_the_oracle_at_odd_sizes(make, $tolerance);
            }

            #[test]
            fn shorter_updates_equal_the_oracle() {
                conformance::shorter_updates_equal_the_oracle(make, $tolerance);
            }

            #[test]
            fn training_equals_the_oracle() {
                conformance::training_equals_the_oracle_at([65, 48, 16, 12], 2, make, $tolerance);
            }

            #[test]
            fn evaluation_equals_the_oracle() {
                conformance::evaluation_equals_the_oracle(make, $tolerance);
            }

            /// Text is written in f32, whatever the training's precision.
            #[test]
            fn forward_equals_the_oracle() {
                conformance::forward_equals_the_oracle(make, Tolerance::F32);
            }
        }
    };
}

/// The suite once more for a pair of persistent kernels.
macro_rules! persistent_suite {
    ($suite:ident, $exchange:ident, $precision:ident, $tolerance:ident) => {
        mod $suite {
            use super::*;

            fn make(sizes: Sizes) -> Box<dyn Backend> {
                persistent(sizes, Exchange::$exchange, Precision::$precision)
            }

            gru_core::conformance_suite!(make, Tolerance::$tolerance);
        }
    };
}

tensor_suite!(tf32, Precision::Tf32, Tolerance::TF32);
tensor_suite!(bf16, Precision::Bf16, Tolerance::BF16);

persistent_suite!(cluster_fp32, Cluster, Fp32, F32);
persistent_suite!(cluster_tf32, Cluster, Tf32, TF32);
persistent_suite!(cluster_bf16, Cluster, Bf16, BF16);
persistent_suite!(words_fp32, Words, Fp32, F32);
persistent_suite!(words_tf32, Words, Tf32, TF32);
persistent_suite!(words_bf16, Words, Bf16, BF16);

/// A backend on persistent kernels. Races are not looked for, but in `no_order_of_events_changes_a_bit`: they take the
/// most time where many threads live together, and depend on the code and not on how often it runs.
fn persistent(sizes: Sizes, exchange: Exchange, precision: Precision) -> Box<dyn Backend> {
    let mut backend = persistent_on(Options { seed: 1, check_races: false }, sizes, exchange, precision);
    backend.set_limit(4);
    Box::new(backend)
}

fn persistent_on(
    options: Options,
    sizes: Sizes,
    exchange: Exchange,
    precision: Precision,
) -> CudaBackend<Emulator> {
    let mut emulator = Emulator::new(options);
    emulator.set_exchange(exchange);
    let backend = CudaBackend::for_corpus(emulator, sizes, precision, 0).unwrap();
    let Recurrence::Persistent(pair) = backend.path().recurrence else { panic!("{:?}", backend.path()) };
    assert_eq!((pair.exchange, pair.precision), (exchange, precision));
    backend
}

/// More hidden units than the suite has, for the pairs that hold them.
#[test]
fn gradients_of_many_hidden_units_equal_the_oracles() {
    let make = |sizes| persistent(sizes, Exchange::Cluster, Precision::Bf16);
    conformance::gradients_equal_the_oracle_at(&[[20, 300, 9, 3]], 0.1, make, Tolerance::BF16);
}

/// With every seed threads run and stores come in another order, and races are looked for.
#[test]
fn no_order_of_events_changes_a_bit() {
    for precision in Precision::ALL {
        let mut first = None;
        for seed in 0..6 {
            let sizes =
                Sizes { vocab_size: 23, hidden_size: 37, batch_size: 9, num_steps: 5, candidate_bias: true };
            let options = Options { seed, check_races: true };
            let mut backend = persistent_on(options, sizes, Exchange::Cluster, precision);
            let mut plan = prepare(&mut backend);
            plan.starts.truncate(18);
            plan.learning_rate.truncate(2);
            let bits = train(&mut backend, &plan);
            assert!(*first.get_or_insert_with(|| bits.clone()) == bits, "{precision:?}, seed {seed}");
        }
    }
}

/// Instead of all of the odd sizes, which take minutes under the sanitizers.
#[cfg(feature = "sanitize")]
#[test]
fn gradients_at_some_sizes_equal_the_oracles() {
    let some = [0, 1, 6, 7].map(|index| conformance::ODD_SIZES[index]);
    conformance::gradients_equal_the_oracle_at(&some, conformance::SCALE, make, Tolerance::F32);
    let one = [[29, 21, 9, 3]];
    let make = |sizes| persistent(sizes, Exchange::Cluster, Precision::Fp32);
    conformance::gradients_equal_the_oracle_at(&one, conformance::SCALE, make, Tolerance::F32);
    let make = |sizes| persistent(sizes, Exchange::Cluster, Precision::Bf16);
    conformance::gradients_equal_the_oracle_at(&one, conformance::SCALE, make, Tolerance::BF16);
}

const SIZES: Sizes =
    Sizes { vocab_size: 23, hidden_size: 20, batch_size: 6, num_steps: 5, candidate_bias: true };

fn prepare(backend: &mut dyn Backend) -> Plan {
    let sizes = *backend.sizes();
    backend.set_parameters(&initial_parameters(&sizes, 5, 0.3)).unwrap();
    let length = 400;
    let ids: Vec<u32> = (0..length).map(|i| (i * i + i / 7) % sizes.vocab_size as u32).collect();
    backend.load_corpus(&ids).unwrap();
    let updates = 7;
    Plan {
        starts: (0..(updates * sizes.batch_size) as u32).map(|i| i * 61 % (length - 64)).collect(),
        num_steps: sizes.num_steps,
        learning_rate: vec![0.2; updates],
        max_grad_norm: 1.0,
        carry_state: true,
    }
}

fn train(backend: &mut dyn Backend, plan: &Plan) -> Vec<u64> {
    let mut bits = vec![];
    let mut keep = |_, update: gru_core::Update| {
        bits.extend([update.loss_sum.to_bits(), update.gradient_norm.to_bits()]);
        ControlFlow::Continue(())
    };
    backend.train(plan, &mut keep).unwrap();
    bits.extend(backend.parameters().unwrap().iter().map(|value| u64::from(value.to_bits())));
    bits.extend(backend.state().unwrap().iter().map(|value| u64::from(value.to_bits())));
    bits
}

fn backend(seed: u64) -> CudaBackend<Emulator> {
    CudaBackend::new(emulator(seed, &SIZES), SIZES).unwrap()
}

/// A result that depended on the order of threads or blocks would not be the same on a GPU from run to run.
#[test]
fn any_order_of_threads_gives_the_same_bits() {
    let run = |seed| {
        let mut backend = backend(seed);
        let plan = prepare(&mut backend);
        train(&mut backend, &plan)
    };
    let first = run(1);
    for seed in 2..8 {
        assert!(run(1000 * seed) == first, "seed {seed}");
    }
}

/// The same where blocks wait for words of each other, with races looked for: two groups in f32, of which one is not
/// full.
#[test]
fn any_order_of_words_gives_the_same_bits() {
    for precision in [Precision::Fp32, Precision::Tf32, Precision::Bf16] {
        let run = |seed| {
            let mut emulator = Emulator::new(Options { seed, check_races: true });
            emulator.set_exchange(Exchange::Words);
            let mut backend = CudaBackend::for_corpus(emulator, SIZES, precision, 0).unwrap();
            assert!(matches!(backend.path().recurrence, Recurrence::Persistent(_)));
            let mut plan = prepare(&mut backend);
            plan.starts.truncate(2 * SIZES.batch_size);
            plan.learning_rate.truncate(2);
            train(&mut backend, &plan)
        };
        let first = run(1);
        for seed in 2..6 {
            assert!(run(1000 * seed) == first, "{precision:?}, seed {seed}");
        }
    }
}

/// The kernels do not know how their blocks exchange: every pair by words gives the bits of the one in clusters. At
/// sizes that fill neither units nor lanes.
#[test]
fn words_give_the_bits_of_clusters() {
    for pair in Persistent::all().filter(|pair| pair.exchange == Exchange::Words) {
        let sizes = Sizes { hidden_size: pair.capacity / 2 + 9, batch_size: 9, ..SIZES };
        let [words, cluster] = [Exchange::Words, Exchange::Cluster].map(|exchange| {
            let mut emulator = Emulator::new(Options { seed: 1, check_races: false });
            emulator.set_exchange(exchange);
            let mut backend = CudaBackend::for_corpus(emulator, sizes, pair.precision, 0).unwrap();
            assert_eq!(backend.path().recurrence, Recurrence::Persistent(Persistent { exchange, ..pair }));
            let mut plan = prepare(&mut backend);
            plan.starts.truncate(sizes.batch_size);
            plan.learning_rate.truncate(1);
            train(&mut backend, &plan)
        });
        assert!(words == cluster, "{pair:?}");
    }
}

#[test]
fn launches_of_any_length_give_the_same_bits() {
    let run = |limit| {
        let mut backend = backend(1);
        backend.set_limit(limit);
        let plan = prepare(&mut backend);
        train(&mut backend, &plan)
    };
    let first = run(1);
    for limit in [2, 3, 7, 100] {
        assert!(run(limit) == first, "{limit} updates a launch");
    }
}

#[test]
fn a_plan_longer_than_the_tables_is_uploaded_in_parts() {
    let sizes = Sizes { vocab_size: 3, hidden_size: 2, batch_size: 1, num_steps: 1, candidate_bias: false };
    let updates = 1500; // the tables hold 1,024
    let mut whole = CudaBackend::new(emulator(3, &sizes), sizes).unwrap();
    let plan = Plan {
        starts: (0..updates).map(|i| i % 5).collect(),
        num_steps: 1,
        learning_rate: (0..updates).map(|i| 0.5 / (1.0 + i as f32)).collect(),
        max_grad_norm: 1.0,
        carry_state: true,
    };
    let mut oracle = gru_core::oracle::Oracle::new(sizes).unwrap();
    let run = |backend: &mut dyn Backend| {
        backend.set_parameters(&initial_parameters(&sizes, 5, 0.3)).unwrap();
        backend.load_corpus(&[0, 1, 2, 1, 0, 2, 2]).unwrap();
        let mut losses = vec![];
        let outcome = backend.train(&plan, &mut |_, update| {
            losses.push(update.loss_sum);
            ControlFlow::Continue(())
        });
        assert_eq!(outcome.unwrap().updates, updates as usize);
        losses
    };
    let (computed, exact) = (run(&mut whole), run(&mut oracle));
    for (index, (computed, exact)) in computed.iter().zip(&exact).enumerate() {
        assert!((computed - exact).abs() < 1e-4, "update {index}: {computed} for {exact}");
    }
}

#[test]
fn another_corpus_replaces_the_first() {
    let (mut reused, mut fresh) = (backend(1), backend(1));
    let plan = prepare(&mut reused);
    train(&mut reused, &plan);
    reused.set_state(&vec![0.0; 6 * 20]).unwrap();
    prepare(&mut fresh);
    for backend in [&mut reused, &mut fresh] {
        backend.set_parameters(&initial_parameters(&SIZES, 6, 0.3)).unwrap();
        backend.load_corpus(&(0..500u32).map(|i| i * 11 % 23).collect::<Vec<_>>()).unwrap();
    }
    assert!(train(&mut reused, &plan) == train(&mut fresh, &plan));
}

#[test]
fn single_launches_compute_what_a_captured_sequence_does() {
    let (mut captured, mut single) = (backend(1), backend(2));
    let mut plan = prepare(&mut captured);
    plan.starts.truncate(6);
    plan.learning_rate.truncate(1);
    train(&mut captured, &plan);
    prepare(&mut single);
    let launches = single.run_singly(&plan, Mode::Train).unwrap();
    assert_eq!(launches.len(), 2 * SIZES.num_steps + 11);
    assert_eq!(captured.parameters(), single.parameters());
}

/// What runs beside the others is waited for where it has to be and not by luck: with a join that comes one launch too
/// late, some seed reads what nobody has written yet.
#[test]
fn a_join_that_comes_too_late_shows() {
    let faults = |late: bool| -> Vec<String> {
        let run = |seed| {
            let mut backend = backend(seed);
            let plan = prepare(&mut backend);
            let mut launches: Vec<Launch> = backend.launches(&plan, Mode::Train).unwrap();
            let join = launches.iter().position(|launch| launch.order == Order::Join).unwrap();
            if late {
                launches[join].order = Order::Next;
                launches[join + 1].order = Order::Join;
            }
            gru_cuda::Device::run(backend.device(), &launches).err().map(|error| error.to_string())
        };
        (1..7).filter_map(run).collect()
    };
    assert_eq!(faults(false), Vec::<String>::new());
    let found = faults(true);
    assert!(!found.is_empty() && found.iter().all(|words| words.contains("report_update")), "{found:?}");
}

/// As a timing repeats them: always the first update, whatever there is of a second.
#[test]
fn single_launches_can_be_repeated() {
    let (mut trained, mut repeated) = (backend(1), backend(2));
    let mut plan = prepare(&mut repeated);
    plan.starts.truncate(6);
    plan.learning_rate.truncate(1);
    prepare(&mut trained);
    for _ in 0..3 {
        train(&mut trained, &plan);
        let launches = repeated.launches(&plan, Mode::Train).unwrap();
        gru_cuda::Device::run(repeated.device(), &launches).unwrap();
    }
    assert_eq!(trained.parameters(), repeated.parameters());
}

#[test]
fn a_network_that_does_not_fit_is_refused_with_what_would() {
    let sizes =
        Sizes { vocab_size: 1465, hidden_size: 256, batch_size: 512, num_steps: 35, candidate_bias: false };
    let mut emulator = Emulator::new(Options::default());
    emulator.set_free_bytes(100 << 20);
    let Err(Error::DeviceMemory { bytes, free, hint }) = CudaBackend::new(emulator, sizes).map(|_| ()) else {
        panic!("100 MiB are too little");
    };
    assert!(bytes > free && free == 100 << 20, "{bytes} of {free}");
    // What the hint names fits, and one lane more does not.
    let batch_size: usize = hint.split(' ').find_map(|word| word.parse().ok()).expect(&hint);
    let fits = |batch_size| {
        let mut emulator = Emulator::new(Options::default());
        emulator.set_free_bytes(100 << 20);
        CudaBackend::new(emulator, Sizes { batch_size, ..sizes }).is_ok()
    };
    assert!(fits(batch_size) && !fits(batch_size + 1), "{hint}");
    let mut small = Emulator::new(Options::default());
    small.set_free_bytes(1 << 20);
    let Err(Error::DeviceMemory { hint, .. }) = CudaBackend::new(small, sizes).map(|_| ()) else {
        panic!("1 MiB is too little");
    };
    assert!(hint.starts_with("not even --batch-size 1"), "{hint}");
}

#[test]
fn a_network_gives_all_its_memory_back() {
    let mut emulator = Emulator::new(Options::default());
    let before = gru_cuda::Device::free_bytes(&emulator).unwrap();
    let mut network = CudaBackend::new(&mut emulator, SIZES).unwrap();
    prepare(&mut network);
    drop(network);
    assert_eq!(gru_cuda::Device::free_bytes(&emulator).unwrap(), before);
}

#[test]
fn the_self_test_passes_in_fp32() {
    pass_the_self_test(Precision::Fp32);
}

#[test]
fn the_self_test_passes_in_tf32() {
    pass_the_self_test(Precision::Tf32);
}

#[test]
fn the_self_test_passes_in_bf16() {
    pass_the_self_test(Precision::Bf16);
}

/// At sizes that every pair holds, and one that none does.
fn pass_the_self_test(precision: Precision) {
    for (hidden_size, exchange) in [
        (19, None),
        (19, Some(Exchange::Cluster)),
        (200, Some(Exchange::Cluster)),
        (200, Some(Exchange::Words)),
        (300, Some(Exchange::Cluster)),
        (9000, Some(Exchange::Cluster)),
    ] {
        let mut emulator = Emulator::new(Options { seed: 1, check_races: hidden_size < 200 });
        if let Some(exchange) = exchange {
            emulator.set_exchange(exchange);
        }
        let error = self_test::greatest_error(emulator, Subject { precision, hidden_size }).unwrap();
        assert!(self_test::passes(error, precision), "{precision:?}, {hidden_size}, {exchange:?}: {error}");
        assert!(error > 0.0, "{precision:?} cannot equal f64");
    }
}

/// The table of kernels in Rust and the kernels themselves say the same.
#[test]
fn every_kernel_is_there_and_takes_a_task() {
    for kernel in gru_cuda::Kernel::all() {
        let bytes = gru_cuda_emulator::argument_size(kernel.name());
        assert_eq!(bytes, Some(size_of::<gru_cuda::Task>()), "{}", kernel.name());
    }
}
