//! Access to device and shared memory: bounds, alignment, what was not written, and wrong launches.

mod support;

use gru_cuda::task::Region;
use gru_cuda_emulator::{FaultKind, Options, argument_size, free, kernels, launch};
use support::{Buffer, Memory, MemoryTask, SEEDS, assert_fault, run};

#[test]
fn right_kernels_pass() {
    for seed in SEEDS {
        let memory = Memory::new(512);
        memory.run("reverse", 4, 128, seed).unwrap();
        let expected: Vec<f32> = (0..512).map(|i| (i / 128 * 128 + 128 - i % 128) as f32).collect();
        assert_eq!(memory.out.get::<f32>(), expected);

        memory.run("sum_squares", 4, 128, seed).unwrap();
        let sums = memory.sums.get::<f64>();
        for (block, sum) in sums[..4].iter().enumerate() {
            let expected: usize = (block * 128 + 1..=block * 128 + 128).map(|x| x * x).sum();
            assert_eq!(*sum, expected as f64);
        }
        assert!(sums[4..].iter().all(|sum| sum.is_nan()));
    }
}

#[test]
fn shuffles_take_from_the_right_lane() {
    for seed in SEEDS {
        let memory = Memory::new(128);
        memory.run("shuffles", 1, 32, seed).unwrap();
        let out = memory.out.get::<f32>();
        for lane in 0..32 {
            assert_eq!(out[lane], 6.0);
            assert_eq!(out[32 + lane], if lane + 3 < 32 { lane + 4 } else { lane + 1 } as f32);
            assert_eq!(out[64 + lane], (lane ^ 9) as f32 + 1.0);
            assert_eq!(out[96 + lane], (lane / 2) as f32 + (lane ^ 1) as f32 + 1.0);
        }
    }
}

#[test]
fn a_region_ends_where_it_says() {
    let memory = Memory::new(256).shifted(1);
    let words = ["block (1, 0) thread 127", "element 256 of the region at byte 16 of the task, of 256"];
    assert_fault(memory.run("copy_shifted", 2, 128, 0), FaultKind::OutOfBounds, "copy_shifted", &words);
    let memory = Memory::new(256).shifted(-1);
    let words = ["block (0, 0) thread 0", "element -1 of"];
    assert_fault(memory.run("copy_shifted", 2, 128, 0), FaultKind::OutOfBounds, "copy_shifted", &words);
}

#[test]
fn a_region_lies_in_what_is_allocated() {
    let memory = Memory::new(128);
    let mut task = memory.task();
    task.out.length = 1 << 40;
    task.shift = 64;
    let words = ["block (0, 0) thread", "not allocated"];
    assert_fault(run("copy_shifted", 1, 128, &task, 0), FaultKind::OutOfBounds, "copy_shifted", &words);
    // Not at all.
    task.out = Region { address: 4096, length: 1024 };
    assert_fault(run("copy_shifted", 1, 128, &task, 0), FaultKind::OutOfBounds, "copy_shifted", &words);
    // No longer.
    let gone = Buffer::new(128, 4);
    task.out = gone.region;
    task.shift = 0;
    run("copy_shifted", 1, 128, &task, 0).unwrap();
    drop(gone);
    assert_fault(run("copy_shifted", 1, 128, &task, 0), FaultKind::OutOfBounds, "copy_shifted", &words);
    assert!(!free(4096));
}

#[test]
fn addresses_are_multiples_of_the_size() {
    let memory = Memory::new(256);
    let mut task = memory.task();
    task.out.address += 2;
    task.out.length = 128;
    let words = ["block (0, 0) thread", "element", "no multiple"];
    assert_fault(run("copy_shifted", 1, 128, &task, 0), FaultKind::Misaligned, "copy_shifted", &words);
    let mut task = memory.task();
    task.sums = Region { address: task.out.address + 4, length: 8 };
    assert_fault(run("sum_squares", 1, 128, &task, 0), FaultKind::Misaligned, "sum_squares", &words);
}

#[test]
fn shared_arrays_end_where_they_say() {
    Memory::new(32).shifted(127).run("shared_element", 1, 32, 0).unwrap();
    for (shift, words) in [(128, "element 128 of shared array 'tile' of 128"), (-1, "element -1 of")] {
        let result = Memory::new(32).shifted(shift).run("shared_element", 1, 32, 0);
        assert_fault(result, FaultKind::OutOfBounds, "shared_element", &["block (0, 0) thread 0", words]);
    }
}

#[test]
fn what_nobody_wrote_is_nan() {
    let memory = Memory::new(64);
    memory.run("read_unwritten", 1, 32, 0).unwrap();
    assert!(memory.out.get::<f32>().iter().all(|x| x.is_nan()));
    // Shared memory is fresh in every block, also where an earlier launch wrote.
    memory.run("exchange_in_warp", 1, 64, 0).unwrap();
    memory.run("read_unwritten", 1, 32, 0).unwrap();
    assert!(memory.out.get::<f32>()[..32].iter().all(|x| x.is_nan()));
}

#[test]
fn registers_without_a_value_are_nan() {
    let memory = Memory::new(32).shifted(1);
    memory.run("unset_registers", 1, 32, 0).unwrap();
    assert!(memory.out.get::<f32>().iter().all(|x| x.is_nan()));
    let sums = memory.sums.get::<f64>();
    assert!(sums[0].is_nan());
    assert_eq!(sums[1], f64::from(u32::MAX));
}

#[test]
fn shared_memory_has_48_kib() {
    Memory::new(32).run("full_shared_memory", 1, 32, 0).unwrap();
    let result = Memory::new(32).shifted(1).run("full_shared_memory", 1, 32, 0);
    let words = ["shared array 'too_much' of 16 bytes: of 49152 a block has, 49152 are in use"];
    assert_fault(result, FaultKind::Launch, "full_shared_memory", &words);
}

#[test]
fn parameters_have_4_kib() {
    let out = Buffer::new(32, 4);
    let mut task = vec![0_u64; 4104 / 8];
    task[0] = out.region.address;
    task[1] = out.region.length;
    let bytes: &[u8] = bytemuck::cast_slice(&task);
    launch("full_task", [1, 1], 32, &bytes[..4096], Options::default()).unwrap();
    assert_eq!(out.get::<f32>(), [0.0; 32]);
    let result = launch("large_task", [1, 1], 32, bytes, Options::default());
    let words = ["a task of 4104 bytes, of at most 4096"];
    assert_fault(result, FaultKind::Launch, "large_task", &words);
}

#[test]
fn wrong_launches_are_refused() {
    let memory = Memory::new(128);
    assert_fault(memory.run("no_such", 1, 128, 0), FaultKind::Launch, "no_such", &["there is no"]);
    let words = ["compiled for 128 threads, launched with 64"];
    assert_fault(memory.run("reverse", 1, 64, 0), FaultKind::Launch, "reverse", &words);
    assert_fault(run("reverse", 1, 128, &0_u64, 0), FaultKind::Launch, "reverse", &["56 bytes, received 8"]);
    assert_fault(memory.run("reverse", 0, 128, 0), FaultKind::Launch, "reverse", &["0 x 1 blocks"]);
    let result = launch("reverse", [1, 65_536], 128, bytemuck::bytes_of(&memory.task()), Options::default());
    assert_fault(result, FaultKind::Launch, "reverse", &["1 x 65536 blocks"]);
    let result = launch("a\0b", [1, 1], 32, &[], Options::default());
    assert_eq!(result.unwrap_err().kind, FaultKind::Launch);
}

#[test]
fn the_table_names_every_kernel() {
    let names = kernels();
    for kernel in gru_cuda::Kernel::all() {
        assert!(names.contains(&kernel.name()), "{}", kernel.name());
        assert_eq!(argument_size(kernel.name()), Some(size_of::<gru_cuda::Task>()));
    }
    assert_eq!(argument_size("reverse"), Some(size_of::<MemoryTask>()));
    assert_eq!(argument_size("no_such"), None);
}

#[test]
fn launches_run_side_by_side() {
    std::thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || {
                for round in 0..8 {
                    let memory = Memory::new(512);
                    memory.run("smooth_twice", 4, 128, seed * 8 + round).unwrap();
                }
            });
        }
    });
}
