//! Compiles the emulator, the product's kernels and the test kernels with the C++ compiler.

use std::env;
use std::path::{Path, PathBuf};

include!("tests/planted/faults.rs");
include!("tests/planted/persistent_faults.rs");

fn main() {
    // clippy links nothing, and its build scripts are not those of a build: the C++ would be compiled once more.
    let wrapper = env::var_os("RUSTC_WORKSPACE_WRAPPER").unwrap_or_default();
    if wrapper.to_string_lossy().contains("clippy-driver") {
        return;
    }
    let kernels = Path::new("../gru-cuda/kernels");
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        // Always: the kernels run tens of times slower without.
        .opt_level(2)
        // Lines, for what the sanitizers find.
        .debug(false)
        .flag("-g1")
        .warnings(true)
        .extra_warnings(true)
        .warnings_into_errors(true)
        // Kernels keep what gets its value later in a Register, which starts as NaN. Should one be forgotten, it
        // starts as a large number, and never as the 0 that would be right by chance.
        .flag_if_supported("-ftrivial-auto-var-init=pattern")
        // The emulator's state is read on every access: no call to find it in a shared library.
        .flag_if_supported("-ftls-model=initial-exec")
        // `#pragma unroll` is for nvcc.
        .flag("-Wno-unknown-pragmas")
        // .cu files are C++ here.
        .flag("-xc++")
        // Only where a kernel says fmaf, on every machine.
        .flag("-ffp-contract=off")
        .include("cpp")
        .include(kernels)
        // Kernels register themselves; nothing refers to them.
        .link_lib_modifier("+whole-archive");
    // Without the instruction, fmaf is a call, and products take half as long again. What is built here runs here.
    #[cfg(target_arch = "x86_64")]
    if env::var("TARGET") == env::var("HOST") && std::arch::is_x86_feature_detected!("fma") {
        build.flag("-mfma");
    }
    // Many, and each runs for a moment: what counts is how long they take to compile.
    let mut planted = build.clone();
    planted.opt_level(1).flag("-g0");
    build
        .files(files("cpp", "cpp"))
        .files(files("tests/kernels", "cu"))
        // The product's kernels, all of them.
        .file(kernels.join("module.cu"))
        .file(kernels.join("products_tf32.cu"))
        .file(kernels.join("products_bf16.cu"))
        .file(kernels.join("micro/module.cu"))
        .files(["cluster_", "words_"].map(|exchange| pairs_source(exchange, kernels)));
    if env::var_os("CARGO_FEATURE_SANITIZE").is_none() {
        planted.files(planted_sources(kernels)).compile("planted_kernels");
    } else {
        // Twice as fast to compile, and its tests are small.
        build.opt_level(1).flag("-fsanitize=address,undefined").flag("-fno-sanitize-recover=undefined");
        // rustc links with -nodefaultlibs, so that -fsanitize would bring no library; and the shared one would
        // have to stand first.
        let libraries = ["--whole-archive", "-l:libasan.a", "--no-whole-archive", "-l:libubsan.a"];
        println!("cargo:rustc-link-arg-tests=-Wl,{}", libraries.join(","));
        println!("cargo:rustc-link-arg-tests=-Wl,-lstdc++,-lpthread,-ldl,-lrt,-lm,-lgcc_s");
    }
    build.compile("emulated_kernels");
    println!("cargo:rerun-if-changed={}", kernels.display());
}

/// A source of all pairs of persistent kernels whose names begin like this: reading the headers takes the compiler longer
/// than one of them.
fn pairs_source(begin: &str, kernels: &Path) -> PathBuf {
    let names =
        files(kernels, "cu").into_iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_string()));
    let chosen = names.filter(|name| name.starts_with(begin));
    let includes: String = chosen.map(|name| format!("#include \"{name}\"\n")).collect();
    let source =
        PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join(format!("{begin}pairs.cu"));
    std::fs::write(&source, includes).expect("a source");
    source
}

/// Sources of every kernel with a fault, several in each, likewise.
fn planted_sources(kernels: &Path) -> Vec<PathBuf> {
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let faults: Vec<&PlantedFault> = FAULTS.iter().chain(&CLUSTER_FAULTS).chain(&WORDS_FAULTS).collect();
    let sources = faults.chunks(8).enumerate().map(|(number, faults)| {
        let texts: String = faults.iter().map(|fault| plant(fault, kernels, &folder)).collect();
        let source = folder.join(format!("planted_{number}.cu"));
        std::fs::write(&source, format!("#include \"device.cuh\"\n{texts}")).expect("a source");
        source
    });
    sources.collect()
}

/// Copies the kernels with the fault in them, into a folder below `out`, and gives what compiles the broken one from
/// there, in a namespace of its own, since its functions have the names of the right ones.
fn plant(fault: &PlantedFault, kernels: &Path, out: &Path) -> String {
    let PlantedFault { name, kernel, precision, file, right, wrong } = fault;
    let folder = out.join(name);
    std::fs::create_dir_all(&folder).expect("a folder for the copies");
    for path in files(kernels, "cu").into_iter().chain(files(kernels, "cuh")) {
        let path_name = path.file_name().expect("a file has a name");
        let mut text = std::fs::read_to_string(&path).expect("a source is text");
        if path_name == *file {
            assert_eq!(text.matches(right).count(), 1, "{name}: {file} holds once: {right}");
            text = text.replace(right, wrong);
        }
        // The compiler takes files of the same content for the same, so that `#pragma once` would leave out all but one.
        text += &format!("// {name}\n");
        if path_name != "device.cuh" {
            std::fs::write(folder.join(path_name), text).expect("a copy");
        }
    }
    let broken = match kernels.join(kernel).with_extension("cu").exists() {
        true => format!("#include \"{name}/{kernel}.cu\""),
        false => format!("#include \"{name}/{kernel}.cuh\"\n{}", product(kernel, precision, kernels)),
    };
    format!("#undef KERNEL_PREFIX\n#define KERNEL_PREFIX \"{name}/\"\nnamespace {name} {{\n{broken}\n}}\n")
}

/// What makes one product in one precision a kernel, without the others of its module.
fn product(kernel: &str, precision: &str, kernels: &Path) -> String {
    let module = kernels.join(format!("products_{precision}.cu"));
    let text = std::fs::read_to_string(&module).expect("a source is text");
    let begin = format!("KERNEL({kernel}_{precision},");
    let entry = text.lines().find(|line| line.starts_with(&begin));
    entry.unwrap_or_else(|| panic!("no {begin} in a line")).to_string()
}

/// The files of a folder with this extension, in the order of their names.
fn files(folder: impl AsRef<Path>, extension: &str) -> Vec<PathBuf> {
    let folder = folder.as_ref();
    println!("cargo:rerun-if-changed={}", folder.display());
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths
}
