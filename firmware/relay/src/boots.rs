//! What a reader can see of one origin's log: its boots, numbered in their order here.

use corelog_log::{Recovered, Ring, View};
use corelog_proto::stream::{Clock, Header};

/// Heartbeats of the board's own log are due at multiples of this: well below the second that is promised, as the
/// network takes its time too.
pub const HEARTBEAT_US: u64 = 800_000;

/// One boot of an origin.
#[derive(Clone, Copy)]
pub struct Boot<'a> {
    pub id: u64,
    pub panicked: bool,
    pub clock: Option<Clock>,
    pub view: View<'a>,
}

/// The latest news of an origin besides records.
#[derive(Clone, Copy)]
pub struct News {
    /// Changes with each heartbeat, or clock, to be passed on.
    pub beats: u32,
    pub clocks: u32,
    /// Device time and next record of the latest heartbeat; `None`: none of this boot yet.
    pub heartbeat: Option<(u64, u64)>,
}

/// An origin's log.
pub trait Boots {
    /// Number of the boot under way; `None` while nothing is known of the origin.
    fn newest(&self) -> Option<u32>;

    /// Whether the newest boot here is the one under way at the origin, as far as it told. While not, nobody can tell
    /// whether a cursor's boot is known.
    fn is_settled(&self) -> bool;

    /// The first boot of which anything is known.
    fn first_known(&self) -> u32;

    /// The first boot of which records are kept.
    fn first_kept(&self) -> u32;

    /// `None` for a boot of which nothing is known.
    fn boot(&self, number: u32) -> Option<Boot<'_>>;

    /// Number of the next record of the boot under way as far as the origin told, be it here or still to come.
    fn next_seq(&self) -> u64;

    fn news(&self) -> News;
}

/// Device time, and what the RTIO counter says of it.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Microseconds since boot.
    pub time: u64,
    /// Once the counter is synchronised; the origin does not matter.
    pub clock: Option<Clock>,
    /// How often it was synchronised.
    pub synchronisations: u32,
}

/// This board's own log: the boot before, if it was found, and this one.
#[derive(Clone, Copy)]
pub struct Own<'a> {
    boot_id: u64,
    ring: View<'a>,
    previous: Option<&'a Recovered<'a>>,
    now: Now,
}

impl<'a> Own<'a> {
    pub fn new(ring: &'a Ring<'_>, previous: Option<&'a Recovered<'_>>, now: Now) -> Own<'a> {
        Own { boot_id: ring.boot_id(), ring: ring.view(), previous, now }
    }
}

const PREVIOUS: u32 = 0;
const CURRENT: u32 = 1;

impl Own<'_> {
    /// What begins a stream.
    pub(crate) fn header(&self, unknown_boot: bool, cursor_ahead: bool) -> Header {
        Header {
            unknown_boot,
            cursor_ahead,
            boot_id: self.boot_id,
            time: self.now.time,
            oldest_seq: self.ring.oldest().seq(),
            next_seq: self.ring.next_seq(),
        }
    }
}

impl Boots for Own<'_> {
    fn newest(&self) -> Option<u32> {
        Some(CURRENT)
    }

    fn is_settled(&self) -> bool {
        true
    }

    fn first_known(&self) -> u32 {
        self.first_kept()
    }

    fn first_kept(&self) -> u32 {
        if self.previous.is_some() {
            PREVIOUS
        } else {
            CURRENT
        }
    }

    #[inline]
    fn boot(&self, number: u32) -> Option<Boot<'_>> {
        match (number, self.previous) {
            (CURRENT, _) => Some(Boot { id: self.boot_id, panicked: false, clock: self.now.clock, view: self.ring }),
            (PREVIOUS, Some(log)) => {
                Some(Boot { id: log.boot_id(), panicked: log.ended_in_panic(), clock: None, view: log.view() })
            }
            _ => None,
        }
    }

    fn next_seq(&self) -> u64 {
        self.ring.next_seq()
    }

    fn news(&self) -> News {
        News {
            beats: (self.now.time / HEARTBEAT_US) as u32,
            clocks: self.now.synchronisations,
            heartbeat: Some((self.now.time, self.ring.next_seq())),
        }
    }
}
