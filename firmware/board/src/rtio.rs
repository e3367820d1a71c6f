//! Real-time input and output: the time, submitting and reading events, error reports.

#[cfg(has_rtio_cpu)]
mod events;

#[cfg(has_rtio_cpu)]
pub use events::*;

use crate::register::{read, read64, write};
use crate::{clock, csr};

/// Machine units per coarse cycle.
pub const MU_PER_COARSE: u32 = csr::RTIO_MU_PER_COARSE;
/// Channels of the core.
pub const CHANNELS: u32 = csr::RTIO_CHANNELS;
/// The machine unit in femtoseconds.
pub const MU_FS: u64 = csr::RTIO_MU_FS as u64;

/// The current time in machine units.
pub fn counter() -> u64 {
    write(csr::RTIO_COUNTER_UPDATE_ADDR, 1);
    read64(csr::RTIO_COUNTER_ADDR)
}

/// Two clocks at the same instant, give or take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instant {
    /// Microseconds since reset.
    pub time: u64,
    /// Machine units.
    pub counter: u64,
    /// Microseconds between the two at most.
    pub within: u64,
}

/// Device time and RTIO counter at one instant.
pub fn instant() -> Instant {
    critical_section::with(|section| {
        let before = clock::now_in(section);
        write(csr::RTIO_COUNTER_UPDATE_ADDR, 1);
        let time = clock::now_in(section);
        Instant { time, counter: read64(csr::RTIO_COUNTER_ADDR), within: time - before + 1 }
    })
}

/// Resets lanes, gates, input queues and pending reads.
pub fn reset() {
    write(csr::RTIO_RESET_ADDR, 1);
}

/// Resets what the channels drive: output levels.
pub fn reset_phy() {
    write(csr::RTIO_RESET_PHY_ADDR, 1);
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
