//! The way to a GPU on a thread that can be left behind: a driver may hang in any call, from its start to the
//! first allocation, and nothing can interrupt it. That thread goes through the stages, device by device, until
//! one will do, and tells of each as it ends; who waits for it gives up when a stage takes too long, or when the
//! result is no longer wanted.

use crate::driver::Driver;
use crate::probe::{self, Failure, Machine, Reason, Report, Stage};
use crate::self_test::{self, Subject};
use gru_core::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long one stage may take. Starting the driver of a machine with many GPUs that sleep takes some 10 s, and
/// so does compiling the kernels the first time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Another length of the wait, in seconds: for tests, and for machines where the driver is slower still.
const PATIENCE_VARIABLE: &str = "GRU_NATIVE_GPU_PATIENCE";

/// How often it is looked whether the result is still wanted.
const GLANCE: Duration = Duration::from_millis(20);

/// What to do about a driver that does not answer.
const HANGS: &str = "see whether nvidia-smi answers; restarting the machine helps where it does not";

/// How long a stage may take here.
pub fn patience() -> Duration {
    let seconds = std::env::var(PATIENCE_VARIABLE).ok().and_then(|text| text.parse().ok());
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(PATIENCE)
}

/// What the thread tells, in order.
enum Finding<T> {
    Driver(Machine),
    Trying(usize),
    Passed(Stage, String),
    Failed(Failure),
    /// Every stage of the device holds, and yet it was not taken.
    Refused(Error),
    /// What was made on device so and so, and the PTX that it loaded.
    Taken(usize, String, T),
}

/// What a search found.
pub struct Search<T> {
    /// The stages.
    pub report: Report,
    /// What was made on the device that was taken, or the first reason why one that passed every stage was not.
    pub taken: Option<Result<T, Error>>,
}

/// Goes through the stages of GPU `index` or, without a number, of one GPU after the other, and gives the first for
/// which all hold, the self-test with these operands, to `take`, which may refuse it. Each stage may take as long as `patience`; the search is given up
/// when `unwanted` is set. After a hang no other GPU is tried, since the driver's own locks may be held.
pub fn search<T, F>(
    index: Option<usize>,
    subject: Subject,
    patience: Duration,
    unwanted: &AtomicBool,
    take: F,
) -> Search<T>
where
    T: Send + 'static,
    F: FnMut(Driver) -> Result<T, Error> + Send + 'static,
{
    let mut found = Search { report: Report::new(), taken: None };
    let (sender, findings) = channel();
    let abandoned = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&abandoned);
    let thread = std::thread::Builder::new().name("gru-gpu-search".into()).spawn(move || {
        let tell = Tell { sender, abandoned: flag };
        // Unwind safety: after a panic nothing of it is used but its text.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| go(index, subject, &tell, take))) {
            tell.send(Finding::Failed(probe::panicked(&*panic)));
        }
    });
    if let Err(error) = thread {
        let failure = Failure::new(Reason::InitFailed, "to start a thread", error.to_string(), "");
        found.report.fail(failure);
        return found;
    }
    let mut since = Instant::now();
    loop {
        match findings.recv_timeout(GLANCE) {
            Ok(finding) => {
                note(&mut found, finding);
                since = Instant::now();
            }
            Err(RecvTimeoutError::Disconnected) => return found,
            Err(RecvTimeoutError::Timeout) => {
                let late = since.elapsed() >= patience;
                if !late && !unwanted.load(Ordering::Relaxed) {
                    continue;
                }
                abandoned.store(true, Ordering::Relaxed);
                if late {
                    time_out(&mut found, patience);
                }
                return found;
            }
        }
    }
}

/// The thread's end of the channel.
struct Tell<T> {
    sender: Sender<Finding<T>>,
    /// Nobody waits any more.
    abandoned: Arc<AtomicBool>,
}

impl<T> Tell<T> {
    /// Sends a finding. Where nobody waits any more it is dropped, which gives a device back.
    fn send(&self, finding: Finding<T>) {
        let _ = self.sender.send(finding);
    }

    fn passed(&self, stage: Stage, detail: String) {
        self.send(Finding::Passed(stage, detail));
    }
}

fn go<T>(
    index: Option<usize>,
    subject: Subject,
    tell: &Tell<T>,
    mut take: impl FnMut(Driver) -> Result<T, Error>,
) {
    let machine = match probe::probe(&mut |stage, detail| tell.passed(stage, detail)) {
        Ok(machine) => machine,
        Err(failure) => return tell.send(Finding::Failed(failure)),
    };
    let candidates = index.map_or_else(|| (0..machine.devices.len()).collect(), |index| vec![index]);
    let (devices, cuda_version) = (machine.devices.clone(), machine.cuda_version);
    tell.send(Finding::Driver(machine));
    for index in candidates {
        if tell.abandoned.load(Ordering::Relaxed) {
            return;
        }
        tell.send(Finding::Trying(index));
        let passed = &mut |stage, detail| tell.passed(stage, detail);
        let opened = probe::check_device(&devices, index, passed)
            .and_then(|device| Driver::start(device, cuda_version, subject.precision, passed))
            .and_then(|driver| self_test::check(driver, subject, passed));
        let ptx = opened.as_ref().map(|driver| driver.facts().ptx).unwrap_or_default();
        match opened.map(&mut take) {
            Ok(Ok(taken)) => return tell.send(Finding::Taken(index, ptx, taken)),
            Ok(Err(error)) => tell.send(Finding::Refused(error)),
            Err(failure) => tell.send(Finding::Failed(failure)),
        }
    }
}

fn note<T>(found: &mut Search<T>, finding: Finding<T>) {
    let report = &mut found.report;
    match finding {
        Finding::Driver(machine) => {
            report.cuda_version = Some(machine.cuda_version);
            report.devices = machine.devices;
        }
        Finding::Trying(index) => report.begin(index),
        Finding::Passed(stage, detail) => report.record(stage, Ok(detail)),
        Finding::Failed(failure) => report.fail(failure),
        Finding::Refused(error) => found.taken = Some(found.taken.take().unwrap_or(Err(error))),
        Finding::Taken(index, ptx, taken) => {
            (report.chosen, report.ptx) = (Some(index), Some(ptx));
            found.taken = Some(Ok(taken));
        }
    }
}

/// Notes that the stage at hand, or what comes after the last one, took too long.
fn time_out<T>(found: &mut Search<T>, patience: Duration) {
    let expected = format!("an answer of the driver within {} s", patience.as_secs_f32());
    if found.report.next_stage().is_some() {
        found.report.fail(Failure::new(Reason::TimedOut, expected, "none", HANGS));
    } else {
        let received = format!("none (memory: {})", Reason::TimedOut.code());
        found.taken = Some(Err(Error::Unavailable { expected, received, hint: HANGS.into() }));
    }
}
