//! The emulator as a device of the CUDA backend.

use gru_core::Error;
use gru_cuda::device::Launch;
use gru_cuda::task::Region;
use gru_cuda::{Device, Kernel, Task};
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
    (Launch { kernel: Kernel::CarryState, blocks: [1, 1], task }, state)
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
