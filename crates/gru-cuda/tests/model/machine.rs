//! What the threads of a cluster are at, and what can happen to it.

use super::{Action, Array, Fault, Programs, Word};
use bytemuck::{Pod, Zeroable};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::Range;

const BLOCKS: usize = 3;
const THREADS: usize = 3;
const BARRIERS: usize = 2;
const WORDS: usize = 24;

impl Word {
    fn at(self) -> usize {
        let (begin, length) = match self.array {
            Array::Inbox => (0, 6),
            Array::Scratch => (12, 3),
            Array::Dq => (18, 3),
        };
        assert!(self.index < length, "{self:?}: expected an index below {length}");
        begin + self.buffer * length + self.index
    }
}

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
struct Barrier {
    initialised: u8,
    /// Phases that are complete.
    complete: u8,
    /// In the phase that is not.
    arrived: u8,
    /// Stores expected less stores that came: below zero while they are early.
    stores: i8,
}

impl Barrier {
    fn check(&self, complete: usize) -> Result<(), Fault> {
        if self.initialised == 0 {
            return Err(Fault::Barrier);
        }
        if usize::from(self.complete) == complete { Ok(()) } else { Err(Fault::Phase) }
    }

    fn complete_phase(&mut self) {
        if self.arrived == 1 && self.stores == 0 {
            self.complete += 1;
            self.arrived = 0;
        }
    }
}

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct State {
    /// Stores that were sent and have not arrived: a bit each.
    flying: u64,
    /// How far each thread is in its program.
    at: [[u8; THREADS]; BLOCKS],
    /// Step + 1 of the value in each word, 0 for none.
    words: [[u8; WORDS]; BLOCKS],
    barriers: [[Barrier; BARRIERS]; BLOCKS],
    /// To a multiple of 8 bytes.
    rest: [u8; 7],
}

impl State {
    /// All threads at the first of their actions, nothing written.
    pub const START: Self = Self {
        flying: 0,
        at: [[0; THREADS]; BLOCKS],
        words: [[0; WORDS]; BLOCKS],
        barriers: [[Barrier { initialised: 0, complete: 0, arrived: 0, stores: 0 }; BARRIERS]; BLOCKS],
        rest: [0; 7],
    };
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(bytemuck::bytes_of(self));
    }
}

/// One thing that happens.
#[derive(Clone, Copy)]
pub enum Move {
    Thread(usize, usize),
    Meet(usize),
    MeetCluster,
    Arrive(usize),
}

/// The programs, with a number for each of their stores.
pub struct Machine<'a> {
    programs: &'a Programs,
    /// Every store, with its sender: block, thread and number of the action.
    stores: Vec<([usize; 3], Action)>,
}

impl<'a> Machine<'a> {
    pub fn new(programs: &'a Programs) -> Self {
        let mut stores = vec![];
        for (block, threads) in programs.iter().enumerate() {
            for (thread, program) in threads.iter().enumerate() {
                for (at, action) in program.iter().enumerate() {
                    if matches!(action, Action::Send { .. }) {
                        stores.push(([block, thread, at], *action));
                    }
                }
            }
        }
        assert!(stores.len() <= 64, "expected at most 64 stores, received {}", stores.len());
        Self { programs, stores }
    }

    fn threads(&self, block: usize) -> Range<usize> {
        0..self.programs[block].len()
    }

    fn next(&self, state: &State, block: usize, thread: usize) -> Option<Action> {
        self.programs[block][thread].get(usize::from(state.at[block][thread])).copied()
    }

    pub fn all_at(&self, state: &State, block: usize, action: Option<Action>) -> bool {
        self.threads(block).all(|thread| self.next(state, block, thread) == action)
    }

    /// Everything that can happen next.
    pub fn moves(&self, state: &State) -> Vec<Move> {
        let blocks = 0..self.programs.len();
        let mut moves = vec![];
        for block in blocks.clone() {
            if self.all_at(state, block, Some(Action::Meet)) {
                moves.push(Move::Meet(block));
            }
            moves.extend(self.threads(block).filter_map(|thread| {
                let goes_on = match self.next(state, block, thread)? {
                    Action::Meet | Action::MeetCluster => false,
                    Action::Wait { phase, parity } => {
                        usize::from(state.barriers[block][phase.barrier].complete) % 2 != parity
                    }
                    _ => true,
                };
                goes_on.then_some(Move::Thread(block, thread))
            }));
        }
        if blocks.clone().all(|block| self.all_at(state, block, Some(Action::MeetCluster))) {
            moves.push(Move::MeetCluster);
        }
        moves.extend((0..self.stores.len()).filter(|store| state.flying >> store & 1 == 1).map(Move::Arrive));
        moves
    }

    pub fn after(&self, state: &State, step: Move) -> Result<State, Fault> {
        let mut state = *state;
        match step {
            Move::Thread(block, thread) => {
                self.act(&mut state, block, thread)?;
                state.at[block][thread] += 1;
            }
            Move::Meet(block) => state.at[block].iter_mut().for_each(|at| *at += 1),
            Move::MeetCluster => state.at.iter_mut().flatten().for_each(|at| *at += 1),
            Move::Arrive(number) => self.arrive(&mut state, number)?,
        }
        Ok(state)
    }

    fn act(&self, state: &mut State, block: usize, thread: usize) -> Result<(), Fault> {
        let action = self.next(state, block, thread).expect("a thread that goes on has an action");
        let barriers = &mut state.barriers[block];
        let words = &mut state.words[block];
        match action {
            Action::Init => barriers.iter_mut().for_each(|barrier| barrier.initialised = 1),
            Action::Expect { phase, stores } => {
                let barrier = &mut barriers[phase.barrier];
                if barrier.arrived == 1 {
                    return Err(Fault::Barrier);
                }
                barrier.check(phase.number)?;
                barrier.arrived = 1;
                barrier.stores += stores;
                barrier.complete_phase();
            }
            Action::Wait { phase, .. } => barriers[phase.barrier].check(phase.number + 1)?,
            Action::Read { word, step } => match words[word.at()].cmp(&(step as u8 + 1)) {
                Ordering::Less => return Err(Fault::Early(word.array)),
                Ordering::Equal => {}
                Ordering::Greater => return Err(Fault::Overwritten(word.array)),
            },
            Action::Write { word, step } => words[word.at()] = step as u8 + 1,
            Action::Send { .. } => {
                let sender = [block, thread, usize::from(state.at[block][thread])];
                let number = self.stores.iter().position(|(from, _)| *from == sender);
                state.flying |= 1 << number.expect("every store is in the list");
            }
            Action::Meet | Action::MeetCluster => unreachable!("all meet in one move"),
        }
        Ok(())
    }

    fn arrive(&self, state: &mut State, number: usize) -> Result<(), Fault> {
        let (_, Action::Send { to, word, step, phase }) = self.stores[number] else {
            unreachable!("the list holds stores")
        };
        state.flying &= !(1 << number);
        if self.all_at(state, to, None) {
            return Err(Fault::Ended);
        }
        let barrier = &mut state.barriers[to][phase.barrier];
        barrier.check(phase.number)?;
        barrier.stores -= 1;
        barrier.complete_phase();
        state.words[to][word.at()] = step as u8 + 1;
        Ok(())
    }

    /// What a move from a state is.
    pub fn tell(&self, state: &State, step: Move) -> String {
        match step {
            Move::Thread(block, thread) => {
                let action = self.next(state, block, thread).expect("a thread that goes on has an action");
                format!("block {block} thread {thread}: {action:?}")
            }
            Move::Meet(block) => format!("block {block} meets"),
            Move::MeetCluster => "the cluster meets".into(),
            Move::Arrive(number) => format!("arrives: {:?}", self.stores[number].1),
        }
    }
}
