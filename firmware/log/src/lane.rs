//! One circular area of whole records. A record is never split: what does not fit before the end goes to the start.

use crate::record::{frame_words, join};
use crate::Level;

/// Where the records of a lane lie, in words from its start. `wrap` 0: all in `tail..head`; else in `tail..wrap`
/// followed by `0..head`, with `head <= tail < wrap`. All numbers are kept valid even if the memory itself decays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    pub tail: usize,
    pub head: usize,
    pub wrap: usize,
    /// How often `head` went back to the start, modulo 2^32: tells a remembered position from a later one.
    pub lap: u32,
    /// Number of the newest record of this lane that is gone, all ones (the number before 0) if none is. The lane's
    /// records above it are all kept.
    pub gone: u64,
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

impl Default for Lane {
    fn default() -> Lane {
        Lane { tail: 0, head: 0, wrap: 0, lap: 0, gone: u64::MAX }
    }
}

impl Lane {
    /// Every record of this lane from this number on is kept.
    #[inline]
    pub fn floor(&self) -> u64 {
        self.gone.wrapping_add(1)
    }

    /// Whether `window` free words follow each other at `head`. The lane must be at least that long.
    #[inline]
    pub fn has_room(&self, length: usize, window: usize) -> bool {
        let end = if self.wrap == 0 { length } else { self.tail };
        end - self.head >= window
    }

    /// Makes `window` free words follow each other at `head`, at the price of the oldest records, and says whether the
    /// lane changed for that. `next_seq` is the number of the record to come. The lane must be at least four windows
    /// long.
    #[inline]
    pub fn reserve(&mut self, memory: &[u32], window: usize, next_seq: u64) -> bool {
        if self.has_room(memory.len(), window) {
            return false;
        }
        self.make_room(memory, window, next_seq);
        true
    }

    #[inline(never)]
    fn make_room(&mut self, memory: &[u32], window: usize, next_seq: u64) {
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
            }
            // Somewhat more than needed, so that not every record has to come here.
            while self.wrap != 0 {
                if self.tail - self.head >= window + window / 2 {
                    return;
                }
                self.evict(memory, next_seq);
            }
        }
    }

    /// Drops the oldest record of the part before `wrap`.
    #[inline]
    fn evict(&mut self, memory: &[u32], next_seq: u64) {
        let end = match memory.get(self.tail..self.wrap) {
            Some([first, _, low, high, ..]) => {
                self.gone = join(*low, *high);
                frame_words(*first).map_or(usize::MAX, |words| self.tail + words)
            }
            _ => usize::MAX,
        };
        if end < self.wrap {
            self.tail = end;
        } else if end == self.wrap {
            (self.tail, self.wrap) = (0, 0);
        } else {
            self.give_up(next_seq);
        }
    }

    /// The memory has decayed and nothing in it can be trusted: all that was kept is gone.
    #[cold]
    fn give_up(&mut self, next_seq: u64) {
        (self.tail, self.wrap, self.gone) = (self.head, 0, next_seq.wrapping_sub(1));
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

    /// The last of the records from `first` on that follow each other in memory and by number, are below number
    /// `before`, none of them less severe than `min_level`, and take at most `most` words.
    #[inline]
    pub fn run(&self, memory: &[u32], first: Found, before: u64, most: usize, min_level: Level) -> Found {
        let limit = if self.wrap != 0 && first.place.lap != self.lap { self.wrap } else { self.head };
        let limit = limit.min(first.place.pos.saturating_add(most));
        let mut last = first;
        while last.seq.wrapping_add(1) < before {
            let Some([kind, _, low, high, ..]) = memory.get(last.end..limit) else { break };
            let Some(words) = frame_words(*kind).filter(|words| *words <= limit - last.end) else { break };
            let seq = last.seq.wrapping_add(1);
            if join(*low, *high) != seq || (kind >> 8) as u8 > min_level as u8 {
                break;
            }
            last = Found { place: Place { pos: last.end, lap: first.place.lap }, end: last.end + words, seq };
        }
        last
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
        if self.floor() > seq {
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
