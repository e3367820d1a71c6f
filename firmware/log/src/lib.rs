//! The log ring: numbered records in a fixed block of memory that survives a reset.
//!
//! No I/O, no clock, no globals, no allocation, no unsafe code. Records are stored exactly as they go out on the wire
//! (docs/wire.md), so that streaming is a copy. The writer formats in place; readers hold plain [`Cursor`] values and
//! get each record once, or an exact [`Loss`].
//!
//! * [`Ring`]: writing; its `view()` and the shorthands `read`, `fill`, ... : reading.
//! * [`Recovered`]: the ring of a previous boot, read only.
//! * [`Replica`]: what has come of another board's log, for readers here.
//! * [`open`]: which of two memory blocks holds the previous boot, which is for this one.
//! * [`text`]: the text form that old clients and the UART get.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("records are kept in memory as they go out on the wire, which is little endian");

mod compose;
mod control;
mod fixed;
mod lane;
mod level;
mod reader;
mod record;
mod recover;
mod replica;
mod ring;
mod scan;
pub mod text;

pub use fixed::{fixed_words, is_fixed, Fixed};
pub use level::Level;
pub use reader::{Cursor, Fill, Item, Loss, View, LOSS_FRAME_BYTES};
pub use record::{
    checksum, Invalid, Record, HEADER_BYTES, HEADER_WORDS, MAX_BODY, MAX_FRAME_BYTES, MAX_TARGET, RECORD_KIND,
};
pub use recover::{open, Recovered};
pub use replica::{Gone, Replica, REPLICA_MIN_WORDS};
pub use ring::{Ring, TooSmall, Written, MIN_WORDS, REPEAT_WINDOW_US};
