//! Real-time input and output: submitting events, reading events, error reports.

use crate::csr;
use crate::register::{read, read64, write, write64};

/// Machine units per coarse cycle.
pub const MU_PER_COARSE: u32 = csr::RTIO_MU_PER_COARSE;
/// Channels of the core.
pub const CHANNELS: u32 = csr::RTIO_CHANNELS;
/// The machine unit in femtoseconds.
pub const MU_FS: u64 = csr::RTIO_MU_FS as u64;

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

/// The current time in machine units.
pub fn counter() -> u64 {
    write(csr::RTIO_COUNTER_UPDATE_ADDR, 1);
    read64(csr::RTIO_COUNTER_ADDR)
}

/// Resets lanes, gates, input queues and pending reads.
pub fn reset() {
    write(csr::RTIO_RESET_ADDR, 1);
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

/// Error reports of the core.
pub mod errors {
    use super::*;

    /// Interrupt line that is high while a report is present.
    pub const INTERRUPT: u32 = csr::RTIO_ERRORS_INTERRUPT;

    /// A kind of error, in the order of the bits of the session's Done reply.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum Kind {
        Collision,
        Busy,
        Sequence,
    }

    impl Kind {
        pub const ALL: [Kind; 3] = [Kind::Collision, Kind::Busy, Kind::Sequence];
    }

    /// One error of the RTIO core.
    pub struct Report {
        pub kind: Kind,
        pub channel: u16,
        /// Time of the event at fault, in machine units.
        pub timestamp: u64,
    }

    /// Takes the oldest report.
    pub fn take() -> Option<Report> {
        if read(csr::RTIO_ERRORS_PRESENT_ADDR) & 1 == 0 {
            return None;
        }
        let report = Report {
            kind: match read(csr::RTIO_ERRORS_KIND_ADDR) {
                1 => Kind::Collision,
                2 => Kind::Busy,
                _ => Kind::Sequence,
            },
            channel: read(csr::RTIO_ERRORS_CHANNEL_ADDR) as u16,
            timestamp: read64(csr::RTIO_ERRORS_TIMESTAMP_ADDR),
        };
        write(csr::RTIO_ERRORS_POP_ADDR, 1);
        Some(report)
    }

    /// How many errors of a kind found the queue full since reset (saturating).
    pub fn lost(kind: Kind) -> u32 {
        read(match kind {
            Kind::Collision => csr::RTIO_ERRORS_LOST_COLLISION_ADDR,
            Kind::Busy => csr::RTIO_ERRORS_LOST_BUSY_ADDR,
            Kind::Sequence => csr::RTIO_ERRORS_LOST_SEQUENCE_ADDR,
        })
    }

    /// Lets a present report raise the interrupt line.
    pub fn enable_interrupt() {
        write(csr::RTIO_ERRORS_EV_ENABLE_ADDR, 1);
    }
}
