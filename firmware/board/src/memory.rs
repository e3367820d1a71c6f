//! Memory that is no Rust object: buffers handed out once at start, and the block that survives a reset.
//!
//! Buffers come from here rather than from `static` arrays so that start-up need not clear megabytes.

use core::cell::Cell;
use core::slice;

use critical_section::Mutex;

use crate::startup::GUARD;

extern "C" {
    static mut _arena_start: u8;
    static mut _arena_end: u8;
    static mut _retained_start: u8;
    static mut _retained_end: u8;
    static _stack_end: u32;
    static _stack_start: u32;
    static _bss_end: u32;
}

/// Bytes of the arena handed out so far, and a flag per block that is given only once.
static USED: Mutex<Cell<usize>> = Mutex::new(Cell::new(0));
static RETAINED_TAKEN: Mutex<Cell<bool>> = Mutex::new(Cell::new(false));

/// `len` bytes for ever, aligned to 32. The contents are whatever the memory held before.
///
/// # Panics
/// When the arena is used up: all calls are made at start, with constant lengths, so this shows at the first boot.
pub fn take(len: usize) -> &'static mut [u8] {
    let start = reserve(len);
    // SAFETY: see `reserve`.
    unsafe { slice::from_raw_parts_mut(start as *mut u8, len) }
}

/// As [`take`], for words.
pub fn take_words(len: usize) -> &'static mut [u32] {
    let start = reserve(4 * len);
    // SAFETY: see `reserve`; it aligns to more than a word.
    unsafe { slice::from_raw_parts_mut(start as *mut u32, len) }
}

/// Address of `len` bytes for the caller alone: the linker reserves the arena for this function, the counter never goes
/// back, the memory is mapped, and every byte of RAM has some value from the start.
fn reserve(len: usize) -> usize {
    let (start, end) = (&raw mut _arena_start as usize, &raw mut _arena_end as usize);
    critical_section::with(|cs| {
        let used = USED.borrow(cs);
        let offset = used.get();
        match offset.checked_add(len.next_multiple_of(32)) {
            Some(next) if next <= end - start => used.set(next),
            _ => panic!("no room for a buffer of {len} bytes"),
        }
        start + offset
    })
}

/// The memory that survives a reset.
///
/// # Panics
/// On the second call: there is one owner.
pub fn take_retained() -> &'static mut [u32] {
    let taken = critical_section::with(|cs| RETAINED_TAKEN.borrow(cs).replace(true));
    assert!(!taken, "the retained memory has an owner");
    let (start, end) = (&raw mut _retained_start as usize, &raw mut _retained_end as usize);
    // SAFETY: the linker reserves the block, page-aligned, for this function, which gives it away only once.
    unsafe { slice::from_raw_parts_mut(start as *mut u32, (end - start) / 4) }
}

/// Where the memory is and how much of it is used, in bytes.
pub struct Usage {
    /// Code, constants and variables.
    pub image: usize,
    /// Whole stack.
    pub stack: usize,
    /// Stack that was never touched since the start. Found by its contents, so a little may be missing.
    pub stack_untouched: usize,
    /// Buffers handed out.
    pub arena_used: usize,
    /// Room for buffers.
    pub arena: usize,
}

/// Memory usage for `debug allocator`.
pub fn usage() -> Usage {
    let stack_end = &raw const _stack_end;
    let stack = &raw const _stack_start as usize - stack_end as usize;
    // Not more than the eighth below the guard: the walk costs time, and more headroom than that is plenty.
    // SAFETY: reads words of the stack's own section, below what is in use.
    let untouched = (4..stack / 4 / 8).take_while(|&i| unsafe { stack_end.add(i).read_volatile() } == 0).count();
    Usage {
        image: &raw const _bss_end as usize - crate::csr::MAIN_RAM_BASE,
        stack,
        stack_untouched: untouched * 4,
        arena_used: critical_section::with(|cs| USED.borrow(cs).get()),
        arena: &raw mut _arena_end as usize - &raw mut _arena_start as usize,
    }
}

/// Whether the guard words at the end of the stack still stand.
#[inline]
pub fn stack_intact() -> bool {
    let end = &raw const _stack_end;
    // SAFETY: `startup` wrote these words; only a stack overflow changes them.
    (0..4).all(|i| unsafe { end.add(i).read_volatile() } == GUARD)
}
