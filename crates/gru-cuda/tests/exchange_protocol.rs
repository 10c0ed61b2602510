//! The protocol by which the blocks of a cluster hand on what the next step needs, and the proof by exhaustion that it
//! is right: all that two blocks of two threads can do in up to five steps, and three blocks of one thread in four,
//! with stores that arrive at any time and in any order. kernels/cluster_exchange.cuh and the persistent kernels
//! follow what is written here.
//!
//! **Both passes.** A block has an inbox of two buffers, and an mbarrier for each that takes one arrival. At step p
//! every block sends phase p: it goes to buffer p % 2 of all inboxes and is counted on barrier p % 2, as that one's
//! phase p / 2. It is read at step p + 1. BPTT counts steps from the last time step, and the last step sends nothing.
//!
//! 1. Thread 0 initialises the barriers; the cluster meets. Before that no block may store to another.
//! 2. At step p > 0, who reads the inbox waits for phase p - 1, by the parity (p - 1) / 2 % 2.
//! 3. If there is a step p + 1, thread 0, which has waited, arrives on barrier p % 2 and expects the bytes of all
//!    blocks, its own among them.
//! 4. Threads read, compute and meet in the block.
//! 5. If there is a step p + 1, its values go to all blocks, the own one too, by stores that complete on the barrier
//!    of the buffer they go to. They may come before thread 0 there has arrived: then the bytes that are due fall
//!    below zero, and a phase that lacks its arrival does not complete.
//!
//! **Forward.** h_0 lies in buffer 1, where each block writes it itself before its threads meet. Step p: read h_p of
//! all blocks; leave partial sums in scratch p % 2; meet; add them up; send the own units of h_(p + 1).
//!
//! **BPTT.** A buffer has a slot for each block that sends. Step p: add up the slots of the own units; at the last
//! step, end; write dq of the own units; meet; read it all; send each block its part of dh. Where partial sums go
//! through scratch, the block meets again before they are read, and dq and scratch are one buffer each; else dq is two.
//!
//! Why it is right:
//! - No buffer is overwritten while it is read. What overwrites what is read at step p is sent at step p + 1, after a
//!   wait for what this block sends at step p; and this it sends after it met, which its threads come to when they
//!   have read. So nobody needs to tell a fast block to wait.
//! - No barrier counts bytes of another phase, for the same reason.
//! - A single dq or scratch is not overwritten while it is read if each thread that reads it sends something after, or
//!   meets those that send before they do: it is written again behind a wait that counts the bytes that the block
//!   sent itself. If a block kept its own part and waited for those of its peers alone, it would be (planted below).
//!   Two buffers do without this, if all meet once a step.
//! - A block may end as soon as it is through, without another meeting of the cluster: it has then waited for every
//!   byte that anybody sends it. If it had not, a meeting would not help, since it waits for threads and not for
//!   stores that are on their way (planted below). The kernels still meet: to a reader, and to the platform's
//!   manual, that shows what this search has to prove.
//! - The arrival may stand anywhere from the wait for the phase before it on its barrier to the wait for its own
//!   phase; not after that.
//!
//! What is not shown here: memory orders weaker than one order of all actions (the emulator's race checks know what
//! happens before what), and that the kernels do what is written here (they run on the emulator).

mod model;

use model::{
    Action, Array, Explored, Fault, Phase, Program, Programs, Shape, Work, backward, explore, forward,
};

const EVEN: Shape = Shape { blocks: 2, threads: 2, steps: 3, work: Work::Even };
const FEW_SEND: Shape = Shape { work: Work::FewSend, ..EVEN };

type Protocol = fn(Shape) -> Programs;
/// With what the threads of its kernels do.
const PROTOCOLS: [(Protocol, &[Work]); 2] =
    [(forward, &[Work::Even, Work::FewSend]), (backward, &[Work::Even, Work::FewSend, Work::FewReceive])];

#[test]
fn whatever_the_order_each_step_reads_what_was_sent_for_it() {
    // Blocks, threads, steps: parities come round again at the fifth step.
    let sizes = [(2, 2, 1), (2, 2, 2), (2, 2, 3), (2, 2, 5), (3, 1, 4)];
    for (name, (protocol, works)) in ["forward", "backward"].into_iter().zip(PROTOCOLS) {
        for (blocks, threads, steps) in sizes {
            for &work in works {
                let shape = Shape { blocks, threads, steps, work };
                let explored = explore(&protocol(shape));
                println!("{name}, {shape:?}: {} states", explored.states);
                assert!(explored.faults.is_empty(), "{name}, {shape:?}: {explored}");
            }
        }
    }
}

type Change = fn(usize, &mut Program);

/// What can happen when the program of each thread, with the rank of its block, was changed.
fn changed(protocol: Protocol, shape: Shape, change: Change) -> Explored {
    let right = protocol(shape);
    let mut programs = right.clone();
    for (block, threads) in programs.iter_mut().enumerate() {
        threads.iter_mut().for_each(|program| change(block, program));
    }
    assert_ne!(programs, right, "{shape:?}: expected another protocol");
    explore(&programs)
}

fn is_arrival(action: &Action) -> bool {
    matches!(action, Action::Expect { .. })
}

fn position(program: &Program, action: impl Fn(&Action) -> bool) -> usize {
    program.iter().position(action).expect("the program has such an action")
}

fn wait_for(program: &Program, wanted: Phase) -> usize {
    position(program, |action| matches!(action, Action::Wait { phase, .. } if *phase == wanted))
}

/// Takes the actions of a kind out, and puts each where `place` says.
fn moved(program: &mut Program, kind: fn(&Action) -> bool, place: fn(&Program, Phase) -> usize) {
    let (actions, rest): (Program, Program) = program.iter().partition(|action| kind(action));
    *program = rest;
    // Backwards, so that those that come to one place keep their order.
    for action in actions.into_iter().rev() {
        if let Action::Expect { phase, .. } | Action::Send { phase, .. } = action {
            let at = place(program, phase);
            program.insert(at, action);
        }
    }
}

/// After the wait for the phase before it on its barrier.
fn after_the_phase_before(program: &Program, phase: Phase) -> usize {
    match phase.number.checked_sub(1) {
        None => position(program, |action| *action == Action::MeetCluster) + 1,
        Some(number) => wait_for(program, Phase { number, ..phase }) + 1,
    }
}

/// Makes the second buffer of an array the first.
fn one_buffer(program: &mut Program, array: Array) {
    for action in program {
        if let Action::Read { word, .. } | Action::Write { word, .. } | Action::Send { word, .. } = action
            && word.array == array
        {
            word.buffer = 0;
        }
    }
}

#[test]
fn what_may_be_done_otherwise() {
    let both: [(&str, Change); 4] = [
        ("no meeting of the cluster at the end", |_, program| program.truncate(program.len() - 1)),
        ("arrivals just before the waits for them", |_, program| moved(program, is_arrival, wait_for)),
        ("arrivals as soon as they may be", |_, program| moved(program, is_arrival, after_the_phase_before)),
        ("arrivals after the threads met", |_, program| {
            moved(program, is_arrival, |program, phase| {
                position(program, |action| matches!(action, Action::Send { phase: of, .. } if *of == phase))
            });
        }),
    ];
    for (name, change) in both {
        for (protocol, works) in PROTOCOLS {
            for &work in works {
                let explored = changed(protocol, Shape { work, ..EVEN }, change);
                assert!(explored.faults.is_empty(), "{name}, {work:?}: {explored}");
            }
        }
    }
    let single: [(Protocol, Change); 2] = [
        (forward, |_, program| one_buffer(program, Array::Scratch)),
        (backward, |_, program| one_buffer(program, Array::Dq)),
    ];
    for (protocol, change) in single {
        let explored = changed(protocol, EVEN, change);
        assert!(explored.faults.is_empty(), "{explored}");
    }
    let met_once = changed(forward, FEW_SEND, |_, program| {
        let cluster = program.remove(position(program, |action| *action == Action::MeetCluster));
        let meeting = position(program, |action| *action == Action::Meet);
        program[meeting] = cluster;
    });
    assert!(met_once.faults.is_empty(), "{met_once}");
}

/// The wrong protocol, and all that comes of it.
fn wrong(protocol: Protocol, shape: Shape, change: Change, faults: &[Fault]) {
    let explored = changed(protocol, shape, change);
    println!("{} states: {faults:?}", explored.states);
    let found: Vec<_> = explored.faults.keys().copied().collect();
    assert_eq!(found, faults, "{shape:?}: {explored}");
}

#[test]
fn wrong_barriers_are_found() {
    for (protocol, _) in PROTOCOLS {
        let no_first_meeting: Change = |_, program| {
            program.remove(position(program, |action| *action == Action::MeetCluster));
        };
        wrong(protocol, EVEN, no_first_meeting, &[Fault::Barrier]);
        let no_arrival: Change = |_, program| program.retain(|action| !is_arrival(action));
        wrong(protocol, EVEN, no_arrival, &[Fault::Deadlock]);
        let two_arrivals: Change = |_, program| {
            let times = |action: &Action| if is_arrival(action) { 2 } else { 1 };
            *program = program.iter().flat_map(|action| vec![*action; times(action)]).collect();
        };
        wrong(protocol, EVEN, two_arrivals, &[Fault::Barrier]);
        let arrival_after_the_wait: Change = |_, program| {
            moved(program, is_arrival, |program, phase| wait_for(program, phase) + 1);
        };
        wrong(protocol, EVEN, arrival_after_the_wait, &[Fault::Deadlock]);
        let all_arrivals_at_once: Change = |_, program| {
            moved(program, is_arrival, |program, _| {
                position(program, |action| *action == Action::MeetCluster) + 1
            });
        };
        wrong(protocol, Shape { steps: 4, ..EVEN }, all_arrivals_at_once, &[Fault::Barrier]);
        let a_byte_too_many: Change = |_, program| {
            program.iter_mut().for_each(|action| {
                if let Action::Expect { stores, .. } = action {
                    *stores += 1;
                }
            });
        };
        wrong(protocol, EVEN, a_byte_too_many, &[Fault::Deadlock]);
        let a_byte_too_few: Change = |_, program| {
            program.iter_mut().for_each(|action| {
                if let Action::Expect { stores, .. } = action {
                    *stores -= 1;
                }
            });
        };
        wrong(protocol, EVEN, a_byte_too_few, &[Fault::Early(Array::Inbox), Fault::Phase]);
        let one_barrier: Change = |_, program| {
            for action in program {
                if let Action::Expect { phase, .. }
                | Action::Wait { phase, .. }
                | Action::Send { phase, .. } = action
                {
                    *phase = Phase { barrier: 0, number: 2 * phase.number + phase.barrier };
                }
                if let Action::Wait { phase, parity } = action {
                    *parity = phase.number % 2;
                }
            }
        };
        wrong(protocol, EVEN, one_barrier, &[Fault::Phase]);
    }
}

#[test]
fn wrong_waits_are_found() {
    for (protocol, _) in PROTOCOLS {
        let no_wait: Change = |_, program| program.retain(|action| !matches!(action, Action::Wait { .. }));
        wrong(protocol, EVEN, no_wait, &[Fault::Early(Array::Inbox)]);
        let other_parity: Change = |_, program| {
            program.iter_mut().for_each(|action| {
                if let Action::Wait { parity, .. } = action {
                    *parity = 1 - *parity;
                }
            });
        };
        wrong(protocol, EVEN, other_parity, &[Fault::Phase, Fault::Deadlock]);
        // Shows when a barrier comes to its second phase.
        let same_parity: Change = |_, program| {
            program.iter_mut().for_each(|action| {
                if let Action::Wait { parity, .. } = action {
                    *parity = 0;
                }
            });
        };
        wrong(protocol, Shape { steps: 4, ..EVEN }, same_parity, &[Fault::Phase, Fault::Deadlock]);
        // The cluster meets before it ends, and that does not help.
        let ends_without_the_last_step: Change = |_, program| {
            let last = program.iter().rposition(|action| matches!(action, Action::Wait { .. }));
            program.drain(last.expect("it waits")..program.len() - 1);
        };
        wrong(protocol, EVEN, ends_without_the_last_step, &[Fault::Ended]);
    }
}

#[test]
fn wrong_buffers_and_meetings_are_found() {
    for (protocol, _) in PROTOCOLS {
        let one_inbox: Change = |_, program| one_buffer(program, Array::Inbox);
        wrong(protocol, EVEN, one_inbox, &[Fault::Early(Array::Inbox), Fault::Overwritten(Array::Inbox)]);
    }
    let no_meeting: Change = |_, program| program.retain(|action| *action != Action::Meet);
    wrong(forward, EVEN, no_meeting, &[Fault::Early(Array::Inbox), Fault::Early(Array::Scratch)]);
    wrong(backward, EVEN, no_meeting, &[Fault::Early(Array::Dq)]);
    let h_0_is_not_met_for: Change = |_, program| {
        program.remove(position(program, |action| *action == Action::Meet));
    };
    wrong(forward, EVEN, h_0_is_not_met_for, &[Fault::Early(Array::Inbox)]);
    let no_second_meeting: Change = |_, program| {
        let mut meetings = 0;
        program.retain(|action| {
            meetings += usize::from(*action == Action::Meet);
            *action != Action::Meet || meetings % 2 == 1
        });
    };
    wrong(backward, FEW_SEND, no_second_meeting, &[Fault::Early(Array::Scratch)]);
    let sends_before_it_meets: Change = |_, program| {
        moved(
            program,
            |action| matches!(action, Action::Send { .. }),
            |program, phase| {
                // Just before, or there would be many more states.
                let t = 2 * phase.number + phase.barrier;
                let is_scratch = |word: model::Word| word.array == Array::Scratch;
                position(
                    program,
                    |action| matches!(*action, Action::Read { word, step } if is_scratch(word) && step == t),
                ) - 1
            },
        );
    };
    wrong(forward, FEW_SEND, sends_before_it_meets, &[Fault::Overwritten(Array::Inbox)]);
    wrong(
        forward,
        FEW_SEND,
        |_, program| one_buffer(program, Array::Scratch),
        &[Fault::Overwritten(Array::Scratch)],
    );
    // One dq, and the block keeps its own part of dh to itself, so that it waits for the bytes of its peer alone.
    let own_bytes_do_not_count: Change = |block, program| {
        one_buffer(program, Array::Dq);
        program.retain(|action| match action {
            Action::Send { to, .. } => *to != block,
            Action::Read { word, .. } => word.array != Array::Inbox || word.index / 2 != block,
            _ => true,
        });
        program.iter_mut().for_each(|action| {
            if let Action::Expect { stores, .. } = action {
                *stores -= 2;
            }
        });
    };
    wrong(backward, EVEN, own_bytes_do_not_count, &[Fault::Overwritten(Array::Dq)]);
}
