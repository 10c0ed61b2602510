//! The emulator as a device of the CUDA backend.

use gru_core::Error;
use gru_cuda::device::{Launch, Order};
use gru_cuda::recurrence::{Exchange, Persistent};
use gru_cuda::task::Region;
use gru_cuda::{Device, Kernel, Precision, Recurrence, Task};
use gru_cuda_emulator::{Emulator, Options};

fn emulator() -> Emulator {
    Emulator::new(Options::default())
}

#[test]
fn memory_is_given_back() {
    let mut device = emulator();
    device.set_free_bytes(1024);
    assert!(matches!(device.allocate(1025), Err(Error::OutOfMemory { bytes: 1025 })));
    let address = device.allocate(1024).unwrap();
    assert_eq!(address % 256, 0);
    assert_eq!(device.free_bytes().unwrap(), 0);
    device.free(address);
    assert_eq!(device.free_bytes().unwrap(), 1024);
    device.write(address, &[0]).unwrap_err();
}

#[test]
fn copies_stay_in_what_is_allocated() {
    let mut device = emulator();
    let address = device.allocate(8).unwrap();
    let mut bytes = [0; 8];
    device.read(address, &mut bytes).unwrap();
    assert_eq!(bytes, [0xff; 8]);
    device.write(address + 4, &[1, 2, 3, 4]).unwrap();
    device.read(address, &mut bytes).unwrap();
    assert_eq!(bytes, [255, 255, 255, 255, 1, 2, 3, 4]);
    assert!(matches!(device.write(address + 4, &[0; 5]), Err(Error::Device { .. })));
    assert!(matches!(device.read(address + 8, &mut bytes), Err(Error::Device { .. })));
}

/// A launch of `carry_state` over one lane of 16 units; `length` is how long it says that the state is.
fn carry_state(device: &mut Emulator, length: u64) -> (Launch, u64) {
    let state = device.allocate(64).unwrap();
    let h = device.allocate(128).unwrap();
    let flags = device.allocate(8).unwrap();
    device.write(h, bytemuck::cast_slice(&[2.5_f32; 32])).unwrap();
    device.write(flags, &[0; 8]).unwrap();
    let task = Task {
        vocab_size: 16,
        hidden_size: 16,
        batch_size: 1,
        num_steps: 1,
        rows: 1,
        carries_state: 1,
        state: Region { address: state, length },
        h: Region { address: h, length: 32 },
        cursor: Region { address: flags, length: 1 },
        reported: Region { address: flags, length: 1 },
        stopped: Region { address: flags + 4, length: 1 },
        ..Task::default()
    };
    (Launch { kernel: Kernel::CarryState, blocks: [1, 1], task, order: Order::Next }, state)
}

#[test]
fn sequences_are_kept_and_started() {
    let mut device = emulator();
    let (launch, state) = carry_state(&mut device, 16);
    let graph = device.capture(&[launch]).unwrap();
    let mut bytes = [0; 64];
    device.read(state, &mut bytes).unwrap();
    assert_eq!(bytes, [0xff; 64], "nothing has run");
    device.replay(graph).unwrap();
    device.wait().unwrap();
    device.read(state, &mut bytes).unwrap();
    assert_eq!(bytes, bytemuck::cast::<_, [u8; 64]>([2.5_f32; 16]));
    device.forget_graphs();
    assert!(matches!(device.replay(graph), Err(Error::Device { .. })));
}

#[test]
fn a_fault_becomes_an_error_with_its_words() {
    let mut device = emulator();
    let (launch, _) = carry_state(&mut device, 15);
    let error = device.run(&[launch]).unwrap_err().to_string();
    assert!(error.contains("out of bounds: kernel 'carry_state', block (0, 0) thread 15"), "{error}");
}

/// Two launches write to the same place, one of them beside the other, and a third reads it. Gives what it read.
fn read_behind(seed: u64, orders: [Order; 3]) -> Result<f32, Error> {
    let mut device = Emulator::new(Options { seed, check_races: false });
    let (launch, result) = carry_state(&mut device, 16);
    let numbers = device.allocate(4 * 32 * 3).unwrap();
    // What `carry_state` takes is the second half of h.
    let values: Vec<f32> = (0..96).map(|i| (i / 32) as f32).collect();
    device.write(numbers, bytemuck::cast_slice(&values)).unwrap();
    let h = |number: u64| Region { address: numbers + 4 * 32 * number, length: 32 };
    let shared = Region { address: h(0).address + 4 * 16, length: 16 };
    let carry = |from, to| Task { h: from, state: to, ..launch.task };
    let tasks = [carry(h(1), shared), carry(h(2), shared), carry(h(0), launch.task.state)];
    let launches = [0, 1, 2].map(|i| Launch { task: tasks[i], order: orders[i], ..launch });
    device.run(&launches)?;
    let mut bytes = [0; 4];
    device.read(result, &mut bytes)?;
    Ok(f32::from_le_bytes(bytes))
}

#[test]
fn what_is_beside_runs_early_or_late_and_before_the_join() {
    let (next, beside, join) = (Order::Next, Order::Beside, Order::Join);
    let read = |orders| -> Vec<f32> { (1..20).map(|seed| read_behind(seed, orders).unwrap()).collect() };
    assert_eq!(read([next, next, next]), [2.0; 19]);
    assert_eq!(read([beside, beside, join]), [2.0; 19], "the second branch has an order too");
    let either = read([beside, next, join]);
    assert!(either.iter().all(|value| [1.0, 2.0].contains(value)), "{either:?}");
    for value in [1.0, 2.0] {
        assert!(either.iter().filter(|&&read| read == value).count() > 4, "{either:?}");
    }
    let without = read_behind(1, [next, join, beside]).unwrap_err().to_string();
    assert!(without.ends_with("received: carry_state beside them to the end"), "{without}");
}

/// Of persistent kernels whose blocks wait for each other all groups must be on the device at the same time; of
/// clusters each goes by itself.
#[test]
fn persistent_kernels_run_where_their_groups_fit() {
    let mut device = emulator();
    let choose = |device: &Emulator, hidden_size, batch_size| {
        Recurrence::choose(device, hidden_size, batch_size, Precision::Fp32).unwrap()
    };
    assert_eq!(choose(&device, 128, 32), Recurrence::Steps);
    for (exchange, groups, batch_size, runs) in [
        (Exchange::Cluster, 1, 32, true),
        (Exchange::Cluster, 0, 32, false),
        (Exchange::Words, 8, 32, true),
        (Exchange::Words, 7, 32, false),
        (Exchange::Words, 7, 28, true),
        (Exchange::Words, 7, 29, false),
    ] {
        device.set_exchange(exchange);
        device.set_resident_groups(groups);
        for (hidden_size, capacity) in [(1, 128), (128, 128), (129, 256), (256, 256)] {
            let pair = Persistent { exchange, precision: Precision::Fp32, capacity };
            let expected = if runs { Recurrence::Persistent(pair) } else { Recurrence::Steps };
            assert_eq!(choose(&device, hidden_size, batch_size), expected, "{exchange:?}, {groups} groups");
        }
        assert_eq!(choose(&device, 257, batch_size), Recurrence::Steps);
    }
}

#[test]
fn cooperative_are_the_kernels_that_exchange_by_words() {
    for kernel in Kernel::all() {
        assert_eq!(kernel.is_cooperative(), kernel.name().contains("_words_"), "{}", kernel.name());
    }
}
