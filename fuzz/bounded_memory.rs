//! An allocator that refuses: no input of a few kilobytes may make a decoder take more than this.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What may be held at once; the largest honest thing is a list of a few thousand structures.
const BYTES_MAX: usize = 64 << 20;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, until there is more than [`BYTES_MAX`]; the null it then answers ends the
/// process, which is a finding. (libFuzzer's own `-malloc_limit_mb` works with a sanitizer only.)
#[derive(Debug)]
pub struct BoundedMemory;

/// Whether so much more may be taken; if so, it counts as taken.
fn admit(bytes: usize) -> bool {
    let admitted = HELD.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= BYTES_MAX;
    if !admitted {
        release(bytes);
    }
    admitted
}

fn release(bytes: usize) {
    HELD.fetch_sub(bytes, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came, or answers null, which is always allowed.
unsafe impl GlobalAlloc for BoundedMemory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !admit(layout.size()) {
            return null_mut();
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !admit(layout.size()) {
            return null_mut();
        }
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        release(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !admit(size) {
            return null_mut();
        }
        release(layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static MEMORY: BoundedMemory = BoundedMemory;
