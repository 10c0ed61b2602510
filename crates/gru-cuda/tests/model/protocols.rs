//! The two protocols of exchange_protocol.rs as programs.

use super::{Action, Array, Phase, Program, Programs, Word};
use std::ops::Range;

/// What the threads of a block do, which has as many cells as threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Each receives, and sends what is of one cell.
    Even,
    /// All compute, and only thread 0 sends; in BPTT, only thread 0 receives, and partial sums go through scratch.
    FewSend,
    /// In BPTT: only thread 0 receives, partial sums go through scratch, and each sends what is of one cell.
    FewReceive,
}

/// A cluster and its work.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub blocks: usize,
    /// Of a block.
    pub threads: usize,
    pub steps: usize,
    pub work: Work,
}

impl Shape {
    fn programs(self, program: impl Fn(usize, usize) -> Program) -> Programs {
        (0..self.blocks)
            .map(|block| (0..self.threads).map(|thread| program(block, thread)).collect())
            .collect()
    }

    fn open(self, thread: usize) -> Program {
        if thread == 0 { vec![Action::Init, Action::MeetCluster] } else { vec![Action::MeetCluster] }
    }

    fn receive(self, program: &mut Program, step: usize) {
        if step > 0 {
            let phase = Phase::of(step - 1);
            program.push(Action::Wait { phase, parity: phase.number % 2 });
        }
    }

    fn expect(self, program: &mut Program, thread: usize, step: usize) {
        if thread == 0 && step + 1 < self.steps {
            let stores = (self.blocks * self.threads) as i8;
            program.push(Action::Expect { phase: Phase::of(step), stores });
        }
    }

    /// Sends every block what is of the cells that this thread sends, into the words that `place` gives for them.
    fn send(self, program: &mut Program, thread: usize, step: usize, place: impl Fn(usize) -> usize) {
        let cells: Range<usize> = match self.work {
            Work::Even | Work::FewReceive => thread..thread + 1,
            Work::FewSend => 0..if thread == 0 { self.threads } else { 0 },
        };
        if step + 1 == self.steps {
            return;
        }
        for to in 0..self.blocks {
            program.extend(cells.clone().map(|cell| Action::Send {
                to,
                word: Word { array: Array::Inbox, buffer: step % 2, index: place(cell) },
                step: step + 1,
                phase: Phase::of(step),
            }));
        }
    }
}

/// The first `count` words of a buffer.
fn read(program: &mut Program, array: Array, buffer: usize, count: usize, step: usize) {
    program.extend((0..count).map(|index| Action::Read { word: Word { array, buffer, index }, step }));
}

/// Of each thread.
pub fn forward(shape: Shape) -> Programs {
    let Shape { blocks, threads, steps, .. } = shape;
    shape.programs(|block, thread| {
        let mut program = shape.open(thread);
        for index in (thread..blocks * threads).step_by(threads) {
            let word = Word { array: Array::Inbox, buffer: 1, index };
            program.push(Action::Write { word, step: 0 });
        }
        program.push(Action::Meet);
        for step in 0..steps {
            shape.receive(&mut program, step);
            shape.expect(&mut program, thread, step);
            read(&mut program, Array::Inbox, (step + 1) % 2, blocks * threads, step);
            let word = Word { array: Array::Scratch, buffer: step % 2, index: thread };
            program.push(Action::Write { word, step });
            program.push(Action::Meet);
            read(&mut program, Array::Scratch, step % 2, threads, step);
            shape.send(&mut program, thread, step, |cell| block * threads + cell);
        }
        program.push(Action::MeetCluster);
        program
    })
}

/// Of each thread; step 0 is the last time step.
pub fn backward(shape: Shape) -> Programs {
    let Shape { blocks, threads, steps, work } = shape;
    shape.programs(|block, thread| {
        let mut program = shape.open(thread);
        // Cells whose slots this thread adds up, and whose dq it writes.
        let cells = match work {
            Work::Even => thread..thread + 1,
            Work::FewSend | Work::FewReceive => 0..if thread == 0 { threads } else { 0 },
        };
        for step in 0..steps {
            if !cells.is_empty() {
                shape.receive(&mut program, step);
            }
            let slots = (0..blocks).flat_map(|rank| cells.clone().map(move |cell| rank * threads + cell));
            if step > 0 {
                program.extend(slots.map(|index| Action::Read {
                    word: Word { array: Array::Inbox, buffer: (step + 1) % 2, index },
                    step,
                }));
            }
            if step + 1 == steps {
                break;
            }
            shape.expect(&mut program, thread, step);
            let dq_buffer = if work == Work::Even { step % 2 } else { 0 };
            program.extend(cells.clone().map(|index| Action::Write {
                word: Word { array: Array::Dq, buffer: dq_buffer, index },
                step,
            }));
            program.push(Action::Meet);
            read(&mut program, Array::Dq, dq_buffer, threads, step);
            if work != Work::Even {
                let word = Word { array: Array::Scratch, buffer: 0, index: thread };
                program.push(Action::Write { word, step });
                program.push(Action::Meet);
                if thread == 0 || work == Work::FewReceive {
                    read(&mut program, Array::Scratch, 0, threads, step);
                }
            }
            // Another cell than the one whose slots the thread reads.
            shape.send(&mut program, thread, step, |cell| block * threads + (cell + 1) % threads);
        }
        program.push(Action::MeetCluster);
        program
    })
}
