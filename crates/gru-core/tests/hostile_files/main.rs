//! Model files that are damaged or made to do harm: whatever the bytes, reading them is an error or a whole model, soon,
//! and takes no more memory than a stated multiple of them. Files come from a mutator of this test (`mutation.rs`); every
//! execution has a seed of its own, from which its file can be built again:
//!
//! - `GRU_FUZZ_SEED=N`: begin with that seed; a failure names its seed, and leaves its file behind
//! - `GRU_FUZZ_SECONDS=N`: go on for so long (the ignored test `campaign`, which `npm run fuzz` runs)
//! - `GRU_FUZZ_REPORT=FILE`: where the campaign writes what it did, as JSON

mod allocator;
mod mutation;

use allocator::peak_of;
use gru_core::model_file::ModelFile;
use gru_core::{Layout, Sizes};
use mutation::{Choices, hostile_file, small_model};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Reading takes at most so many times the bytes of the file, and this much beside (1000 values of a header as the
/// safetensors crate holds them): the tensors are held three times
/// for a moment (as in the file, in this crate's order, joined), the metadata while it grows.
const TIMES: usize = 4;
const BESIDE: usize = 192 * 1024;
/// No single file may take longer, on the slowest machine.
const SLOWEST: Duration = Duration::from_secs(2);
/// Errors are one line for people.
const LONGEST_MESSAGE: usize = 1000;

/// What a campaign saw.
#[derive(Default)]
struct Tally {
    executions: u64,
    /// Files that were read.
    loaded: u64,
    bytes: u64,
    slowest: Duration,
    /// Most bytes of memory that a file took, less `BESIDE`, over its own bytes.
    largest_ratio: f64,
    /// Most bytes of memory that a file took.
    largest_peak: usize,
}

impl Tally {
    /// Reads one file and checks what comes of it.
    ///
    /// # Errors
    /// What was expected and received.
    fn read(&mut self, seed: u64, bytes: &[u8]) -> Result<(), String> {
        let began = Instant::now();
        let (result, peak) = peak_of(seed, || ModelFile::decode(bytes));
        let taken = began.elapsed();
        self.executions += 1;
        self.bytes += bytes.len() as u64;
        self.slowest = self.slowest.max(taken);
        self.largest_peak = self.largest_peak.max(peak);
        let ratio = peak.saturating_sub(BESIDE) as f64 / bytes.len().max(1) as f64;
        self.largest_ratio = self.largest_ratio.max(ratio);
        if peak > TIMES * bytes.len() + BESIDE {
            return Err(format!("expected at most {TIMES} bytes of memory a byte, received {ratio:.1}"));
        }
        if taken > SLOWEST {
            return Err(format!("expected an answer within {SLOWEST:?}, received it after {taken:?}"));
        }
        match result {
            Ok(file) => {
                self.loaded += 1;
                check_header(bytes, &file)?;
                check_whole(&file)
            }
            Err(error) => {
                let message = error.to_string();
                let plain = !message.is_empty() && !message.chars().any(char::is_control);
                if plain && message.len() <= LONGEST_MESSAGE {
                    return Ok(());
                }
                Err(format!("expected a message of one short line, received {message:.300?}"))
            }
        }
    }

    fn to_json(&self, first_seed: u64, seconds: f64) -> String {
        let Self { executions, loaded, bytes, largest_peak, .. } = self;
        let slowest = self.slowest.as_secs_f64() * 1000.0;
        let ratio = self.largest_ratio;
        format!(
            "{{\"target\":\"model file\",\"seed\":{first_seed},\"executions\":{executions},\"accepted\":{loaded},\
             \"bytes\":{bytes},\"seconds\":{seconds:.1},\"slowestMilliseconds\":{slowest:.3},\
             \"largestBytes\":{largest_peak},\"largestRatio\":{ratio:.3},\
             \"allowed\":\"{TIMES} x input + {BESIDE} bytes\"}}\n"
        )
    }
}

/// Whether the header says what was read, by a plain reading of it: of all tensors there are, type and shape.
fn check_header(bytes: &[u8], file: &ModelFile) -> Result<(), String> {
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let (vocab, hidden) = (file.vocab_size, file.hidden_size);
    let rows = 3 * hidden;
    let right = header.as_object().unwrap().iter().all(|(name, said)| {
        let shape = match &**name {
            "gru.weight_ih_l0" => vec![rows, vocab],
            "gru.weight_hh_l0" => vec![rows, hidden],
            "gru.bias_ih_l0" | "gru.bias_hh_l0" => vec![rows],
            "output.weight" => vec![vocab, hidden],
            "output.bias" => vec![vocab],
            "trainer.state" => vec![file.state.len() / hidden, hidden],
            other => return other == "__metadata__",
        };
        said["dtype"] == "F32" && said["shape"] == serde_json::json!(shape)
    });
    if right { Ok(()) } else { Err(format!("expected this header to be refused: {header}")) }
}

/// Whether everything of a file that was read is as it must be, and is read the same again.
fn check_whole(file: &ModelFile) -> Result<(), String> {
    let &ModelFile { vocab_size, hidden_size, candidate_bias, .. } = file;
    let sizes = Sizes { vocab_size, hidden_size, batch_size: 1, num_steps: 1, candidate_bias };
    sizes.check().map_err(|error| format!("expected sizes that hold, received {error}"))?;
    let whole = file.parameters.len() == Layout::new(&sizes).len()
        && file.state.len().is_multiple_of(hidden_size)
        && file.parameters.iter().chain(&file.state).all(|value| value.is_finite());
    if !whole {
        return Err(format!("expected a whole model of finite numbers, received {file:?}"));
    }
    let again = file
        .encode()
        .map_err(|error| error.to_string())
        .and_then(|bytes| ModelFile::decode(&bytes).map_err(|error| error.to_string()));
    if again.as_ref() == Ok(file) {
        Ok(())
    } else {
        Err(format!("expected {file:?}, received {again:?} again"))
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: a whole number")))
}

/// Ends the process when one execution does not end, and names it.
fn watch(running: &'static AtomicU64) {
    std::thread::spawn(move || {
        let mut before = u64::MAX;
        loop {
            std::thread::sleep(5 * SLOWEST);
            let now = running.load(Ordering::Relaxed);
            if now == before && now != u64::MAX {
                eprintln!("seed {now} does not end; run it alone: GRU_FUZZ_SEED={now}");
                std::process::abort();
            }
            before = now;
        }
    });
}

/// Reads hostile files while `more` says so. The file of a failure is left behind.
fn fuzz(first_seed: u64, more: impl Fn(u64) -> bool) -> Tally {
    static RUNNING: AtomicU64 = AtomicU64::new(u64::MAX);
    watch(&RUNNING);
    let mut tally = Tally::default();
    let mut seed = first_seed;
    while more(tally.executions) {
        RUNNING.store(seed, Ordering::Relaxed);
        let bytes = hostile_file(&mut Choices::new(seed));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tally.read(seed, &bytes)));
        let reason = match outcome {
            Ok(Ok(())) => {
                seed += 1;
                continue;
            }
            Ok(Err(reason)) => reason,
            Err(_) => "expected an error or a model, received a panic".into(),
        };
        let path = std::env::temp_dir().join(format!("gru-native-hostile-{seed}.safetensors"));
        std::fs::write(&path, &bytes).unwrap();
        let command = format!("GRU_FUZZ_SEED={seed} cargo test -p gru-core --test hostile_files hostile");
        panic!("seed {seed}: {reason}\nthe file: {}\nagain: {command}", path.display());
    }
    RUNNING.store(u64::MAX, Ordering::Relaxed);
    assert!(tally.executions < 1000 || tally.loaded > tally.executions / 50, "hardly any file is read");
    assert!(tally.executions < 1000 || tally.loaded < tally.executions / 2, "hardly any file is refused");
    tally
}

/// Of files that are all numbers, or all metadata: what is held beside them does not hide how often they are held.
#[test]
fn large_files_take_their_stated_multiple() {
    let (vocab_size, hidden_size) = (400, 300);
    let sizes = Sizes { vocab_size, hidden_size, batch_size: 1, num_steps: 1, candidate_bias: false };
    let parameters = vec![0.5; Layout::new(&sizes).len()];
    let numbers = ModelFile {
        vocab_size,
        hidden_size,
        candidate_bias: false,
        parameters,
        state: vec![],
        metadata: String::new(),
    };
    let mut words = small_model(&mut Choices::new(1));
    words.metadata = "\"夜\",".repeat(400_000);
    for file in [numbers, words] {
        let bytes = file.encode().unwrap();
        let mut tally = Tally::default();
        tally.read(0, &bytes).unwrap();
        let ratio = tally.largest_peak as f64 / bytes.len() as f64;
        println!("{} bytes of a file took {ratio:.2} times as many of memory", bytes.len());
        assert!(bytes.len() > 10 * BESIDE && ratio > 1.0);
    }
}

#[test]
fn hostile_files_are_errors_or_whole_models() {
    fuzz(from_environment("GRU_FUZZ_SEED").unwrap_or(1), |executions| executions < 150_000);
}

/// Tells what it did in one line of JSON.
#[test]
#[ignore = "a campaign of minutes: npm run fuzz, npm run test:long"]
fn campaign() {
    let seed = from_environment("GRU_FUZZ_SEED").unwrap_or(1_000_000_000);
    let limit = Duration::from_secs(from_environment("GRU_FUZZ_SECONDS").unwrap_or(60));
    let began = Instant::now();
    let tally = fuzz(seed, |executions| !executions.is_multiple_of(64) || began.elapsed() < limit);
    let report = tally.to_json(seed, began.elapsed().as_secs_f64());
    print!("{report}");
    if let Ok(path) = std::env::var("GRU_FUZZ_REPORT") {
        std::fs::write(path, report).unwrap();
    }
}

/// All truncations of two small files, and changes of each of their bytes to every `step`th of the other values.
fn damage(step: usize) -> Tally {
    let mut tally = Tally::default();
    for seed in [3, 5] {
        let file = small_model(&mut Choices::new(seed));
        let bytes = file.encode().unwrap();
        for length in 0..bytes.len() {
            assert!(ModelFile::decode(&bytes[..length]).is_err(), "cut at {length}");
            tally.read(length as u64, &bytes[..length]).unwrap();
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            for value in
                (1..=255u8).step_by(step).chain([0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff])
            {
                changed[at] = bytes[at] ^ value;
                if let Err(reason) = tally.read(at as u64, &changed) {
                    panic!("byte {at} changed to {}: {reason}", changed[at]);
                }
            }
            for value in [0, 0xff] {
                changed[at] = value;
                tally.read(at as u64, &changed).unwrap();
            }
        }
    }
    tally
}

#[test]
fn every_truncation_and_changed_byte_is_an_error_or_a_whole_model() {
    assert!(damage(64).loaded > 1000, "changed numbers are still numbers");
}

#[test]
#[ignore = "every value of every byte: npm run test:long"]
fn every_value_of_every_byte_is_an_error_or_a_whole_model() {
    let tally = damage(1);
    println!("{} files, {} of them read, the slowest in {:?}", tally.executions, tally.loaded, tally.slowest);
}
