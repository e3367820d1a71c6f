//! Models of what the crate is for, driven by a [`Choices`]: random numbers in the tests, the fuzzer's bytes in
//! `firmware/fuzz`.

#![allow(dead_code, reason = "each test program uses some of it")]

pub mod channel;
pub mod subscriber;
pub mod transport;
pub mod tree;

/// Where the decisions of a run come from.
pub trait Choices {
    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: u32) -> u32;

    /// Whether to stop.
    fn exhausted(&self) -> bool;

    fn one_in(&mut self, of: u32) -> bool {
        self.below(of) == 0
    }
}
