//! How much memory is given out: the system's allocator, counting.
#![allow(
    unsafe_code,
    reason = "an allocator cannot be wrapped without; this one only counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    // Tests run beside each other: each counts its own.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn count(octets: isize) {
    // A thread that ends has nothing left to count.
    let _ = LIVE.try_with(|live| live.set(live.get() + octets));
}

fn octets(layout: Layout) -> isize {
    isize::try_from(layout.size()).unwrap_or(isize::MAX)
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(octets(layout));
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-octets(layout));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Octets that this thread was given and has not given back.
pub(crate) fn live_octets() -> usize {
    usize::try_from(LIVE.get()).unwrap_or(0)
}

/// How often this thread was given any.
#[allow(dead_code)] // only one of the tests asks
pub(crate) fn allocations() -> u64 {
    CALLS.get()
}
