//! Seeded decisions and bytes.

#[path = "../../../testing/choices.rs"]
mod choices;

use choices::Choices;

#[derive(Clone)]
pub struct Random(choices::Random);

impl Random {
    pub fn new() -> Random {
        Random(choices::Random::new())
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0.below(limit as u32) as usize
    }

    pub fn byte(&mut self) -> u8 {
        self.0.below(256) as u8
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }
}
