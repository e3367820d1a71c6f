//! Logs on their way to subscribers: carried from board to board, kept for readers there, merged into one stream.
//!
//! No I/O, no clock (times are arguments), no globals, no allocation, no unsafe code; no bytes that come in make it
//! panic. README.md has the calls in order.
//!
//! * [`Sender`], [`Receiver`]: bytes of a log between two boards, over aux frames that may be lost.
//! * [`Assembler`]: these bytes as whole frames of the log's stream.
//! * [`Relay`]: what has come of a satellite's log, boot after boot, for any number of readers.
//! * [`Stream`]: what one subscriber gets, of this board and of all it relays.
#![no_std]
#![forbid(unsafe_code)]

mod assembler;
mod boots;
mod reader;
mod receiver;
mod relay;
mod sender;
mod stream;

pub use assembler::{Assembler, BadStream, Taken};
pub use boots::{Boot, Boots, Now, Own, HEARTBEAT_US};
pub use reader::Start;
pub use receiver::{Receiver, Say};
pub use relay::Relay;
pub use sender::{Acked, Segment, Sender, FIRST_TIMEOUT_US, WINDOW};
pub use stream::Stream;
