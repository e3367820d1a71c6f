//! One circular area of whole records. A record is never split: what does not fit before the end goes to the start.

use crate::record::{frame_words, join};

/// Where the records of a lane lie, in words from its start. `wrap` 0: all in `tail..head`; else in `tail..wrap`
/// followed by `0..head`, with `head <= tail < wrap`. All numbers are kept valid even if the memory itself decays.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lane {
    pub tail: usize,
    pub head: usize,
    pub wrap: usize,
    /// How often `head` went back to the start, modulo 2^32: tells a remembered position from a later one.
    pub lap: u32,
    /// Every record of this lane with a smaller seq is gone; every other one is kept.
    pub floor: u64,
    /// How many records are gone from this lane.
    pub evicted: u64,
}

/// A remembered place in a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub pos: usize,
    pub lap: u32,
}

/// Where a lane's record starts and ends, in words, and its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub place: Place,
    pub end: usize,
    pub seq: u64,
}

impl Lane {
    /// Makes `window` free words follow each other at `head`, at the price of the oldest records. `next_seq` is the
    /// number of the record to come. The lane must be at least three windows long.
    pub fn reserve(&mut self, memory: &[u32], window: usize, next_seq: u64) {
        loop {
            if self.wrap == 0 {
                if memory.len() - self.head >= window {
                    return;
                }
                self.lap = self.lap.wrapping_add(1);
                if self.is_empty() {
                    (self.tail, self.head) = (0, 0);
                } else {
                    (self.wrap, self.head) = (self.head, 0);
                }
            } else if self.tail - self.head >= window {
                return;
            } else {
                self.evict(memory, next_seq);
            }
        }
    }

    /// Drops the oldest record.
    fn evict(&mut self, memory: &[u32], next_seq: u64) {
        let limit = if self.wrap == 0 { self.head } else { self.wrap };
        let end = match memory.get(self.tail..limit) {
            Some([first, _, low, high, ..]) => {
                self.floor = join(*low, *high).wrapping_add(1);
                frame_words(*first).map_or(usize::MAX, |words| self.tail + words)
            }
            _ => usize::MAX,
        };
        self.evicted += 1;
        if end < limit {
            self.tail = end;
        } else if self.wrap != 0 && end == limit {
            (self.tail, self.wrap) = (0, 0);
        } else {
            // The last record went, or the memory has decayed and nothing in it can be trusted.
            *self = Lane { tail: self.head, wrap: 0, floor: next_seq, ..*self };
        }
    }

    /// The record at a place, or the next one where the lane continues at its start. `None` at the head.
    #[inline]
    pub fn at(&self, memory: &[u32], mut place: Place) -> Result<Found, Place> {
        if self.wrap != 0 && place.lap != self.lap && place.pos == self.wrap {
            place = Place { pos: 0, lap: self.lap };
        }
        let limit = if self.wrap != 0 && place.lap != self.lap { self.wrap } else { self.head };
        if let Some([first, _, low, high, ..]) = memory.get(place.pos..limit) {
            if let Some(words) = frame_words(*first) {
                if words <= limit - place.pos {
                    return Ok(Found { place, end: place.pos + words, seq: join(*low, *high) });
                }
            }
        }
        Err(place)
    }

    pub fn is_empty(&self) -> bool {
        self.wrap == 0 && self.tail == self.head
    }

    pub fn oldest(&self) -> Place {
        let lap = if self.wrap == 0 { self.lap } else { self.lap.wrapping_sub(1) };
        Place { pos: self.tail, lap }
    }

    /// Where the next record will be, unless it has to go back to the start.
    pub fn newest(&self) -> Place {
        Place { pos: self.head, lap: self.lap }
    }

    /// Place of the first record numbered `seq` or higher. `hint`: such a place found earlier for that very `seq`.
    #[inline]
    pub fn find(&self, memory: &[u32], seq: u64, hint: Option<Place>) -> Result<Found, Place> {
        if self.floor > seq {
            return self.at(memory, self.oldest());
        }
        if let Some(place) = hint {
            // Nothing numbered `seq` or higher is gone, so what the place stood before is still there or still to come.
            if place.lap == self.lap || (self.wrap != 0 && place.lap.wrapping_add(1) == self.lap) {
                return self.at(memory, place);
            }
            return self.at(memory, self.oldest());
        }
        let mut found = self.at(memory, self.oldest())?;
        while found.seq < seq {
            found = self.at(memory, Place { pos: found.end, lap: found.place.lap })?;
        }
        Ok(found)
    }
}
