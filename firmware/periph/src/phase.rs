//! Where a recovered clock has to be against the system clock: as far as can be from where its edges meet.
//!
//! The clock is shifted in steps. Its phase is read in whole cycles: it changes by one when an edge is passed, and
//! reads now this, now that while the clock is at one. So one edge is looked for, and then half a cycle is gone from
//! there.

/// What is to be done next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Shift one step later, let the clock settle, and read the phase again.
    Shift,
    /// It is where it should be.
    Done,
    /// There is no edge: the clocks are not of the same frequency, or shifting does nothing.
    NoEdge,
}

/// A search for the place.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Steps in a cycle.
    cycle: u32,
    /// Steps so far.
    at: u32,
    /// The phase before the edge, and the last step at which it was read.
    before: Option<(u8, u32)>,
    /// The step to stop at, once the edge is known.
    goal: Option<u32>,
}

impl Search {
    /// A search among this many steps in a cycle.
    pub fn new(cycle: u32) -> Search {
        Search { cycle, at: 0, before: None, goal: None }
    }

    /// Takes the phase as it reads here, `None` if it does not keep still.
    pub fn read(&mut self, phase: Option<u8>) -> Next {
        if let Some(goal) = self.goal {
            return if self.at >= goal { Next::Done } else { self.shift() };
        }
        match (phase, self.before) {
            (Some(phase), Some((before, last))) if phase != before => {
                self.goal = Some((last + self.at) / 2 + self.cycle / 2);
            }
            (Some(phase), _) => self.before = Some((phase, self.at)),
            (None, _) => {}
        }
        // A cycle has one edge, and it may take some steps to get away from the one at the start.
        if self.goal.is_none() && self.at > self.cycle + self.cycle / 4 {
            return Next::NoEdge;
        }
        self.shift()
    }

    fn shift(&mut self) -> Next {
        self.at += 1;
        Next::Shift
    }
}
