//! Firmware of a satellite: the satellite manager.
//!
//! What it shares with the core device is in `corelog_device`; what is its own is here, each service a module:
//! [`clock`], [`uplink`] with [`forward`], [`calls`] with [`perform`], [`stream`].

#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod bench;
mod calls;
mod clock;
mod forward;
mod late;
mod perform;
mod stream;
mod uplink;

use corelog_board::drtio::PORTS;
use corelog_board::recovered_clock;
use corelog_device::{expect_task, link_errors, panic, ports, program, rtio, start};
use embassy_executor::Spawner;

corelog_board::entry!(main, rtio::interrupt, panic::exception);

// The names of programs are compiled into what they share.
const _: () = assert!(matches!(program::NAME.as_bytes(), b"satman"), "programs are built one at a time");
const _: () = assert!(corelog_board::drtio::UPLINK, "a satellite has an uplink");

fn main() -> ! {
    start::run(&[], services)
}

fn services(spawner: Spawner) {
    spawner.spawn(expect_task(link_errors::watch()));
    spawner.spawn(expect_task(calls::run()));
    if recovered_clock::PRESENT {
        spawner.spawn(expect_task(clock::run()));
    }
    spawner.spawn(expect_task(late::run()));
    spawner.spawn(expect_task(late::restart()));
    spawner.spawn(expect_task(stream::run()));
    spawner.spawn(expect_task(uplink::receive()));
    spawner.spawn(expect_task(uplink::run()));
    spawner.spawn(expect_task(forward::watch_ports()));
    (0..PORTS).for_each(|number| {
        spawner.spawn(expect_task(port(number)));
        spawner.spawn(expect_task(port_frames(number)));
    });
}

/// Tasks of each kind for the ports: the executor wants at least one place.
const PORT_TASKS: usize = if PORTS == 0 { 1 } else { PORTS };

#[embassy_executor::task(pool_size = PORT_TASKS)]
async fn port(number: usize) -> ! {
    ports::run(number).await
}

#[embassy_executor::task(pool_size = PORT_TASKS)]
async fn port_frames(number: usize) -> ! {
    ports::receive(number, forward::upstream).await
}
