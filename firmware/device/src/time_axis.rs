//! Device time and RTIO counter at one instant: all boards of a tree share the counter, so that it orders records.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use corelog_board::{clock, rtio};
use corelog_proto::stream::Clock;
use corelog_relay::Now;

use crate::routing;

/// A coarse cycle in ns: what a link adds to the uncertainty.
const COARSE_NS: u32 = (rtio::MU_FS * rtio::MU_PER_COARSE as u64).div_ceil(1_000_000) as u32;
/// Of the clock that is read, in ns.
const RESOLUTION_NS: u32 = 1000;

static SYNCHRONISED: AtomicBool = AtomicBool::new(false);
static SYNCHRONISATIONS: AtomicU32 = AtomicU32::new(0);

/// Says that the counter is the core device's from now on, or that this is not known any more.
pub fn set_synchronised(synchronised: bool) {
    SYNCHRONISED.store(synchronised, Relaxed);
    if synchronised {
        SYNCHRONISATIONS.store(SYNCHRONISATIONS.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

pub fn is_synchronised() -> bool {
    SYNCHRONISED.load(Relaxed)
}

/// The present, for this board's own log.
pub fn now() -> Now {
    let synchronisations = SYNCHRONISATIONS.load(Relaxed);
    if !is_synchronised() {
        return Now { time: clock::now(), clock: None, synchronisations };
    }
    let instant = rtio::instant();
    let rank = routing::rank().unwrap_or(0);
    let between = (instant.within as u32).saturating_mul(1000);
    let clock = Clock {
        origin: 0,
        uncertainty: between + RESOLUTION_NS + COARSE_NS * u32::from(rank),
        time: instant.time,
        counter: instant.counter,
        unit_fs: rtio::MU_FS,
    };
    Now { time: instant.time, clock: Some(clock), synchronisations }
}
