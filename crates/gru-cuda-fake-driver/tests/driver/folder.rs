//! A folder with a driver library of its own, and what `try-driver` prints with it.

use std::path::PathBuf;
use std::process::{Command, Output};

/// The fake driver, which cargo builds beside this test.
pub fn fake_driver() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let library = test.parent().unwrap().join("libfake_cuda.so");
    assert!(library.is_file(), "expected the fake driver at {}", library.display());
    library
}

/// The names that a driver is looked for under, in the order of cudarc: where only the usual one were taken, a
/// machine with NVIDIA's driver could answer to the other.
const NAMES: [&str; 2] = ["libcuda.so", "libcuda.so.1"];

/// A folder with a driver library of its own.
pub struct Folder(PathBuf);

impl Folder {
    pub fn empty(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("gru-fake-driver-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// With the fake driver as it is.
    pub fn new(name: &str) -> Self {
        let folder = Self::empty(name);
        folder.install(&std::fs::read(fake_driver()).unwrap());
        folder
    }

    /// With the fake driver, one function's name overwritten.
    pub fn without(name: &str, function: &str) -> Self {
        let folder = Self::empty(name);
        folder.install(&without(&std::fs::read(fake_driver()).unwrap(), function));
        folder
    }

    /// Puts these bytes where the driver is looked for.
    pub fn install(&self, library: &[u8]) {
        for name in NAMES {
            std::fs::write(self.0.join(name), library).unwrap();
        }
    }

    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    pub fn output(&self, settings: &str, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_try-driver"))
            .args(arguments)
            .env("LD_LIBRARY_PATH", &self.0)
            .env("GRU_FAKE_DRIVER", settings)
            .output()
            .unwrap()
    }

    pub fn run(&self, settings: &str, arguments: &[&str]) -> String {
        let output = self.output(settings, arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", output.status);
        assert!(!errors.contains("left behind"), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The library's bytes with a function's name changed wherever it stands as a whole.
pub fn without(library: &[u8], function: &str) -> Vec<u8> {
    let name = [b"\0", function.as_bytes(), b"\0"].concat();
    let mut bytes = library.to_vec();
    let mut begin = 0;
    while let Some(found) = bytes[begin..].windows(name.len()).position(|window| window == name) {
        begin += found + 1;
        bytes[begin] = b'?';
    }
    assert!(begin > 0, "{function} is not in the library");
    bytes
}

/// The line of a stage or step.
pub fn line<'a>(output: &'a str, name: &str) -> &'a str {
    let found = output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no line {name} in\n{output}"))
}

/// Checks that `stage` fails with this code and words, and that no later one was reached.
pub fn check_failure(output: &str, stage: &str, code: &str, words: &str) {
    let failure = line(output, stage);
    assert!(failure.starts_with(&format!("{code}: ")) && failure.contains(words), "{stage}: {failure}");
    let facts = ["listed ", "tried ", "summary: "];
    let stages = output.lines().take_while(|line| !facts.iter().any(|fact| line.starts_with(fact)));
    let stage = format!("{stage}: ");
    for later in stages.skip_while(|line| !line.starts_with(&stage)).skip(1) {
        assert!(later.ends_with(": not reached"), "{later}");
    }
}
