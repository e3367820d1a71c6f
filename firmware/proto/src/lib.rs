//! The messages of docs/wire.md and docs/drtio.md as bytes: parsers for what a core device receives, encoders for what
//! it sends, and the other way round where a satellite or a test needs it.
//!
//! Sans-I/O, no allocation, no unsafe code. A parser is given what has been received so far and says either what it is
//! and how many bytes it took, or how many bytes it still needs; it never panics, whatever the bytes. Fields that may
//! be large are announced by their length and left to the caller to read.
#![no_std]
#![forbid(unsafe_code)]

pub mod aux;
mod bytes;
pub mod mgmt;
pub mod session;
pub mod stream;

/// What a parser made of the bytes received so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// A whole item, and how many bytes it took.
    Item(T, usize),
    /// Not whole yet: at least this many bytes in all are needed.
    Needs(usize),
}
