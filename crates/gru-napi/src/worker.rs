//! The one thread of a network, the only one that touches its backend, and the queue of commands to it.
//!
//! Every command is settled exactly once: with what it gave, with its panic, or, when the thread ends before
//! its turn comes, as disposed of. Tests: `tests/worker.rs`.

use crate::memory;
use crate::panics;
use gru_core::{Backend, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Why a command gave nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkError {
    /// The backend refused it.
    Backend(Error),
    /// The network was disposed of before the command was done.
    Disposed,
    /// The command panicked, with this text. The backend may be inconsistent and is not used again.
    Panicked(String),
    /// An earlier command panicked, with this text.
    Broken(String),
}

/// The backend of a command whose turn has come, or why it gets none.
type Turn<'a> = Result<&'a mut dyn Backend, WorkError>;

/// Does a command's work and settles it; gives the text of its panic, if any.
type Execute = Box<dyn FnOnce(Turn<'_>) -> Option<String> + Send>;

/// A command in the queue. Dropped before its turn, it settles as disposed of.
struct Command(Option<Execute>);

impl Command {
    fn run(mut self, turn: Turn<'_>) -> Option<String> {
        self.0.take().and_then(|execute| execute(turn))
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if let Some(execute) = self.0.take() {
            execute(Err(WorkError::Disposed));
        }
    }
}

enum Message {
    Run(Command),
    End,
}

/// The way to a network's thread.
#[derive(Clone)]
pub struct Worker {
    messages: Sender<Message>,
    closing: Arc<AtomicBool>,
}

impl Worker {
    /// Starts the thread, which makes the backend first; commands wait for that. `make` gets a flag that tells it
    /// to end early, since the backend is no longer wanted. Where it fails, so does every command.
    ///
    /// # Errors
    /// [`Error::Threads`].
    pub fn start<M>(make: M) -> Result<(Self, JoinHandle<()>), WorkError>
    where
        M: FnOnce(&AtomicBool) -> Result<Box<dyn Backend>, Error> + Send + 'static,
    {
        let (messages, inbox) = channel();
        let closing = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&closing);
        let body = move || {
            let made = match panics::catch(|| make(&flag)) {
                Ok(made) => made.map_err(WorkError::Backend),
                Err(text) => Err(WorkError::Panicked(text)),
            };
            serve(made, inbox, &flag);
            memory::give_back();
        };
        let thread = Builder::new().name("gru-network".into()).spawn(body);
        let thread = thread.map_err(|error| Error::Threads { threads: 1, reason: error.to_string() });
        Ok((Self { messages, closing }, thread.map_err(WorkError::Backend)?))
    }

    /// Waits until the backend is made.
    ///
    /// # Errors
    /// What making it gave or panicked with.
    pub fn wait(&self) -> Result<(), WorkError> {
        let (report, made) = sync_channel(1);
        self.submit(|_, _| Ok(()), move |result| drop(report.send(result)));
        made.recv().unwrap_or(Err(WorkError::Disposed))
    }

    /// Queues `work`; the thread gives its result to `settle`. `work` gets the backend and a flag that tells
    /// it to end early, since its result is no longer wanted.
    pub fn submit<T, W, S>(&self, work: W, settle: S)
    where
        W: FnOnce(&mut dyn Backend, &AtomicBool) -> Result<T, Error> + Send + 'static,
        S: FnOnce(Result<T, WorkError>) + Send + 'static,
    {
        let closing = Arc::clone(&self.closing);
        let execute = move |turn: Turn<'_>| {
            let result = match turn {
                Ok(backend) => match panics::catch(|| work(backend, &closing)) {
                    Ok(result) => result.map_err(WorkError::Backend),
                    Err(text) => Err(WorkError::Panicked(text)),
                },
                Err(error) => Err(error),
            };
            let panic = match &result {
                Err(WorkError::Panicked(text)) => Some(text.clone()),
                _ => None,
            };
            settle(if closing.load(Ordering::Relaxed) { Err(WorkError::Disposed) } else { result });
            panic
        };
        // A thread that has ended hands the command back; dropped, it settles as disposed of.
        drop(self.messages.send(Message::Run(Command(Some(Box::new(execute))))));
    }

    /// Ends the thread after the commands already queued.
    pub fn finish(&self) {
        drop(self.messages.send(Message::End));
    }

    /// Ends the thread as soon as the running command lets it; it and the queued ones settle as disposed of.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.finish();
    }
}

/// The thread's loop. When it returns, the queued commands are dropped first and the backend after them.
fn serve(mut made: Result<Box<dyn Backend>, WorkError>, messages: Receiver<Message>, closing: &AtomicBool) {
    let mut broken = None;
    while let Ok(Message::Run(command)) = messages.recv() {
        if closing.load(Ordering::Relaxed) {
            break;
        }
        let turn: Turn<'_> = match (&broken, &mut made) {
            (Some(text), _) => Err(WorkError::Broken(String::clone(text))),
            (None, Ok(backend)) => Ok(&mut **backend),
            (None, Err(error)) => Err(error.clone()),
        };
        if let Some(text) = command.run(turn) {
            broken = Some(text);
        }
    }
}
