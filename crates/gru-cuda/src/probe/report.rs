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
    /// The kernels load.
    Kernels,
    /// They compute what they should.
    SelfTest,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Library,
        Self::Version,
        Self::Functions,
        Self::Initialise,
        Self::Devices,
        Self::Device,
        Self::Capability,
        Self::Kernels,
        Self::SelfTest,
    ];

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
    /// A stage took longer than the probe waits.
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

/// What is known of the driver and its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Every stage of [`Stage::ALL`], in that order.
    pub stages: Vec<(Stage, Outcome)>,
    /// The CUDA version that the driver is for: 12020 is 12.2.
    pub driver_version: Option<i32>,
    /// All devices, of any age.
    pub devices: Vec<Found>,
    /// The number of the device asked for or, where none was, of the first that is new enough.
    pub chosen: Option<usize>,
    /// The PTX that the device loads.
    pub ptx: Option<&'static str>,
}

impl Report {
    /// A report in which no stage was reached.
    pub(crate) fn new() -> Self {
        Self {
            stages: Stage::ALL.map(|stage| (stage, Outcome::NotReached)).to_vec(),
            driver_version: None,
            devices: Vec::new(),
            chosen: None,
            ptx: None,
        }
    }

    /// The stage that failed, if one did.
    pub fn failure(&self) -> Option<(Stage, &Failure)> {
        self.stages.iter().find_map(|(stage, outcome)| match outcome {
            Outcome::Failed(failure) => Some((*stage, failure)),
            _ => None,
        })
    }

    /// Whether every stage was reached and holds.
    pub fn passed(&self) -> bool {
        self.stages.iter().all(|(_, outcome)| matches!(outcome, Outcome::Passed(_)))
    }

    /// The first stage that was not reached.
    pub fn next_stage(&self) -> Option<Stage> {
        let next = self.stages.iter().find(|(_, outcome)| *outcome == Outcome::NotReached);
        next.map(|(stage, _)| *stage)
    }

    /// Notes how a stage ended: what was found, or what failed.
    pub fn record(&mut self, stage: Stage, result: Result<String, Failure>) {
        for (known, outcome) in &mut self.stages {
            if *known == stage {
                *outcome = match &result {
                    Ok(detail) => Outcome::Passed(detail.clone()),
                    Err(failure) => Outcome::Failed(failure.clone()),
                };
            }
        }
    }
}

/// 12020 as "12.2".
pub fn version_text(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}
