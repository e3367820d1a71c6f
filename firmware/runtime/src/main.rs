//! Firmware of the core device.
//!
//! Start-up is here, and the loop that runs tasks; every service is a module: [`logger`] and [`uart`], [`config`],
//! [`net`], [`mgmt`] with [`stream`] and [`pull`], [`rtio`], [`session`], [`panic`].

#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod bench;
mod config;
mod crc;
mod debug;
mod irq;
mod logger;
mod mgmt;
mod net;
mod panic;
mod player;
mod pull;
mod record;
mod requests;
mod rtio;
mod session;
mod start;
mod stream;
mod tcp;
mod uart;

use corelog_board::{identity, memory, tasks};
use embassy_executor::{SpawnError, SpawnToken, Spawner};

/// A firmware that does not come round for this long is started anew.
const WATCHDOG_SECONDS: u32 = 10;

corelog_board::entry!(main, rtio::interrupt, panic::exception);

fn main() -> ! {
    let boot_id = start::boot_id();
    logger::start(boot_id);
    start::banner();
    config::start();
    logger::configure();
    tasks::run(irq::lines(), spawn, turn)
}

fn spawn(spawner: Spawner) {
    identity::start_watchdog(WATCHDOG_SECONDS);
    spawner.spawn(expect_task(logger::flush_repeats()));
    spawner.spawn(expect_task(uart::run()));
    rtio::start();
    let stack = net::start(spawner);
    mgmt::start(spawner, stack);
    session::start(spawner, stack);
    spawner.spawn(expect_task(start::ready()));
}

/// What is done between two rounds of tasks; `idle` if no task was ready.
fn turn(lines: u32, idle: bool) {
    identity::feed_watchdog();
    assert!(memory::stack_intact(), "stack overflow");
    irq::dispatch(lines);
    logger::turn(idle);
}

/// A task to be spawned. There is room for each: tasks are started once, and their pools are as large as needed.
fn expect_task<S>(token: Result<SpawnToken<S>, SpawnError>) -> SpawnToken<S> {
    token.unwrap_or_else(|_| panic!("a task was started twice"))
}
