//! What an open device does, call by call.

use crate::TIMING;
use crate::folder::{Folder, check_failure, line};
use gru_cuda::Precision;
use gru_cuda::recurrence::{Exchange, Persistent};

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
