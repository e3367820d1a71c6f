//! A link that loses, doubles and reorders frames.

use std::collections::VecDeque;

use crate::choices::Choices;

/// Chances per thousand.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    pub lost: u32,
    pub doubled: u32,
    pub reordered: u32,
}

pub struct Channel<T> {
    frames: VecDeque<(u64, T)>,
    faults: Faults,
    latency: u64,
    pub cut: bool,
    pub carried: usize,
}

impl<T: Clone> Channel<T> {
    pub fn new(faults: Faults, latency: u64) -> Channel<T> {
        Channel { frames: VecDeque::new(), faults, latency, cut: false, carried: 0 }
    }

    pub fn send(&mut self, now: u64, frame: T, choose: &mut impl Choices) {
        self.carried += 1;
        if self.cut || choose.below(1000) < self.faults.lost {
            return;
        }
        let copies = 1 + u32::from(choose.below(1000) < self.faults.doubled);
        for _ in 0..copies {
            self.frames.push_back((now + self.latency, frame.clone()));
            if choose.below(1000) < self.faults.reordered {
                let (at, last) = (choose.below(self.frames.len() as u32) as usize, self.frames.len() - 1);
                self.frames.swap(at, last);
            }
        }
    }

    pub fn receive(&mut self, now: u64) -> Option<T> {
        self.frames.pop_front_if(|frame| frame.0 <= now || self.cut).filter(|_| !self.cut).map(|(_, frame)| frame)
    }
}
