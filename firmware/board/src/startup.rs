//! From reset to `main`, and exceptions.
//!
//! The loader has written `.text`, `.rodata` and `.data` afresh, so only `.bss` is cleared here. The runtime supplies
//! two functions: `corelog_main` and `corelog_exception`.

use core::arch::global_asm;

/// Words at the end of the stack; see [`crate::memory::stack_intact`].
pub const GUARD: u32 = 0x5AC0_57AC;

global_asm!(
    ".section .init, \"ax\"",
    ".global _start",
    "_start:",
    // Interrupts stay off for good; the mask is cleared because a reset of the SoC need not clear it.
    "  csrw mstatus, zero",
    "  csrw mie, zero",
    "  csrw 0xBC0, zero",
    "  la t0, _exception",
    "  csrw mtvec, t0",
    "  la sp, _stack_start",
    "  la t0, _bss_start",
    "  la t1, _bss_end",
    "1: bgeu t0, t1, 2f",
    "  sw zero, 0(t0)",
    "  addi t0, t0, 4",
    "  j 1b",
    "2: la t0, _stack_end",
    "  li t1, {guard}",
    "  sw t1, 0(t0)",
    "  sw t1, 4(t0)",
    "  sw t1, 8(t0)",
    "  sw t1, 12(t0)",
    "  call corelog_main",
    "3: j 3b",
    // An exception never returns. The stack starts anew, because a ruined stack pointer may be the cause of it.
    ".balign 4",
    "_exception:",
    "  csrr a0, mcause",
    "  csrr a1, mepc",
    "  csrr a2, mtval",
    "  mv a3, ra",
    "  la sp, _stack_start",
    "  call corelog_exception",
    "4: j 4b",
    guard = const GUARD,
);

/// Names the firmware's entry points: `main`, a `fn() -> !`, and what to do about an exception, a
/// `fn(mcause: usize, mepc: usize, mtval: usize, ra: usize) -> !`.
#[macro_export]
macro_rules! entry {
    ($main:path, $exception:path) => {
        #[allow(unsafe_code)] // the linker joins these names with `startup`
        mod entry_points {
            #[allow(unused_imports)] // the paths of both are the caller's
            use super::*;

            #[no_mangle]
            extern "C" fn corelog_main() -> ! {
                $crate::main_type($main)()
            }
            #[no_mangle]
            extern "C" fn corelog_exception(cause: usize, pc: usize, value: usize, ra: usize) -> ! {
                $crate::exception_type($exception)(cause, pc, value, ra)
            }
        }
    };
}
