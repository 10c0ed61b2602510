//! [`choices`]: which kernels run the time steps, by compute capability, precision and hidden size. A table for people:
//! it is made by asking [`Recurrence::choose`] as a network does.

use crate::device::Device;
use crate::driver::{Driver, Resources};
use crate::ptx::Ptx;
use crate::recurrence::Persistent;
use crate::search::{patience, search};
use crate::self_test::Subject;
use crate::{Kernel, Precision, Recurrence};
use std::sync::atomic::AtomicBool;

type Capability = (i32, i32);

/// Compute capabilities that are told of together: the first and the last; the newest are open.
const GENERATIONS: [(Capability, Option<Capability>); 3] =
    [((8, 0), Some((8, 0))), ((8, 6), Some((8, 9))), ((9, 0), None)];

/// Lanes of the batches that the table is for, as many as by default.
const BATCH_SIZE: usize = 32;

/// What runs the time steps of a network of some hidden size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The oldest compute capability that it is for.
    pub oldest: Capability,
    /// The newest; none where it is for all newer ones.
    pub newest: Option<Capability>,
    /// Operands of the products.
    pub precision: Precision,
    /// The fewest hidden units.
    pub fewest: usize,
    /// The most; none where there is no limit.
    pub most: Option<usize>,
    /// What runs.
    pub recurrence: Recurrence,
    /// What the GPU at hand tells of the kernels, forward and backward, where it is of these compute capabilities.
    pub told: Option<[Told; 2]>,
}

/// What a GPU tells of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Groups of blocks that it holds at the same time; 0 for a kernel without groups.
    pub groups: u32,
    /// What the kernel takes there.
    pub resources: Resources,
}

/// The table. With `ask`, a GPU is looked for, with all the patience that takes, and asked; compute capabilities that it
/// is not of, and all where there is none, are taken to hold whatever is compiled for them, with the newest driver.
pub fn choices(ask: bool) -> Vec<Choice> {
    let taken = match ask {
        true => search(None, Subject::default(), patience(), &AtomicBool::new(false), Ok).taken,
        false => None,
    };
    table(taken.and_then(Result::ok).as_ref())
}

fn table(driver: Option<&Driver>) -> Vec<Choice> {
    let mut rows: Vec<Choice> = Vec::new();
    for (oldest, newest) in GENERATIONS {
        let own = driver.filter(|driver| {
            let capability = driver.facts().device.capability;
            capability >= oldest && newest.is_none_or(|newest| capability <= newest)
        });
        for precision in Precision::ALL {
            let begin = rows.len();
            let mut fewest = 1;
            for most in limits(precision) {
                let recurrence = Recurrence::choose_by(
                    |kernel| match own {
                        Some(driver) => driver.resident_groups(kernel),
                        None if is_compiled_for(kernel, oldest) => Ok(u32::MAX),
                        None => Ok(0),
                    },
                    fewest,
                    BATCH_SIZE,
                    precision,
                )
                .unwrap_or_default();
                match rows[begin..].last_mut().filter(|row| row.recurrence == recurrence) {
                    Some(row) => row.most = most,
                    None => {
                        let told = own.and_then(|driver| told(driver, recurrence));
                        rows.push(Choice { oldest, newest, precision, fewest, most, recurrence, told });
                    }
                }
                fewest = most.map_or(fewest, |most| most + 1);
            }
        }
    }
    rows
}

/// The hidden sizes at which another kernel may be chosen for the next one; none behind the last.
fn limits(precision: Precision) -> Vec<Option<usize>> {
    let mut limits: Vec<usize> =
        Persistent::all().filter(|pair| pair.precision == precision).map(|pair| pair.capacity).collect();
    limits.sort_unstable();
    limits.dedup();
    limits.into_iter().map(Some).chain([None]).collect()
}

fn is_compiled_for(kernel: Kernel, capability: Capability) -> bool {
    Ptx::of(kernel.module()).is_for(capability, i32::MAX)
}

fn told(driver: &Driver, recurrence: Recurrence) -> Option<[Told; 2]> {
    let of = |kernel| {
        let groups = driver.resident_groups(kernel).unwrap_or(0); // loads the kernel
        let all = driver.facts().resources;
        Some(Told { groups, resources: *all.iter().find(|resources| resources.kernel == kernel)? })
    };
    let [forward, backward] = recurrence.kernels();
    Some([of(forward)?, of(backward)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a row's hidden sizes, the smallest and the largest, are run by.
    fn check_row(row: &Choice) {
        for hidden in [row.fewest, row.most.unwrap_or(5000)] {
            match row.recurrence {
                Recurrence::Steps => {}
                Recurrence::Persistent(pair) => {
                    assert!(pair.precision == row.precision && pair.capacity >= hidden, "{row:?}");
                    assert!(is_compiled_for(Kernel::Forward(pair), row.oldest), "{row:?}");
                }
            }
        }
    }

    #[test]
    fn every_hidden_size_has_one_row() {
        let rows = table(None);
        rows.iter().for_each(check_row);
        for (oldest, newest) in GENERATIONS {
            for precision in Precision::ALL {
                let rows: Vec<&Choice> = rows
                    .iter()
                    .filter(|row| row.oldest == oldest && row.newest == newest && row.precision == precision)
                    .collect();
                assert_eq!(rows[0].fewest, 1);
                for pair in rows.windows(2) {
                    assert_eq!(pair[0].most, Some(pair[1].fewest - 1));
                    assert_ne!(pair[0].recurrence, pair[1].recurrence);
                }
                assert_eq!(rows.last().unwrap().most, None);
            }
        }
        assert!(rows.iter().all(|row| row.told.is_none()));
    }

    #[test]
    fn every_pair_that_is_compiled_is_chosen_for_some_network() {
        let rows = table(None);
        for pair in Persistent::all() {
            let chosen = |row: &Choice| row.recurrence == Recurrence::Persistent(pair);
            assert!(rows.iter().any(chosen), "{pair:?}");
        }
    }
}
