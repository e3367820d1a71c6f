//! Packets inside calls and their replies: without padding and CRC.

use super::{Error, MAX_CALL};
use crate::bytes::{Needs, Put, Reader, Writer};
use crate::mgmt::{Debug, MAX_KEY};

/// Most bytes of data in one [`Request::ConfigWrite`], [`Request::FlashAddData`] or [`Request::ChannelNames`].
pub const MAX_REQUEST_DATA: usize = MAX_CALL - 5;
/// Most bytes of data in one [`Reply::ConfigRead`]; of an [`Reply::Identify`] one more.
pub const MAX_REPLY_DATA: usize = MAX_CALL - 4;

/// What the core device asks of a satellite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    pub destination: u8,
    pub what: What<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    DestinationStatus,
    ConfigRead {
        key: &'a str,
    },
    /// The next part of what [`What::ConfigRead`] began.
    ConfigReadContinue,
    /// Part of what [`config_write`] takes.
    ConfigWrite {
        last: bool,
        data: &'a [u8],
    },
    ConfigRemove {
        key: &'a str,
    },
    ConfigErase,
    Reboot,
    AllocatorDebug,
    /// An image of this length follows in parts.
    Flash {
        length: u32,
    },
    FlashAddData {
        last: bool,
        data: &'a [u8],
    },
    Identify,
    Debug(Debug),
    /// Part of a device map with the global channels of the destination.
    ChannelNames {
        last: bool,
        data: &'a [u8],
    },
    RtioReset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    DestinationDown,
    DestinationOk,
    ConfigRead {
        last: bool,
        data: &'a [u8],
    },
    Done {
        ok: bool,
    },
    /// What follows the code in the management socket's reply ([`crate::mgmt::Identity::encode`] without byte 0).
    Identify {
        data: &'a [u8],
    },
}

/// Why fields could not be taken.
enum Stop {
    Length,
    Value(&'static str),
}

impl From<Needs> for Stop {
    fn from(_: Needs) -> Stop {
        Stop::Length
    }
}

fn whole<'a, T>(
    packet: &'a [u8],
    fields: impl FnOnce(u8, &mut Reader<'a>) -> Result<Option<T>, Stop>,
) -> Result<T, Error> {
    let mut reader = Reader::new(packet);
    let id = reader.u8().map_err(|_| Error::BadLength { id: 0 })?;
    match fields(id, &mut reader) {
        Ok(Some(_)) if reader.used() != packet.len() => Err(Error::BadLength { id }),
        Ok(Some(item)) => Ok(item),
        Ok(None) => Err(Error::UnknownId(id)),
        Err(Stop::Length) => Err(Error::BadLength { id }),
        Err(Stop::Value(why)) => Err(Error::BadValue { id, why }),
    }
}

fn key<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Stop> {
    let key = reader.field()?;
    if key.len() > MAX_KEY {
        return Err(Stop::Value("the key is too long"));
    }
    core::str::from_utf8(key).map_err(|_| Stop::Value("the key is not UTF-8"))
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Stop> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Stop::Value("neither true nor false")),
    }
}

impl<'a> Request<'a> {
    pub fn decode(packet: &'a [u8]) -> Result<Request<'a>, Error> {
        whole(packet, |id, reader| {
            let known = matches!(id, 0x20 | 0xd2..=0xda | 0xe8 | 0xea..=0xec);
            if !known {
                return Ok(None);
            }
            let destination = reader.u8()?;
            let what = match id {
                0x20 => What::DestinationStatus,
                0xd2 => What::ConfigRead { key: key(reader)? },
                0xd3 => What::ConfigReadContinue,
                0xd4 => What::ConfigWrite { last: flag(reader)?, data: reader.field()? },
                0xd5 => What::ConfigRemove { key: key(reader)? },
                0xd6 => What::ConfigErase,
                0xd7 => What::Reboot,
                0xd8 => What::AllocatorDebug,
                0xd9 => What::Flash { length: reader.u32()? },
                0xda => What::FlashAddData { last: flag(reader)?, data: reader.field()? },
                0xe8 => What::Identify,
                0xea => What::Debug(Debug::parse(reader.array()?).map_err(Stop::Value)?),
                0xeb => What::ChannelNames { last: flag(reader)?, data: reader.field()? },
                _ => What::RtioReset,
            };
            Ok(Some(Request { destination, what }))
        })
    }

    /// Writes the packet and gives its length; `None` if `out` or a call is too small for it.
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let room = out.len().min(MAX_CALL);
        let start = Writer::new(out.get_mut(..room)?);
        let to = |id| start.u8(id).u8(self.destination);
        let fields = match self.what {
            What::DestinationStatus => to(0x20),
            What::ConfigRead { key } => to(0xd2).field(key.as_bytes()),
            What::ConfigReadContinue => to(0xd3),
            What::ConfigWrite { last, data } => to(0xd4).u8(last.into()).field(data),
            What::ConfigRemove { key } => to(0xd5).field(key.as_bytes()),
            What::ConfigErase => to(0xd6),
            What::Reboot => to(0xd7),
            What::AllocatorDebug => to(0xd8),
            What::Flash { length } => to(0xd9).u32(length),
            What::FlashAddData { last, data } => to(0xda).u8(last.into()).field(data),
            What::Identify => to(0xe8),
            What::Debug(debug) => to(0xea).put(&debug.encode()),
            What::ChannelNames { last, data } => to(0xeb).u8(last.into()).field(data),
            What::RtioReset => to(0xec),
        };
        fields.used()
    }
}

impl<'a> Reply<'a> {
    pub fn decode(packet: &'a [u8]) -> Result<Reply<'a>, Error> {
        whole(packet, |id, reader| {
            Ok(Some(match id {
                0x21 => Reply::DestinationDown,
                0x22 => Reply::DestinationOk,
                0xde => Reply::ConfigRead { last: flag(reader)?, data: reader.field()? },
                0xdf => Reply::Done { ok: flag(reader)? },
                0xe9 => Reply::Identify { data: reader.field()? },
                _ => return Ok(None),
            }))
        })
    }

    /// Writes the packet and gives its length; `None` if `out` or a call is too small for it.
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let room = out.len().min(MAX_CALL);
        let start = Writer::new(out.get_mut(..room)?);
        let fields = match *self {
            Reply::DestinationDown => start.u8(0x21),
            Reply::DestinationOk => start.u8(0x22),
            Reply::ConfigRead { last, data } => start.u8(0xde).u8(last.into()).field(data),
            Reply::Done { ok } => start.u8(0xdf).u8(ok.into()),
            Reply::Identify { data } => start.u8(0xe9).field(data),
        };
        fields.used()
    }
}

/// Key and value of the parts of a ConfigWrite put together: string key, bytes value. `None` if they are not that.
pub fn config_write(data: &[u8]) -> Option<(&str, &[u8])> {
    fn fields<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), Needs> {
        let length = reader.u32()?;
        let key = reader.take(length as usize)?;
        let length = reader.u32()?;
        Ok((key, reader.take(length as usize)?))
    }
    let mut reader = Reader::new(data);
    let (key, value) = fields(&mut reader).ok()?;
    let key = core::str::from_utf8(key).ok().filter(|key| key.len() <= MAX_KEY)?;
    (reader.used() == data.len()).then_some((key, value))
}
