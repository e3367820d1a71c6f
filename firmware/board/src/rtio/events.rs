//! Submitting events and reading events, where the processor may.

use crate::csr;
use crate::register::{read, read64, write, write64};

/// What became of an output event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    Submitted,
    Underflow,
    Unreachable,
}

/// What became of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// An event, its time in machine units.
    Event {
        timestamp: u64,
        data: u32,
    },
    /// None until the deadline.
    Timeout,
    /// The channel's queue was full, and an event was lost.
    Overflow,
    Unreachable,
    /// Nothing yet: ask again.
    Wait,
}

/// Whether the next [`submit`] finds room.
#[inline]
pub fn writable() -> bool {
    read(csr::RTIO_O_STATUS_ADDR) & 1 == 0
}

/// Submits an event (`target`: channel << 8 | address). To be called when [`writable`]; then ask for the [`outcome`].
pub fn submit(target: u32, timestamp: u64, data: u32) {
    write(csr::RTIO_TARGET_ADDR, target);
    write64(csr::RTIO_TIMESTAMP_ADDR, timestamp);
    write(csr::RTIO_O_DATA_ADDR, data);
}

/// What became of the last event, `None` while the core is at it.
pub fn outcome() -> Option<Output> {
    match read(csr::RTIO_O_STATUS_ADDR) {
        status if status & 4 != 0 => Some(Output::Unreachable),
        status if status & 2 != 0 => Some(Output::Underflow),
        status if status & 1 != 0 => None,
        _ => Some(Output::Submitted),
    }
}

/// Starts to wait for an event of `channel` until `deadline` (machine units).
pub fn start_read(channel: u32, deadline: u64) {
    write(csr::RTIO_TARGET_ADDR, channel << 8);
    write64(csr::RTIO_I_TIMEOUT_ADDR, deadline);
    write(csr::RTIO_I_START_ADDR, 1);
}

/// What became of the read that was started last.
pub fn poll_read() -> Input {
    match read(csr::RTIO_I_STATUS_ADDR) {
        status if status & 8 != 0 => Input::Unreachable,
        status if status & 4 != 0 => Input::Wait,
        status if status & 2 != 0 => Input::Overflow,
        status if status & 1 != 0 => Input::Timeout,
        _ => Input::Event { timestamp: read64(csr::RTIO_I_TIMESTAMP_ADDR), data: read(csr::RTIO_I_DATA_ADDR) },
    }
}
