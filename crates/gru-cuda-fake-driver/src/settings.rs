//! What the environment variable `GRU_FAKE_DRIVER` asks for: `name=value`, joined by commas.
//!
//! | setting | meaning | without it |
//! |---|---|---|
//! | `version=11020` | CUDA version of the driver | 12000, the oldest that is supported |
//! | `init=999` | `cuInit` gives this code; `hang` never returns, `crash` ends the process | 0 |
//! | `devices=0` | number of devices | one for each `capability` |
//! | `capability=7.5/8.6` | compute capability of each device | 8.0 |
//! | `memory=1000000` | memory of each device, in bytes | 1 GiB |
//! | `context=2` | making a context gives this code | 0 |
//! | `module=fail` | loading kernels gives this code; `fail` is 218, invalid PTX | 0 |
//! | `graph=2` | making captured launches ready gives this code | 0 |
//! | `launch=refuse` | launches are refused; `fail` lets them break when they run | they run |
//! | `kernel=wrong` | kernels compute nothing | they compute |
//! | `log=FILE` | the name of every call is added to this file, and whatever is left behind | no log |

use crate::codes::{Code, INVALID_PTX};
use std::path::PathBuf;
use std::sync::OnceLock;

/// What `cuInit` does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    Gives(Code),
    Hangs,
    Crashes,
}

/// What launches do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Launches {
    Run,
    ComputeNothing,
    Fail,
    AreRefused,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub version: i32,
    pub init: Init,
    pub capabilities: Vec<(i32, i32)>,
    pub memory: usize,
    pub context: Code,
    pub module: Code,
    pub graph: Code,
    pub launches: Launches,
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
        capabilities: vec![(8, 0)],
        memory: 1 << 30,
        context: 0,
        module: 0,
        graph: 0,
        launches: Launches::Run,
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
            ("init", _) => settings.init = Init::Gives(number()?),
            ("devices", _) => devices = Some(number()? as usize),
            ("capability", _) => {
                settings.capabilities = value
                    .split('/')
                    .map(|one| capability(one).ok_or_else(wrong))
                    .collect::<Result<_, _>>()?;
            }
            ("memory", _) => settings.memory = value.parse().map_err(|_| wrong())?,
            ("context", _) => settings.context = number()?,
            ("module", "fail") => settings.module = INVALID_PTX,
            ("module", _) => settings.module = number()?,
            ("graph", _) => settings.graph = number()?,
            ("launch", "fail") => settings.launches = Launches::Fail,
            ("launch", "refuse") => settings.launches = Launches::AreRefused,
            ("kernel", "wrong") => settings.launches = Launches::ComputeNothing,
            ("log", _) => settings.log = Some(value.into()),
            _ => return Err(wrong()),
        }
    }
    let last = settings.capabilities[settings.capabilities.len() - 1];
    settings.capabilities.resize(devices.unwrap_or(settings.capabilities.len()), last);
    Ok(settings)
}

fn capability(text: &str) -> Option<(i32, i32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
