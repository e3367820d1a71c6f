//! What the firmware of every board shares, core device or satellite.
//!
//! A program names its entry points with [`corelog_board::entry`] and hands over to [`start::run`], which starts what
//! every board has, and then the program's own services.

#![no_std]
#![deny(unsafe_code)]

pub mod aux;
pub mod bench;
mod cages;
pub mod chips;
pub mod config;
pub mod debug;
pub mod flash;
pub mod irq;
pub mod link_errors;
pub mod logger;
pub mod manage;
pub mod panic;
pub mod ports;
pub mod program;
pub mod record;
pub mod routing;
pub mod rtio;
pub mod start;
pub mod time_axis;
mod uart;

use embassy_executor::{SpawnError, SpawnToken};

/// A task to be spawned. There is room for each: tasks are started once, and their pools are as large as needed.
///
/// # Panics
/// If there is no room after all, which the first boot shows.
pub fn expect_task<S>(token: Result<SpawnToken<S>, SpawnError>) -> SpawnToken<S> {
    token.unwrap_or_else(|_| panic!("a task was started twice"))
}
