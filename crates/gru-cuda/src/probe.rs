//! Whether this machine has a GPU that can be used, found out stage by stage without a panic and without an
//! endless wait. Looks at the driver's library itself, before cudarc touches it; [`crate::driver`] goes on
//! from here. A driver whose start-up crashes takes the process with it: only another process survives that.

mod codes;
mod library;
mod report;

pub(crate) use codes::{OUT_OF_MEMORY, hint};
pub use library::REQUIRED;
pub use report::{Failure, Found, Outcome, Reason, Report, Stage, version_text};

use library::{Library, Refusal, refused};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// The oldest driver: CUDA 12.0, the level that cudarc's types are of.
pub const MINIMUM_DRIVER: i32 = 12_000;
/// The oldest compute capability, which the PTX is compiled for.
pub const MINIMUM_CAPABILITY: (i32, i32) = (8, 0);
/// The name of the PTX that every device loads.
pub const PTX_NAME: &str = "gru_sm80";

/// How long one stage may take. Starting the driver of a machine with many GPUs that sleep takes some 10 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks at every stage up to the device's compute capability. Without an index it takes the first device that
/// is new enough. Loads and starts the driver; makes no context and takes no memory of the device.
pub fn probe(index: Option<usize>) -> Report {
    probe_within(index, PATIENCE)
}

/// [`probe`] with another limit for the time of a stage.
pub fn probe_within(index: Option<usize>, patience: Duration) -> Report {
    let mut report = Report::new();
    let (sender, findings) = channel();
    // A thread of its own, since a driver that hangs cannot be interrupted, only left behind.
    let thread = std::thread::Builder::new().name("gru-probe".into()).spawn(move || {
        let stages = AssertUnwindSafe(|| examine(index, &sender));
        let last = catch_unwind(stages).unwrap_or_else(|panic| Some(panicked(&*panic)));
        if let Some(failure) = last {
            tell(&sender, Finding::Failed(failure));
        }
    });
    if let Err(error) = thread {
        fail_next(&mut report, Failure::new(Reason::InitFailed, "to start a thread", error.to_string(), ""));
        return report;
    }
    loop {
        match findings.recv_timeout(patience) {
            Ok(finding) => note(&mut report, finding),
            Err(RecvTimeoutError::Disconnected) => return report,
            Err(RecvTimeoutError::Timeout) => {
                let expected = format!("an answer of the driver within {} s", patience.as_secs_f32());
                let hint = "see whether nvidia-smi answers; restarting the machine helps where it does not";
                fail_next(&mut report, Failure::new(Reason::TimedOut, expected, "none", hint));
                return report;
            }
        }
    }
}

/// What the examining thread tells, in order.
enum Finding {
    Passed(Stage, String),
    Version(i32),
    Devices(Vec<Found>),
    Chosen(usize),
    Failed(Failure),
}

/// Sends a finding. Where the probe has given up waiting, nobody listens, which is fine.
fn tell(sender: &Sender<Finding>, finding: Finding) {
    let _ = sender.send(finding);
}

fn note(report: &mut Report, finding: Finding) {
    match finding {
        Finding::Passed(stage, detail) => report.record(stage, Ok(detail)),
        Finding::Version(version) => report.driver_version = Some(version),
        Finding::Devices(devices) => report.devices = devices,
        Finding::Chosen(index) => {
            report.chosen = Some(index);
            report.ptx = Some(PTX_NAME);
        }
        Finding::Failed(failure) => fail_next(report, failure),
    }
}

fn fail_next(report: &mut Report, failure: Failure) {
    if let Some(stage) = report.next_stage() {
        report.record(stage, Err(failure));
    }
}

/// The stages one after the other. Gives the failure that ended it, which is that of the first stage not told
/// of as passed.
fn examine(index: Option<usize>, sender: &Sender<Finding>) -> Option<Failure> {
    let passed = |stage, detail| tell(sender, Finding::Passed(stage, detail));
    let stages = || -> Result<(), Failure> {
        let (library, name) = Library::open()?;
        passed(Stage::Library, name);

        let version = check_version(library)?;
        tell(sender, Finding::Version(version));
        passed(Stage::Version, version_text(version));

        check_functions(library)?;
        passed(Stage::Functions, format!("{} found", REQUIRED.len()));

        library.initialise().map_err(|refusal| refused(library, &refusal))?;
        passed(Stage::Initialise, "done".into());

        let devices = find_devices(library)?;
        tell(sender, Finding::Devices(devices.clone()));
        passed(Stage::Devices, devices.len().to_string());

        let device = choose(&devices, index)?;
        passed(Stage::Device, format!("{}: {}", device.index, device.name));

        let (major, minor) = device.capability;
        check_capability(device)?;
        tell(sender, Finding::Chosen(device.index));
        passed(Stage::Capability, format!("{major}.{minor}"));
        Ok(())
    };
    stages().err()
}

fn check_version(library: Library) -> Result<i32, Failure> {
    let expected = format!("a driver for CUDA {} or newer", version_text(MINIMUM_DRIVER));
    match library.version() {
        Some(Ok(version)) if version >= MINIMUM_DRIVER => Ok(version),
        Some(Ok(version)) => {
            let received = format!("one for CUDA {}", version_text(version));
            Err(Failure::new(Reason::DriverTooOld, expected, received, "install a newer NVIDIA driver"))
        }
        Some(Err(refusal)) => Err(refused(library, &refusal)),
        None => Err(bad_driver("no function cuDriverGetVersion")),
    }
}

fn check_functions(library: Library) -> Result<(), Failure> {
    let missing = library.missing(&REQUIRED);
    if missing.is_empty() { Ok(()) } else { Err(bad_driver(&format!("no function {}", missing.join(", ")))) }
}

fn bad_driver(received: &str) -> Failure {
    let hint = "install NVIDIA's driver again, or take the library that has its name out of the library path";
    Failure::new(Reason::BadDriver, "a library with the functions of NVIDIA's driver", received, hint)
}

fn find_devices(library: Library) -> Result<Vec<Found>, Failure> {
    let read = || -> Result<Vec<Found>, Refusal> {
        (0..library.count()?).map(|index| library.device(index)).collect()
    };
    let devices = read().map_err(|refusal| refused(library, &refusal))?;
    if devices.is_empty() {
        return Err(Failure::new(Reason::NoDevice, "a CUDA device", "none", hint(codes::NO_DEVICE)));
    }
    Ok(devices)
}

/// The device asked for or, if none was, the first that is new enough; else the first.
fn choose(devices: &[Found], index: Option<usize>) -> Result<&Found, Failure> {
    let usable = || devices.iter().find(|device| device.capability >= MINIMUM_CAPABILITY);
    let device = match index {
        Some(index) => devices.get(index),
        None => usable().or(devices.first()),
    };
    device.ok_or_else(|| {
        let last = devices.len() - 1;
        let received = index.map_or_else(|| "none".to_string(), |index| index.to_string());
        let hint = "CUDA_VISIBLE_DEVICES may hide devices and changes their numbers";
        Failure::new(Reason::NoSuchDevice, format!("a device number from 0 to {last}"), received, hint)
    })
}

fn check_capability(device: &Found) -> Result<(), Failure> {
    if device.capability >= MINIMUM_CAPABILITY {
        return Ok(());
    }
    let ((major, minor), (major_wanted, minor_wanted)) = (device.capability, MINIMUM_CAPABILITY);
    let expected = format!("compute capability {major_wanted}.{minor_wanted} or newer");
    let received = format!("{major}.{minor} ({})", device.name);
    Err(Failure::new(Reason::TooOldDevice, expected, received, "use a GPU of the Ampere generation or newer"))
}

/// A panic as a failure, its text kept.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let hint = "report it with the text above; the driver may lack a function that it should have";
    Failure::new(Reason::Panic, "the driver's binding to work", panic_text(panic), hint)
}

/// The text that a panic was raised with.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(index: usize, capability: (i32, i32)) -> Found {
        Found { index, name: "a GPU".into(), capability, memory: 1 }
    }

    #[test]
    fn takes_the_first_device_that_is_new_enough() {
        let devices = [device(0, (7, 5)), device(1, (8, 6)), device(2, (9, 0))];
        assert_eq!(choose(&devices, None).unwrap().index, 1);
        assert_eq!(choose(&devices, Some(2)).unwrap().index, 2);
        assert_eq!(choose(&devices, Some(3)).unwrap_err().reason, Reason::NoSuchDevice);
        // Where none is, the first one says why it is not.
        let old = choose(&devices[..1], None).unwrap();
        assert_eq!(check_capability(old).unwrap_err().reason, Reason::TooOldDevice);
    }

    #[test]
    fn reads_versions() {
        assert_eq!(version_text(12_000), "12.0");
        assert_eq!(version_text(11_020), "11.2");
        assert_eq!(version_text(13_000), "13.0");
    }

    #[test]
    fn names_every_function_once() {
        let mut names = REQUIRED.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names, REQUIRED);
    }

    #[test]
    fn fails_the_first_stage_that_was_not_passed() {
        let mut report = Report::new();
        note(&mut report, Finding::Passed(Stage::Library, "libcuda.so.1".into()));
        note(&mut report, Finding::Failed(panicked(&"words")));
        let (stage, failure) = report.failure().unwrap();
        assert_eq!((stage, failure.reason), (Stage::Version, Reason::Panic));
        assert!(failure.received.contains("words"), "{failure}");
        assert_eq!(report.next_stage(), Some(Stage::Functions));
        assert!(!report.passed());
    }
}
