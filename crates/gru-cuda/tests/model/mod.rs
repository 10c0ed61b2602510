//! A machine of a few blocks of threads that run straight programs, and a search of everything it can do: any thread
//! goes on at any time, and a store that was sent arrives at any time, in any order.
//!
//! An action touches one word or one barrier and is indivisible, and all see all actions in one order: weaker orders
//! of memory are not modelled.

mod machine;
mod protocols;

pub use protocols::{Shape, Work, backward, forward};

use machine::{Machine, State};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// A shared array of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Array {
    /// What blocks store into: two buffers of at most 6 words.
    Inbox,
    /// Partial sums: two buffers of at most 3 words.
    Scratch,
    /// Gradients of the block's own gates: two buffers of at most 3 words.
    Dq,
}

/// A word of a block's shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    pub array: Array,
    pub buffer: usize,
    pub index: usize,
}

/// A phase of a barrier, 0 for its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    pub barrier: usize,
    pub number: usize,
}

impl Phase {
    /// That in which what is sent at a step is counted.
    pub fn of(step: usize) -> Self {
        Self { barrier: step % 2, number: step / 2 }
    }
}

/// What a thread does next. A phase is the one that is meant: the machine checks that it is the one that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Initialises the block's barriers, each for one arrival.
    Init,
    /// Meets the threads of all blocks: the barrier of the cluster.
    MeetCluster,
    /// Meets the threads of its block: `__syncthreads`.
    Meet,
    /// The one arrival of a phase, and how many stores it takes besides. Each stands for its bytes.
    Expect { phase: Phase, stores: i8 },
    /// Until the phase of this parity is complete.
    Wait { phase: Phase, parity: usize },
    /// Finds the value of `step` in a word.
    Read { word: Word, step: usize },
    /// Leaves the value of `step` in a word.
    Write { word: Word, step: usize },
    /// Sends the value of `step` to a word of block `to`, where it completes on a barrier.
    Send { to: usize, word: Word, step: usize, phase: Phase },
}

pub type Program = Vec<Action>;
/// Of each thread of each block.
pub type Programs = Vec<Vec<Program>>;

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A word is read before its value is there.
    Early(Array),
    /// A word is read after the next value took its place.
    Overwritten(Array),
    /// A wait ends after, or an arrival or a store counts in, another phase than the one that is meant.
    Phase,
    /// A barrier that is not initialised, or a second arrival in a phase.
    Barrier,
    /// A store comes to a block that has ended.
    Ended,
    /// Nothing can happen, and some thread is not at its end.
    Deadlock,
}

/// Everything that can happen.
pub struct Explored {
    pub states: usize,
    /// Each fault that can, with one way to it.
    pub faults: BTreeMap<Fault, Vec<String>>,
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{} states", self.states)?;
        self.faults.iter().try_for_each(|(fault, way)| writeln!(f, "{fault:?}:\n  {}", way.join("\n  ")))
    }
}

/// Goes through every state that can be reached, depth first. Past a fault it does not go on.
pub fn explore(programs: &Programs) -> Explored {
    let machine = Machine::new(programs);
    let start = State::START;
    let mut visited = HashSet::from([start]);
    let mut faults = BTreeMap::new();
    // From the start to where it is: each state, the moves from it that are left, and the one that was taken.
    let mut path = vec![(machine.moves(&start), start, None)];
    while let Some((moves, state, taken)) = path.last_mut() {
        *taken = moves.pop();
        let Some(step) = *taken else {
            path.pop();
            continue;
        };
        let fault = match machine.after(state, step) {
            Err(fault) => fault,
            Ok(next) => {
                if !visited.insert(next) {
                    continue;
                }
                let moves = machine.moves(&next);
                let ended = |block| machine.all_at(&next, block, None);
                if !moves.is_empty() || (0..programs.len()).all(ended) {
                    path.push((moves, next, None));
                    continue;
                }
                Fault::Deadlock
            }
        };
        faults.entry(fault).or_insert_with(|| {
            path.iter().filter_map(|(_, state, taken)| Some(machine.tell(state, (*taken)?))).collect()
        });
    }
    Explored { states: visited.len(), faults }
}
