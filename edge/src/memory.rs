//! The allocator: freed blocks, in a list for each size.
//!
//! Rust's own, dlmalloc, is 9 KB of code, and an isolate must load all of it before its first answer. It joins freed
//! neighbours, so that memory that was small blocks can become a large one. An isolate has no use for that: it makes
//! blocks of the same sizes again and again. So a freed block waits here for the next of its size, and memory is
//! what was in use at most of each size, and up to a quarter of each block (of large ones a half) more. Large blocks
//! are of few sizes, so that those of a push, each a little larger than the last, can be used again.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;

/// What every block is aligned to, and the least size.
const UNIT: usize = 16;
/// Blocks up to this size come in multiples of [`UNIT`].
const SMALL: usize = 4 * UNIT;
/// Blocks from this size on come in powers of two; those between in four sizes for each.
const LARGE: usize = 64 * 1024;
/// Four sizes for each power of two that a size can have.
const CLASSES: usize = 4 * usize::BITS as usize;
const PAGE: usize = 64 * 1024;
/// Memory grows by so much at least.
const GROWTH: usize = 4 * PAGE;

/// The class of blocks for so many bytes, and their size; `None`: more than there can be.
fn class_of(bytes: usize) -> Option<(usize, usize)> {
    let last = bytes.max(1) - 1;
    if last < SMALL {
        let class = last / UNIT;
        return Some((class, (class + 1) * UNIT));
    }
    let power = last.ilog2() as usize;
    let step = if last < LARGE { power - 2 } else { power };
    let parts = last >> step;
    let size = parts.checked_add(1)?.checked_mul(1 << step)?;
    Some((4 * power + (parts & 3), size))
}

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
