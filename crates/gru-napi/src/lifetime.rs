//! The threads of an environment's networks end with it: at `process.exit`, at the end of the main script and
//! at a worker thread's `terminate`, each after the update that it is in.

use crate::error::{Result, internal};
use crate::worker::Worker;
use napi::Env;
use std::cell::RefCell;
use std::thread::JoinHandle;

/// A network's thread and the way to it.
type Running = (Worker, JoinHandle<()>);

thread_local! {
    /// The networks of the environment that lives on this thread; `None` until it has made one.
    static RUNNING: RefCell<Option<Vec<Running>>> = const { RefCell::new(None) };
}

/// Has the thread joined when the environment ends, unless it has ended by then.
///
/// # Errors
/// When Node takes no cleanup hook.
pub fn watch(env: &Env, worker: Worker, thread: JoinHandle<()>) -> Result<()> {
    let first = RUNNING.with_borrow_mut(|running| {
        let first = running.is_none();
        let running = running.get_or_insert_default();
        running.retain(|(_, thread)| !thread.is_finished());
        running.push((worker, thread));
        first
    });
    if first {
        env.add_env_cleanup_hook((), |()| join_all()).map_err(internal)?;
    }
    Ok(())
}

/// Tells all threads first, so that they end side by side.
fn join_all() {
    let running = RUNNING.take().unwrap_or_default();
    for (worker, _) in &running {
        worker.close();
    }
    for (_, thread) in running {
        drop(thread.join());
    }
}
