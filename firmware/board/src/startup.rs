//! From reset to `main`, and exceptions.
//!
//! The loader has written `.text`, `.rodata` and `.data` afresh, so only `.bss` is cleared here. The runtime supplies
//! three functions: `corelog_main`, `corelog_interrupt` and `corelog_exception`.

use core::arch::global_asm;

/// Words at the end of the stack; see [`crate::memory::stack_intact`].
pub const GUARD: u32 = 0x5AC0_57AC;

global_asm!(
    ".section .init, \"ax\"",
    ".global _start",
    "_start:",
    // Interrupts stay off until `tasks::run`; the mask is cleared because a reset of the SoC need not clear it.
    "  csrw mstatus, zero",
    "  csrw mie, zero",
    "  csrw 0xBC0, zero",
    "  la t0, _trap",
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
    // An interrupt saves what a function call does not, on the stack of the code it interrupts.
    ".balign 4",
    "_trap:",
    "  addi sp, sp, -64",
    "  sw ra, 0(sp)",
    "  sw t0, 4(sp)",
    "  sw t1, 8(sp)",
    "  sw t2, 12(sp)",
    "  sw t3, 16(sp)",
    "  sw t4, 20(sp)",
    "  sw t5, 24(sp)",
    "  sw t6, 28(sp)",
    "  sw a0, 32(sp)",
    "  sw a1, 36(sp)",
    "  sw a2, 40(sp)",
    "  sw a3, 44(sp)",
    "  sw a4, 48(sp)",
    "  sw a5, 52(sp)",
    "  sw a6, 56(sp)",
    "  sw a7, 60(sp)",
    "  csrr a0, mcause",
    "  bgez a0, 4f",
    "  call corelog_interrupt",
    "  lw ra, 0(sp)",
    "  lw t0, 4(sp)",
    "  lw t1, 8(sp)",
    "  lw t2, 12(sp)",
    "  lw t3, 16(sp)",
    "  lw t4, 20(sp)",
    "  lw t5, 24(sp)",
    "  lw t6, 28(sp)",
    "  lw a0, 32(sp)",
    "  lw a1, 36(sp)",
    "  lw a2, 40(sp)",
    "  lw a3, 44(sp)",
    "  lw a4, 48(sp)",
    "  lw a5, 52(sp)",
    "  lw a6, 56(sp)",
    "  lw a7, 60(sp)",
    "  addi sp, sp, 64",
    "  mret",
    // An exception never returns. The stack starts anew, because a ruined stack pointer may be the cause of it: then
    // the saving above was an exception itself, and this is the second time round, with the stack in order.
    "4:",
    "  csrr a1, mepc",
    "  csrr a2, mtval",
    "  mv a3, ra",
    "  la sp, _stack_start",
    "  call corelog_exception",
    "5: j 5b",
    guard = const GUARD,
);

/// Names the firmware's entry points: `main`, a `fn() -> !`; what to do about the interrupt of [`crate::tasks::run`], a
/// `fn()`; and about an exception, a `fn(mcause: usize, mepc: usize, mtval: usize, ra: usize) -> !`.
#[macro_export]
macro_rules! entry {
    ($main:path, $interrupt:path, $exception:path) => {
        #[allow(unsafe_code)] // the linker joins these names with `startup`
        mod entry_points {
            #[allow(unused_imports)] // the paths of both are the caller's
            use super::*;

            #[no_mangle]
            extern "C" fn corelog_main() -> ! {
                $crate::main_type($main)()
            }
            #[no_mangle]
            extern "C" fn corelog_interrupt() {
                $crate::interrupt_type($interrupt)()
            }
            #[no_mangle]
            extern "C" fn corelog_exception(cause: usize, pc: usize, value: usize, ra: usize) -> ! {
                $crate::exception_type($exception)(cause, pc, value, ra)
            }
        }
    };
}
