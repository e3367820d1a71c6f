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

/// Lets the lines of `mask` (bit = interrupt number) end a [`wait`] and be seen by [`pending`]. No line ever traps:
/// tasks are cooperative, so a trap could do no more than the look between two tasks does, and it would cost the saving
/// of all registers.
pub fn enable(mask: u32) {
    // SAFETY: VexRiscv's own register 0xBC0 is the mask of its external lines; mie bit 11 lets them end `wfi`. mstatus
    // keeps interrupts off (see `startup`), so control flow does not change.
    unsafe {
        asm!("csrw 0xBC0, {}", in(reg) mask, options(nomem, nostack));
        asm!("csrs mie, {}", in(reg) 1 << 11, options(nomem, nostack));
    }
}

/// The enabled interrupt lines that are high now.
#[inline(always)]
pub fn pending() -> u32 {
    let value;
    // SAFETY: VexRiscv's own register 0xFC0: the external lines and their mask; reading has no side effect.
    unsafe { asm!("csrr {}, 0xFC0", out(reg) value, options(nomem, nostack)) };
    value
}

/// Sleeps until an enabled interrupt line is high; returns at once if one is.
#[inline(always)]
pub fn wait() {
    // SAFETY: stops the processor until a line is high; interrupts stay off, so nothing runs in between.
    unsafe { asm!("wfi", options(nomem, nostack)) };
}

struct SingleCore;
critical_section::set_impl!(SingleCore);

// SAFETY: one processor, so clearing mstatus.MIE excludes everything else but an exception, and exceptions never return
// to the interrupted code (see `startup`).
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
