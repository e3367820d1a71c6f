//! The readers' side of the ring: cursors, and what is missing from where they stand.

use crate::lane::{Found, Lane, Place};
use crate::record::Record;
use crate::ring::RETAINED;
use crate::scan::{Scan, Step};
use crate::Level;

/// Length of the frame that declares a loss on a stream (docs/wire.md).
pub const LOSS_FRAME_BYTES: usize = 32;
const LOSS_FIRST_WORD: u32 = 2 | (LOSS_FRAME_BYTES as u32) << 16;
/// How many records one call of `fill` passes over at most because of their level.
const MAX_SKIPS: u32 = 64;

/// What writer and readers share besides the lanes' memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    pub lanes: [Lane; 2],
    pub next_seq: u64,
    /// Errors and warnings written so far.
    pub retained: u64,
    /// By how much `retained` may be too high: it is the most it can be while the end of a replica is missing.
    pub uncertain: u64,
    pub generation: u32,
    /// Records are missing from the middle or the end of a lane, so that a lane does not tell what was not in it.
    pub damaged: bool,
}

impl State {
    pub fn known_retained(&self) -> Option<u64> {
        (self.uncertain == 0).then_some(self.retained)
    }
}

/// A reader's place: the next record it wants. A plain value; any seq is legal and every ring takes any cursor.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    pub(crate) seq: u64,
    /// Errors and warnings before `seq`.
    pub(crate) retained: Option<u64>,
    /// Where `seq` or what follows it lies in each lane, in the ring of that generation (0: not known).
    pub(crate) generation: u32,
    pub(crate) places: [Place; 2],
}

impl Cursor {
    /// At the record numbered `seq`; `retained` is the number of errors and warnings before it, if known.
    pub const fn new(seq: u64, retained: Option<u64>) -> Cursor {
        Cursor { seq, retained, generation: 0, places: [Place { pos: 0, lap: 0 }; 2] }
    }

    /// Number of the next record wanted.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    pub fn retained(&self) -> Option<u64> {
        self.retained
    }

    #[inline]
    pub(crate) fn hint(&self, lane: usize, generation: u32) -> Option<Place> {
        (self.generation == generation).then_some(self.places[lane])
    }
}

/// Records that are gone. They stand between the record before and the one after in the reader's sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Number of the first missing record.
    pub first: u64,
    pub count: u64,
    /// How many of them were errors or warnings; the most it can be unless `exact`.
    pub retained: u64,
    pub exact: bool,
}

impl Loss {
    /// The frame of docs/wire.md, origin 0.
    pub fn frame(&self) -> [u8; LOSS_FRAME_BYTES] {
        let mut frame = [0; LOSS_FRAME_BYTES];
        let words = [LOSS_FIRST_WORD, u32::from(self.exact)].map(u32::to_le_bytes);
        let counts = [self.first, self.count, self.retained].map(u64::to_le_bytes);
        for (to, from) in frame.iter_mut().zip(words.as_flattened().iter().chain(counts.as_flattened())) {
            *to = *from;
        }
        frame
    }
}

/// What a reader finds at its cursor.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// The record the cursor named.
    Record(Record<'a>),
    /// It is gone, and so are the ones behind it that this counts.
    Loss(Loss),
    /// It has not been written yet.
    End,
}

/// What [`View::fill`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Bytes written to the buffer: whole frames.
    pub bytes: usize,
    /// There is more for this cursor: call again, with an emptied buffer if `bytes` is not 0.
    pub more: bool,
}

/// Read access to a ring, this boot's or a recovered one.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub(crate) state: &'a State,
    pub(crate) lanes: [&'a [u32]; 2],
}

impl<'a> View<'a> {
    /// Number of the next record to be written.
    pub fn next_seq(&self) -> u64 {
        self.state.next_seq
    }

    /// Errors and warnings written so far.
    pub fn retained(&self) -> u64 {
        self.state.retained
    }

    /// A cursor at the oldest kept record; at the next one to be written if none is kept.
    pub fn oldest(&self) -> Cursor {
        let mut oldest = None;
        for (n, lane) in self.state.lanes.iter().enumerate() {
            if let Ok(found) = lane.at(self.lanes[n], lane.oldest()) {
                if oldest.is_none_or(|(seq, _)| found.seq < seq) {
                    oldest = Some((found.seq, self.retained_before(n, &found)));
                }
            }
        }
        match oldest {
            Some((seq, retained)) => Cursor::new(seq, Some(retained)),
            None => self.newest(),
        }
    }

    /// A cursor at the next record to be written.
    pub fn newest(&self) -> Cursor {
        Cursor {
            seq: self.state.next_seq,
            retained: self.state.known_retained(),
            generation: self.state.generation,
            places: [self.state.lanes[0].newest(), self.state.lanes[1].newest()],
        }
    }

    /// Whether the cursor names a record that cannot exist yet. It is then taken as the next one to be written.
    pub fn is_ahead(&self, cursor: &Cursor) -> bool {
        cursor.seq > self.state.next_seq
    }

    /// Whether there is something to read at the cursor.
    pub fn has_more(&self, cursor: &Cursor) -> bool {
        cursor.seq < self.state.next_seq
    }

    /// Errors and warnings before the cursor, if the cursor or what is kept tells.
    pub fn retained_at(&self, cursor: &Cursor) -> Option<u64> {
        let scan = Scan::start(*self, cursor);
        match scan.step() {
            Step::Record { lane, found } => Some(self.retained_before(lane, &found)),
            Step::Loss { loss, retained } => {
                retained.filter(|_| loss.exact).map(|retained| retained.saturating_sub(loss.retained))
            }
            Step::End => self.state.known_retained(),
        }
    }

    /// What is at the cursor, which moves behind it. Never fails, whatever the cursor.
    pub fn read(&self, cursor: &mut Cursor) -> Item<'a> {
        let mut scan = Scan::start(*self, cursor);
        let item = match scan.step() {
            Step::Record { lane, found } => {
                scan.pass(lane, found);
                self.record(lane, &found).map_or(Item::End, Item::Record)
            }
            Step::Loss { loss, retained } => {
                scan.pass_loss(&loss, retained);
                Item::Loss(loss)
            }
            Step::End => Item::End,
        };
        scan.finish(cursor);
        item
    }

    /// Copies frames from the cursor on, records and losses, to `out` until that is full or nothing is left. Records
    /// below `min_level` are passed over. `out` should hold at least [`crate::MAX_FRAME_BYTES`]. One call takes a
    /// bounded number of steps.
    pub fn fill(&self, cursor: &mut Cursor, min_level: Level, out: &mut [u8]) -> Fill {
        let mut scan = Scan::start(*self, cursor);
        let (mut bytes, mut skips) = (0, 0);
        let more = loop {
            match scan.step() {
                Step::Record { lane, found } => {
                    let Some(record) = self.record(lane, &found) else {
                        break false; // not reached: `found` lies within the lane
                    };
                    if record.level() <= min_level {
                        // As many as follow each other go in one piece.
                        let last = scan.run(lane, found, (out.len() - bytes) / 4, min_level);
                        let frames = self.lanes[lane].get(found.place.pos..last.end).unwrap_or(&[]);
                        let frames: &[u8] = bytemuck::cast_slice(frames);
                        let Some(place) = out.get_mut(bytes..bytes + frames.len()) else {
                            break true;
                        };
                        place.copy_from_slice(frames);
                        bytes += frames.len();
                        scan.pass(lane, last);
                        continue;
                    } else if skips == MAX_SKIPS {
                        break true;
                    } else {
                        skips += 1;
                    }
                    scan.pass(lane, found);
                }
                Step::Loss { loss, retained } => {
                    // Who wants only errors and warnings has lost nothing when none of the missing was one.
                    if !(min_level.is_retained() && loss.exact && loss.retained == 0) {
                        let Some(place) = out.get_mut(bytes..bytes + LOSS_FRAME_BYTES) else {
                            break true;
                        };
                        place.copy_from_slice(&loss.frame());
                        bytes += LOSS_FRAME_BYTES;
                    }
                    scan.pass_loss(&loss, retained);
                }
                Step::End => break false,
            }
        };
        scan.finish(cursor);
        Fill { bytes, more }
    }

    /// The records from `first` up to, not including, `end` are gone; `before` errors and warnings are known to precede
    /// `first`, and `retained` less at most `uncertain` precede `end`.
    #[cold]
    pub(crate) fn loss(&self, first: u64, before: Option<u64>, end: u64, retained: u64, uncertain: u64) -> Loss {
        let count = end - first;
        let lane = &self.state.lanes[RETAINED];
        // A cursor that contradicts the records tells nothing.
        let told = before.and_then(|before| retained.checked_sub(before));
        let told = told.filter(|&lost| lost.saturating_sub(uncertain) <= count);
        let (retained, exact) = match told {
            Some(lost) => (lost.min(count), uncertain == 0 || lost == 0),
            // Every error and warning from the cursor on is kept, so none of them is among the missing.
            None if lane.floor() <= first && !self.state.damaged => (0, true),
            None => {
                let mut most = count.min(retained);
                if !self.state.damaged {
                    let memory = self.lanes[RETAINED];
                    let oldest = lane.at(memory, lane.oldest()).ok();
                    let evicted = oldest.map_or(self.state.retained, |oldest| self.retained_before(RETAINED, &oldest));
                    most = most.min(evicted).min(lane.floor() - first);
                }
                (most, most == 0)
            }
        };
        Loss { first, count, retained, exact }
    }

    /// Errors and warnings before a kept record: its own count, with the high part that it leaves out.
    #[inline]
    pub(crate) fn retained_before(&self, lane: usize, found: &Found) -> u64 {
        let low = self.lanes[lane].get(found.place.pos + 6).copied().unwrap_or(0);
        self.state.retained.saturating_sub(u64::from((self.state.retained as u32).wrapping_sub(low)))
    }

    #[inline]
    fn record(&self, lane: usize, found: &Found) -> Option<Record<'a>> {
        self.lanes[lane].get(found.place.pos..found.end).and_then(Record::trusted)
    }
}
