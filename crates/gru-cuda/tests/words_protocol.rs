//! The exchange of kernels/words_exchange.cuh, searched: every order of the threads of two blocks, of their stores and
//! of their loads.
//!
//! A word of device memory is a tag and a value. A thread that awaits words takes each when its tag is there, in
//! whichever order. A store comes some time after it was made, in whichever order. Threads of a block meet at
//! `__syncthreads`. The value of a word stands for what it is: of which update and step, from whom and for whom. So a
//! thread that takes a word with the right tag and another meaning has a wrong value.
//!
//! That a load may come earlier than the one before it in the program is in this too: a word that is not there yet is
//! loaded again, and one that is there with its tag is the right one whenever it was loaded, since no tag is stored
//! twice in a place within an update.
//!
//! **Forward.** Step p > 0: threads await the words of each block, of phase p - 1, and leave them in the inbox. Then all
//! meet, read the inbox, and send the block's words to the place that all blocks load. **BPTT.** The same, but each
//! block sends each block other words, and what threads leave in shared memory, dq, follows from what they awaited.
//!
//! What is not shown here: that the kernels do this (they run on the emulator), and what else a thread might read on
//! the strength of a tag (nothing).

use std::collections::HashSet;

const BLOCKS: usize = 2;
const THREADS: usize = 2;

/// A number for each thing that a value can be: of which update and phase, for which block and of which unit of which
/// block.
type Value = u8;
fn value(update: u8, phase: u8, [to, from, unit]: [usize; 3]) -> Value {
    ((update * 4 + phase) * 2 + to as u8) * 4 + (from * 2 + unit) as u8
}

/// The update before, and the one that is searched.
const BEFORE: u8 = 1;
const NOW: u8 = 2;

/// Places of words: two buffers.
const PLACES: usize = 2 * BLOCKS * BLOCKS * THREADS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Takes from a place of device memory the word with this tag.
    Await { place: usize, tag: u8, value: Value },
    /// Stores a word.
    Send { place: usize, tag: u8, value: Value },
    /// Stores a tag or a value alone: what a word of two accesses would be.
    SendPart { place: usize, tag: Option<u8>, value: Option<Value> },
    /// Meets the threads of its block.
    Meet,
    /// Leaves what it received in its part of a buffer of the block's shared memory.
    Write { buffer: usize, step: u8 },
    /// Finds what a thread left there.
    Read { buffer: usize, from: usize, step: u8 },
}

/// Of each thread of each block, one after the other. An `Await` that follows an `Await` may come before it.
type Programs = Vec<Vec<Action>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// A word has the tag, and another value than the one that is awaited.
    WrongValue,
    /// Shared memory holds the value of another step.
    WrongStep,
    /// Nothing can happen, and some thread is not at its end.
    Deadlock,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    /// How far each thread is, and which of the actions from there on are done before their turn.
    at: [(u8, u8); BLOCKS * THREADS],
    memory: [(u8, Value); PLACES],
    /// Step + 1 of what is there.
    shared: [[[u8; THREADS]; 2]; BLOCKS],
    /// Stores under way: a bit for each of `Search::stores`.
    flying: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Forward,
    Backward,
}
use Pass::{Backward, Forward};

/// What the threads of a block do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Work {
    /// Each receives the words of one unit and sends those of the other.
    Even,
    /// One receives all, the other sends all.
    #[default]
    OneReceives,
}

/// The work, and what is changed in the protocol.
#[derive(Clone, Copy, Default)]
struct Plan {
    work: Work,
    one_buffer: bool,
    one_tag: bool,
    tag_awaited_is_next: bool,
    first_tag_is_1: bool,
    no_meeting: bool,
    sends_before_it_meets: bool,
    wrong_peer: bool,
    torn: bool,
    not_cleared: bool,
    blocks_one_after_the_other: bool,
}

impl Plan {
    fn place(self, phase: u8, [to, from, unit]: [usize; 3]) -> usize {
        let buffer = if self.one_buffer { 0 } else { usize::from(phase % 2) };
        ((buffer * BLOCKS + to) * BLOCKS + from) * THREADS + unit
    }

    fn tag(self, pass: Pass, steps: u8, phase: u8) -> u8 {
        let first = if pass == Forward || self.first_tag_is_1 { 1 } else { steps };
        if self.one_tag { first } else { first + phase }
    }

    fn programs(self, pass: Pass, steps: u8) -> Programs {
        let threads = (0..BLOCKS).flat_map(|block| (0..THREADS).map(move |thread| (block, thread)));
        threads.map(|(block, thread)| self.program(pass, steps, block, thread)).collect()
    }

    fn program(self, pass: Pass, steps: u8, block: usize, thread: usize) -> Vec<Action> {
        let (received, sent) = match self.work {
            Work::Even => (1 - thread..2 - thread, thread..thread + 1),
            Work::OneReceives if thread == 0 => (0..0, 0..THREADS),
            Work::OneReceives => (0..THREADS, 0..0),
        };
        // What a block sends to all is loaded by all from one place.
        let (peers, own) = if pass == Forward { (0..1, 0) } else { (0..BLOCKS, block) };
        let mut program = vec![];
        for step in 0..steps {
            let sends = sent.clone().flat_map(|unit| peers.clone().map(move |to| [to, block, unit]));
            let sends = sends.flat_map(|which| self.send(pass, steps, step, which));
            let buffer = usize::from(step % 2); // as the inbox and dq of the kernels
            let words = received.clone().flat_map(|unit| (0..BLOCKS).map(move |from| [own, from, unit]));
            if step > 0 {
                program.extend(words.map(|which| Action::Await {
                    place: self.place(step - 1, which),
                    tag: self.tag(pass, steps, step - 1) + u8::from(self.tag_awaited_is_next),
                    value: value(NOW, step - 1, which),
                }));
            }
            if step + 1 < steps && self.sends_before_it_meets {
                program.extend(sends.clone());
            }
            program.push(Action::Write { buffer, step });
            if !self.no_meeting {
                program.push(Action::Meet);
            }
            program.push(Action::Read { buffer, from: 1 - thread, step });
            if step + 1 < steps && !self.sends_before_it_meets {
                program.extend(sends);
            }
        }
        program
    }

    fn send(self, pass: Pass, steps: u8, step: u8, which: [usize; 3]) -> Vec<Action> {
        let [to, from, unit] = which;
        let tag = self.tag(pass, steps, step);
        let value = value(NOW, step, which);
        let place = self.place(step, if self.wrong_peer { [1 - to, from, unit] } else { which });
        if self.torn {
            let part = |tag, value| Action::SendPart { place, tag, value };
            return vec![part(None, Some(value)), part(Some(tag), None)];
        }
        vec![Action::Send { place, tag, value }]
    }

    /// Device memory as the pass finds it: cleared, or with what came last in the update before, of both passes.
    fn memory(self, steps: u8) -> [(u8, Value); PLACES] {
        let mut memory = [(0, 0); PLACES];
        if self.not_cleared || self.first_tag_is_1 {
            // In BPTT what is left is of the forward pass of this update, else of BPTT of the one before.
            let pass = if self.first_tag_is_1 { Forward } else { Backward };
            for phase in 0..steps - 1 {
                for (to, from, unit) in (0..8).map(|i| (i / 4, i / 2 % 2, i % 2)) {
                    let tag = self.tag(pass, steps, phase);
                    let which = [to, from, unit];
                    memory[self.place(phase, which)] = (tag, value(BEFORE, phase, which));
                }
            }
        }
        memory
    }
}

struct Search {
    programs: Programs,
    /// By thread and number of the action.
    stores: Vec<(usize, usize)>,
    one_after_the_other: bool,
}

impl Search {
    fn action(&self, thread: usize, number: usize) -> Option<Action> {
        self.programs[thread].get(number).copied()
    }

    fn is_at_end(&self, state: &State, thread: usize) -> bool {
        usize::from(state.at[thread].0) == self.programs[thread].len()
    }

    /// Actions of a thread that may come next: several words that are awaited together, else one.
    fn candidates(&self, state: &State, thread: usize) -> Vec<usize> {
        let (at, done) = state.at[thread];
        let at = usize::from(at);
        let is_await = |number| matches!(self.action(thread, number), Some(Action::Await { .. }));
        let together = (at..).take_while(|&number| is_await(number)).count().max(1);
        (at..at + together).filter(|number| done >> (number - at) & 1 == 0).collect()
    }

    /// Everything that can come after a state.
    fn next(&self, state: &State) -> Result<Vec<State>, Fault> {
        let mut all = vec![];
        for (index, &(thread, number)) in self.stores.iter().enumerate() {
            if state.flying >> index & 1 == 0 {
                continue;
            }
            let mut next = *state;
            next.flying &= !(1 << index);
            match self.action(thread, number) {
                Some(Action::Send { place, tag, value }) => next.memory[place] = (tag, value),
                Some(Action::SendPart { place, tag, value }) => {
                    let word = &mut next.memory[place];
                    *word = (tag.unwrap_or(word.0), value.unwrap_or(word.1));
                }
                action => unreachable!("{action:?} is no store"),
            }
            all.push(next);
        }
        for block in 0..BLOCKS {
            let threads = block * THREADS..(block + 1) * THREADS;
            // A block that finds no room begins when the one before it has ended.
            if self.one_after_the_other && (0..threads.start).any(|thread| !self.is_at_end(state, thread)) {
                break;
            }
            let at = |thread: usize| self.action(thread, state.at[thread].0.into());
            if threads.clone().all(|thread| at(thread) == Some(Action::Meet)) {
                let mut next = *state;
                threads.clone().for_each(|thread| next.at[thread].0 += 1);
                all.push(next);
            }
            for thread in threads {
                for number in self.candidates(state, thread) {
                    all.extend(self.act(state, thread, number)?);
                }
            }
        }
        if all.is_empty() && (0..state.at.len()).any(|thread| !self.is_at_end(state, thread)) {
            return Err(Fault::Deadlock);
        }
        Ok(all)
    }

    /// The state after an action, if it can happen now.
    fn act(&self, state: &State, thread: usize, number: usize) -> Result<Option<State>, Fault> {
        let mut next = *state;
        let block = thread / THREADS;
        match self.action(thread, number) {
            None | Some(Action::Meet) => return Ok(None),
            Some(Action::Await { place, tag, value }) => {
                let word = state.memory[place];
                if word.0 != tag {
                    return Ok(None);
                }
                if word.1 != value {
                    return Err(Fault::WrongValue);
                }
            }
            Some(Action::Write { buffer, step }) => next.shared[block][buffer][thread % THREADS] = step + 1,
            Some(Action::Read { buffer, from, step }) => {
                if state.shared[block][buffer][from] != step + 1 {
                    return Err(Fault::WrongStep);
                }
            }
            Some(Action::Send { .. } | Action::SendPart { .. }) => {
                let store = self.stores.iter().position(|&store| store == (thread, number));
                next.flying |= 1 << store.expect("every store is in the list");
            }
        }
        let (at, done) = &mut next.at[thread];
        *done |= 1 << (number - usize::from(*at));
        while *done & 1 == 1 {
            *done >>= 1;
            *at += 1;
        }
        Ok(Some(next))
    }
}

/// Number of states, and the first fault that some order of events leads to.
fn explore(pass: Pass, steps: u8, plan: Plan) -> (usize, Option<Fault>) {
    let programs = plan.programs(pass, steps);
    let is_store = |action| matches!(action, Action::Send { .. } | Action::SendPart { .. });
    let all = programs.iter().enumerate();
    let all = all.flat_map(|(thread, program)| (0..program.len()).map(move |number| (thread, number)));
    let stores: Vec<_> = all.filter(|&(thread, number)| is_store(programs[thread][number])).collect();
    assert!(stores.len() <= 64, "expected at most 64 stores, received {}", stores.len());
    let search = Search { programs, stores, one_after_the_other: plan.blocks_one_after_the_other };
    let start = State {
        at: [(0, 0); BLOCKS * THREADS],
        memory: plan.memory(steps),
        shared: [[[0; THREADS]; 2]; BLOCKS],
        flying: 0,
    };
    let mut seen = HashSet::from([start]);
    let mut left = vec![start];
    while let Some(state) = left.pop() {
        match search.next(&state) {
            Err(fault) => return (seen.len(), Some(fault)),
            Ok(next) => left.extend(next.into_iter().filter(|next| seen.insert(*next))),
        }
    }
    (seen.len(), None)
}

#[test]
fn whatever_the_order_every_word_is_the_one_that_is_awaited() {
    for (pass, name) in [(Forward, "forward"), (Backward, "BPTT")] {
        for (steps, work) in (1..=4).flat_map(|steps| [(steps, Work::Even), (steps, Work::OneReceives)]) {
            let (states, fault) = explore(pass, steps, Plan { work, ..Plan::default() });
            println!("{name}, {steps} steps, {work:?}: {states} states");
            assert_eq!(fault, None, "{name}, {steps} steps, {work:?}");
        }
    }
}

#[test]
fn what_the_words_hold_before_does_not_matter_as_long_as_no_tag_is_awaited() {
    // What the forward pass leaves, for BPTT, whose tags are others.
    let plan = Plan::default();
    let left = Plan { first_tag_is_1: true, ..plan }.memory(4);
    let awaited: Vec<u8> = (0..3).map(|phase| plan.tag(Backward, 4, phase)).collect();
    assert!(left.iter().all(|(tag, _)| !awaited.contains(tag)), "{left:?} for {awaited:?}");
}

#[test]
fn every_wrong_exchange_is_found() {
    let right = Plan::default();
    let wrong: [(&str, Pass, Plan, &[Fault]); 14] = [
        ("one buffer", Forward, Plan { one_buffer: true, ..right }, &[Fault::Deadlock]),
        ("one buffer", Backward, Plan { one_buffer: true, ..right }, &[Fault::Deadlock]),
        ("one tag", Forward, Plan { one_tag: true, ..right }, &[Fault::WrongValue]),
        ("one tag", Backward, Plan { one_tag: true, ..right }, &[Fault::WrongValue]),
        ("another tag", Forward, Plan { tag_awaited_is_next: true, ..right }, &[Fault::Deadlock]),
        ("tags again", Backward, Plan { first_tag_is_1: true, ..right }, &[Fault::WrongValue]),
        ("not cleared", Backward, Plan { not_cleared: true, ..right }, &[Fault::WrongValue]),
        ("wrong peer", Backward, Plan { wrong_peer: true, ..right }, &[Fault::WrongValue]),
        ("wrong place", Forward, Plan { wrong_peer: true, ..right }, &[Fault::Deadlock]),
        ("no meeting", Forward, Plan { no_meeting: true, ..right }, &[Fault::WrongStep]),
        ("no meeting", Backward, Plan { no_meeting: true, ..right }, &[Fault::WrongStep]),
        ("early", Forward, Plan { sends_before_it_meets: true, ..right }, &[Fault::Deadlock]),
        ("two accesses", Forward, Plan { torn: true, ..right }, &[Fault::WrongValue]),
        ("no room for all", Forward, Plan { blocks_one_after_the_other: true, ..right }, &[Fault::Deadlock]),
    ];
    for (name, pass, plan, faults) in wrong {
        let (states, fault) = explore(pass, 4, plan);
        println!("{name}: {states} states, {fault:?}");
        assert_eq!(fault.as_slice(), faults, "{name}");
    }
}
