//! What the probe tells: stages, reasons, the report. Plain data; nothing here touches a driver.

use std::fmt;

/// What must hold before a GPU can be used, in the order in which it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The driver's library is found and can be loaded.
    Library,
    /// It is new enough.
    Version,
    /// It has every function that is used.
    Functions,
    /// It starts.
    Initialise,
    /// It knows a device.
    Devices,
    /// The device asked for is one of them.
    Device,
    /// That device is new enough.
    Capability,
    /// It gives this process a context.
    Context,
    /// The kernels load.
    Kernels,
    /// They compute what they should.
    SelfTest,
}

impl Stage {
    /// Those of the driver, in order.
    pub const DRIVER: [Self; 5] =
        [Self::Library, Self::Version, Self::Functions, Self::Initialise, Self::Devices];

    /// Those of each device that is tried, in order.
    pub const DEVICE: [Self; 5] =
        [Self::Device, Self::Capability, Self::Context, Self::Kernels, Self::SelfTest];

    /// What the stage is called in a report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Library => "driver library",
            Self::Version => "driver version",
            Self::Functions => "driver functions",
            Self::Initialise => "initialisation",
            Self::Devices => "devices",
            Self::Device => "device",
            Self::Capability => "compute capability",
            Self::Context => "context",
            Self::Kernels => "kernels",
            Self::SelfTest => "self-test",
        }
    }
}

/// Why a GPU cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No driver library, or none that loads.
    NoDriver,
    /// A library that lacks functions of a driver.
    BadDriver,
    /// A driver older than CUDA 12.0.
    DriverTooOld,
    /// The library of a toolkit that is there to link against, not to run.
    StubLibrary,
    /// The driver refuses to start, or fails before a kernel is loaded.
    InitFailed,
    /// A stage took longer than it may.
    TimedOut,
    /// No device.
    NoDevice,
    /// No device of the number asked for.
    NoSuchDevice,
    /// A device of compute capability below 8.0.
    TooOldDevice,
    /// The device has no memory left for a context or the kernels.
    OutOfMemory,
    /// The driver refuses the kernels.
    KernelLoadFailed,
    /// The kernels compute something wrong.
    SelfTestFailed,
    /// The driver's binding panicked.
    Panic,
}

impl Reason {
    /// The stable code that users and programs see.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoDriver => "NO_DRIVER",
            Self::BadDriver => "BAD_DRIVER",
            Self::DriverTooOld => "DRIVER_TOO_OLD",
            Self::StubLibrary => "STUB_LIBRARY",
            Self::InitFailed => "INIT_FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::NoDevice => "NO_DEVICE",
            Self::NoSuchDevice => "NO_SUCH_DEVICE",
            Self::TooOldDevice => "TOO_OLD_DEVICE",
            Self::OutOfMemory => "OUT_OF_MEMORY",
            Self::KernelLoadFailed => "KERNEL_LOAD_FAILED",
            Self::SelfTestFailed => "SELF_TEST_FAILED",
            Self::Panic => "PANIC",
        }
    }
}

/// A stage that failed: why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// What the stage wants.
    pub expected: String,
    /// What it met, in the driver's or the system's words where there are any.
    pub received: String,
    /// What to do about it.
    pub hint: String,
}

impl Failure {
    /// A failure from its parts.
    pub fn new(
        reason: Reason,
        expected: impl Into<String>,
        received: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { reason, expected: expected.into(), received: received.into(), hint: hint.into() }
    }

    /// What was expected and what was received.
    pub fn cause(&self) -> String {
        format!("expected {}, received {}", self.expected, self.received)
    }
}

/// One line without the code: expected, received, hint.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.cause())?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

/// A device that the driver lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Compute capability, major and minor.
    pub capability: (i32, i32),
    /// All of its memory, in bytes.
    pub memory: u64,
}

/// How a stage ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds; what was found, in a few words.
    Passed(String),
    /// It does not.
    Failed(Failure),
    /// An earlier one failed, or it was not asked for.
    NotReached,
}

/// Stages and how each ended.
pub type Outcomes = Vec<(Stage, Outcome)>;

/// A device that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its number.
    pub index: usize,
    /// Every stage of [`Stage::DEVICE`], in that order.
    pub stages: Outcomes,
}

/// What is known of the driver and its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Every stage of [`Stage::DRIVER`], in that order.
    pub driver: Outcomes,
    /// The devices that were tried, in order.
    pub attempts: Vec<Attempt>,
    /// The highest version of CUDA that the driver supports: 12020 is 12.2.
    pub cuda_version: Option<i32>,
    /// All devices, of any age.
    pub devices: Vec<Found>,
    /// The number of the device for which every stage holds.
    pub chosen: Option<usize>,
    /// The PTX that it loaded.
    pub ptx: Option<String>,
}

/// Stages none of which was reached.
fn not_reached(stages: &[Stage]) -> Outcomes {
    stages.iter().map(|&stage| (stage, Outcome::NotReached)).collect()
}

fn passed(stages: &Outcomes) -> usize {
    stages.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Passed(_))).count()
}

fn failure(stages: &Outcomes) -> Option<(Stage, &Failure)> {
    stages.iter().find_map(|(stage, outcome)| match outcome {
        Outcome::Failed(failure) => Some((*stage, failure)),
        _ => None,
    })
}

impl Report {
    /// A report in which no stage was reached.
    pub(crate) fn new() -> Self {
        Self {
            driver: not_reached(&Stage::DRIVER),
            attempts: Vec::new(),
            cuda_version: None,
            devices: Vec::new(),
            chosen: None,
            ptx: None,
        }
    }

    /// The attempt that counts: that of the chosen device or, where none will do, the one that came farthest.
    pub fn attempt(&self) -> Option<&Attempt> {
        let chosen = self.attempts.iter().find(|attempt| Some(attempt.index) == self.chosen);
        let farthest = self.attempts.iter().map(|attempt| passed(&attempt.stages)).max();
        chosen.or_else(|| self.attempts.iter().find(|attempt| Some(passed(&attempt.stages)) == farthest))
    }

    /// Every stage on the way to a device: the driver's, then those of the attempt that counts.
    pub fn stages(&self) -> Outcomes {
        let device = self.attempt().map(|attempt| attempt.stages.clone());
        self.driver.iter().cloned().chain(device.unwrap_or_else(|| not_reached(&Stage::DEVICE))).collect()
    }

    /// The stage that failed on that way, if one did.
    pub fn failure(&self) -> Option<(Stage, &Failure)> {
        failure(&self.driver).or_else(|| failure(&self.attempt()?.stages))
    }

    /// Where each device that was tried failed.
    pub fn failures(&self) -> impl Iterator<Item = (usize, Stage, &Failure)> {
        self.attempts.iter().filter_map(|attempt| {
            failure(&attempt.stages).map(|(stage, failure)| (attempt.index, stage, failure))
        })
    }

    /// Whether every stage holds for some device.
    pub fn passed(&self) -> bool {
        self.chosen.is_some()
    }

    /// The first stage that was not reached, of the driver or of the device that is being tried.
    pub fn next_stage(&self) -> Option<Stage> {
        let device = || self.attempts.last().map_or(&[][..], |attempt| &attempt.stages[..]);
        let mut stages = self.driver.iter().chain(device());
        stages.find(|(_, outcome)| *outcome == Outcome::NotReached).map(|(stage, _)| *stage)
    }

    /// From here on, stages are those of another device.
    pub(crate) fn begin(&mut self, index: usize) {
        self.attempts.push(Attempt { index, stages: not_reached(&Stage::DEVICE) });
    }

    /// Notes how a stage ended: what was found, or what failed.
    pub(crate) fn record(&mut self, stage: Stage, result: Result<String, Failure>) {
        let device = self.attempts.last_mut().into_iter().flat_map(|attempt| &mut attempt.stages);
        if let Some((_, outcome)) = self.driver.iter_mut().chain(device).find(|(known, _)| *known == stage) {
            *outcome = result.map_or_else(Outcome::Failed, Outcome::Passed);
        }
    }

    /// Notes that the next stage failed.
    pub(crate) fn fail(&mut self, failure: Failure) {
        if let Some(stage) = self.next_stage() {
            self.record(stage, Err(failure));
        }
    }
}

/// 12020 as "12.2".
pub fn version_text(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}
