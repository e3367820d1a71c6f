//! What one subscriber gets: this board's own log and those it relays, as frames of docs/wire.md.

use corelog_log::{Fill, Level};
use corelog_proto::aux::LogCursor;
use corelog_proto::mgmt::{From, StreamCursor, Subscribe};

use crate::boots::{Boots, Own, HEARTBEAT_US};
use crate::reader::{put, Reader, Start};
use crate::relay::Relay;

/// A subscription of at most `N` relays besides the board's own log. Every call is given the same relays, in the same
/// order; there may be more of them from call to call.
pub struct Stream<const N: usize> {
    /// Of the board's own log.
    origin: u8,
    min_level: Level,
    from: From,
    /// Bit by origin.
    wanted: [u32; 8],
    cursors: [Option<StreamCursor>; N],
    header_sent: bool,
    own: Reader,
    relayed: [Reader; N],
    turn: usize,
}

impl Stream<0> {
    /// What a satellite sends upstream: its own log, with its destination as origin.
    pub fn upstream(destination: u8, cursor: Option<LogCursor>, own: &Own<'_>) -> Stream<0> {
        let mut stream = Stream::new(destination, From::Oldest);
        stream.own.start(cursor.map_or(Start::Oldest, Start::Cursor), own);
        stream
    }
}

impl<const N: usize> Stream<N> {
    fn new(origin: u8, from: From) -> Stream<N> {
        Stream {
            origin,
            min_level: Level::Trace,
            from,
            wanted: [u32::MAX; 8],
            cursors: [None; N],
            header_sent: false,
            own: Reader::default(),
            relayed: [Reader::default(); N],
            turn: 0,
        }
    }

    /// What a subscriber asked the core device for. Cursors of more than `N` satellites are left out.
    pub fn subscribe(request: &Subscribe<'_>, own: &Own<'_>, relays: &[Relay<'_>]) -> Stream<N> {
        let mut stream = Stream::new(0, request.from);
        stream.min_level = Level::from_u8(request.min_level).unwrap_or(Level::Trace);
        for origin in 0..=u8::MAX {
            if !request.wants(origin) {
                stream.wanted[usize::from(origin / 32)] &= !(1 << (origin % 32));
            }
        }
        // Those of the satellites that are there come first: if there are too many, others are left out.
        let is_relayed = |cursor: &StreamCursor| relays.iter().any(|relay| relay.origin() == cursor.origin);
        let known = request.cursors().filter(is_relayed);
        for cursor in known.chain(request.cursors().filter(|cursor| !is_relayed(cursor) && cursor.origin != 0)) {
            let same = |other: &Option<StreamCursor>| other.is_none_or(|other| other.origin == cursor.origin);
            if let Some(place) = stream.cursors.iter_mut().find(|place| same(place)) {
                place.get_or_insert(cursor);
            }
        }
        stream.own.start(start(request.from, request.cursor(0)), own);
        for index in 0..N.min(relays.len()) {
            if let (Some(reader), Some(relay)) = (stream.relayed.get_mut(index), relays.get(index)) {
                reader.start(start(request.from, cursor_of(&stream.cursors, relay.origin())), relay);
            }
        }
        stream
    }

    fn wants(&self, origin: u8) -> bool {
        self.wanted[usize::from(origin / 32)] >> (origin % 32) & 1 != 0
    }

    /// Number of the next record of the board's own log that it will be given, in this boot.
    pub fn own_seq(&self, own: &Own<'_>) -> u64 {
        if !self.wants(self.origin) {
            return own.next_seq();
        }
        own.newest().map_or(0, |newest| self.own.seq_in(newest))
    }

    /// When there is something to send at the latest: the next heartbeat.
    pub fn deadline(now: u64) -> u64 {
        (now / HEARTBEAT_US + 1).saturating_mul(HEARTBEAT_US)
    }

    /// Whether [`Stream::fill`] has anything to write.
    pub fn ready(&self, own: &Own<'_>, relays: &[Relay<'_>]) -> bool {
        let own_ready = match self.wants(self.origin) {
            true => self.own.ready(own),
            false => self.own.has_news(own),
        };
        !self.header_sent
            || own_ready
            || self.relayed.iter().zip(relays).any(|(reader, relay)| self.wants(relay.origin()) && reader.ready(relay))
    }

    /// Writes whole frames. `out` should hold at least [`corelog_log::MAX_FRAME_BYTES`]; where less is left nothing
    /// may fit, so that `more` does not mean that a frame was written. A bounded number of steps.
    ///
    /// Every second call is the own log's first, the others are the relays' in turn; what one leaves free the next
    /// gets.
    pub fn fill(&mut self, own: &Own<'_>, relays: &[Relay<'_>], out: &mut [u8]) -> Fill {
        let mut bytes = 0;
        if !self.header_sent {
            let header = own.header(self.own.unknown_boot(), self.own.ahead());
            if !put(out, &mut bytes, &header.encode()) {
                return Fill { bytes: 0, more: true };
            }
            self.header_sent = true;
        }
        let count = N.min(relays.len());
        let relays_first = self.turn % 2 == 1;
        let mut next = (self.turn / 2).checked_rem(count).unwrap_or(0);
        self.turn = self.turn.wrapping_add(1);
        for step in 0..=count {
            let room = out.get_mut(bytes..).unwrap_or_default();
            let is_own = step == if relays_first { count } else { 0 };
            let fill = if is_own {
                self.fill_own(own, room)
            } else {
                let index = next;
                next = if next + 1 == count { 0 } else { next + 1 };
                self.fill_relayed(index, relays, room)
            };
            bytes += fill.bytes;
            if fill.more {
                return Fill { bytes, more: true };
            }
        }
        Fill { bytes, more: false }
    }

    #[inline]
    fn fill_own(&mut self, own: &Own<'_>, room: &mut [u8]) -> Fill {
        match self.wants(self.origin) {
            true => self.own.fill(Start::Oldest, self.origin, own, self.min_level, room), // it has started
            false => self.own.fill_news(self.origin, own, room),
        }
    }

    fn fill_relayed(&mut self, index: usize, relays: &[Relay<'_>], room: &mut [u8]) -> Fill {
        let nothing = Fill { bytes: 0, more: false };
        let Some(relay) = relays.get(index).filter(|relay| self.wants(relay.origin())) else { return nothing };
        let start = start(self.from, cursor_of(&self.cursors, relay.origin()));
        let Some(reader) = self.relayed.get_mut(index) else { return nothing };
        reader.fill(start, relay.origin(), relay, self.min_level, room)
    }
}

fn cursor_of(cursors: &[Option<StreamCursor>], origin: u8) -> Option<StreamCursor> {
    cursors.iter().flatten().find(|cursor| cursor.origin == origin).copied()
}

/// An origin without a cursor starts at its oldest.
fn start(from: From, cursor: Option<StreamCursor>) -> Start {
    match (from, cursor) {
        (From::Now, _) => Start::Now,
        (From::Cursors, Some(StreamCursor { boot_id, seq, retained, .. })) => {
            Start::Cursor(LogCursor { boot_id, seq, retained })
        }
        (From::Oldest | From::Cursors, _) => Start::Oldest,
    }
}
