//! Whether this machine has a GPU that can be used, found out stage by stage without a panic. Looks at the
//! driver's library itself, before cudarc touches it; [`crate::search`] runs the stages on a thread that can be
//! left behind, since a driver that hangs cannot be interrupted. A driver that crashes takes the process with it:
//! only another process survives that.

mod codes;
mod library;
mod release;
mod report;

pub(crate) use codes::{OUT_OF_MEMORY, hint};
pub use library::REQUIRED;
pub use release::driver_release;
pub use report::{Attempt, Failure, Found, Outcome, Outcomes, Reason, Report, Stage, version_text};

use library::{Library, Refusal, refused};
use std::any::Any;

/// The oldest driver that is supported: CUDA 12.0, the first with every function of [`REQUIRED`].
pub const MINIMUM_DRIVER: i32 = 12_000;
/// The oldest compute capability, which the PTX for all devices is compiled for.
pub const MINIMUM_CAPABILITY: (i32, i32) = (8, 0);

/// What a driver tells of itself.
pub(crate) struct Machine {
    /// The highest version of CUDA that it supports.
    pub(crate) cuda_version: i32,
    /// All devices, at least one.
    pub(crate) devices: Vec<Found>,
}

/// The stages of the driver, one after the other; `passed` is told of each that holds. Loads and starts the
/// driver; makes no context and takes no memory of a device. Gives the failure of the first stage not told of.
pub(crate) fn probe(passed: &mut dyn FnMut(Stage, String)) -> Result<Machine, Failure> {
    let (library, name) = Library::open()?;
    passed(Stage::Library, name);

    let cuda_version = check_version(library)?;
    passed(Stage::Version, version_text(cuda_version));

    check_functions(library)?;
    passed(Stage::Functions, format!("{} found", REQUIRED.len()));

    library.initialise().map_err(|refusal| refused(library, &refusal))?;
    passed(Stage::Initialise, "done".into());

    let devices = find_devices(library)?;
    passed(Stage::Devices, devices.len().to_string());
    Ok(Machine { cuda_version, devices })
}

/// The first stages of a device: that it is there, and new enough.
pub(crate) fn check_device(
    devices: &[Found],
    index: usize,
    passed: &mut dyn FnMut(Stage, String),
) -> Result<Found, Failure> {
    let device = devices.get(index).ok_or_else(|| {
        let last = devices.len() - 1;
        let hint = "CUDA_VISIBLE_DEVICES may hide devices and changes their numbers";
        let expected = format!("a device number from 0 to {last}");
        Failure::new(Reason::NoSuchDevice, expected, index.to_string(), hint)
    })?;
    passed(Stage::Device, format!("{index}: {}", device.name));
    check_capability(device)?;
    let (major, minor) = device.capability;
    passed(Stage::Capability, format!("{major}.{minor}"));
    Ok(device.clone())
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
    fn a_device_is_there_and_new_enough() {
        let devices = [device(0, (7, 5)), device(1, (8, 6))];
        let reason = |index| check_device(&devices, index, &mut |_, _| ()).map_err(|failure| failure.reason);
        assert_eq!(reason(0), Err(Reason::TooOldDevice));
        assert_eq!(reason(1), Ok(devices[1].clone()));
        assert_eq!(reason(2), Err(Reason::NoSuchDevice));
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
        report.record(Stage::Library, Ok("libcuda.so.1".into()));
        report.fail(panicked(&"words"));
        let (stage, failure) = report.failure().unwrap();
        assert_eq!((stage, failure.reason), (Stage::Version, Reason::Panic));
        assert!(failure.received.contains("words"), "{failure}");
        assert_eq!(report.next_stage(), Some(Stage::Functions));
        assert!(!report.passed());
        assert_eq!(report.stages().len(), Stage::DRIVER.len() + Stage::DEVICE.len());
    }

    #[test]
    fn of_devices_that_all_fail_the_one_that_came_farthest_counts() {
        let mut report = Report::new();
        for stage in Stage::DRIVER {
            report.record(stage, Ok(String::new()));
        }
        for (index, passes) in [1, 3, 3].into_iter().enumerate() {
            report.begin(index);
            for &stage in &Stage::DEVICE[..passes] {
                report.record(stage, Ok(String::new()));
            }
            report.fail(panicked(&"words"));
        }
        assert_eq!(report.attempt().map(|attempt| attempt.index), Some(1));
        assert_eq!(report.failure().map(|(stage, _)| stage), Some(Stage::Kernels));
        let stages: Vec<Stage> = report.failures().map(|(_, stage, _)| stage).collect();
        assert_eq!(stages, [Stage::Capability, Stage::Kernels, Stage::Kernels]);
        report.chosen = Some(2);
        assert_eq!(report.attempt().map(|attempt| attempt.index), Some(2));
    }
}
