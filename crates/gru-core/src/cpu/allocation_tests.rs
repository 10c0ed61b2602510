//! Shows that neither an update nor a step of writing allocates anything: the tests' global allocator counts what the threads of one network
//! allocate.

use super::CpuBackend;
use crate::backend::{Backend, Plan};
use crate::random::initial_parameters;
use crate::sizes::Sizes;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    /// Whether this thread's allocations count.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: hands every call to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTED.try_with(Cell::get).unwrap_or(false) {
            COUNT.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's contract is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn neither_an_update_nor_a_step_allocates_anything() {
    let sizes = Sizes { vocab_size: 61, hidden_size: 40, batch_size: 20, num_steps: 9, candidate_bias: true };
    let mut backend = CpuBackend::new(sizes, 2).unwrap();
    backend.set_parameters(&initial_parameters(&sizes, 1, 0.1)).unwrap();
    backend.load_corpus(&(0..600).map(|i| i * i % 61).collect::<Vec<u32>>()).unwrap();
    let plan = Plan {
        starts: (0..20 * 50).map(|i| i * 7 % 590).collect(),
        num_steps: 9,
        learning_rate: vec![0.1; 50],
        max_grad_norm: 1.0,
        carry_state: true,
    };
    let both = Barrier::new(2);
    backend.workers.each(2, |_| {
        COUNTED.set(true);
        both.wait();
    });
    let mut counts = [0; 50];
    backend
        .train(&plan, &mut |index, _| {
            counts[index] = COUNT.load(Ordering::Relaxed);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(counts[0], counts[49], "allocations by update: {counts:?}");
    for lanes in [1, 9] {
        let ids = vec![3; lanes];
        let (mut states, mut logits) = (vec![0.0; lanes * 40], vec![0.0; lanes * 61]);
        backend.run_step(&ids, &mut states, &mut logits).unwrap();
        let before = COUNT.load(Ordering::Relaxed);
        for _ in 0..5 {
            backend.run_step(&ids, &mut states, &mut logits).unwrap();
        }
        assert_eq!(COUNT.load(Ordering::Relaxed), before, "a step of {lanes}");
    }
    let before = COUNT.load(Ordering::Relaxed);
    backend.workers.each(2, |_| {
        drop(std::hint::black_box(Box::new(0u8)));
        both.wait();
    });
    assert!(COUNT.load(Ordering::Relaxed) >= before + 2, "the counter does not count");
}
