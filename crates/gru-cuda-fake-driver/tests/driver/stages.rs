//! The way to a GPU, stage by stage, and every way in which it can end.

use crate::TIMING;
use crate::folder::{Folder, check_failure, fake_driver, line, without};
use gru_cuda::Precision;
use gru_cuda::probe::REQUIRED;
use gru_cuda::recurrence::{Exchange, Persistent};
use std::path::Path;
use std::process::Command;

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
    // Clusters that are loaded and that the device does not hold: words are tried next.
    let (ptx, _) = loaded("capability=9.0,version=12010,clusters=refuse");
    assert!(ptx.contains(clusters) && ptx.ends_with(words), "{ptx}");
    assert_eq!(loaded("cooperative=refuse").1, "");
    let (ptx, missing) = loaded("capability=9.0,version=12010,module=fail-after-1");
    assert_eq!(ptx, "gru_sm80");
    for smallest in [clusters, words] {
        let refused = format!("without {smallest}: expected the driver to load {smallest}, received ");
        assert!(missing.contains(&(refused + "CUDA_ERROR_INVALID_PTX (218)")), "{missing}");
    }
    assert!(missing.contains("ptxas fatal: asked to fail"), "{missing}");
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
