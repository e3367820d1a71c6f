//! The log of another board's boot as it comes here: the same lanes, cursors and losses as the board's own ring.

use crate::lane::Lane;
use crate::reader::{Loss, State, View};
use crate::record::{Record, MAX_FRAME_WORDS};
use crate::ring::{lane_of, TooSmall};

/// Smallest memory for a replica, in words: the longest record has room in either lane.
pub const REPLICA_MIN_WORDS: usize = 16 * MAX_FRAME_WORDS;

/// Records of one boot, numbered by the board that wrote them. What it skips is lost, and told to readers as such.
///
/// One writer; any number of readers, each with its own [`crate::Cursor`]. A quarter of the memory is the retained
/// lane.
pub struct Replica<'a> {
    lanes: [&'a mut [u32]; 2],
    state: State,
}

impl<'a> Replica<'a> {
    /// An empty one that begins at record 0; `memory` may hold anything.
    pub fn new(memory: &'a mut [u32]) -> Result<Replica<'a>, TooSmall> {
        if memory.len() < REPLICA_MIN_WORDS {
            return Err(TooSmall);
        }
        let (retained, normal) = memory.split_at_mut(memory.len() / 4);
        Ok(Replica { lanes: [normal, retained], state: State::default() })
    }

    /// Forgets everything and begins at record `start`, before which there were `retained` errors and warnings, if
    /// known. `generation` tells the cursors of this boot from those of others: not 0, and never the same again.
    pub fn restart(&mut self, generation: u32, start: u64, retained: Option<u64>) {
        let lane = Lane { gone: start.wrapping_sub(1), ..Lane::default() };
        let (retained, uncertain) = retained.map_or((start, start), |retained| (retained, 0));
        self.state = State { lanes: [lane; 2], next_seq: start, retained, uncertain, generation, damaged: false };
    }

    /// Takes the next record; what its number skips is lost. `false`: it was here before.
    pub fn append(&mut self, record: &Record<'_>) -> bool {
        let (seq, words, lane) = (record.seq(), record.words(), lane_of(record.level()));
        if seq < self.state.next_seq || seq == u64::MAX {
            return false;
        }
        let place = &mut self.state.lanes[lane];
        let memory = &mut *self.lanes[lane];
        place.reserve(memory, words.len(), seq);
        let Some(room) = memory.get_mut(place.head..place.head + words.len()) else {
            return false; // not reached: that much was just reserved
        };
        room.copy_from_slice(words);
        place.head += words.len();
        // The record tells the low half of its count, which cannot be below what is certain.
        let certain = self.state.retained.saturating_sub(self.state.uncertain);
        let more = record.retained().wrapping_sub(certain as u32);
        let own = u64::from(record.level().is_retained());
        self.state.retained = certain.saturating_add(u64::from(more)).saturating_add(own);
        self.state.uncertain = 0;
        self.state.damaged |= seq > self.state.next_seq;
        self.state.next_seq = seq + 1;
        true
    }

    /// Takes a loss as the board declared it; what lies before it and has not come is lost as well.
    pub fn append_loss(&mut self, loss: &Loss) {
        let end = loss.first.saturating_add(loss.count);
        let Some(count) = end.checked_sub(self.state.next_seq).filter(|&count| count > 0) else {
            return; // known already
        };
        let exact = loss.exact && loss.first == self.state.next_seq && loss.retained <= count;
        if exact {
            self.state.retained = self.state.retained.saturating_add(loss.retained);
        } else {
            let most = match loss.first == self.state.next_seq {
                true => loss.retained.min(count),
                false => count,
            };
            self.state.retained = self.state.retained.saturating_add(most);
            self.state.uncertain = self.state.uncertain.saturating_add(most);
        }
        (self.state.next_seq, self.state.damaged) = (end, true);
    }

    /// What lies before record `end` and has not come is lost; `retained` errors and warnings precede `end`, if known.
    pub fn skip_to(&mut self, end: u64, retained: Option<u64>) {
        let (first, known) = (self.state.next_seq, self.state.known_retained());
        let lost = retained.zip(known).and_then(|(after, before)| after.checked_sub(before));
        let count = end.saturating_sub(first);
        self.append_loss(&Loss { first, count, retained: lost.unwrap_or(count), exact: lost.is_some() });
    }

    /// The readers' side.
    pub fn view(&self) -> View<'_> {
        View { state: &self.state, lanes: [self.lanes[0], self.lanes[1]] }
    }

    /// What remains to be said of this boot when its records are dropped.
    pub fn gone(&self) -> Gone {
        let (next_seq, retained, uncertain) = (self.state.next_seq, self.state.retained, self.state.uncertain);
        Gone { state: State { next_seq, retained, uncertain, damaged: true, ..State::default() } }
    }
}

/// A boot of which no record is kept any more: every reader has lost all from its cursor to the end.
#[derive(Clone, Copy, Debug)]
pub struct Gone {
    state: State,
}

impl Gone {
    pub fn view(&self) -> View<'_> {
        View { state: &self.state, lanes: [&[], &[]] }
    }
}
