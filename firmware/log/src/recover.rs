//! What a previous boot left in memory that survived the reset.

use crate::control::{self, Found};
use crate::lane::{Lane, Place};
use crate::reader::{Cursor, Fill, Item, State, View};
use crate::record::{Record, HEADER_WORDS};
use crate::ring::{Division, Ring, TooSmall, RETAINED};
use crate::Level;

/// The log of a previous boot, read only.
#[derive(Clone, Copy)]
pub struct Recovered<'a> {
    state: State,
    lanes: [&'a [u32]; 2],
    boot_id: u64,
    panicked: bool,
}

/// Takes the newer of the two blocks that holds a boot's log as the previous one, and starts this boot's ring in the
/// other. Garbage in either is legal. Both need [`crate::MIN_WORDS`].
pub fn open<'a>(
    one: &'a mut [u32],
    other: &'a mut [u32],
    boot_id: u64,
) -> Result<(Ring<'a>, Option<Recovered<'a>>), TooSmall> {
    let newer = match (generation(one), generation(other)) {
        (Some(a), Some(b)) => (a.wrapping_sub(b) as i32) > 0,
        (a, _) => a.is_some(),
    };
    let (first, second) = if newer { (one, other) } else { (other, one) };
    let latest = generation(first).into_iter().chain(generation(second)).next().unwrap_or(0);
    let next = latest.wrapping_add(1).max(1);
    // The older one only if the newer does not hold anything any more.
    let (current, previous, found) = match examine(first) {
        Some(found) => (second, first, Some(found)),
        None => match examine(second) {
            Some(found) => (first, second, Some(found)),
            None => (second, first, None),
        },
    };
    let ring = Ring::new(current, boot_id, next)?;
    Ok((ring, found.and_then(|found| found.over(previous))))
}

fn split(memory: &[u32]) -> Option<(Found, [&[u32]; 2])> {
    let division = Division::of(memory.len())?;
    let (block, rest) = memory.split_first_chunk()?;
    let found = control::read(block, memory.len())?;
    let (retained, rest) = rest.split_at(division.retained);
    let (_, normal) = rest.split_at(division.window);
    Some((found, [normal, retained]))
}

fn generation(memory: &[u32]) -> Option<u32> {
    split(memory).map(|(found, _)| found.generation)
}

/// What a sound block says of its log.
struct Examined {
    state: State,
    boot_id: u64,
    panicked: bool,
}

impl Examined {
    fn over(self, memory: &[u32]) -> Option<Recovered<'_>> {
        let (_, lanes) = split(memory)?;
        Some(Recovered { state: self.state, lanes, boot_id: self.boot_id, panicked: self.panicked })
    }
}

fn examine(memory: &[u32]) -> Option<Examined> {
    let (found, lanes) = split(memory)?;
    let mut state = State { generation: found.generation, ..State::default() };
    let mut newest: Option<Record<'_>> = None;
    for (n, memory) in lanes.iter().enumerate() {
        let run = Walk::new(memory, found.lanes[n], found.next_seq).longest();
        state.lanes[n] = run.lane;
        state.damaged |= run.damaged;
        newest = match (newest, run.newest) {
            (Some(a), Some(b)) if a.seq() >= b.seq() => Some(a),
            (a, b) => b.or(a),
        };
    }
    if newest.is_none() && found.next_seq != 0 {
        return None;
    }
    // What follows the newest record in a sound log. The block may be behind by one (the reset came in between) and
    // ahead where records at a lane's end are damaged, but never by more than there was room for.
    (state.next_seq, state.retained) = newest.map_or((0, 0), |record| {
        let total = u64::from(record.retained()) + u64::from(record.level().is_retained());
        (record.seq().saturating_add(1), total)
    });
    let ahead = found.next_seq.checked_sub(state.next_seq);
    if let Some(ahead) = ahead.filter(|&ahead| ahead <= (memory.len() / HEADER_WORDS) as u64) {
        state.damaged |= ahead != 0;
        state.next_seq = found.next_seq;
        // A record has only the low half of its count.
        let more = found.retained.wrapping_sub(state.retained);
        if u64::from(more as u32) <= ahead {
            state.retained = found.retained;
        }
    }
    state.damaged |= state.retained != 0 && state.lanes[RETAINED].is_empty();
    Some(Examined { state, boot_id: found.boot_id, panicked: found.panicked })
}

impl<'a> Recovered<'a> {
    /// The log in `memory`, as far as checksums, lengths and numbers hold: of each lane the longest unbroken run.
    /// `None` if there is none. Never panics, whatever the words.
    pub fn new(memory: &'a [u32]) -> Option<Recovered<'a>> {
        examine(memory)?.over(memory)
    }

    pub fn boot_id(&self) -> u64 {
        self.boot_id
    }

    /// Whether the boot ended in a panic ([`Ring::mark_panic`]).
    pub fn ended_in_panic(&self) -> bool {
        self.panicked
    }

    /// How many records the boot produced, as far as can be told.
    pub fn next_seq(&self) -> u64 {
        self.state.next_seq
    }

    pub fn view(&self) -> View<'_> {
        View { state: &self.state, lanes: self.lanes }
    }

    /// See [`View::read`].
    pub fn read(&self, cursor: &mut Cursor) -> Item<'_> {
        self.view().read(cursor)
    }

    /// See [`View::fill`].
    pub fn fill(&self, cursor: &mut Cursor, min_level: Level, out: &mut [u8]) -> Fill {
        self.view().fill(cursor, min_level, out)
    }

    /// See [`View::oldest`].
    pub fn oldest(&self) -> Cursor {
        self.view().oldest()
    }

    /// See [`View::newest`].
    pub fn newest(&self) -> Cursor {
        self.view().newest()
    }
}

/// An unbroken run of sound records of a lane.
struct Run<'a> {
    lane: Lane,
    records: u32,
    newest: Option<Record<'a>>,
    /// Not all that the lane should hold.
    damaged: bool,
}

/// Goes over a lane from its tail to its head.
struct Walk<'a> {
    memory: &'a [u32],
    /// As the control block tells, within the memory.
    lane: Lane,
    next_seq: u64,
    damaged: bool,
}

impl<'a> Walk<'a> {
    fn new(memory: &'a [u32], [tail, head, wrap]: [usize; 3], next_seq: u64) -> Walk<'a> {
        let plain = wrap == 0 && tail <= head && head <= memory.len();
        let wrapped = wrap != 0 && head <= tail && tail < wrap && wrap <= memory.len();
        let lane =
            if plain || wrapped { Lane { tail, head, wrap, lap: 1, ..Lane::default() } } else { Lane::default() };
        Walk { memory, lane, next_seq, damaged: !(plain || wrapped) }
    }

    fn longest(mut self) -> Run<'a> {
        let mut best = Run { lane: Lane::default(), records: 0, newest: None, damaged: false };
        let mut run: Option<Run<'a>> = None;
        let mut place = self.lane.oldest();
        loop {
            let upper = self.lane.wrap != 0 && place.lap != self.lane.lap;
            let limit = if upper { self.lane.wrap } else { self.lane.head };
            if place.pos >= limit {
                if !upper {
                    break;
                }
                place = Place { pos: 0, lap: self.lane.lap };
                if let Some(run) = &mut run {
                    (run.lane.wrap, run.lane.head) = (limit, 0);
                }
                continue;
            }
            let record = self.record(place.pos, limit);
            let last = run.as_ref().and_then(|run| run.newest);
            match record {
                Some(record) if last.is_none_or(|last| record.seq() > last.seq()) => {
                    place.pos += record.words().len();
                    let run = run.get_or_insert_with(|| Run::start(&record, place));
                    run.take(record, place.pos);
                }
                _ => {
                    // From here word by word to the next sound record, which begins another run.
                    self.damaged = true;
                    best = best.or_longer(run.take());
                    place.pos += 1;
                }
            }
        }
        best = best.or_longer(run);
        self.add_next(&mut best);
        best.lane.lap = 1;
        best.damaged = self.damaged;
        best
    }

    /// The sound record at `pos`. Its checksum leaves the origin out, but this ring's records have none but 0.
    fn record(&self, pos: usize, limit: usize) -> Option<Record<'a>> {
        Record::parse(self.memory.get(pos..limit)?).ok().filter(|record| record.origin() == 0)
    }

    /// The record at the lane's head that was complete but not counted yet: a repeat record that might still have
    /// changed, or one that was just being written. It has the number that was to come next.
    fn add_next(&self, best: &mut Run<'a>) {
        let limit = if self.lane.wrap == 0 { self.memory.len() } else { self.lane.tail };
        if let (Some(last), Some(record)) = (best.newest, self.record(self.lane.head, limit)) {
            let behind = best.lane.head == self.lane.head && record.seq() == self.next_seq;
            if behind && record.seq() > last.seq() {
                best.take(record, self.lane.head + record.words().len());
            }
        }
    }
}

impl<'a> Run<'a> {
    fn start(first: &Record<'a>, behind: Place) -> Run<'a> {
        let start = behind.pos - first.words().len();
        // All that the lane held before this is gone, as far as anybody can tell.
        let kept = Lane { tail: start, head: start, wrap: 0, lap: 1, gone: first.seq().wrapping_sub(1) };
        Run { lane: kept, records: 0, newest: None, damaged: false }
    }

    fn take(&mut self, record: Record<'a>, head: usize) {
        self.lane.head = head;
        self.records += 1;
        self.newest = Some(record);
    }

    fn or_longer(self, other: Option<Run<'a>>) -> Run<'a> {
        match other {
            Some(other) if other.records > self.records => other,
            _ => self,
        }
    }
}
