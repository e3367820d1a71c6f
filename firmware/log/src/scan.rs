//! A cursor's way through both lanes at once, in the order of the records' numbers.

use crate::lane::{Found, Place};
use crate::reader::{Cursor, Loss, View};
use crate::ring::{NORMAL, RETAINED};
use crate::Level;

pub(crate) enum Step {
    Record {
        lane: usize,
        found: Found,
    },
    /// `retained`: errors and warnings before what follows the loss, if known.
    Loss {
        loss: Loss,
        retained: Option<u64>,
    },
    End,
}

/// A cursor on its way: what comes next in each lane.
pub(crate) struct Scan<'a> {
    view: View<'a>,
    seq: u64,
    /// Errors and warnings before `seq`; where a record was passed, that record tells instead.
    retained: Option<u64>,
    passed: Option<(usize, Found)>,
    next: [Result<Found, Place>; 2],
}

impl<'a> Scan<'a> {
    #[inline]
    pub fn start(view: View<'a>, cursor: &Cursor) -> Scan<'a> {
        let state = view.state;
        let (seq, passed) = (cursor.seq, None);
        if seq >= state.next_seq {
            let next = [Err(state.lanes[0].newest()), Err(state.lanes[1].newest())];
            return Scan { view, seq: state.next_seq, retained: state.known_retained(), passed, next };
        }
        let find = |n: usize| state.lanes[n].find(view.lanes[n], seq, cursor.hint(n, state.generation));
        Scan { view, seq, retained: cursor.retained, passed, next: [find(0), find(1)] }
    }

    /// What is at the cursor; does not move it.
    #[inline]
    pub fn step(&self) -> Step {
        let end = self.view.state.next_seq;
        if self.seq == end {
            return Step::End;
        }
        // In sound memory every record found is numbered as it should.
        let sound = |next: &Result<Found, Place>| next.ok().filter(|found| found.seq >= self.seq && found.seq < end);
        let nearest = match (sound(&self.next[0]), sound(&self.next[1])) {
            (Some(normal), Some(retained)) if retained.seq < normal.seq => Some((RETAINED, retained)),
            (Some(normal), _) => Some((NORMAL, normal)),
            (None, retained) => retained.map(|retained| (RETAINED, retained)),
        };
        match nearest {
            Some((lane, found)) if found.seq == self.seq => Step::Record { lane, found },
            Some((lane, found)) => self.lost(found.seq, self.view.retained_before(lane, &found), 0),
            None => self.lost(end, self.view.state.retained, self.view.state.uncertain),
        }
    }

    #[cold]
    fn lost(&self, end: u64, retained: u64, uncertain: u64) -> Step {
        let loss = self.view.loss(self.seq, self.retained_here(), end, retained, uncertain);
        Step::Loss { loss, retained: (uncertain == 0).then_some(retained) }
    }

    fn retained_here(&self) -> Option<u64> {
        match &self.passed {
            Some((lane, found)) => {
                Some(self.view.retained_before(*lane, found).wrapping_add(u64::from(*lane == RETAINED)))
            }
            None => self.retained,
        }
    }

    /// The last of the records from `found` in that lane that come one after the other; see [`crate::lane::Lane::run`].
    #[inline]
    pub fn run(&self, lane: usize, found: Found, most: usize, min_level: Level) -> Found {
        let end = self.view.state.next_seq;
        let other = self.next[NORMAL + RETAINED - lane].ok().filter(|other| other.seq >= self.seq);
        let before = other.map_or(end, |other| other.seq.min(end));
        self.view.state.lanes[lane].run(self.view.lanes[lane], found, before, most, min_level)
    }

    #[inline]
    pub fn pass(&mut self, lane: usize, found: Found) {
        self.seq = found.seq + 1;
        let place = Place { pos: found.end, lap: found.place.lap };
        self.next[lane] = self.view.state.lanes[lane].at(self.view.lanes[lane], place);
        self.passed = Some((lane, found));
    }

    pub fn pass_loss(&mut self, loss: &Loss, retained: Option<u64>) {
        self.seq = loss.first + loss.count;
        (self.retained, self.passed) = (retained, None);
    }

    #[inline]
    pub fn finish(&self, cursor: &mut Cursor) {
        let place = |n: usize| match self.next[n] {
            Ok(found) => found.place,
            Err(place) => place,
        };
        let (seq, generation) = (self.seq, self.view.state.generation);
        *cursor = Cursor { seq, retained: self.retained_here(), generation, places: [place(0), place(1)] };
    }
}
