//! The processor: cycle counter, interrupt lines, waiting, critical sections.

use core::arch::asm;

/// Cycles since reset, modulo 2^32.
#[inline(always)]
pub fn cycles() -> u32 {
    let value;
    // SAFETY: reads a counter; no memory, no side effect.
    unsafe { asm!("csrr {}, mcycle", out(reg) value, options(nomem, nostack)) };
    value
}

/// Instructions executed since reset, modulo 2^32.
#[inline(always)]
pub fn instructions() -> u32 {
    let value;
    // SAFETY: reads a counter; no memory, no side effect.
    unsafe { asm!("csrr {}, minstret", out(reg) value, options(nomem, nostack)) };
    value
}

/// Lets the external interrupt lines of `mask` (bit = number) through, to [`pending`], [`wait`] and, when interrupts
/// are on, to the handler.
#[inline(always)]
pub fn set_mask(mask: u32) {
    // SAFETY: VexRiscv's own register 0xBC0 is the mask of its external lines. What can happen earlier or later by this
    // is the call of a handler that is sound at any time (`interrupts_on`).
    unsafe { asm!("csrw 0xBC0, {}", in(reg) mask, options(nostack)) };
}

/// The lines that are let through and high now.
#[inline(always)]
pub fn pending() -> u32 {
    let value;
    // SAFETY: VexRiscv's own register 0xFC0: the external lines and their mask; reading has no side effect.
    unsafe { asm!("csrr {}, 0xFC0", out(reg) value, options(nomem, nostack)) };
    value
}

/// Sleeps until a line that is let through is high, interrupts on or off; returns at once if one is.
#[inline(always)]
pub fn wait() {
    // SAFETY: stops the processor until a line is high.
    unsafe { asm!("csrs mie, {}", "wfi", in(reg) 1 << 11, options(nostack)) };
}

/// Lets lines call the handler.
#[inline(always)]
pub(crate) fn interrupts_on() {
    // SAFETY: the handler saves all registers and shares data only through critical sections, being safe Rust.
    unsafe { asm!("csrs mie, {}", "csrsi mstatus, 8", in(reg) 1 << 11, options(nostack)) };
}

/// Keeps lines from calling the handler.
#[inline(always)]
pub(crate) fn interrupts_off() {
    // SAFETY: nothing is called any more by itself, which is always sound.
    unsafe { asm!("csrci mstatus, 8", options(nostack)) };
}

struct SingleCore;
critical_section::set_impl!(SingleCore);

// SAFETY: one processor, so clearing mstatus.MIE excludes everything else but an exception, and exceptions never return
// to the code they interrupt (see `startup`).
unsafe impl critical_section::Impl for SingleCore {
    #[inline(always)]
    unsafe fn acquire() -> u32 {
        let before: u32;
        // No `nomem`: the compiler must not move memory accesses out of the section.
        asm!("csrrci {}, mstatus, 8", out(reg) before, options(nostack));
        before
    }

    #[inline(always)]
    unsafe fn release(before: u32) {
        asm!("csrs mstatus, {}", in(reg) before & 8, options(nostack));
    }
}
