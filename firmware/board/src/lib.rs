//! The board as the firmware sees it.
//!
//! Every address comes from the gateware's build ([`csr`]); nothing is retyped here. This crate holds all of the
//! firmware's `unsafe` code, each with its reason. It serves one processor. One interrupt line may interrupt tasks, the
//! others are looked at between them (see [`tasks::run`]).

#![no_std]

/// Addresses, sizes and interrupt numbers, generated from the gateware.
#[allow(dead_code, missing_docs)]
pub mod csr {
    include!(env!("CORELOG_CSR"));
}

pub mod clock;
pub mod clock_switch;
mod copy;
pub mod cpu;
pub mod drtio;
#[cfg(has_ethernet)]
pub mod ethernet;
mod exclusive;
pub mod flash;
pub mod i2c;
pub mod identity;
pub mod kind;
pub mod logging;
pub mod memory;
pub mod recovered_clock;
mod register;
pub mod rtio;
pub mod sfp;
mod startup;
pub mod storage;
pub mod tasks;
pub mod uart;

pub use exclusive::Exclusive;

#[doc(hidden)]
pub const fn main_type(main: fn() -> !) -> fn() -> ! {
    main
}

#[doc(hidden)]
pub const fn interrupt_type(interrupt: fn()) -> fn() {
    interrupt
}

#[doc(hidden)]
pub const fn exception_type(exception: fn(usize, usize, usize, usize) -> !) -> fn(usize, usize, usize, usize) -> ! {
    exception
}
