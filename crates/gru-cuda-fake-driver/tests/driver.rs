//! The way to a GPU, with a driver library for every way in which it can end. Each test runs `try-driver` as a
//! process of its own with a library path of its own, since a process loads one driver for good.
#![cfg(target_os = "linux")]

use gru_cuda::Precision;
use gru_cuda::probe::REQUIRED;
use gru_cuda::recurrence::{Exchange, Persistent};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The function that only the timing of launches calls.
const TIMING: &str = "cuEventElapsedTime";

/// The fake driver, which cargo builds beside this test.
fn fake_driver() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let library = test.parent().unwrap().join("libfake_cuda.so");
    assert!(library.is_file(), "expected the fake driver at {}", library.display());
    library
}

/// The names that a driver is looked for under, in the order of cudarc: where only the usual one were taken, a
/// machine with NVIDIA's driver could answer to the other.
const NAMES: [&str; 2] = ["libcuda.so", "libcuda.so.1"];

/// A folder with a driver library of its own.
struct Folder(PathBuf);

impl Folder {
    fn empty(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("gru-fake-driver-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// With the fake driver as it is.
    fn new(name: &str) -> Self {
        let folder = Self::empty(name);
        folder.install(&std::fs::read(fake_driver()).unwrap());
        folder
    }

    /// With the fake driver, one function's name overwritten.
    fn without(name: &str, function: &str) -> Self {
        let folder = Self::empty(name);
        folder.install(&without(&std::fs::read(fake_driver()).unwrap(), function));
        folder
    }

    /// Puts these bytes where the driver is looked for.
    fn install(&self, library: &[u8]) {
        for name in NAMES {
            std::fs::write(self.0.join(name), library).unwrap();
        }
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    fn output(&self, settings: &str, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_try-driver"))
            .args(arguments)
            .env("LD_LIBRARY_PATH", &self.0)
            .env("GRU_FAKE_DRIVER", settings)
            .output()
            .unwrap()
    }

    fn run(&self, settings: &str, arguments: &[&str]) -> String {
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
fn without(library: &[u8], function: &str) -> Vec<u8> {
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
fn line<'a>(output: &'a str, name: &str) -> &'a str {
    let found = output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no line {name} in\n{output}"))
}

/// Checks that `stage` fails with this code and words, and that no later one was reached.
fn check_failure(output: &str, stage: &str, code: &str, words: &str) {
    let failure = line(output, stage);
    assert!(failure.starts_with(&format!("{code}: ")) && failure.contains(words), "{stage}: {failure}");
    let facts = ["listed ", "tried ", "summary: "];
    let stages = output.lines().take_while(|line| !facts.iter().any(|fact| line.starts_with(fact)));
    let stage = format!("{stage}: ");
    for later in stages.skip_while(|line| !line.starts_with(&stage)).skip(1) {
        assert!(later.ends_with(": not reached"), "{later}");
    }
}

#[test]
fn every_stage_passes_with_the_fake_driver() {
    let folder = Folder::new("passes");
    let output = folder.run("devices=2", &["stages"]);
    assert!(line(&output, "driver library").starts_with("passed: libcuda.so"), "{output}");
    assert_eq!(line(&output, "driver version"), "passed: 12.0");
    assert_eq!(line(&output, "devices"), "passed: 2");
    assert_eq!(line(&output, "device"), "passed: 0: fake GPU 0");
    assert_eq!(line(&output, "compute capability"), "passed: 8.0");
    assert!(line(&output, "context").starts_with("passed: made in "), "{output}");
    assert!(line(&output, "kernels").starts_with("passed: gru_sm80 in "), "{output}");
    assert!(line(&output, "self-test").starts_with("passed: "), "{output}");
    assert_eq!(line(&output, "listed 1"), "fake GPU 1, 8.0, 1073741824 bytes");
    assert!(
        output.ends_with(
            "summary: CUDA Some(12000), chosen Some(0), ptx Some(\"gru_sm80 + words_fp32_128\")\n"
        ),
        "{output}"
    );
}

/// Kernels in clusters are for devices and drivers that have them, others get those that exchange words; where neither
/// load, the plain ones do.
#[test]
fn clusters_are_for_new_devices_and_any_persistent_kernel_may_be_missing() {
    let folder = Folder::new("modules");
    let loaded = |settings: &str| {
        let output = folder.run(settings, &["stages"]);
        assert!(line(&output, "kernels").starts_with("passed: gru_sm80 in "), "{output}");
        let test = line(&output, "self-test").split_once(" in fp32 by ").expect(&output).1;
        let (ptx, missing) = test.split_once("; ").unwrap_or((test, ""));
        assert!(output.ends_with(&format!("ptx Some({ptx:?})\n")), "{output}");
        (ptx.to_string(), missing.to_string())
    };
    // The self-test's network has few hidden units.
    let [clusters, words] = [Exchange::Cluster, Exchange::Words].map(|exchange| {
        let wanted = |pair: &Persistent| (pair.exchange, pair.precision) == (exchange, Precision::Fp32);
        Persistent::all().find(wanted).unwrap().name()
    });
    for (settings, smallest) in [
        ("capability=9.0,version=12010", clusters),
        ("capability=12.0,version=13000", clusters),
        ("capability=9.0,version=12000", words),
        ("capability=8.9,version=13000", words),
    ] {
        assert_eq!(loaded(settings), (format!("gru_sm80 + {smallest}"), String::new()), "{settings}");
    }
    assert_eq!(loaded("cooperative=refuse").1, "");
    let (ptx, missing) = loaded("capability=9.0,version=12010,module=fail-after-1");
    assert_eq!(ptx, "gru_sm80");
    for smallest in [clusters, words] {
        let refused = format!("without {smallest}: expected the driver to load {smallest}, received ");
        assert!(missing.contains(&(refused + "CUDA_ERROR_INVALID_PTX (218)")), "{missing}");
    }
    assert!(missing.contains("ptxas fatal: asked to fail"), "{missing}");
}

#[test]
fn persistent_kernels_run_where_the_device_holds_their_groups() {
    let folder = Folder::new("residency");
    let resident = |settings: &str, kernel: &str| {
        let output = folder.run(settings, &["residency"]);
        line(&output, kernel).parse::<u32>().unwrap_or_else(|_| panic!("no number for {kernel} in\n{output}"))
    };
    const NEW: &str = "capability=9.0,version=12010";
    let pairs = |exchange| Persistent::all().filter(move |pair| pair.exchange == exchange);
    let largest = pairs(Exchange::Cluster).max_by_key(|pair| pair.blocks()).unwrap();
    assert!(largest.blocks() > 8, "the large clusters are tried below");
    for pair in Persistent::all() {
        for name in [pair.forward_name(), pair.backward_name()] {
            let groups = match pair.exchange {
                Exchange::Cluster => 3,
                // The fake device has so many multiprocessors, and each takes one block.
                Exchange::Words => 108 / pair.blocks() as u32,
            };
            assert_eq!(resident(&format!("{NEW},clusters=3"), name), groups, "{name}");
        }
    }
    let words = pairs(Exchange::Words).next().unwrap().forward_name();
    assert_eq!(resident("capability=8.0,version=12000", words), 27);
    assert_eq!(resident("capability=8.0,version=12000,cooperative=refuse", words), 0);
    let [small, large] = [pairs(Exchange::Cluster).next().unwrap(), largest].map(Persistent::forward_name);
    assert_eq!(resident(NEW, "carry_state"), 0);
    assert_eq!(resident(&format!("{NEW},clusters=refuse"), small), 0);
    assert_eq!(resident(&format!("{NEW},large-clusters=refuse"), small), 16);
    assert_eq!(resident(&format!("{NEW},large-clusters=refuse"), large), 0);
    assert_eq!(resident(&format!("{NEW},module=fail-after-1"), small), 0);
    assert_eq!(resident("capability=8.0,version=12010", small), 0);
}

/// Whether the system has a driver of its own, which no folder can hide.
fn system_has_a_driver() -> bool {
    let listed = Command::new("ldconfig").arg("-p").output();
    listed.is_ok_and(|listed| String::from_utf8_lossy(&listed.stdout).contains("libcuda.so"))
}

#[test]
fn without_a_library_there_is_no_driver() {
    let folder = Folder::empty("absent");
    if !system_has_a_driver() {
        check_failure(&folder.run("", &["stages"]), "driver library", "NO_DRIVER", "is not found");
    }
    // A library that is there and does not load: the loader's words.
    folder.install(b"");
    check_failure(&folder.run("", &["stages"]), "driver library", "NO_DRIVER", "file too short");
    folder.install("not a library, but a text ".repeat(100).as_bytes());
    check_failure(&folder.run("", &["stages"]), "driver library", "NO_DRIVER", "invalid ELF header");
}

#[test]
fn a_library_that_is_no_driver_is_a_bad_one() {
    let folder = Folder::empty("other");
    let other = ["/lib64/libm.so.6", "/lib/x86_64-linux-gnu/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6"];
    let other = other.iter().map(Path::new).find(|path| path.is_file()).expect("a system library");
    folder.install(&std::fs::read(other).unwrap());
    check_failure(&folder.run("", &["stages"]), "driver version", "BAD_DRIVER", "cuDriverGetVersion");
}

#[test]
fn every_missing_function_is_named_before_it_is_called() {
    let folder = Folder::empty("missing");
    let library = std::fs::read(fake_driver()).unwrap();
    for function in REQUIRED {
        folder.install(&without(&library, function));
        let stage = if function == "cuDriverGetVersion" { "driver version" } else { "driver functions" };
        check_failure(&folder.run("", &["within", "30"]), stage, "BAD_DRIVER", function);
    }
}

/// Everything that is called on the whole way is in the table that the probe looks through, or is timing; and
/// everything in the table is called.
#[test]
fn the_table_of_functions_is_complete() {
    let folder = Folder::new("table");
    let settings = format!("log={}", folder.log().display());
    folder.run(&settings, &["stages"]);
    folder.run(&settings, &["device"]);
    folder.run(&settings, &["branches"]);
    folder.run(&format!("capability=9.0,version=12010,{settings}"), &["residency"]);
    let log = std::fs::read_to_string(folder.log()).unwrap();
    let mut called: Vec<&str> = log.lines().filter(|line| line.starts_with("cu")).collect();
    called.sort_unstable();
    called.dedup();
    let mut known: Vec<&str> = REQUIRED.into_iter().chain([TIMING]).collect();
    known.sort_unstable();
    assert_eq!(called, known);
}

#[test]
fn each_stage_has_its_reason() {
    let folder = Folder::new("stages");
    let cases = [
        ("version=11020", "driver version", "DRIVER_TOO_OLD", "one for CUDA 11.2"),
        ("init=999", "initialisation", "INIT_FAILED", "CUDA_ERROR_UNKNOWN (999)"),
        ("init=803", "initialisation", "INIT_FAILED", "restart the machine"),
        ("init=4321", "initialisation", "INIT_FAILED", "code 4321"),
        ("init=34", "initialisation", "STUB_LIBRARY", "LD_LIBRARY_PATH"),
        ("init=100", "initialisation", "NO_DEVICE", "CUDA_VISIBLE_DEVICES"),
        ("devices=0", "initialisation", "NO_DEVICE", "CUDA_ERROR_NO_DEVICE (100)"),
        ("count=0", "devices", "NO_DEVICE", "expected a CUDA device, received none"),
        ("capability=7.5", "compute capability", "TOO_OLD_DEVICE", "7.5 (fake GPU 0)"),
        ("context=2", "context", "OUT_OF_MEMORY", "CUDA_ERROR_OUT_OF_MEMORY (2)"),
        ("context=46", "context", "INIT_FAILED", "another program holds the device"),
        ("module=fail", "kernels", "KERNEL_LOAD_FAILED", "ptxas fatal: asked to fail"),
        ("module=222", "kernels", "KERNEL_LOAD_FAILED", "install a newer NVIDIA driver"),
        ("module=2", "kernels", "OUT_OF_MEMORY", "CUDA_ERROR_OUT_OF_MEMORY (2)"),
        ("memory=1000", "self-test", "OUT_OF_MEMORY", "1000"),
        ("graph=2", "self-test", "OUT_OF_MEMORY", "launches"),
        ("launch=fail", "self-test", "SELF_TEST_FAILED", "CUDA_ERROR_LAUNCH_FAILED (719)"),
        ("launch=refuse", "self-test", "SELF_TEST_FAILED", "begin_update"),
        ("kernel=wrong", "self-test", "SELF_TEST_FAILED", "relative error"),
    ];
    for (settings, stage, code, words) in cases {
        let output = folder.run(settings, &["stages"]);
        check_failure(&output, stage, code, words);
        // What it says of the self-test's network it does not say of the user's.
        assert!(!output.contains("--batch-size"), "{output}");
    }
}

#[test]
fn chooses_the_device() {
    let folder = Folder::new("choice");
    let output = folder.run("capability=7.5/8.6", &["stages"]);
    assert_eq!(line(&output, "device"), "passed: 1: fake GPU 1");
    assert!(line(&output, "self-test").starts_with("passed: "), "{output}");
    let output = folder.run("capability=7.5/8.6", &["stages", "0"]);
    check_failure(&output, "compute capability", "TOO_OLD_DEVICE", "7.5 (fake GPU 0)");
    let output = folder.run("capability=7.5/8.6", &["stages", "2"]);
    check_failure(&output, "device", "NO_SUCH_DEVICE", "expected a device number from 0 to 1, received 2");
}

/// The first device that passes every stage, whatever the ones before it fail at; each tells its own stages.
#[test]
fn goes_on_to_the_next_device() {
    let folder = Folder::new("next");
    for (settings, stage, code) in [
        ("devices=2,context=46/0", "context", "INIT_FAILED"),
        ("devices=2,module=fail/0", "kernels", "KERNEL_LOAD_FAILED"),
        ("devices=2,kernel=wrong/right", "self-test", "SELF_TEST_FAILED"),
        ("devices=2,memory=1000/1000000000", "self-test", "OUT_OF_MEMORY"),
    ] {
        let output = folder.run(settings, &["stages"]);
        let failure = line(&output, &format!("tried 0: {stage}"));
        assert!(failure.starts_with(code), "{output}");
        assert_eq!(line(&output, "device"), "passed: 1: fake GPU 1", "{output}");
        assert!(line(&output, "tried 1: self-test").starts_with("passed: "), "{output}");
        assert!(output.contains("chosen Some(1)"), "{output}");
        // One that is named is the only one tried.
        check_failure(&folder.run(settings, &["stages", "0"]), stage, code, "");
    }
    // Of several that fail, the one that came farthest is told of first.
    let output = folder.run("devices=3,context=46/0,kernel=right/wrong/wrong", &["stages"]);
    check_failure(&output, "self-test", "SELF_TEST_FAILED", "relative error");
    assert_eq!(line(&output, "device"), "passed: 1: fake GPU 1", "{output}");
    assert!(output.contains("chosen None"), "{output}");
}

#[test]
fn a_driver_that_hangs_is_left_behind() {
    let folder = Folder::new("hangs");
    for (settings, stage) in
        [("init=hang", "initialisation"), ("context=hang", "context"), ("module=hang", "kernels")]
    {
        let output = folder.run(settings, &["within", "2"]);
        check_failure(&output, stage, "TIMED_OUT", "an answer of the driver within 2 s, received none");
    }
}

/// What the probe cannot survive, another process can tell of.
#[test]
fn a_driver_that_crashes_ends_its_process_only() {
    let folder = Folder::new("crashes");
    let output = folder.output("init=crash", &["within", "30"]);
    assert!(!output.status.success());
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let folder = Folder::new("settings");
    let output = folder.output("memmory=1", &["within", "30"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("memmory=1"));
    check_failure(&String::from_utf8(output.stdout).unwrap(), "driver version", "INIT_FAILED", "code 1");
}

/// Products on tensor cores are loaded before they are launched; nothing stands in for those that do not load.
#[test]
fn products_of_a_precision_are_loaded_when_they_are_launched() {
    let folder = Folder::new("products");
    let loaded = folder.run("", &["products"]);
    let missing = folder.run("module=fail-after-1", &["products"]);
    // A network's products are loaded at the stage of the kernels, which fails without them.
    for precision in [Precision::Tf32, Precision::Bf16].map(Precision::name) {
        let opened = folder.run("", &["precision", precision]);
        let kernels = line(&opened, "kernels");
        assert!(kernels.starts_with(&format!("passed: gru_sm80 + products_{precision} in ")), "{kernels}");
        assert!(line(&opened, "self-test").starts_with("passed: "), "{opened}");
        let refused = folder.run("module=fail-after-1", &["precision", precision]);
        let words = format!("expected the driver to load products_{precision}");
        check_failure(&refused, "kernels", "KERNEL_LOAD_FAILED", &words);
    }
    for way in ["time", "capture", "run"] {
        let fp32 = format!("{way} fp32");
        assert_eq!((line(&loaded, &fp32), line(&missing, &fp32)), ("\"gru_sm80\"", "\"gru_sm80\""));
        for precision in [Precision::Tf32, Precision::Bf16].map(Precision::name) {
            let name = format!("{way} {precision}");
            assert_eq!(line(&loaded, &name), format!("\"gru_sm80 + products_{precision}\""));
            let refused = line(&missing, &name);
            assert!(refused.contains(&format!("launch hidden_gradient_{precision} in 1 x 1")), "{refused}");
            let why =
                format!("; without products_{precision}: expected the driver to load products_{precision},");
            assert!(refused.contains(&why), "{refused}");
        }
    }
}

#[test]
fn the_device_does_what_its_contract_says() {
    let folder = Folder::new("device");
    let settings = format!("memory=100000,log={}", folder.log().display());
    let output = folder.run(&settings, &["device"]);
    let expected = "\
kernels: 13
free: 100000
too much: error: expected 72057594037927935 bytes of free device memory, received 100000
allocate: true
free after: 34464
write: ()
write zeros: ()
";
    assert!(output.starts_with(expected), "{output}");
    for step in ["write past the end", "read elsewhere", "read freed memory"] {
        assert!(line(&output, step).contains("not within memory that was allocated on it"), "{output}");
    }
    for step in ["run computes", "graph computes"] {
        assert_eq!(line(&output, step), "true");
    }
    // A captured launch does not run until it is started.
    assert_eq!(line(&output, "capture computes"), "false");
    assert_eq!(line(&output, "capture"), "0");
    assert!(line(&output, "start an unknown graph").contains("0 graphs are captured"), "{output}");
    assert!(line(&output, "start a forgotten graph").contains("0 graphs are captured"), "{output}");
    let refused = line(&output, "capture a launch without blocks");
    assert!(refused.contains("launch carry_state in 0 x 1 blocks, received: CUDA_ERROR_INVALID_VALUE (1)"));
    for step in ["run", "start a graph", "wait", "run after it", "run elsewhere", "wait elsewhere"] {
        assert_eq!(line(&output, step), "()", "{step}");
    }
    let missing = line(&output, "run what is not loaded");
    assert!(missing.ends_with("received: gru_sm80 without that kernel"), "{missing}");
    assert_eq!(line(&output, "time"), "2");
    assert!(output.ends_with("capture again: 0\nend\n"), "{output}");

    // Between begin and end of a capture of one branch there is nothing but launches, a graph is uploaded before it is
    // started, and things go back in their order.
    let log = std::fs::read_to_string(folder.log()).unwrap();
    let is_call = |line: &&str| line.starts_with("cu") && *line != "cuCtxSetCurrent";
    let calls: Vec<&str> = log.lines().filter(is_call).collect();
    let captured = [
        "cuStreamBeginCapture_v2",
        "cuLaunchKernel",
        "cuLaunchKernel",
        "cuStreamEndCapture",
        "cuGraphInstantiateWithFlags",
        "cuGraphUpload",
        "cuGraphDestroy",
    ];
    assert!(calls.windows(captured.len()).any(|window| window == captured), "{log}");
    let dropped = [
        "cuStreamSynchronize",
        "cuGraphExecDestroy",
        "cuMemFree_v2",
        "cuModuleUnload",
        "cuStreamDestroy_v2",
        "cuStreamDestroy_v2",
        "cuEventDestroy_v2",
        "cuEventDestroy_v2",
        "cuDevicePrimaryCtxRelease_v2",
    ];
    assert!(calls.ends_with(&dropped), "{log}");
}

/// The driver here does what two branches do at the same time in one order and in the other by turns.
#[test]
fn launches_wait_for_what_their_order_says_and_for_nothing_else() {
    let folder = Folder::new("branches");
    let output = folder.run("", &["branches"]);
    for way in ["run", "graph of"] {
        let seen = |orders: &str| line(&output, &format!("{way} {orders}"));
        for ordered in ["next next next", "next beside join", "beside beside join", "next join join"] {
            assert_eq!(seen(ordered), "[2.0, 2.0, 2.0, 2.0]", "{way} {ordered}");
        }
        // The second launch does not wait for the one beside it; the last one waits for both.
        let either = seen("beside next join");
        assert!(["[1.0, 2.0, 1.0, 2.0]", "[2.0, 1.0, 2.0, 1.0]"].contains(&either), "{way}: {either}");
    }
    for step in ["run without a join", "capture without a join"] {
        assert!(line(&output, step).ends_with("received: carry_state beside them to the end"), "{output}");
    }
    for step in ["run what is refused", "capture what is refused"] {
        assert!(line(&output, step).contains("launch carry_state in 0 x 1 blocks, received: "), "{output}");
    }
    assert_eq!(line(&output, "left by what is refused"), "[(true, 0.0), (true, 0.0)]");
    assert_eq!(line(&output, "wait"), "()");
    assert_eq!(line(&output, "time"), "3");
    assert!(output.ends_with("\nend\n"), "{output}");
}

#[test]
fn a_broken_launch_shows_at_the_next_wait() {
    let folder = Folder::new("broken");
    let output = folder.run("launch=fail", &["device"]);
    assert_eq!(line(&output, "run"), "()");
    let error = line(&output, "run computes");
    assert!(error.contains("CUDA_ERROR_LAUNCH_FAILED (719), unspecified launch failure; "), "{error}");
    // From there on everything fails, and nothing crashes.
    assert!(line(&output, "wait elsewhere").contains("CUDA_ERROR_LAUNCH_FAILED (719)"), "{output}");
    assert!(output.ends_with("\nend\n"), "{output}");
}

#[test]
fn a_graph_that_does_not_fit_is_out_of_memory() {
    let folder = Folder::new("graph");
    let output = folder.run("graph=2", &["device"]);
    let error = line(&output, "capture");
    let words = "expected device memory for a graph of 2 launches, received none with 1073676288 bytes free";
    assert!(error.ends_with(words), "{error}");
    assert_eq!(line(&output, "run after it"), "()");
}

/// cudarc panics where a function is missing. Only that of the timing gets that far, since the probe looks for
/// all others.
#[test]
fn a_panic_of_cudarc_is_an_error() {
    let folder = Folder::without("panic", TIMING);
    let output = folder.run("", &["device"]);
    let error = line(&output, "time");
    assert!(error.contains("expected the device to time launches, received: PANIC: "), "{error}");
    assert!(error.contains(TIMING), "{error}");
    assert_eq!(line(&output, "run elsewhere"), "()");
    assert!(output.ends_with("\nend\n"), "{output}");
}
