//! Firmware of the core device.
//!
//! What it shares with other boards is in `corelog_device`; what is its own is here, each service a module: [`net`],
//! [`mgmt`] with [`stream`] and [`pull`], [`session`], [`drtio`].

#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod bench;
mod drtio;
mod mgmt;
mod net;
mod player;
mod pull;
mod requests;
mod session;
mod stream;
mod tcp;

use corelog_board::ethernet;
use corelog_device::{panic, program, rtio, start};
use embassy_executor::Spawner;
use static_cell::StaticCell;

corelog_board::entry!(main, rtio::interrupt, panic::exception);

// The names of programs are compiled into what they share.
const _: () = assert!(matches!(program::NAME.as_bytes(), b"runtime"), "programs are built one at a time");

fn main() -> ! {
    start::run(&[ethernet::INTERRUPT], services)
}

fn services(spawner: Spawner) {
    static SLOTS: StaticCell<[tcp::Slot; mgmt::SOCKETS + session::SOCKETS]> = StaticCell::new();
    let (mgmt_pool, session_pool) = tcp::Pool::two(SLOTS.init(tcp::slots()), mgmt::SOCKETS);
    drtio::start(spawner);
    let stack = net::start(spawner);
    mgmt::start(spawner, stack, mgmt_pool);
    session::start(spawner, stack, session_pool);
}
