//! Passes napi's linker settings to the addon, and tells it how it is built.

use std::process::Command;

fn main() {
    napi_build::setup();
    for name in ["TARGET", "PROFILE"] {
        println!("cargo::rustc-env=GRU_NATIVE_{name}={}", variable(name));
    }
    println!("cargo::rustc-env=GRU_NATIVE_RUSTC={}", compiler_version());
}

/// A variable that Cargo sets for every build script.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|error| panic!("expected cargo to set {name}, received: {error}"))
}

/// The compiler's version without its commit and date, such as `1.89.0`.
fn compiler_version() -> String {
    let said = Command::new(variable("RUSTC")).arg("--version").output().map(|output| output.stdout);
    let said = said.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    said.split_whitespace().nth(1).unwrap_or("unknown").to_owned()
}
