//! Times the book chapter's job on a GPU: opening it, epochs from a captured sequence, and each kernel of an
//! update by itself. Prints one JSON object. With the argument `open` it only opens the GPU and tells how long that
//! took. Part of `npm run gpu:check`.

use gru_core::random::initial_parameters;
use gru_core::{Backend, Error, Plan, Sizes};
use gru_cuda::Kernel;
use gru_cuda::update::Mode;
use std::ops::ControlFlow;
use std::time::Instant;

const CHAPTER: Sizes =
    Sizes { vocab_size: 1465, hidden_size: 256, batch_size: 32, num_steps: 35, candidate_bias: false };
const UPDATES: usize = 17;
const EPOCHS: usize = 40;
const REPEATS: usize = 10;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), Error> {
    let began = Instant::now();
    let (mut backend, facts) = gru_cuda::open(None, CHAPTER)?;
    let open_seconds = began.elapsed().as_secs_f64();
    if std::env::args().nth(1).as_deref() == Some("open") {
        println!(
            r#"{{"contextSeconds":{:.4},"moduleSeconds":{:.4},"openSeconds":{open_seconds:.4}}}"#,
            facts.context_seconds, facts.load_seconds
        );
        return Ok(());
    }
    backend.set_parameters(&initial_parameters(&CHAPTER, 0, 0.01))?;
    backend.load_corpus(&(0..20_000u32).map(|i| i.wrapping_mul(2_654_435_761) % 1465).collect::<Vec<_>>())?;
    let plan = Plan {
        starts: (0..UPDATES as u32)
            .flat_map(|update| (0..32).map(move |lane| lane * 624 + update * 35))
            .collect(),
        num_steps: 35,
        learning_rate: vec![0.2; UPDATES],
        max_grad_norm: 5.0,
        carry_state: true,
    };
    let mut epochs = vec![];
    for _ in 0..EPOCHS {
        let began = Instant::now();
        backend.train(&plan, &mut |_, _| ControlFlow::Continue(()))?;
        epochs.push(began.elapsed().as_secs_f64());
    }
    let first_epoch = epochs.remove(0);
    let epoch = median(epochs);

    // The first time by itself, since a kernel's first launch takes longer.
    let launches = backend.run_singly(&plan, Mode::Train)?;
    let mut times = vec![vec![]; launches.len()];
    for _ in 0..REPEATS {
        // From the first update each time: its tables are the ones that are there.
        let launches = backend.launches(&plan, Mode::Train)?;
        for (time, milliseconds) in times.iter_mut().zip(backend.device().time(&launches)?) {
            time.push(f64::from(milliseconds) * 1e3);
        }
    }
    let times: Vec<f64> = times.into_iter().map(median).collect();
    let kernels = Kernel::ALL.map(|kernel| {
        let of_kernel = launches.iter().zip(&times).filter(|(launch, _)| launch.kernel == kernel);
        let (count, sum) = of_kernel.fold((0, 0.0), |(count, sum), (_, time)| (count + 1, sum + time));
        format!(r#"{{"kernel":"{}","launches":{count},"microseconds":{sum:.2}}}"#, kernel.name())
    });
    println!(
        r#"{{"name":{:?},"computeCapability":"{}.{}","memoryBytes":{},"driverVersion":{},"contextSeconds":{:.4},"moduleSeconds":{:.4},"openSeconds":{open_seconds:.4},"firstEpochSeconds":{first_epoch:.6},"epochSeconds":{epoch:.6},"updateMicroseconds":{:.2},"kernels":[{}]}}"#,
        facts.device.name,
        facts.device.capability.0,
        facts.device.capability.1,
        facts.device.memory,
        facts.cuda_version,
        facts.context_seconds,
        facts.load_seconds,
        epoch / UPDATES as f64 * 1e6,
        kernels.join(",")
    );
    Ok(())
}
