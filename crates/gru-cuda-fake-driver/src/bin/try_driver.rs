//! Goes the way to a GPU with whatever driver the library path holds, and prints what it met, a line each. The
//! tests of this crate run it with drivers that fail in every way; it works with a real one too.
//!
//! - `try-driver stages [INDEX]`: every stage up to the self-test.
//! - `try-driver precision fp32|tf32|bf16`: the same, for a network of that precision.
//! - `try-driver within SECONDS`: the same, with that much patience for each stage.
//! - `try-driver residency`: how many groups of each persistent kernel device 0 holds at once.
//! - `try-driver products`: what becomes of a product of each precision where it is timed, captured and run.
//! - `try-driver branches`: what comes of two launches to the same place, one beside the other.
//! - `try-driver device`: what the [`Device`] of device 0 does, call by call.

use gru_core::Error;
use gru_cuda::device::{Launch, Order};
use gru_cuda::driver::Driver;
use gru_cuda::probe::{Outcome, Outcomes, Report};
use gru_cuda::recurrence::Persistent;
use gru_cuda::search::{patience, search};
use gru_cuda::self_test::Subject;
use gru_cuda::task::{Region, Task};
use gru_cuda::{Device, Kernel, Precision};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["stages"] => print_report(&gru_cuda::examine(None)),
        ["stages", index] => match index.parse() {
            Ok(index) => print_report(&gru_cuda::examine(Some(index))),
            Err(_) => return usage(),
        },
        ["precision", name] => match Precision::ALL.into_iter().find(|precision| precision.name() == name) {
            Some(precision) => {
                let wanted = AtomicBool::new(false);
                print_report(
                    &search(None, Subject { precision, ..Subject::default() }, patience(), &wanted, |_| {
                        Ok(())
                    })
                    .report,
                );
            }
            None => return usage(),
        },
        ["within", seconds] => match seconds.parse() {
            Ok(seconds) => print_report(&gru_cuda::examine_within(None, Duration::from_secs_f64(seconds))),
            Err(_) => return usage(),
        },
        ["residency"] => print_residency(),
        ["products"] => try_products(),
        ["branches"] => try_branches(),
        ["device"] => try_device(),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!(
        "expected stages [INDEX], precision NAME, within SECONDS, residency, products, branches or device"
    );
    ExitCode::from(2)
}

fn print_report(report: &Report) {
    print_stages("", &report.stages());
    for device in &report.devices {
        let (major, minor) = device.capability;
        println!("listed {}: {}, {major}.{minor}, {} bytes", device.index, device.name, device.memory);
    }
    for attempt in &report.attempts {
        print_stages(&format!("tried {}: ", attempt.index), &attempt.stages);
    }
    println!("summary: CUDA {:?}, chosen {:?}, ptx {:?}", report.cuda_version, report.chosen, report.ptx);
}

fn print_stages(before: &str, stages: &Outcomes) {
    for (stage, outcome) in stages {
        let stage = stage.name();
        match outcome {
            Outcome::Passed(detail) => println!("{before}{stage}: passed: {detail}"),
            Outcome::Failed(failure) => println!("{before}{stage}: {}: {failure}", failure.reason.code()),
            Outcome::NotReached => println!("{before}{stage}: not reached"),
        }
    }
}

fn print_residency() {
    let driver = match Driver::open(0) {
        Ok(driver) => driver,
        Err(failure) => return println!("open: {}: {failure}", failure.reason.code()),
    };
    for kernel in Kernel::all() {
        tell(kernel.name(), driver.resident_groups(kernel));
    }
}

/// Times, captures and runs a product of each precision, each of a driver that was just opened.
fn try_products() {
    for precision in Precision::ALL {
        let kernel = Kernel::HiddenGradient(precision);
        let launch = Launch { kernel, blocks: [1, 1], task: Task::default(), order: Order::Next };
        for way in ["time", "capture", "run"] {
            let mut driver = match Driver::open(0) {
                Ok(driver) => driver,
                Err(failure) => return println!("open: {}: {failure}", failure.reason.code()),
            };
            let launched = match way {
                "time" => driver.time(&[launch]).map(|_| ()),
                "capture" => driver.capture(&[launch]).map(|_| ()),
                _ => driver.run(&[launch]),
            };
            let name = format!("{way} {}", precision.name());
            tell(&name, launched.map(|()| driver.facts().ptx));
        }
    }
}

/// Launches one after another, one of them beside the others, and what the last one saw of the two before it: by
/// single launches and from a graph, several times.
fn try_branches() {
    let mut driver = match Driver::open(0) {
        Ok(driver) => driver,
        Err(failure) => return println!("open: {}: {failure}", failure.reason.code()),
    };
    let Some(base) = tell_address("allocate", driver.allocate(8192)) else { return };
    let values: Vec<f32> = (0..96).map(|i| (i / 32) as f32).collect();
    let region = |offset, length| Region { address: base + offset, length };
    // What `carry_state` takes is the second half of h: 0, 1 or 2.
    let h = |number: u64| region(128 * number, 32);
    let (shared, result, stopped) = (region(64, 16), region(4096, 16), region(6144, 1));
    let launch = |h, state, order| {
        let sizes = Task { batch_size: 1, hidden_size: 16, rows: 1, ..Task::default() };
        Launch {
            kernel: Kernel::CarryState,
            blocks: [1, 1],
            task: Task { h, state, stopped, ..sizes },
            order,
        }
    };
    let sequence = |orders: [Order; 3]| {
        [launch(h(1), shared, orders[0]), launch(h(2), shared, orders[1]), launch(h(0), result, orders[2])]
    };
    let start = |driver: &mut Driver, graph: Option<usize>, launches: &[Launch]| -> Result<f32, Error> {
        driver.write(base, bytemuck::cast_slice(&values))?;
        driver.write(stopped.address, &[0; 4])?;
        match graph {
            Some(graph) => driver.replay(graph)?,
            None => driver.run(launches)?,
        }
        let mut seen = [0.0_f32];
        driver.read(result.address, bytemuck::cast_slice_mut(&mut seen))?;
        Ok(seen[0])
    };
    let (next, beside, join) = (Order::Next, Order::Beside, Order::Join);
    for (name, orders) in [
        ("next next next", [next, next, next]),
        ("beside next join", [beside, next, join]),
        ("next beside join", [next, beside, join]),
        ("beside beside join", [beside, beside, join]),
        ("next join join", [next, join, join]),
    ] {
        let launches = sequence(orders);
        let run: Result<Vec<f32>, Error> = (0..4).map(|_| start(&mut driver, None, &launches)).collect();
        tell(&format!("run {name}"), run);
        let replayed = driver.capture(&launches).and_then(|graph| {
            (0..4).map(|_| start(&mut driver, Some(graph), &launches)).collect::<Result<Vec<f32>, Error>>()
        });
        tell(&format!("graph of {name}"), replayed);
    }
    let unjoined = sequence([next, join, beside]);
    tell("run without a join", driver.run(&unjoined));
    tell("capture without a join", driver.capture(&unjoined));
    let refused = [unjoined[2], Launch { blocks: [0, 1], ..unjoined[0] }, unjoined[1]];
    tell("run what is refused", driver.run(&refused));
    tell("capture what is refused", driver.capture(&refused));
    // What was started before the refusal is waited for like all else.
    let left = (0..2).map(|_| {
        driver.write(base, bytemuck::cast_slice(&values))?;
        driver.write(result.address, bytemuck::cast_slice(&[f32::NAN]))?;
        let refused = driver.run(&refused);
        let mut seen = [0.0_f32];
        driver.read(result.address, bytemuck::cast_slice_mut(&mut seen))?;
        Ok((refused.is_err(), seen[0]))
    });
    tell("left by what is refused", left.collect::<Result<Vec<(bool, f32)>, Error>>());
    tell("wait", driver.wait());
    tell("time", driver.time(&sequence([beside, next, join])).map(|times| times.len()));
    println!("end");
}

/// Prints a step with its result.
fn tell<T: std::fmt::Debug>(step: &str, result: Result<T, Error>) -> Option<T> {
    match &result {
        Ok(value) => println!("{step}: {value:?}"),
        Err(error) => println!("{step}: error: {error}"),
    }
    result.ok()
}

const BATCH: usize = 3;
const HIDDEN: usize = 200;
const STATE: usize = BATCH * HIDDEN;

fn try_device() {
    let mut driver = match Driver::open(0) {
        Ok(driver) => driver,
        Err(failure) => return println!("open: {}: {failure}", failure.reason.code()),
    };
    println!("kernels: {}", driver.facts().resources.len());
    tell("free", driver.free_bytes());
    tell("too much", driver.allocate(usize::MAX >> 8));
    let Some(base) = tell_address("allocate", driver.allocate(64 * 1024)) else { return };
    tell("free after", driver.free_bytes());

    // The last step's hidden state, what there was before, and whether an update was refused.
    let (h, state, stopped) = (base, base + 16 * 1024, base + 32 * 1024);
    let values: Vec<f32> = (0..2 * STATE).map(|i| i as f32 / 8.0).collect();
    // What was given may change once the call is over: the device must have taken it by then.
    let mut given = values.clone();
    tell("write", driver.write(h, bytemuck::cast_slice(&given)));
    given.fill(f32::NAN);
    tell("write zeros", driver.write(stopped, &[0; 4]));
    tell("write past the end", driver.write(base + 64 * 1024 - 3, &[0; 4]));
    tell("read elsewhere", driver.read(base - 1, &mut [0; 1]));
    tell("write nothing", driver.write(0, &[]));

    let region = |address, length: usize| Region { address, length: length as u64 };
    let task = Task {
        batch_size: BATCH as i32,
        hidden_size: HIDDEN as i32,
        rows: BATCH as i32,
        h: region(h, 2 * STATE),
        state: region(state, STATE),
        stopped: region(stopped, 1),
        ..Task::default()
    };
    let blocks = [STATE.div_ceil(256) as u32, 1];
    let launch = Launch { kernel: Kernel::CarryState, blocks, task, order: Order::Next };
    let copied = |driver: &mut Driver| -> Result<bool, Error> {
        let mut copy = vec![0.0_f32; STATE];
        driver.read(state, bytemuck::cast_slice_mut(&mut copy))?;
        // Looked at before the next call, which would wait for it.
        let equal = copy == values[STATE..];
        driver.write(state, &[0; 4 * STATE])?;
        Ok(equal)
    };
    tell("run", driver.run(&[launch]));
    tell("run computes", copied(&mut driver));
    tell("start an unknown graph", driver.replay(0));
    let graph = tell("capture", driver.capture(&[launch, launch]));
    tell("capture computes", copied(&mut driver));
    tell("start a graph", driver.replay(graph.unwrap_or(0)));
    tell("wait", driver.wait());
    tell("graph computes", copied(&mut driver));
    tell("capture a launch without blocks", driver.capture(&[launch, Launch { blocks: [0, 1], ..launch }]));
    tell("run after it", driver.run(&[launch]));
    if let Some(pair) = Persistent::all().next() {
        tell("run what is not loaded", driver.run(&[Launch { kernel: Kernel::Forward(pair), ..launch }]));
    }
    tell("time", driver.time(&[launch, launch]).map(|times| times.len()));
    // From another thread: the context comes along.
    let mut driver = std::thread::spawn(move || {
        tell("run elsewhere", driver.run(&[launch]));
        tell("wait elsewhere", driver.wait());
        driver
    })
    .join()
    .unwrap_or_else(|_| std::process::exit(3));
    driver.forget_graphs();
    tell("start a forgotten graph", driver.replay(0));
    driver.free(base);
    driver.free(base);
    tell("read freed memory", driver.read(h, &mut [0; 4]));
    // Left for the drop: memory and a graph.
    tell_address("allocate again", driver.allocate(100));
    tell("capture again", driver.capture(&[launch]));
    drop(driver);
    println!("end");
}

/// As [`tell`], but an address only as whether it is one of 256 bytes' alignment.
fn tell_address(step: &str, address: Result<u64, Error>) -> Option<u64> {
    let aligned = |address: &u64| address.is_multiple_of(256);
    tell(step, address.as_ref().map(aligned).map_err(Clone::clone));
    address.ok()
}
