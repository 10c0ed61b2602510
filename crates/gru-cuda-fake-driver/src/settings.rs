//! What the environment variable `GRU_FAKE_DRIVER` asks for: `name=value`, joined by commas. Where a value is
//! meant for each device, `/` stands between the devices', and the last one holds for those that follow.
//!
//! | setting | meaning | without it |
//! |---|---|---|
//! | `version=11020` | CUDA version of the driver | 12000, the oldest that is supported |
//! | `init=999` | `cuInit` gives this code; `hang` never returns, `crash` ends the process, `stop` stops it | 0 |
//! | `devices=0` | number of devices; with none, `cuInit` says so | one for each `capability` |
//! | `count=0` | `cuDeviceGetCount` gives this number, whatever `cuInit` says | the number of devices |
//! | `capability=7.5/8.6` | compute capability of each device | 8.0 |
//! | `memory=1000000/2000000` | memory of each device, in bytes | 1 GiB |
//! | `largest=1000` | more bytes than this are not had in one piece | as many as are free |
//! | `context=46/0` | making a context on each device gives this code; `hang` never returns | 0 |
//! | `module=fail/0` | loading kernels on each gives this code; `fail` is 218, invalid PTX; `hang` | 0 |
//! | `module=fail-after-1` | after one module, every other that is loaded is invalid PTX | 0 |
//! | `clusters=0` | so many clusters are on a device at once, of whatever size; `refuse` refuses to tell | 16 |
//! | `large-clusters=refuse` | clusters of more than 8 blocks are refused | they may be asked for |
//! | `cooperative=refuse` | the device has no cooperative launches | it has |
//! | `graph=2` | making captured launches ready gives this code; `2-after-3` once three were made | 0 |
//! | `launch=refuse` | launches are refused; `fail` lets them break when they run, `fail-after-3` lets the device break when a graph is started once three were | they run |
//! | `kernel=wrong/right` | kernels of each device compute nothing | they compute |
//! | `log=FILE` | the name of every call is added to this file, `runs` and the name of every kernel that runs, and whatever is left behind | no log |

use crate::codes::{Code, INVALID_PTX};
use std::path::PathBuf;
use std::sync::OnceLock;

/// What `cuInit` does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    Gives(Code),
    Hangs,
    Crashes,
    /// The whole process stands still.
    Stops,
}

/// What a call that starts something does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    Gives(Code),
    Hangs,
}

/// How many clusters a device holds at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clusters {
    Fit(i32),
    AreNotTold,
}

/// What launches do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Launches {
    Run,
    Fail,
    /// The device breaks when a graph is started once so many were.
    FailAfter(usize),
    AreRefused,
}

/// A value for each device; the last one holds for those that follow.
#[derive(Clone, Debug)]
pub struct Each<T>(Vec<T>);

impl<T: Copy> Each<T> {
    /// The value of a device.
    pub fn of(&self, device: i32) -> T {
        let index = usize::try_from(device).unwrap_or(0).min(self.0.len() - 1);
        self.0[index]
    }
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub version: i32,
    pub init: Init,
    pub count: Option<i32>,
    pub capabilities: Vec<(i32, i32)>,
    pub memory: Each<usize>,
    pub largest: usize,
    pub context: Each<Start>,
    pub module: Each<Start>,
    /// How many modules are loaded before the others fail.
    pub modules: usize,
    pub clusters: Clusters,
    pub large_clusters: bool,
    pub cooperative: bool,
    /// The code, and how many graphs are made before.
    pub graph: (Code, usize),
    pub launches: Launches,
    pub computes: Each<bool>,
    pub log: Option<PathBuf>,
}

/// The settings, or what is wrong with them.
pub fn settings() -> Result<&'static Settings, &'static str> {
    static SETTINGS: OnceLock<Result<Settings, String>> = OnceLock::new();
    let settings = SETTINGS.get_or_init(|| parse(&std::env::var("GRU_FAKE_DRIVER").unwrap_or_default()));
    settings.as_ref().map_err(String::as_str)
}

fn parse(text: &str) -> Result<Settings, String> {
    let mut settings = Settings {
        version: 12_000,
        init: Init::Gives(0),
        count: None,
        capabilities: vec![(8, 0)],
        memory: Each(vec![1 << 30]),
        largest: usize::MAX,
        context: Each(vec![Start::Gives(0)]),
        module: Each(vec![Start::Gives(0)]),
        modules: usize::MAX,
        clusters: Clusters::Fit(16),
        large_clusters: true,
        cooperative: true,
        graph: (0, 0),
        launches: Launches::Run,
        computes: Each(vec![true]),
        log: None,
    };
    let mut devices = None;
    for setting in text.split(',').filter(|setting| !setting.is_empty()) {
        let wrong = || format!("GRU_FAKE_DRIVER: expected settings that it knows, received {setting}");
        let (name, value) = setting.split_once('=').ok_or_else(wrong)?;
        let number = || value.parse::<u32>().map_err(|_| wrong());
        match (name, value) {
            ("version", _) => settings.version = value.parse().map_err(|_| wrong())?,
            ("init", "hang") => settings.init = Init::Hangs,
            ("init", "crash") => settings.init = Init::Crashes,
            ("init", "stop") => settings.init = Init::Stops,
            ("init", _) => settings.init = Init::Gives(number()?),
            ("devices", _) => devices = Some(number()? as usize),
            ("count", _) => settings.count = Some(value.parse().map_err(|_| wrong())?),
            ("capability", _) => settings.capabilities = each(value, capability).ok_or_else(wrong)?.0,
            ("memory", _) => settings.memory = each(value, |one| one.parse().ok()).ok_or_else(wrong)?,
            ("largest", _) => settings.largest = value.parse().map_err(|_| wrong())?,
            ("context", _) => settings.context = each(value, start).ok_or_else(wrong)?,
            ("module", "fail-after-1") => settings.modules = 1,
            ("clusters", "refuse") => settings.clusters = Clusters::AreNotTold,
            ("clusters", _) => settings.clusters = Clusters::Fit(value.parse().map_err(|_| wrong())?),
            ("large-clusters", "refuse") => settings.large_clusters = false,
            ("cooperative", "refuse") => settings.cooperative = false,
            ("module", _) => settings.module = each(value, start).ok_or_else(wrong)?,
            ("graph", _) => {
                let (code, before) = value.split_once("-after-").unwrap_or((value, "0"));
                let parsed = code.parse().ok().zip(before.parse().ok());
                settings.graph = parsed.ok_or_else(wrong)?;
            }
            ("launch", "fail") => settings.launches = Launches::Fail,
            ("launch", "refuse") => settings.launches = Launches::AreRefused,
            ("launch", _) => {
                let before = value.strip_prefix("fail-after-").and_then(|number| number.parse().ok());
                settings.launches = Launches::FailAfter(before.ok_or_else(wrong)?);
            }
            ("kernel", _) => settings.computes = each(value, computes).ok_or_else(wrong)?,
            ("log", _) => settings.log = Some(value.into()),
            _ => return Err(wrong()),
        }
    }
    let last = settings.capabilities[settings.capabilities.len() - 1];
    settings.capabilities.resize(devices.unwrap_or(settings.capabilities.len()), last);
    Ok(settings)
}

/// A value for each device, `/` between them.
fn each<T>(text: &str, one: impl Fn(&str) -> Option<T>) -> Option<Each<T>> {
    text.split('/').map(one).collect::<Option<Vec<T>>>().map(Each)
}

fn start(text: &str) -> Option<Start> {
    match text {
        "hang" => Some(Start::Hangs),
        "fail" => Some(Start::Gives(INVALID_PTX)),
        code => code.parse().ok().map(Start::Gives),
    }
}

fn computes(text: &str) -> Option<bool> {
    match text {
        "right" => Some(true),
        "wrong" => Some(false),
        _ => None,
    }
}

fn capability(text: &str) -> Option<(i32, i32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
