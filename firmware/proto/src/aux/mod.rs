//! Aux frames between the boards of a DRTIO tree (docs/drtio.md, section 4); [`call`] has the packets inside calls.
//!
//! The gateware computes and checks the CRC: [`Packet::encode`] leaves room for it and [`Packet::decode`] does not look
//! at it. A frame that goes on through this board is not decoded, only looked at with [`route`].

pub mod call;
mod crc;

pub use crc::crc32;

use crate::bytes::{Needs, Put, Reader, Writer};

/// Longest frame, with its CRC.
pub const MAX_FRAME: usize = 1024;
/// Most bytes of the log in a [`Packet::LogData`].
pub const MAX_LOG_BYTES: usize = MAX_FIELDS - 12;
/// Longest packet inside a call or its reply.
pub const MAX_CALL: usize = MAX_FIELDS - 6;
/// Hops of a path in the routing table.
pub const HOPS: usize = 32;

const CRC: usize = 4;
/// Id and fields.
const MAX_FIELDS: usize = MAX_FRAME - CRC;

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the board that receives it.
    Neighbour,
    /// From upstream to this destination.
    Destination(u8),
    /// From this destination to the core device.
    Upstream(u8),
}

/// Where a received frame goes; `None` if it has an unknown id or no fields.
pub fn route(frame: &[u8]) -> Option<Route> {
    match *frame {
        [0x00..=0x04 | 0x30..=0x32, ..] => Some(Route::Neighbour),
        [0xf0 | 0xf2 | 0xf4, destination, ..] => Some(Route::Destination(destination)),
        [0xf1 | 0xf3 | 0xf5 | 0xf6, destination, ..] => Some(Route::Upstream(destination)),
        _ => None,
    }
}

/// Where the core device wants a satellite's log from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogCursor {
    pub boot_id: u64,
    pub seq: u64,
    /// Errors and warnings before `seq` in that boot, if known.
    pub retained: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    EchoRequest,
    EchoReply,
    ResetRequest,
    ResetAck,
    TscAck,
    RoutingSetPath {
        destination: u8,
        hops: &'a [u8; HOPS],
    },
    RoutingSetRank {
        rank: u8,
    },
    RoutingAck,
    /// `None`: from the oldest.
    LogOpen {
        destination: u8,
        session: u32,
        cursor: Option<LogCursor>,
    },
    LogData {
        destination: u8,
        session: u32,
        offset: u32,
        bytes: &'a [u8],
    },
    LogAck {
        destination: u8,
        session: u32,
        offset: u32,
    },
    LogUnknown {
        destination: u8,
        session: u32,
    },
    Call {
        destination: u8,
        number: u16,
        packet: &'a [u8],
    },
    CallReply {
        destination: u8,
        number: u16,
        packet: &'a [u8],
    },
    /// A call did not come further than the board of this rank.
    Unreachable {
        destination: u8,
        number: u16,
        rank: u8,
    },
}

/// Why bytes are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    UnknownId(u8),
    /// Shorter or longer than its fields.
    BadLength {
        id: u8,
    },
    /// A field has a value it cannot have.
    BadValue {
        id: u8,
        why: &'static str,
    },
}

/// Zeros that follow so many bytes of id and fields.
const fn padding(fields: usize) -> usize {
    (12 - fields % 8) % 8
}

impl<'a> Packet<'a> {
    /// Parses a whole frame as received, its CRC included.
    pub fn decode(frame: &'a [u8]) -> Result<Packet<'a>, Error> {
        let id = frame.first().copied().unwrap_or(0);
        let bad_length = Error::BadLength { id };
        let fields = frame.len().checked_sub(CRC).and_then(|length| frame.get(..length)).ok_or(bad_length)?;
        let mut reader = Reader::new(fields);
        let packet = Self::fields(&mut reader).map_err(|_| bad_length)?.ok_or(Error::UnknownId(id))?;
        if reader.used() + padding(reader.used()) != fields.len() || frame.len() > MAX_FRAME {
            return Err(bad_length);
        }
        Ok(packet)
    }

    fn fields(reader: &mut Reader<'a>) -> Result<Option<Packet<'a>>, Needs> {
        Ok(Some(match reader.u8()? {
            0x00 => Packet::EchoRequest,
            0x01 => Packet::EchoReply,
            0x02 => Packet::ResetRequest,
            0x03 => Packet::ResetAck,
            0x04 => Packet::TscAck,
            0x30 => Packet::RoutingSetPath { destination: reader.u8()?, hops: reader.array()? },
            0x31 => Packet::RoutingSetRank { rank: reader.u8()? },
            0x32 => Packet::RoutingAck,
            0xf0 => {
                let (destination, session, flags) = (reader.u8()?, reader.u32()?, reader.u8()?);
                let (boot_id, seq, retained) = (reader.u64()?, reader.u64()?, reader.u64()?);
                let retained = (retained != u64::MAX).then_some(retained);
                let cursor = (flags & 1 != 0).then_some(LogCursor { boot_id, seq, retained });
                Packet::LogOpen { destination, session, cursor }
            }
            0xf1 => Packet::LogData {
                destination: reader.u8()?,
                session: reader.u32()?,
                offset: reader.u32()?,
                bytes: reader.field()?,
            },
            0xf2 => Packet::LogAck { destination: reader.u8()?, session: reader.u32()?, offset: reader.u32()? },
            0xf3 => Packet::LogUnknown { destination: reader.u8()?, session: reader.u32()? },
            0xf4 => Packet::Call { destination: reader.u8()?, number: reader.u16()?, packet: reader.field()? },
            0xf5 => Packet::CallReply { destination: reader.u8()?, number: reader.u16()?, packet: reader.field()? },
            0xf6 => Packet::Unreachable { destination: reader.u8()?, number: reader.u16()?, rank: reader.u8()? },
            _ => return Ok(None),
        }))
    }

    /// Writes the frame, with zeros in place of the CRC, and gives its length with the CRC; `None` if `out` or a
    /// frame is too small for it.
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let room = out.len().min(MAX_FRAME).checked_sub(CRC)?;
        let start = Writer::new(out.get_mut(..room)?);
        let fields = match *self {
            Packet::EchoRequest => start.u8(0x00),
            Packet::EchoReply => start.u8(0x01),
            Packet::ResetRequest => start.u8(0x02),
            Packet::ResetAck => start.u8(0x03),
            Packet::TscAck => start.u8(0x04),
            Packet::RoutingSetPath { destination, hops } => start.u8(0x30).u8(destination).put(hops),
            Packet::RoutingSetRank { rank } => start.u8(0x31).u8(rank),
            Packet::RoutingAck => start.u8(0x32),
            Packet::LogOpen { destination, session, cursor } => {
                let place = cursor.unwrap_or(LogCursor { boot_id: 0, seq: 0, retained: Some(0) });
                let start = start.u8(0xf0).u8(destination).u32(session).u8(cursor.is_some().into());
                start.u64(place.boot_id).u64(place.seq).u64(place.retained.unwrap_or(u64::MAX))
            }
            Packet::LogData { destination, session, offset, bytes } => {
                start.u8(0xf1).u8(destination).u32(session).u32(offset).field(bytes)
            }
            Packet::LogAck { destination, session, offset } => start.u8(0xf2).u8(destination).u32(session).u32(offset),
            Packet::LogUnknown { destination, session } => start.u8(0xf3).u8(destination).u32(session),
            Packet::Call { destination, number, packet } => start.u8(0xf4).u8(destination).u16(number).field(packet),
            Packet::CallReply { destination, number, packet } => {
                start.u8(0xf5).u8(destination).u16(number).field(packet)
            }
            Packet::Unreachable { destination, number, rank } => start.u8(0xf6).u8(destination).u16(number).u8(rank),
        };
        let fields = fields.used()?;
        let length = fields + padding(fields) + CRC;
        out.get_mut(fields..length)?.fill(0);
        Some(length)
    }
}
