//! What compute-sanitizer's initcheck reports on a GPU, without one: kernels and copies to the host that read
//! device memory which nobody wrote.

mod support;

use gru_core::random::initial_parameters;
use gru_core::{Backend, Error, Plan, Sizes};
use gru_cuda::device::Launch;
use gru_cuda::task::Region;
use gru_cuda::{CudaBackend, Device, Kernel};
use gru_cuda_emulator::{Emulator, FaultKind, Options};
use std::ops::ControlFlow;
use support::{Buffer, Memory, SEEDS, assert_fault, run};

/// The emulator, whose fresh memory is all ones, and which refuses to copy such words to the host.
struct Strict(Emulator);

impl Device for Strict {
    fn free_bytes(&self) -> Result<u64, Error> {
        self.0.free_bytes()
    }

    fn resident_groups(&self, kernel: Kernel) -> Result<u32, Error> {
        self.0.resident_groups(kernel)
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64, Error> {
        self.0.allocate(bytes)
    }

    fn free(&mut self, address: u64) {
        self.0.free(address);
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        self.0.write(address, bytes)
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Error> {
        self.0.read(address, bytes)?;
        match bytes.chunks_exact(4).position(|word| word == [0xff; 4]) {
            None => Ok(()),
            Some(word) => {
                let reason = format!("nobody wrote word {word} of the {} bytes", bytes.len());
                Err(Error::Device { what: format!("give what lies at {address:#x}"), reason })
            }
        }
    }

    fn run(&mut self, launches: &[Launch]) -> Result<(), Error> {
        self.0.run(launches)
    }

    fn capture(&mut self, launches: &[Launch]) -> Result<usize, Error> {
        self.0.capture(launches)
    }

    fn replay(&mut self, graph: usize) -> Result<(), Error> {
        self.0.replay(graph)
    }

    fn forget_graphs(&mut self) {
        self.0.forget_graphs();
    }

    fn wait(&mut self) -> Result<(), Error> {
        self.0.wait()
    }
}

/// Something that a network is asked for.
type Part = fn(&mut dyn Backend, &Plan) -> Result<(), Error>;

/// Everything that a network can be asked for, each first on a fresh network, with rates and without.
#[test]
fn nothing_is_read_before_it_is_written() {
    let parts: [Part; 5] = [
        |network, plan| network.train(plan, &mut |_, _| ControlFlow::Continue(())).map(drop),
        |network, plan| {
            let plan = Plan { learning_rate: vec![], ..plan.clone() };
            network.evaluate(&plan, &mut |_, _| ControlFlow::Continue(())).map(drop)
        },
        |network, plan| network.gradient(&Plan { learning_rate: vec![], ..plan.clone() }).map(drop),
        |network, plan| network.forward(&vec![0; 40 + plan.num_steps], &[]).map(drop),
        |network, _| network.parameters().and_then(|_| network.state()).map(drop),
    ];
    for (vocab_size, hidden_size, batch_size, num_steps) in [(29, 21, 5, 3), (70, 40, 9, 2), (1, 1, 1, 1)] {
        let sizes = Sizes { vocab_size, hidden_size, batch_size, num_steps, candidate_bias: true };
        let ids: Vec<u32> = (0..100).map(|i| i * i % vocab_size as u32).collect();
        let plan = Plan {
            starts: (0..3 * batch_size as u32).map(|i| i * 7 % 60).collect(),
            num_steps,
            learning_rate: vec![0.2; 3],
            max_grad_norm: 1.0,
            carry_state: true,
        };
        for first in 0..parts.len() {
            let device = Strict(Emulator::new(Options { seed: first as u64, check_races: true }));
            let mut network = CudaBackend::new(device, sizes).unwrap();
            for part in parts.iter().cycle().skip(first).take(parts.len()) {
                if network.corpus_len() == 0 {
                    network.set_parameters(&initial_parameters(&sizes, 3, 0.3)).unwrap();
                    network.load_corpus(&ids).unwrap();
                }
                part(&mut network, &plan).unwrap_or_else(|error| panic!("{sizes:?}, {first} first: {error}"));
            }
        }
    }
}

#[test]
fn a_kernel_that_reads_what_nobody_wrote_is_found() {
    for seed in SEEDS {
        let (memory, fresh) = (Memory::new(128), Buffer::new(128, 4));
        let mut task = memory.task();
        task.input = fresh.region;
        let words =
            ["reads device memory at", "the region at byte 0 of the task, which holds what nobody wrote"];
        assert_fault(run("copy_shifted", 1, 128, &task, seed), FaultKind::Unwritten, "copy_shifted", &words);
        // What another launch wrote is written.
        task.input = Region { length: 128, ..memory.out.region };
        memory.run("copy_shifted", 1, 128, seed).unwrap();
        task.out = fresh.region;
        run("copy_shifted", 1, 128, &task, seed).unwrap();
    }
}
