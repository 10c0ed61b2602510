//! Which networks of the process compute at this moment: together never more threads than the machine has cores.
//!
//! Two networks that trained side by side with all threads each would share the cores by the system's clock, and
//! whoever waits in a region would wait for a thread that is not running. So a run takes as many cores as it has
//! threads and hands them back, in the order of asking, when its time is over and others wait.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// How long a run keeps its cores while others wait: far more than handing them over costs.
const SLICE: Duration = Duration::from_millis(5);

struct Queue {
    free: usize,
    /// The number of the one who comes next, and the number that the next one to ask gets.
    serving: u64,
    next: u64,
}

/// Cores to take turns on.
pub struct Cores {
    count: usize,
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Cores {
    /// So many cores.
    pub const fn new(count: usize) -> Self {
        Self { count, queue: Mutex::new(Queue { free: count, serving: 0, next: 0 }), changed: Condvar::new() }
    }

    /// The machine's, as far as this process may use them.
    pub fn of_machine() -> &'static Self {
        static CORES: std::sync::OnceLock<Cores> = std::sync::OnceLock::new();
        CORES.get_or_init(|| Self::new(available_parallelism().map_or(1, usize::from)))
    }

    /// Waits for cores for so many threads, but at most all there are.
    pub fn take(&self, threads: usize) -> Turn<'_> {
        let threads = threads.min(self.count);
        self.acquire(threads);
        Turn { cores: self, threads, start: Instant::now() }
    }

    fn acquire(&self, threads: usize) {
        let mut queue = self.lock();
        let number = queue.next;
        queue.next += 1;
        while queue.serving != number || queue.free < threads {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.serving += 1;
        queue.free -= threads;
        // There may be cores left for the one who comes next.
        self.changed.notify_all();
    }

    fn release(&self, threads: usize) {
        self.lock().free += threads;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cores that are taken, until this is dropped.
pub struct Turn<'a> {
    cores: &'a Cores,
    threads: usize,
    start: Instant,
}

impl Turn<'_> {
    /// To be called between two pieces of work: lets others on the cores if they wait and the time is over.
    pub fn pass(&mut self) {
        if self.start.elapsed() < SLICE {
            return;
        }
        let queue = self.cores.lock();
        let others = queue.serving != queue.next;
        drop(queue);
        if others {
            self.cores.release(self.threads);
            self.cores.acquire(self.threads);
        }
        self.start = Instant::now();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.cores.release(self.threads);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn no_more_than_all_cores_are_taken_and_everybody_comes() {
        let (cores, used, most, done) =
            (Cores::new(4), AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for threads in [1, 2, 3, 4, 9, 2, 1] {
                let (cores, used, most, done) = (&cores, &used, &most, &done);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let turn = cores.take(threads);
                        let now = used.fetch_add(threads.min(4), Ordering::SeqCst) + threads.min(4);
                        most.fetch_max(now, Ordering::SeqCst);
                        thread::yield_now();
                        used.fetch_sub(threads.min(4), Ordering::SeqCst);
                        drop(turn);
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(done.into_inner(), 7);
        assert!((2..=4).contains(&most.into_inner()));
        assert_eq!(cores.lock().free, 4);
    }

    #[test]
    fn who_keeps_the_cores_passes_them_on() {
        let cores = Cores::new(2);
        let came = AtomicUsize::new(0);
        let mut turn = cores.take(2);
        turn.pass();
        thread::scope(|scope| {
            scope.spawn(|| {
                drop(cores.take(1));
                came.store(1, Ordering::SeqCst);
            });
            let start = Instant::now();
            while came.load(Ordering::SeqCst) == 0 {
                assert!(start.elapsed() < Duration::from_secs(10), "nobody else came");
                turn.pass();
            }
        });
    }
}
