//! An allocator that refuses, as one does when memory is scarce.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::null_mut;
use std::alloc::System;

std::thread_local! {
    static REFUSES: Cell<bool> = const { Cell::new(false) };
}

/// Refuses blocks of more than a page to a thread that wants that.
#[derive(Debug)]
pub struct Refusing;

impl Refusing {
    /// Runs `work`, in which this thread gets no large blocks.
    pub fn during<R>(work: impl FnOnce() -> R) -> R {
        REFUSES.set(true);
        let done = work();
        REFUSES.set(false);
        done
    }
}

// SAFETY: passes calls on to `System`, or refuses. To shrink a block, the default `realloc` needs
// another one, as in allocators with size classes.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if REFUSES.get() && 4096 < layout.size() {
            return null_mut();
        }
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract, and `System` allocated the block.
        unsafe { System.dealloc(block, layout) }
    }
}
