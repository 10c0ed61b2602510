//! [`Emulator`]: the emulator as a device of the CUDA backend.

use crate::{Options, argument_size, launch, memory};
use gru_core::Error;
use gru_cuda::device::{Launch, Order, check_joined};
use gru_cuda::recurrence::Exchange;
use gru_cuda::{Device, Kernel};

/// A device whose kernels run on the CPU, at once: nothing is left to wait for. Every launch has a seed of its
/// own, the one after the launch's before. It decides too when a launch of the second branch runs: at once, or as late
/// as its order allows.
pub struct Emulator {
    options: Options,
    free_bytes: u64,
    allocations: Vec<(u64, u64)>,
    graphs: Vec<Vec<Launch>>,
    variant: Option<&'static str>,
    exchange: Option<Exchange>,
    resident_groups: u32,
}

impl Emulator {
    /// A device with 64 GiB of memory, none of it in use.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            free_bytes: 64 << 30,
            allocations: Vec::new(),
            graphs: Vec::new(),
            variant: None,
            exchange: None,
            resident_groups: u32::MAX,
        }
    }

    /// Runs the kernels that are registered as `variant/name` instead of those registered as `name`.
    pub fn set_variant(&mut self, variant: &'static str) {
        self.variant = Some(variant);
    }

    /// Runs persistent kernels whose blocks exchange so; without, it says that it cannot run any.
    pub fn set_exchange(&mut self, exchange: Exchange) {
        self.exchange = Some(exchange);
    }

    /// Says how many groups of blocks of a persistent kernel can run at the same time; any number unless told.
    pub fn set_resident_groups(&mut self, groups: u32) {
        self.resident_groups = groups;
    }

    /// Runs a launch.
    fn start(&mut self, each: &Launch) -> Result<(), Error> {
        let task = bytemuck::bytes_of(&each.task);
        let name = each.kernel.name();
        let variant = self.variant.map(|variant| format!("{variant}/{name}"));
        let name = variant.as_deref().filter(|name| argument_size(name).is_some()).unwrap_or(name);
        launch(name, each.blocks, each.kernel.threads(), task, self.options)
            .map_err(|fault| error("run a kernel", fault))?;
        self.options.seed = self.options.seed.wrapping_add(1);
        Ok(())
    }

    /// What the seed says for the second branch; neighbouring seeds differ.
    fn puts_off(&self) -> bool {
        self.options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1
    }

    /// Says how much memory is free from now on.
    pub fn set_free_bytes(&mut self, bytes: u64) {
        self.free_bytes = bytes;
    }
}

fn error(what: &str, reason: impl ToString) -> Error {
    Error::Device { what: what.to_owned(), reason: reason.to_string() }
}

impl Device for Emulator {
    fn free_bytes(&self) -> Result<u64, Error> {
        Ok(self.free_bytes)
    }

    fn resident_groups(&self, kernel: Kernel) -> Result<u32, Error> {
        let runs = match kernel {
            Kernel::Forward(pair) | Kernel::Backward(pair) => self.exchange == Some(pair.exchange),
            _ => false,
        };
        Ok(if runs { self.resident_groups } else { 0 })
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64, Error> {
        let size = bytes as u64;
        if size > self.free_bytes {
            return Err(Error::OutOfMemory { bytes });
        }
        let address = memory::allocate(bytes).ok_or(Error::OutOfMemory { bytes })?;
        self.free_bytes -= size;
        self.allocations.push((address, size));
        Ok(address)
    }

    fn free(&mut self, address: u64) {
        if let Some(found) = self.allocations.iter().position(|&(begin, _)| begin == address) {
            self.free_bytes += self.allocations.swap_remove(found).1;
            memory::free(address);
        }
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        let fits = memory::write(address, bytes);
        fits.then_some(()).ok_or_else(|| error("take data", format!("{address:#x} is not allocated")))
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let fits = memory::read(address, bytes);
        fits.then_some(()).ok_or_else(|| error("give data", format!("{address:#x} is not allocated")))
    }

    fn run(&mut self, launches: &[Launch]) -> Result<(), Error> {
        check_joined(launches)?;
        let mut put_off = Vec::new();
        for each in launches {
            match each.order {
                Order::Beside if !put_off.is_empty() || self.puts_off() => put_off.push(each),
                Order::Join => {
                    put_off.drain(..).try_for_each(|each| self.start(each))?;
                    self.start(each)?;
                }
                Order::Next | Order::Beside => self.start(each)?,
            }
        }
        Ok(())
    }

    fn capture(&mut self, launches: &[Launch]) -> Result<usize, Error> {
        self.graphs.push(launches.to_vec());
        Ok(self.graphs.len() - 1)
    }

    fn replay(&mut self, graph: usize) -> Result<(), Error> {
        let launches =
            self.graphs.get(graph).ok_or_else(|| error("start a graph", "it was not captured"))?.clone();
        self.run(&launches)
    }

    fn forget_graphs(&mut self) {
        self.graphs.clear();
    }

    fn wait(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        for &(address, _) in &self.allocations {
            memory::free(address);
        }
    }
}
