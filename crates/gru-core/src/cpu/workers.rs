//! A set of threads that run parallel regions: started once, no allocation, the same tasks for any number of threads.
//!
//! The caller opens a region and works on it with the others. Tasks are taken from one counter. A worker that comes
//! late, because the system runs something else on its core, finds the region closed and is not waited for. Who
//! waits spins for some microseconds, since the next region is mostly near, and then sleeps.
//!
//! One atomic word, the gate, holds it together: the number of the region, whether it is open, and how many workers
//! are inside. What the caller wrote before opening is seen by those who enter; what they wrote before leaving is
//! seen by the caller, who goes on when the gate is closed and nobody is inside.

use std::any::Any;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::{Arc, PoisonError};
use sync::{
    AtomicBool, AtomicU64, AtomicUsize, Builder, JoinHandle, Mutex, Ordering, Thread, UnsafeCell, current,
    park, wake,
};

/// What the protocol is built of.
#[cfg(not(loom))]
mod sync {
    pub use std::sync::Mutex;
    pub use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    pub use std::thread::{Builder, JoinHandle, Thread, current, park};

    pub fn wake(thread: &Thread) {
        thread.unpark();
    }

    /// std's, with the face of the model checker's.
    pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        pub fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
            read(self.0.get())
        }

        pub fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            write(self.0.get())
        }
    }
}

/// The same, as the model checker sees it: every order of events, every value that a load may give.
#[cfg(loom)]
mod sync {
    pub use loom::cell::UnsafeCell;
    pub use loom::sync::Mutex;
    pub use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    pub use loom::thread::{Builder, JoinHandle, Thread, current};

    /// Whether who waits sleeps until woken. The checker takes a wake-up for something that orders memory, and
    /// would not see where the gate does not; so a second model stays awake.
    pub static SLEEP: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(true);

    pub fn park() {
        if SLEEP.load(Ordering::Relaxed) { loom::thread::park() } else { loom::thread::yield_now() }
    }

    pub fn wake(thread: &Thread) {
        if SLEEP.load(Ordering::Relaxed) {
            thread.unpark();
        }
    }
}

/// Turns of the loop that waits awake: tens of microseconds.
const SPINS: u32 = if cfg!(loom) { 0 } else { 1000 };

/// The gate's bits: workers inside, then OPEN, then the number of the region.
const INSIDE: u64 = 0xffff;
const OPEN: u64 = 1 << 16;
const REGION: u64 = 1 << 17;

type Panic = Box<dyn Any + Send>;

/// What the caller lets the others do.
#[derive(Clone)]
struct Region {
    /// Lives until the caller has seen the gate closed and empty.
    work: NonNull<dyn Fn(usize) + Sync>,
    tasks: usize,
    caller: Thread,
}

struct Shared {
    gate: AtomicU64,
    region: UnsafeCell<Option<Region>>,
    /// The next task nobody has taken.
    next: AtomicUsize,
    /// The first panic of a region.
    panic: Mutex<Option<Panic>>,
    ended: AtomicBool,
}

// SAFETY: `region` is written by the caller alone, while the gate is closed and empty, and read only by workers that
// have entered an open gate; the gate's Release and Acquire order the two. The work inside is Sync.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// Takes tasks until none is left; the first panic ends this thread's part and is kept for the caller.
    fn run(&self, work: &(dyn Fn(usize) + Sync), tasks: usize) {
        let all = || {
            loop {
                let task = self.next.fetch_add(1, Ordering::Relaxed);
                if task >= tasks {
                    return;
                }
                work(task);
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(all)) {
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
    }

    /// A worker's life: enters every region that it finds open, once.
    fn serve(&self) {
        let mut seen = 0;
        loop {
            let gate =
                wait_for(|| Some(self.gate.load(Ordering::Acquire)).filter(|gate| gate / REGION != seen));
            seen = gate / REGION;
            if self.ended.load(Ordering::Relaxed) {
                return;
            }
            let enter = |gate: u64| (gate & OPEN != 0 && gate / REGION == seen).then_some(gate + 1);
            if self.gate.fetch_update(Ordering::Acquire, Ordering::Acquire, enter).is_err() {
                continue;
            }
            // SAFETY: inside the gate, the region is the caller's and is not written.
            let region = self.region.with(|region| unsafe { (*region).clone() });
            let Some(Region { work, tasks, caller }) = region else { return };
            // SAFETY: the caller keeps the work alive while somebody is inside.
            self.run(unsafe { work.as_ref() }, tasks);
            let before = self.gate.fetch_sub(1, Ordering::Release);
            if before & (OPEN | INSIDE) == 1 {
                wake(&caller);
            }
        }
    }
}

/// Waits until there is a value: awake at first, then asleep until somebody unparks this thread.
fn wait_for<T>(mut value: impl FnMut() -> Option<T>) -> T {
    for _ in 0..SPINS {
        if let Some(value) = value() {
            return value;
        }
        std::hint::spin_loop();
    }
    loop {
        if let Some(value) = value() {
            return value;
        }
        park();
    }
}

/// The threads of one network: the one that calls, and those started here.
pub struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// `threads` in all, of which the caller is one.
    ///
    /// # Errors
    /// What the system says when it starts no more threads.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let shared = Shared {
            gate: AtomicU64::new(0),
            region: UnsafeCell::new(None),
            next: AtomicUsize::new(0),
            panic: Mutex::new(None),
            ended: AtomicBool::new(false),
        };
        let mut workers = Self { shared: Arc::new(shared), threads: Vec::with_capacity(threads) };
        for index in 1..threads {
            let shared = Arc::clone(&workers.shared);
            let named = Builder::new().name(format!("gru-cpu-{index}"));
            workers.threads.push(named.spawn(move || shared.serve())?);
        }
        Ok(workers)
    }

    /// How many threads there are, the caller's included.
    pub fn count(&self) -> usize {
        self.threads.len() + 1
    }

    /// Calls `work` with every number below `tasks`, on all threads, in any order, and returns when all are done.
    ///
    /// # Panics
    /// With the first panic of a task; some tasks may then not have run.
    pub fn each(&mut self, tasks: usize, work: impl Fn(usize) + Sync) {
        if self.threads.is_empty() || tasks < 2 {
            return (0..tasks).for_each(work);
        }
        let shared = &*self.shared;
        let work: &(dyn Fn(usize) + Sync) = &work;
        // SAFETY: only the lifetime changes; nobody uses the work after this function, which waits for all inside.
        let lasting =
            unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(work) };
        let region = Some(Region { work: lasting.into(), tasks, caller: current() });
        // SAFETY: the gate is closed and nobody inside, since the last region ended so; `self` is borrowed
        // exclusively, so nobody opens another one.
        shared.region.with_mut(|place| unsafe { *place = region });
        shared.next.store(0, Ordering::Relaxed);
        shared.gate.fetch_add(REGION + OPEN, Ordering::Release);
        self.threads.iter().for_each(|worker| wake(worker.thread()));
        shared.run(work, tasks);
        shared.gate.fetch_and(!OPEN, Ordering::AcqRel);
        wait_for(|| (shared.gate.load(Ordering::Acquire) & INSIDE == 0).then_some(()));
        let panic = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// The same for the pieces of a slice, `length` elements each, the last one perhaps shorter.
    pub fn each_piece<T: Send>(
        &mut self,
        slice: &mut [T],
        length: usize,
        work: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let (total, pieces) = (slice.len(), Pieces::new(slice));
        self.each(total.div_ceil(length), |task| {
            // SAFETY: each task has a piece of its own.
            let piece = unsafe { pieces.take(task * length..total.min((task + 1) * length)) };
            work(task, piece);
        });
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.shared.gate.fetch_add(REGION, Ordering::Release);
        for worker in self.threads.drain(..) {
            wake(worker.thread());
            // A worker catches the panics of its tasks, so it ends well.
            let _ = worker.join();
        }
    }
}

/// A slice whose pieces the tasks of a region write, each its own.
#[derive(Clone, Copy)]
pub struct Pieces<'a, T> {
    start: *mut T,
    length: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: an exclusive borrow of the elements; that tasks take different ones is promised by the callers of `take`.
unsafe impl<T: Send> Send for Pieces<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Pieces<'_, T> {}

impl<'a, T> Pieces<'a, T> {
    /// Of a slice that is borrowed for as long.
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), length: slice.len(), owner: PhantomData }
    }

    /// Some of the elements.
    ///
    /// # Safety
    /// Nobody else uses them while the slice lives.
    ///
    /// # Panics
    /// If they are not there.
    pub unsafe fn take(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.length, "{range:?} of {}", self.length);
        // SAFETY: the range was checked; the caller promises the rest.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

/// Every order of events of a caller and two workers, `npm run test:model`.
#[cfg(all(test, loom))]
mod model {
    use super::*;

    struct Cells(Vec<UnsafeCell<u32>>);
    // SAFETY: each task has a cell of its own, which is what is checked here.
    unsafe impl Sync for Cells {}

    /// Two regions of two tasks; what tasks write is seen by later tasks and by the caller.
    fn two_regions(threads: usize) {
        let mut workers = Workers::new(threads).unwrap();
        let cells = Cells((0..2).map(|_| UnsafeCell::new(0)).collect());
        for region in 0..2 {
            let cells = &cells;
            // SAFETY: each task has a cell of its own.
            workers.each(2, |task| cells.0[(task + region) % 2].with_mut(|cell| unsafe { *cell += 1 }));
        }
        for cell in &cells.0 {
            // SAFETY: no region is open.
            assert_eq!(cell.with(|cell| unsafe { *cell }), 2);
        }
    }

    fn check(threads: usize, sleep: bool, preemptions: usize) {
        sync::SLEEP.store(sleep, std::sync::atomic::Ordering::SeqCst);
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(preemptions);
        model.check(move || two_regions(threads));
    }

    /// One test, since how threads wait is set for all of them.
    #[test]
    fn every_order_of_events_is_right() {
        check(2, true, 4);
        check(3, true, 2);
        check(2, false, 3);
        check(3, false, 1);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;
    use std::time::{Duration, Instant};

    #[test]
    fn every_task_runs_once() {
        for threads in [1, 2, 3, 8] {
            let mut workers = Workers::new(threads).unwrap();
            assert_eq!(workers.count(), threads);
            for tasks in (0..40).chain([1000]) {
                let mut counts = vec![0u8; tasks];
                workers.each_piece(&mut counts, 1, |_, count| count[0] += 1);
                assert_eq!(counts, vec![1; tasks], "{threads} threads");
            }
        }
    }

    #[test]
    fn many_regions_one_after_the_other_see_what_was_written() {
        let mut workers = Workers::new(4).unwrap();
        let mut values = vec![0u64; 64];
        for region in 0..20_000 {
            workers.each_piece(&mut values, 5, |_, piece| piece.iter_mut().for_each(|value| *value += 1));
            assert!(region % 1000 != 0 || values.iter().all(|value| *value == region + 1));
        }
        assert_eq!(values, vec![20_000; 64]);
    }

    #[test]
    fn sleepers_wake_up_for_the_next_region() {
        let mut workers = Workers::new(3).unwrap();
        for _ in 0..5 {
            thread::sleep(Duration::from_millis(20));
            let helped = AtomicUsize::new(0);
            let caller = thread::current().id();
            let start = Instant::now();
            // Long enough that the others come, which without sleeping threads awake would never happen.
            workers.each(2000, |_| {
                if thread::current().id() != caller {
                    helped.fetch_add(1, Ordering::Relaxed);
                }
                while helped.load(Ordering::Relaxed) == 0 && start.elapsed() < Duration::from_secs(5) {
                    std::hint::spin_loop();
                }
            });
            assert!(helped.into_inner() > 0);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_workers_live_on() {
        let mut workers = Workers::new(3).unwrap();
        for _ in 0..10 {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                workers.each(100, |task| assert!(task != 57, "task {task}"));
            }));
            let panic = panicked.unwrap_err();
            assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some("task 57"));
            let done = AtomicUsize::new(0);
            workers.each(100, |_| {
                done.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(done.into_inner(), 100);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn idle_workers_sleep() {
        use std::sync::Barrier;
        let mut workers = Workers::new(4).unwrap();
        let (places, all) = (Mutex::new(vec![]), Barrier::new(4));
        workers.each(4, |_| {
            places.lock().unwrap().push(std::fs::read_link("/proc/thread-self").unwrap());
            all.wait();
        });
        /// The scheduler's state of a thread: S when it sleeps.
        fn state(place: &std::path::Path) -> char {
            let stat =
                std::fs::read_to_string(std::path::Path::new("/proc").join(place).join("stat")).unwrap();
            stat.rsplit(") ").next().unwrap().chars().next().unwrap()
        }
        let own = std::fs::read_link("/proc/thread-self").unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        for place in places.into_inner().unwrap().into_iter().filter(|place| *place != own) {
            while state(&place) != 'S' {
                assert!(Instant::now() < deadline, "a worker stays awake");
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
