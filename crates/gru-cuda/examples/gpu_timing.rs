//! Times the book chapter's job on a GPU: opening it; then, in every precision and on every path (the time steps as the
//! device chooses, by words in device memory, and as plain steps), epochs from a captured sequence and each kernel of an update by itself. Prints
//! one JSON object. Part of `npm run gpu:check`.
//!
//! Arguments: `open` to only open the GPU and tell how long that took; or how many epochs (40 without), how often each
//! kernel (10), steps of an update (35) and hidden units (256), for a try where there is no GPU.

use gru_core::random::initial_parameters;
use gru_core::{Backend, Error, Plan, Sizes};
use gru_cuda::driver::{Driver, Facts};
use gru_cuda::recurrence::Exchange;
use gru_cuda::update::{Mode, Path};
use gru_cuda::{CudaBackend, Device, Kernel, Precision, Recurrence};
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

const VOCABULARY: u32 = 1465;
const BATCH: u32 = 32;
const UPDATES: u32 = 17;
/// Epochs, repeats, steps of an update, hidden units.
const USUAL: [usize; 4] = [40, 10, 35, 256];

/// How much is timed.
struct Job {
    sizes: Sizes,
    epochs: usize,
    repeats: usize,
}

impl Job {
    fn new([epochs, repeats, num_steps, hidden_size]: [usize; 4]) -> Self {
        let (vocab_size, batch_size) = (VOCABULARY as usize, BATCH as usize);
        let sizes = Sizes { vocab_size, hidden_size, batch_size, num_steps, candidate_bias: false };
        Self { sizes, epochs, repeats }
    }

    /// From the arguments, `usual` where there are none.
    fn from_arguments(usual: [usize; 4]) -> Result<Self, String> {
        let mut numbers = usual;
        for (number, text) in numbers.iter_mut().zip(std::env::args().skip(1)) {
            let parsed = text.parse().ok().filter(|count| (2..=1024).contains(count));
            *number = parsed.ok_or_else(|| format!("expected numbers from 2 to 1024, received {text}"))?;
        }
        Ok(Self::new(numbers))
    }

    /// An epoch of adjacent batches.
    fn plan(&self) -> Plan {
        let steps = self.sizes.num_steps as u32;
        Plan {
            starts: (0..UPDATES)
                .flat_map(|update| (0..BATCH).map(move |lane| (lane * UPDATES + update) * steps))
                .collect(),
            num_steps: self.sizes.num_steps,
            learning_rate: vec![0.2; UPDATES as usize],
            max_grad_norm: 5.0,
            carry_state: true,
        }
    }

    fn corpus(&self) -> Vec<u32> {
        let length = BATCH * UPDATES * self.sizes.num_steps as u32 + 1;
        (0..length).map(|i| i.wrapping_mul(2_654_435_761) % VOCABULARY).collect()
    }

    fn open(&self, precision: Precision) -> Result<(CudaBackend<Driver>, Facts), Error> {
        gru_cuda::open_for(None, self.sizes, precision, self.corpus().len(), &AtomicBool::new(false))
    }

    /// The paths that the device could have chosen too: words in device memory, where it holds all blocks, and steps.
    fn others(&self, backend: &mut CudaBackend<Driver>) -> Result<Vec<Recurrence>, Error> {
        let Path { precision, recurrence } = backend.path();
        let device = backend.device();
        let of_words = |kernel: Kernel| match kernel.persistent() {
            Some(pair) if pair.exchange == Exchange::Words => device.resident_groups(kernel),
            _ => Ok(0),
        };
        let words =
            Recurrence::choose_by(of_words, self.sizes.hidden_size, self.sizes.batch_size, precision)?;
        let mut others = vec![words, Recurrence::Steps];
        others.dedup();
        others.retain(|&other| other != recurrence);
        Ok(others)
    }

    /// Times one path from initial parameters on, as JSON.
    fn time(&self, backend: &mut CudaBackend<Driver>) -> Result<String, Error> {
        let plan = self.plan();
        backend.set_parameters(&initial_parameters(&self.sizes, 0, 0.01))?;
        let mut epochs = vec![];
        for _ in 0..self.epochs {
            let began = Instant::now();
            backend.train(&plan, &mut |_, _| ControlFlow::Continue(()))?;
            epochs.push(began.elapsed().as_secs_f64());
        }
        let first_epoch = epochs.remove(0);
        let epoch = median(epochs);

        // The first time by itself, since a kernel's first launch takes longer.
        let launches = backend.run_singly(&plan, Mode::Train)?;
        let mut times = vec![vec![]; launches.len()];
        for _ in 0..self.repeats {
            // From the first update each time: its tables are the ones that are there.
            let launches = backend.launches(&plan, Mode::Train)?;
            for (time, milliseconds) in times.iter_mut().zip(backend.device().time(&launches)?) {
                time.push(f64::from(milliseconds) * 1e3);
            }
        }
        let times: Vec<f64> = times.into_iter().map(median).collect();
        let used =
            Kernel::all().into_iter().filter(|kernel| launches.iter().any(|launch| launch.kernel == *kernel));
        let kernels: Vec<String> = used
            .map(|kernel| {
                let of_kernel = launches.iter().zip(&times).filter(|(launch, _)| launch.kernel == kernel);
                let (count, sum) =
                    of_kernel.fold((0, 0.0), |(count, sum), (_, time)| (count + 1, sum + time));
                format!(r#"{{"kernel":"{}","launches":{count},"microseconds":{sum:.2}}}"#, kernel.name())
            })
            .collect();
        let path = backend.path();
        let recurrence = match path.recurrence {
            Recurrence::Steps => "steps",
            Recurrence::Persistent(pair) => pair.name(),
        };
        Ok(format!(
            r#"{{"precision":"{}","recurrence":"{recurrence}","firstEpochSeconds":{first_epoch:.6},"epochSeconds":{epoch:.6},"updateMicroseconds":{:.2},"launches":{},"kernelMicroseconds":{:.2},"kernels":[{}]}}"#,
            path.precision.name(),
            epoch / f64::from(UPDATES) * 1e6,
            launches.len(),
            times.iter().sum::<f64>(),
            kernels.join(",")
        ))
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let only_opens = std::env::args().nth(1).as_deref() == Some("open");
    let job = match only_opens {
        true => Job::new(USUAL),
        false => Job::from_arguments(USUAL)?,
    };
    let began = Instant::now();
    let (mut backend, facts) = job.open(Precision::Fp32)?;
    let opened = format!(
        r#""contextSeconds":{:.4},"moduleSeconds":{:.4},"openSeconds":{:.4}"#,
        facts.context_seconds,
        facts.load_seconds,
        began.elapsed().as_secs_f64()
    );
    if only_opens {
        println!("{{{opened}}}");
        return Ok(());
    }
    let mut paths = vec![];
    for precision in Precision::ALL {
        if precision != Precision::Fp32 {
            drop(backend); // one after the other: a GPU may be exclusive
            backend = job.open(precision)?.0;
        }
        backend.load_corpus(&job.corpus())?;
        paths.push(job.time(&mut backend)?);
        for recurrence in job.others(&mut backend)? {
            backend.set_recurrence(recurrence)?;
            paths.push(job.time(&mut backend)?);
        }
    }
    println!(
        r#"{{"name":{:?},"computeCapability":"{}.{}","memoryBytes":{},"driverVersion":{},{opened},"paths":[{}]}}"#,
        facts.device.name,
        facts.device.capability.0,
        facts.device.capability.1,
        facts.device.memory,
        facts.cuda_version,
        paths.join(",")
    );
    Ok(())
}
