//! Frames of a subscription's stream, except the inside of records, which `corelog_log::Record` knows.

use crate::bytes::{Frame as Fields, Needs, Put, Reader};
use crate::Parsed;

pub const VERSION: u8 = 1;
const HEADER: u8 = 0x41;
const RECORD: u8 = 1;
const LOSS: u8 = 2;
const BOOT: u8 = 3;
const HEARTBEAT: u8 = 4;
const CLOCK: u8 = 5;

/// A frame's announced length is shorter than its start, not a multiple of four, or not that of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFrame {
    pub kind: u8,
    pub length: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    Header(Header),
    /// The whole frame, unchecked.
    Record(&'a [u8]),
    Loss(Loss),
    Boot(Boot),
    Heartbeat(Heartbeat),
    Clock(Clock),
    /// Of a kind from a later version: to be skipped.
    Unknown(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub unknown_boot: bool,
    pub cursor_ahead: bool,
    pub boot_id: u64,
    /// Microseconds since boot.
    pub time: u64,
    pub oldest_seq: u64,
    pub next_seq: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    pub origin: u8,
    /// Whether `retained` is exact, else it is the most it can be.
    pub exact: bool,
    pub first: u64,
    pub count: u64,
    /// Errors and warnings among the missing.
    pub retained: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    pub origin: u8,
    pub previous: bool,
    pub panicked: bool,
    /// The boot of the subscriber's cursor for this origin is not known.
    pub unknown_boot: bool,
    pub boot_id: u64,
    pub oldest_seq: u64,
    pub next_seq: u64,
    pub start_seq: u64,
    /// Errors and warnings before `start_seq`; all ones: not known.
    pub retained: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    pub origin: u8,
    /// Microseconds since the origin's boot.
    pub time: u64,
    pub next_seq: u64,
}

/// Ties an origin's device time to the RTIO counter, which all boards of a tree share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    pub origin: u8,
    /// In ns.
    pub uncertainty: u32,
    /// Microseconds since the origin's boot.
    pub time: u64,
    /// RTIO counter at that time, machine units.
    pub counter: u64,
    /// Machine unit in fs.
    pub unit_fs: u64,
}

fn start<const N: usize>(kind: u8, x: u8) -> Fields<N> {
    Fields::default().u8(kind).u8(x).u16(N as u16)
}

fn flags(bits: [bool; 3]) -> u32 {
    u32::from(bits[0]) | u32::from(bits[1]) << 1 | u32::from(bits[2]) << 2
}

impl Header {
    pub const BYTES: usize = 40;

    pub fn encode(&self) -> [u8; Self::BYTES] {
        start(HEADER, VERSION)
            .u32(flags([self.unknown_boot, self.cursor_ahead, false]))
            .u64(self.boot_id)
            .u64(self.time)
            .u64(self.oldest_seq)
            .u64(self.next_seq)
            .done()
    }
}

impl Loss {
    pub const BYTES: usize = 32;

    pub fn encode(&self) -> [u8; Self::BYTES] {
        start(LOSS, self.origin)
            .u32(flags([self.exact, false, false]))
            .u64(self.first)
            .u64(self.count)
            .u64(self.retained)
            .done()
    }
}

impl Boot {
    pub const BYTES: usize = 48;

    pub fn encode(&self) -> [u8; Self::BYTES] {
        start(BOOT, self.origin)
            .u32(flags([self.previous, self.panicked, self.unknown_boot]))
            .u64(self.boot_id)
            .u64(self.oldest_seq)
            .u64(self.next_seq)
            .u64(self.start_seq)
            .u64(self.retained)
            .done()
    }
}

impl Heartbeat {
    pub const BYTES: usize = 24;

    pub fn encode(&self) -> [u8; Self::BYTES] {
        start(HEARTBEAT, self.origin).u32(0).u64(self.time).u64(self.next_seq).done()
    }
}

impl Clock {
    pub const BYTES: usize = 32;

    pub fn encode(&self) -> [u8; Self::BYTES] {
        start(CLOCK, self.origin).u32(self.uncertainty).u64(self.time).u64(self.counter).u64(self.unit_fs).done()
    }
}

/// Makes the records and losses among whole frames those of `origin`. A record's checksum leaves the origin out.
pub fn set_origin(mut frames: &mut [u8], origin: u8) {
    const RECORD_ORIGIN: usize = 32;
    while let [kind, x, low, high, ..] = frames {
        let length = usize::from(u16::from_le_bytes([*low, *high])).max(4);
        if *kind == LOSS {
            *x = origin;
        } else if let (RECORD, Some(place)) = (*kind, frames.get_mut(RECORD_ORIGIN)) {
            *place = origin;
        }
        frames = frames.get_mut(length..).unwrap_or_default();
    }
}

/// Parses the frame at the start of `received`.
pub fn frame(received: &[u8]) -> Result<Parsed<Frame<'_>>, BadFrame> {
    let mut reader = Reader::new(received);
    let Ok((kind, x, length)) = reader.u8().and_then(|kind| Ok((kind, reader.u8()?, reader.u16()?))) else {
        return Ok(Parsed::Needs(4));
    };
    let bad = BadFrame { kind, length };
    let whole = usize::from(length);
    let known = match kind {
        HEADER => whole == Header::BYTES,
        RECORD => whole >= 40,
        LOSS => whole == Loss::BYTES,
        BOOT => whole == Boot::BYTES,
        HEARTBEAT => whole == Heartbeat::BYTES,
        CLOCK => whole == Clock::BYTES,
        _ => whole >= 4,
    };
    if !known || whole % 4 != 0 {
        return Err(bad);
    }
    let Some(bytes) = received.get(..whole) else {
        return Ok(Parsed::Needs(whole));
    };
    match body(kind, x, bytes) {
        Ok(frame) => Ok(Parsed::Item(frame, whole)),
        Err(_) => Err(bad), // not reached: the lengths were checked
    }
}

fn body(kind: u8, x: u8, bytes: &[u8]) -> Result<Frame<'_>, Needs> {
    let mut fields = Reader::new(bytes);
    fields.take(4)?;
    if kind == RECORD {
        return Ok(Frame::Record(bytes));
    }
    if ![HEADER, LOSS, BOOT, HEARTBEAT, CLOCK].contains(&kind) {
        return Ok(Frame::Unknown(kind));
    }
    let flags = fields.u32()?;
    let (bit0, bit1) = (flags & 1 != 0, flags & 2 != 0);
    Ok(match kind {
        HEADER => Frame::Header(Header {
            unknown_boot: bit0,
            cursor_ahead: bit1,
            boot_id: fields.u64()?,
            time: fields.u64()?,
            oldest_seq: fields.u64()?,
            next_seq: fields.u64()?,
        }),
        LOSS => Frame::Loss(Loss {
            origin: x,
            exact: bit0,
            first: fields.u64()?,
            count: fields.u64()?,
            retained: fields.u64()?,
        }),
        BOOT => Frame::Boot(Boot {
            origin: x,
            previous: bit0,
            panicked: bit1,
            unknown_boot: flags & 4 != 0,
            boot_id: fields.u64()?,
            oldest_seq: fields.u64()?,
            next_seq: fields.u64()?,
            start_seq: fields.u64()?,
            retained: fields.u64()?,
        }),
        CLOCK => Frame::Clock(Clock {
            origin: x,
            uncertainty: flags,
            time: fields.u64()?,
            counter: fields.u64()?,
            unit_fs: fields.u64()?,
        }),
        _ => Frame::Heartbeat(Heartbeat { origin: x, time: fields.u64()?, next_seq: fields.u64()? }),
    })
}
