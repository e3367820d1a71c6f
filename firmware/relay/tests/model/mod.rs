//! Models of what the crate is for, driven by a [`Choices`]: random numbers in the tests, the fuzzer's bytes in
//! `firmware/fuzz`.

#![allow(dead_code, reason = "each test program uses some of it")]

pub mod channel;
pub mod subscriber;
pub mod transport;
pub mod tree;
