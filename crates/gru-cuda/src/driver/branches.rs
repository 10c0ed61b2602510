//! The streams that launches go into: the main one, and a second for what runs beside it.

use super::handles::{Mark, Stream};
use crate::device::Order;
use cudarc::driver::{DriverError, sys};

/// Two streams and how they wait for each other. In a capture the second one becomes a branch of the graph.
pub(super) struct Branches {
    /// In which everything is that is not a launch of the second branch.
    pub(super) main: Stream,
    beside: Stream,
    /// Where the second branch leaves the main one, and where it comes back.
    fork: Mark,
    join: Mark,
}

impl Branches {
    pub(super) fn new() -> Result<Self, DriverError> {
        Ok(Self { main: Stream::new()?, beside: Stream::new()?, fork: Mark::new()?, join: Mark::new()? })
    }

    /// The stream for a launch of this order, made to wait as the order says. `apart` tells whether there are
    /// launches in the second branch that the main one does not wait for yet, and is kept up.
    pub(super) fn ordered(&self, order: Order, apart: &mut bool) -> Result<sys::CUstream, DriverError> {
        match order {
            Order::Next => Ok(self.main.0),
            Order::Beside => {
                self.fork.set(&self.main)?;
                self.fork.wait(&self.beside)?;
                *apart = true;
                Ok(self.beside.0)
            }
            Order::Join => {
                self.join(apart)?;
                Ok(self.main.0)
            }
        }
    }

    /// Lets the main branch wait for the second, if there is anything to wait for.
    pub(super) fn join(&self, apart: &mut bool) -> Result<(), DriverError> {
        if std::mem::take(apart) {
            self.join.set(&self.beside)?;
            self.join.wait(&self.main)?;
        }
        Ok(())
    }
}
