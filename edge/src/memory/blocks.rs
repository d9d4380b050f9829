//! The lists, and the memory that blocks are cut from.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;

use super::{CLASSES, UNIT, class_of};

const PAGE: usize = 64 * 1024;
/// Memory grows by so much at least.
const GROWTH: usize = 4 * PAGE;

/// The blocks.
struct Blocks(UnsafeCell<State>);

struct State {
    /// The first free block of each class; a free block begins with the address of the next.
    free: [*mut u8; CLASSES],
    /// Memory that was never in use.
    next: usize,
    end: usize,
}

// SAFETY: this wasm has no threads.
unsafe impl Sync for Blocks {}

impl State {
    fn take(&mut self, class: usize, size: usize) -> *mut u8 {
        let Some(first) = self.free.get_mut(class) else {
            return null_mut();
        };
        let block = *first;
        if block.is_null() {
            return self.cut(size);
        }
        // SAFETY: a free block holds the address of the next, or null, and is nobody else's.
        *first = unsafe { block.cast::<*mut u8>().read() };
        block
    }

    fn cut(&mut self, size: usize) -> *mut u8 {
        if self.end - self.next < size {
            let pages = size.max(GROWTH).div_ceil(PAGE);
            let before = core::arch::wasm32::memory_grow::<0>(pages);
            if before == usize::MAX {
                return null_mut();
            }
            let start = before * PAGE;
            // Memory that another has taken in between is not touched.
            if start != self.end {
                self.next = start;
            }
            // The last page of all would end where addresses do.
            self.end = start.saturating_add(pages * PAGE);
            if self.end - self.next < size {
                return null_mut();
            }
        }
        let block = self.next;
        self.next += size;
        block as *mut u8
    }
}

// SAFETY: blocks are cut from fresh memory, each once, and are in a list only while they are free. They are at least as
// large as asked for, and aligned to `UNIT`, since sizes are its multiples; what wants more is refused.
unsafe impl GlobalAlloc for Blocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: there is one thread, and nothing below calls back.
        let state = unsafe { &mut *self.0.get() };
        match class_of(layout.size()) {
            Some((class, size)) if layout.align() <= UNIT => state.take(class, size),
            _ => null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        let state = unsafe { &mut *self.0.get() };
        if let Some((class, _)) = class_of(layout.size())
            && let Some(first) = state.free.get_mut(class)
        {
            // SAFETY: the block is at least `UNIT` bytes, aligned for an address, and its owner is done with it.
            unsafe { block.cast::<*mut u8>().write(*first) };
            *first = block;
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        if class_of(layout.size()) == class_of(bytes) {
            return block;
        }
        // SAFETY: the caller sees to it that the size, rounded up to the alignment, is one that a layout may have.
        let wanted = unsafe { Layout::from_size_align_unchecked(bytes, layout.align()) };
        // SAFETY: both blocks are as large as is copied, and they are two.
        unsafe {
            let new = self.alloc(wanted);
            if !new.is_null() {
                core::ptr::copy_nonoverlapping(block, new, layout.size().min(bytes));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

#[global_allocator]
static BLOCKS: Blocks = Blocks(UnsafeCell::new(State {
    free: [null_mut(); CLASSES],
    next: 0,
    end: 0,
}));
