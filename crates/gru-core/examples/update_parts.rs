//! Where the time of an update goes, and what share of the machine's peak that is, for `npm run bench`.
//!
//! `cargo run --release -p gru-core --example update_parts -- THREADS VOCAB HIDDEN BATCH STEPS ROUNDS` trains on made-up
//! characters, in rounds between which the peak is measured, and prints one line of JSON: of every round the
//! milliseconds of an update and the GFLOP/s of multiply-adds on registers (null where unknown); of every part its
//! milliseconds of all threads in a median update, divided by the threads.

mod peak;

use gru_core::cpu::CpuBackend;
use gru_core::cpu::kernel::Path;
use gru_core::cpu::parts::Part;
use gru_core::random::initial_parameters;
use gru_core::{Backend, Plan, Sizes};
use std::ops::ControlFlow;
use std::time::Instant;

/// Seconds of updates in a round.
const ROUND_SECONDS: f64 = 0.25;
/// Characters of the made-up corpus.
const CHARACTERS: u32 = 20_000;

fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).map_while(|text| text.parse().ok()).collect();
    let &[threads, vocab_size, hidden_size, batch_size, num_steps, rounds] = &arguments[..] else {
        eprintln!(
            "expected THREADS VOCAB HIDDEN BATCH STEPS ROUNDS as whole numbers, received {arguments:?}"
        );
        std::process::exit(2);
    };
    let sizes = Sizes { vocab_size, hidden_size, batch_size, num_steps, candidate_bias: false };
    let path = std::env::var("GRU_NATIVE_CPU").ok();
    let path = Path::available().into_iter().find(|known| path.as_deref() == Some(known.name()));
    let path = path.unwrap_or_else(Path::detect);
    let mut run = match Run::new(sizes, threads, path) {
        Ok(run) => run,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let warm_up = run.seconds_of(2) / 2.0;
    let updates = ((ROUND_SECONDS / warm_up) as usize).clamp(1, 100_000);
    let (mut milliseconds, mut peaks, mut parts) = (vec![], vec![], vec![vec![]; Part::ALL.len()]);
    for _ in 0..rounds {
        peaks.push(peak::fma(threads, 2).map_or("null".to_string(), |peak| format!("{peak:.1}")));
        let before = run.parts();
        milliseconds.push(format!("{:.4}", run.seconds_of(updates) * 1e3 / updates as f64));
        for ((part, after), before) in parts.iter_mut().zip(run.parts()).zip(before) {
            part.push((after - before) * 1e3 / (updates * threads) as f64);
        }
    }
    let parts = parts.iter_mut().zip(Part::ALL).map(|(times, part)| {
        times.sort_by(f64::total_cmp);
        format!("\"{}\":{:.4}", part.name(), times[times.len() / 2])
    });
    println!(
        "{{\"threads\":{threads},\"path\":\"{}\",\"updatesPerRound\":{updates},\"milliseconds\":[{}],\"fma\":[{}],\"parts\":{{{}}}}}",
        path.name(),
        milliseconds.join(","),
        peaks.join(","),
        parts.collect::<Vec<_>>().join(",")
    );
}

/// A training that never ends.
struct Run {
    backend: CpuBackend,
    plan: Plan,
}

impl Run {
    fn new(sizes: Sizes, threads: usize, path: Path) -> Result<Self, gru_core::Error> {
        let mut backend = CpuBackend::on_path(sizes, threads, path)?;
        backend.set_parameters(&initial_parameters(&sizes, 0, 0.01))?;
        let vocab = sizes.vocab_size as u32;
        // A few characters make up most of a text: the square of an even spread.
        let character = |i: u32| {
            let even = u64::from(i.wrapping_mul(2_654_435_761) % vocab);
            (even * even / u64::from(vocab)) as u32
        };
        backend.load_corpus(&(0..CHARACTERS).map(character).collect::<Vec<_>>())?;
        let last = CHARACTERS - sizes.num_steps as u32 - 1;
        let starts = (0..sizes.batch_size as u32).map(|lane| lane * 617 % last).collect();
        let (num_steps, learning_rate) = (sizes.num_steps, vec![0.01]);
        Ok(Self {
            backend,
            plan: Plan { starts, num_steps, learning_rate, max_grad_norm: 5.0, carry_state: true },
        })
    }

    /// Wall-clock seconds of so many updates.
    fn seconds_of(&mut self, updates: usize) -> f64 {
        self.plan.starts = self.plan.starts[..self.backend.sizes().batch_size].repeat(updates);
        self.plan.learning_rate = vec![0.01; updates];
        let start = Instant::now();
        let outcome = self.backend.train(&self.plan, &mut |_, _| ControlFlow::Continue(()));
        outcome.expect("the plan fits the corpus");
        start.elapsed().as_secs_f64()
    }

    /// Thread-seconds of every part so far.
    fn parts(&self) -> Vec<f64> {
        Part::ALL.map(|part| self.backend.parts().of(part).as_secs_f64()).to_vec()
    }
}
