//! The thread of a network: order, disposal, panics. The files under test know nothing of Node and are tested
//! as they are; the addon is tested from JavaScript (test/network*.test.ts).

#[path = "../src/memory.rs"]
mod memory;
#[path = "../src/panics.rs"]
mod panics;
#[path = "../src/worker.rs"]
mod worker;

use gru_core::oracle::Oracle;
use gru_core::{Backend, Error, Sizes};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use worker::{WorkError, Worker};

const SIZES: Sizes =
    Sizes { vocab_size: 3, hidden_size: 2, batch_size: 1, num_steps: 2, candidate_bias: false };

fn start() -> (Worker, JoinHandle<()>) {
    Worker::start(|_| Ok(Box::new(Oracle::new(SIZES)?))).expect("the oracle starts")
}

/// Submits work and gives the end of a channel that its one result comes out of.
fn submit<T: Send + 'static>(
    worker: &Worker,
    work: impl FnOnce(&mut dyn Backend, &AtomicBool) -> Result<T, Error> + Send + 'static,
) -> Receiver<Result<T, WorkError>> {
    let (sender, receiver) = channel();
    worker.submit(work, move |result| sender.send(result).expect("the test listens"));
    receiver
}

/// The one result of a command; a command that is never settled fails the test.
fn result<T>(receiver: &Receiver<Result<T, WorkError>>) -> Result<T, WorkError> {
    let result = receiver.recv_timeout(Duration::from_secs(10)).expect("every command is settled");
    assert!(receiver.recv_timeout(Duration::from_secs(10)).is_err(), "settled twice");
    result
}

#[test]
fn commands_run_in_order_on_one_thread_of_their_own() {
    let (worker, _thread) = start();
    let (sender, order) = channel();
    let queued = [0, 1, 2, 3, 4].map(|number| {
        let sender = sender.clone();
        submit(&worker, move |_, _| {
            sender.send(number).expect("the test listens");
            Ok(std::thread::current().id())
        })
    });
    let threads = queued.map(|receiver| result(&receiver).expect("the work succeeds"));
    assert_eq!(order.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(threads.iter().all(|&thread| thread == threads[0] && thread != std::thread::current().id()));
}

#[test]
fn errors_of_the_backend_come_back_and_do_no_harm() {
    let (worker, _thread) = start();
    let refused = result(&submit(&worker, |backend, _| backend.load_corpus(&[0, 7])));
    assert!(
        matches!(refused, Err(WorkError::Backend(Error::Value { name: "ids", index: 1, .. }))),
        "{refused:?}"
    );
    assert_eq!(result(&submit(&worker, |backend, _| backend.load_corpus(&[0, 2]))), Ok(()));
}

#[test]
fn a_panic_is_an_error_and_the_backend_is_not_touched_again() {
    panics::silence();
    let (worker, thread) = start();
    let number = 3;
    let panicked = result(&submit::<()>(&worker, move |_, _| panic!("boom {number}")));
    assert_eq!(panicked, Err(WorkError::Panicked("boom 3".into())));
    let after =
        submit(&worker, |_, _| -> Result<(), Error> { unreachable!("the backend is not used again") });
    assert_eq!(result(&after), Err(WorkError::Broken("boom 3".into())));
    worker.finish();
    thread.join().expect("the thread outlives panics");
}

#[test]
fn closing_stops_the_running_command_and_refuses_the_others() {
    let (worker, thread) = start();
    let (sender, running) = channel();
    let first = submit(&worker, move |_, closing| {
        sender.send(()).expect("the test listens");
        while !closing.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        Ok("a result that nobody wants any more")
    });
    let second = submit(&worker, |_, _| -> Result<(), Error> { unreachable!("its turn never comes") });
    running.recv().expect("the first command runs");
    worker.close();
    worker.close();
    assert_eq!(result(&first), Err(WorkError::Disposed));
    assert_eq!(result(&second), Err(WorkError::Disposed));
    thread.join().expect("the thread ends");
    let late = submit(&worker, |_, _| -> Result<(), Error> { unreachable!("there is no thread") });
    assert_eq!(result(&late), Err(WorkError::Disposed));
}

#[test]
fn finishing_runs_what_is_queued() {
    let (worker, thread) = start();
    let queued = [0, 1, 2].map(|number| submit(&worker, move |_, _| Ok(number)));
    worker.finish();
    assert_eq!(queued.map(|receiver| result(&receiver)), [Ok(0), Ok(1), Ok(2)]);
    thread.join().expect("the thread ends");
}

#[test]
fn the_thread_ends_when_nobody_can_reach_it() {
    let (worker, thread) = start();
    let last = submit(&worker, |_, _| Ok(()));
    drop(worker);
    assert_eq!(result(&last), Ok(()));
    thread.join().expect("the thread ends");
}

#[test]
fn a_backend_that_cannot_be_made_fails_every_command() {
    panics::silence();
    let error = Error::OutOfMemory { bytes: 7 };
    let (worker, thread) = Worker::start({
        let error = error.clone();
        move |_| Err(error)
    })
    .expect("a thread starts");
    assert_eq!(worker.wait(), Err(WorkError::Backend(error.clone())));
    for _ in 0..2 {
        let refused = submit(&worker, |_, _| -> Result<(), Error> { unreachable!("there is no backend") });
        assert_eq!(result(&refused), Err(WorkError::Backend(error.clone())));
    }
    worker.finish();
    thread.join().expect("the thread ends");
    let (worker, _thread) = Worker::start(|_| panic!("no driver")).expect("a thread starts");
    assert_eq!(worker.wait(), Err(WorkError::Panicked("no driver".into())));
}

#[test]
fn commands_wait_for_the_backend_and_closing_gives_it_up() {
    let (sender, making) = channel();
    let (worker, thread) = Worker::start(move |closing| {
        sender.send(()).expect("the test listens");
        while !closing.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        Err(Error::OutOfMemory { bytes: 7 })
    })
    .expect("a thread starts");
    let queued = submit(&worker, |_, _| -> Result<(), Error> { unreachable!("there is no backend") });
    making.recv().expect("the backend is being made");
    assert!(queued.recv_timeout(Duration::from_millis(50)).is_err(), "the command waits");
    worker.close();
    assert_eq!(result(&queued), Err(WorkError::Disposed));
    thread.join().expect("the thread ends");
}
