//! What goes wrong on links is counted by the gateware; the log tells of it, not more often than is useful.

use core::fmt;

use corelog_board::drtio::{Errors, Link};
use embassy_time::{Duration, Instant, Timer};

use crate::aux::{self, LINKS};
use crate::program::PORT;
use crate::record::{error, warn};

/// How often the counters are looked at, and how often a link is told of at most.
const LOOK: Duration = Duration::from_secs(1);
const TELL: Duration = Duration::from_secs(10);

/// All counters of a link, since reset.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    gateware: Errors,
    unsent: u32,
    unexpected: u32,
}

impl Counts {
    fn of(link: Link) -> Counts {
        let (unsent, unexpected) = aux::counts(link);
        Counts { gateware: link.errors(), unsent, unexpected }
    }

    /// Each counter with what it means. The first ones are about real-time packets: what they asked for did not happen.
    fn named(&self) -> [(u32, &'static str); 10] {
        let gateware = &self.gateware;
        [
            (gateware.unknown_packets, "received packet of an unknown type"),
            (gateware.corrupt_packets, "received truncated packet"),
            (gateware.space_timeouts, "timeout attempting to get remote buffer space"),
            (gateware.read_timeouts, "timeout attempting to read"),
            (gateware.missed_writes, "CRI command missed"),
            (gateware.symbols, "symbol error"),
            (gateware.corrupt_frames, "aux frame dropped, corrupt"),
            (gateware.overflows, "aux frame dropped, no receive buffer was free"),
            (self.unsent, "aux frame dropped, no transmit buffer was free"),
            (self.unexpected, "received unexpected aux packet"),
        ]
    }
}

/// Counters of [`Counts::named`] that are about the experiment; what the others count is sent again.
const SERIOUS: u32 = 0x1f;

/// The counters in which `now` differs from `told`, with their totals.
struct Rises<'a> {
    now: &'a Counts,
    told: &'a Counts,
}

impl Rises<'_> {
    fn mask(&self) -> u32 {
        let pairs = self.now.named().into_iter().zip(self.told.named());
        (0..).zip(pairs).fold(0, |mask, (bit, (now, told))| mask | u32::from(now.0 != told.0) << bit)
    }
}

impl fmt::Display for Rises<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (now, told) in self.now.named().into_iter().zip(self.told.named()) {
            if now.0 != told.0 {
                write!(f, "{separator}{} ({} so far)", now.1, now.0)?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

/// A link's name in the log.
struct Name(Link);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Link::Port(port) => write!(f, "[{PORT}#{port}]"),
            Link::Uplink => f.write_str("[UPLINK]"),
        }
    }
}

/// Tells for ever of links' errors.
#[embassy_executor::task]
pub async fn watch() -> ! {
    let mut told = [Counts::default(); LINKS];
    let mut next = [Instant::MIN; LINKS];
    loop {
        Timer::after(LOOK).await;
        for (index, (told, next)) in told.iter_mut().zip(&mut next).enumerate() {
            let link = aux::link(index);
            let now = Counts::of(link);
            let rises = Rises { now: &now, told };
            let mask = rises.mask();
            if mask == 0 || Instant::now() < *next {
                continue;
            }
            match mask & SERIOUS {
                0 => warn!("{} error(s) found ({mask:#05x}): {rises}", Name(link)),
                _ => error!("{} error(s) found ({mask:#05x}): {rises}", Name(link)),
            }
            *told = now;
            *next = Instant::now() + TELL;
        }
    }
}
