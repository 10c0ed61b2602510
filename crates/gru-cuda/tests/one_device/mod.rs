//! One open GPU for all networks of a test program: its context is made, its kernels are loaded and tested once.

use gru_core::{Error, Sizes};
use gru_cuda::device::Launch;
use gru_cuda::driver::Driver;
use gru_cuda::kernel::Module;
use gru_cuda::ptx::Ptx;
use gru_cuda::recurrence::{Exchange, Persistent};
use gru_cuda::search::{patience, search};
use gru_cuda::self_test::Subject;
use gru_cuda::{CudaBackend, Device, Kernel, Precision, Recurrence};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

/// The GPU, and how many handles have graphs on it. Never given back: the process ends with it.
struct Opened {
    driver: Driver,
    holders: usize,
}

impl Opened {
    fn new() -> Self {
        let found = search(None, Subject::default(), patience(), &AtomicBool::new(false), Ok);
        match found.taken {
            Some(Ok(driver)) => Self { driver, holders: 0 },
            _ => panic!("expected a GPU, received {:?}", found.report.failure()),
        }
    }
}

fn with<T>(work: impl FnOnce(&mut Opened) -> T) -> T {
    static OPENED: Mutex<Option<Opened>> = Mutex::new(None);
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    work(opened.get_or_insert_with(Opened::new))
}

/// A network's share of the GPU: graphs of its own, numbered from 0.
#[derive(Default)]
pub struct Share {
    graphs: Vec<usize>,
    /// Sequences that were captured and started so far.
    pub captures: usize,
    pub replays: usize,
}

/// Hidden units up to which each precision has a pair in clusters of at most 8 blocks, which every device with clusters
/// runs.
const SURELY_PERSISTENT: usize = 256;

/// A network of zeros on the path that the device chooses. Where its clusters can run a persistent pair this must be
/// one: the plain steps, to which the choice falls back, would pass every other test.
pub fn network(sizes: Sizes, precision: Precision) -> CudaBackend<Share> {
    let network = CudaBackend::for_corpus(Share::default(), sizes, precision, 0).unwrap();
    let facts = with(|opened| opened.driver.facts());
    let runs = |pair: &Persistent| {
        let ptx = Ptx::of(Module::Persistent(*pair));
        let fits = (sizes.hidden_size..=SURELY_PERSISTENT).contains(&pair.capacity);
        let for_clusters = pair.exchange == Exchange::Cluster && pair.precision == precision;
        fits && for_clusters && ptx.is_for(facts.device.capability, facts.cuda_version)
    };
    assert!(facts.missing.is_empty(), "{:?}", facts.missing);
    let path = network.path();
    assert_eq!(path.precision, precision);
    if let Some(pair) = Persistent::all().find(runs) {
        assert_eq!(path.recurrence, Recurrence::Persistent(pair));
    }
    network
}

/// A network whose blocks exchange words in device memory, which a device with clusters does not choose; on plain steps
/// where the device does not hold all its blocks at once.
pub fn network_of_words(sizes: Sizes, precision: Precision) -> CudaBackend<Share> {
    let mut network = network(sizes, precision);
    let resident_groups = |kernel: Kernel| {
        let of_words = kernel.persistent().is_some_and(|pair| pair.exchange == Exchange::Words);
        if of_words { Share::default().resident_groups(kernel) } else { Ok(0) }
    };
    let recurrence =
        Recurrence::choose_by(resident_groups, sizes.hidden_size, sizes.batch_size, precision).unwrap();
    network.set_recurrence(recurrence).unwrap();
    network
}

impl Device for Share {
    fn free_bytes(&self) -> Result<u64, Error> {
        with(|opened| opened.driver.free_bytes())
    }

    fn resident_groups(&self, kernel: Kernel) -> Result<u32, Error> {
        with(|opened| opened.driver.resident_groups(kernel))
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64, Error> {
        with(|opened| opened.driver.allocate(bytes))
    }

    fn free(&mut self, address: u64) {
        with(|opened| opened.driver.free(address));
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        with(|opened| opened.driver.write(address, bytes))
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Error> {
        with(|opened| opened.driver.read(address, bytes))
    }

    fn run(&mut self, launches: &[Launch]) -> Result<(), Error> {
        with(|opened| opened.driver.run(launches))
    }

    fn capture(&mut self, launches: &[Launch]) -> Result<usize, Error> {
        let graph = with(|opened| {
            let graph = opened.driver.capture(launches)?;
            opened.holders += usize::from(self.graphs.is_empty());
            Ok(graph)
        })?;
        self.captures += 1;
        self.graphs.push(graph);
        Ok(self.graphs.len() - 1)
    }

    fn replay(&mut self, graph: usize) -> Result<(), Error> {
        self.replays += 1;
        with(|opened| opened.driver.replay(self.graphs[graph]))
    }

    /// The GPU keeps them until the last share forgets its own.
    fn forget_graphs(&mut self) {
        if self.graphs.is_empty() {
            return;
        }
        self.graphs.clear();
        with(|opened| {
            opened.holders -= 1;
            if opened.holders == 0 {
                opened.driver.forget_graphs();
            }
        });
    }

    fn wait(&mut self) -> Result<(), Error> {
        with(|opened| opened.driver.wait())
    }
}
