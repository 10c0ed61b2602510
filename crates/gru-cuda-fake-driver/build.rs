//! Leaves debug information out of the library: tests copy it, and it shrinks from 38 MB to 1 MB.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-link-arg-cdylib=-Wl,--strip-debug");
    }
}
