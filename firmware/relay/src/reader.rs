//! One subscriber's way through one origin's log.

use corelog_log::{Cursor, Fill, Level};
use corelog_proto::aux::LogCursor;
use corelog_proto::stream::{self, set_origin, Clock, Heartbeat};

use crate::boots::{Boot, Boots};

/// Where a subscriber wants to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Now,
    /// The oldest kept record, of the boot before first.
    Oldest,
    Cursor(LogCursor),
}

/// Where a reader is.
#[derive(Clone, Copy)]
struct Place {
    boot: u32,
    cursor: Cursor,
    /// The boot's frame was sent, and said this about a panic.
    told: Option<bool>,
    clock_due: bool,
    /// The boot that was under way when the reader came, and where in it it starts. It has missed what is gone of later
    /// ones, from their record 0 on.
    late: (u32, Cursor),
    unknown_boot: bool,
    ahead: bool,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Reader {
    place: Option<Place>,
    beats: u32,
    clocks: u32,
}

impl Place {
    /// `None` while too little is known of the origin.
    fn find(start: Start, boots: &impl Boots) -> Option<Place> {
        let newest = boots.newest().filter(|_| boots.is_settled())?;
        let current = boots.boot(newest)?;
        let oldest = boots.first_kept();
        let mut place = Place {
            boot: oldest,
            cursor: boots.boot(oldest).map_or(Cursor::new(0, None), |boot| boot.view.oldest()),
            told: None,
            clock_due: false,
            late: (newest, current.view.oldest()),
            unknown_boot: false,
            ahead: false,
        };
        // What the origin told of may still be on its way here.
        let end_of = |number| match boots.boot(number) {
            Some(boot) if number == newest && boots.next_seq() > boot.view.next_seq() => {
                Cursor::new(boots.next_seq(), None)
            }
            Some(boot) => boot.view.newest(),
            None => Cursor::new(0, None),
        };
        match start {
            Start::Oldest => {}
            Start::Now => (place.boot, place.cursor) = (newest, end_of(newest)),
            Start::Cursor(wanted) => {
                let has_id = |number: &u32| boots.boot(*number).is_some_and(|boot| boot.id == wanted.boot_id);
                match (boots.first_known()..=newest).rev().find(has_id) {
                    Some(number) => {
                        (place.boot, place.cursor) = (number, Cursor::new(wanted.seq, wanted.retained));
                        if wanted.seq > end_of(number).seq() {
                            (place.cursor, place.ahead) = (end_of(number), true);
                        }
                        // This reader was there: what it missed of later boots is a loss, not a late start.
                        place.late = (number, place.cursor);
                    }
                    None => place.unknown_boot = true,
                }
            }
        }
        Some(place)
    }

    /// Goes on to boot `number`.
    fn go_to(&mut self, number: u32) {
        let (late, start) = self.late;
        self.cursor = if number == late { start } else { Cursor::new(0, Some(0)) };
        (self.boot, self.told) = (number, None);
    }
}

impl Reader {
    /// Finds the place to start at, if there is one yet. To be told now what "now" is.
    pub fn start(&mut self, start: Start, boots: &impl Boots) {
        if self.place.is_none() {
            self.place = Place::find(start, boots);
            // The first heartbeat is the first that comes; the clock is told with the boot.
            (self.beats, self.clocks) = (boots.news().beats, boots.news().clocks);
        }
    }

    pub fn unknown_boot(&self) -> bool {
        self.place.is_some_and(|place| place.unknown_boot)
    }

    pub fn ahead(&self) -> bool {
        self.place.is_some_and(|place| place.ahead)
    }

    /// Where it is in the boot under way; 0 before it comes there.
    pub fn seq_in(&self, boot: u32) -> u64 {
        self.place.filter(|place| place.boot == boot).map_or(0, |place| place.cursor.seq())
    }

    /// Whether [`Reader::fill`] has anything to write.
    pub fn ready(&self, boots: &impl Boots) -> bool {
        let Some(newest) = boots.newest() else { return false };
        let Some(place) = &self.place else { return boots.is_settled() };
        if place.told.is_none() || place.clock_due || place.boot != newest || self.has_news(boots) {
            return true;
        }
        boots
            .boot(newest)
            .is_some_and(|boot| boot.view.has_more(&place.cursor) || (boot.panicked && place.told == Some(false)))
    }

    pub fn has_news(&self, boots: &impl Boots) -> bool {
        let news = boots.news();
        (self.beats, self.clocks) != (news.beats, news.clocks)
    }

    /// Writes whole frames: boots, clocks, heartbeats, records and losses, of `origin` all.
    pub fn fill(&mut self, start: Start, origin: u8, boots: &impl Boots, min_level: Level, out: &mut [u8]) -> Fill {
        self.start(start, boots);
        let (Some(newest), Some(mut place)) = (boots.newest(), self.place) else {
            return Fill { bytes: 0, more: false };
        };
        let mut bytes = 0;
        let more = loop {
            let room = out.get_mut(bytes..).unwrap_or_default();
            let is_newest = place.boot >= newest;
            let Some(boot) = boots.boot(place.boot) else {
                let first = boots.first_known();
                if first <= place.boot {
                    break false; // not reached: all from the first on are known
                }
                // What this reader has not read of that boot, and of those up to the first, nobody knows any more.
                place.go_to(first);
                place.unknown_boot = true;
                continue;
            };
            let (has_more, panic_untold) =
                (boot.view.has_more(&place.cursor), boot.panicked && place.told == Some(false));
            if (place.told.is_none() && (has_more || is_newest)) || panic_untold {
                if !put(room, &mut bytes, &boot_frame(origin, &boot, &place, !is_newest)) {
                    break true;
                }
                place.clock_due = boot.clock.is_some();
                (place.told, place.unknown_boot) = (Some(boot.panicked), false);
                continue;
            }
            if place.clock_due {
                if !put_clock(room, &mut bytes, origin, boot.clock) {
                    break true;
                }
                place.clock_due = false;
                if is_newest {
                    self.clocks = boots.news().clocks;
                }
                continue;
            }
            if is_newest && self.has_news(boots) {
                if !self.put_news(room, &mut bytes, origin, boots) {
                    break true;
                }
                continue;
            }
            if has_more {
                let fill = boot.view.fill(&mut place.cursor, min_level, room);
                if origin != 0 {
                    set_origin(room.get_mut(..fill.bytes).unwrap_or_default(), origin);
                }
                bytes += fill.bytes;
                if fill.more {
                    break true;
                }
            }
            if is_newest {
                break false;
            }
            place.go_to(place.boot + 1);
        };
        self.place = Some(place);
        Fill { bytes, more }
    }

    /// Only heartbeats and clocks, for who does not want this origin's records.
    pub fn fill_news(&mut self, origin: u8, boots: &impl Boots, out: &mut [u8]) -> Fill {
        let mut bytes = 0;
        let more = self.has_news(boots) && !self.put_news(out, &mut bytes, origin, boots);
        Fill { bytes, more }
    }

    fn put_news(&mut self, room: &mut [u8], bytes: &mut usize, origin: u8, boots: &impl Boots) -> bool {
        let news = boots.news();
        let clock = boots.newest().and_then(|newest| boots.boot(newest)).and_then(|boot| boot.clock);
        if room.len() < Heartbeat::BYTES + Clock::BYTES {
            return false;
        }
        let mut used = 0;
        if let Some((time, next_seq)) = news.heartbeat.filter(|_| self.beats != news.beats) {
            put(room, &mut used, &Heartbeat { origin, time, next_seq }.encode());
        }
        put_clock(room.get_mut(used..).unwrap_or_default(), &mut used, origin, clock);
        *bytes += used;
        (self.beats, self.clocks) = (news.beats, news.clocks);
        true
    }
}

fn boot_frame(origin: u8, boot: &Boot<'_>, place: &Place, previous: bool) -> [u8; stream::Boot::BYTES] {
    // A cursor at what is still on its way knows itself, or nothing does.
    let retained = match boot.view.is_ahead(&place.cursor) {
        true => place.cursor.retained(),
        false => boot.view.retained_at(&place.cursor),
    };
    stream::Boot {
        origin,
        previous,
        panicked: boot.panicked,
        unknown_boot: place.unknown_boot,
        boot_id: boot.id,
        oldest_seq: boot.view.oldest().seq(),
        next_seq: boot.view.next_seq(),
        start_seq: place.cursor.seq(),
        retained: retained.unwrap_or(u64::MAX),
    }
    .encode()
}

fn put_clock(room: &mut [u8], bytes: &mut usize, origin: u8, clock: Option<Clock>) -> bool {
    clock.is_none_or(|clock| put(room, bytes, &Clock { origin, ..clock }.encode()))
}

/// Copies `frame` to `room` and counts its bytes, if it fits.
pub(crate) fn put(room: &mut [u8], bytes: &mut usize, frame: &[u8]) -> bool {
    let Some(place) = room.get_mut(..frame.len()) else { return false };
    place.copy_from_slice(frame);
    *bytes += frame.len();
    true
}
