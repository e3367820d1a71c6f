//! Management socket, TCP 1380: the device's side.
//!
//! A service reads into a buffer of [`MAX_REQUEST`] bytes (less if it refuses long subscriptions), calls [`handshake`]
//! once and then [`request`] again and again, dropping from the buffer what each took. `ConfigWrite` and `Flash` end at
//! their length field: the bytes announced follow on the connection.

use core::fmt;

use crate::bytes::{Frame, Needs, Put, Reader};
use crate::Parsed;

pub const MAGIC: &[u8; 17] = b"ARTIQ management\n";
/// Answer to the magic and the destination: integers are little endian.
pub const ENDIANNESS: u8 = b'e';
/// Longest key of the configuration, bytes.
pub const MAX_KEY: usize = 255;
/// No request needs more of a buffer: the longest is a Subscribe with all it can hold.
pub const MAX_REQUEST: usize = SUBSCRIBE_BYTES + 255 + 255 * CURSOR_BYTES;

pub const SUCCESS: u8 = 1;
pub const LOG_CONTENT: u8 = 2;
pub const REBOOT_IMMINENT: u8 = 3;
pub const ERROR: u8 = 6;
pub const CONFIG_DATA: u8 = 7;

/// Bits of [`Identity::capabilities`].
pub mod capability {
    pub const SUBSCRIBE: u32 = 1 << 0;
    pub const DEBUG: u32 = 1 << 1;
    pub const SESSION: u32 = 1 << 2;
    pub const DRTIO: u32 = 1 << 3;
}

pub const IDENTIFY: u8 = 0x40;
const SUBSCRIBE: u8 = 0x41;
const DEBUG: u8 = 0x42;
const SUBSCRIBE_BYTES: usize = 8;
const CURSOR_BYTES: usize = 32;

/// Lengths above which a field is refused, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Value of a configuration key.
    pub value: u32,
    /// Flash image.
    pub image: u32,
}

/// Why a connection cannot go on. Answer with [`ERROR`] (after the handshake), log it, close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    BadMagic,
    UnknownCode(u8),
    TooLong { field: &'static str, length: u32, limit: u32 },
    BadUtf8,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::BadMagic => f.write_str("bad magic: this port speaks the ARTIQ management protocol"),
            Error::UnknownCode(code) => write!(f, "unknown request code {code:#04x}"),
            Error::TooLong { field, length, limit } => {
                write!(f, "{field} of {length} bytes is longer than the {limit} allowed")
            }
            Error::BadUtf8 => f.write_str("key is not UTF-8"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    GetLog,
    ClearLog,
    Reboot,
    PullLog,
    DebugAllocator,
    /// The image follows on the connection.
    Flash {
        length: u32,
    },
    ConfigRead {
        key: &'a str,
    },
    /// The value follows on the connection.
    ConfigWrite {
        key: &'a str,
        length: u32,
    },
    ConfigRemove {
        key: &'a str,
    },
    ConfigErase,
    Identify,
    Subscribe(Subscribe<'a>),
    Debug(Debug),
    /// A whole request, but nonsense: answered with [`ERROR`], and the connection goes on.
    Malformed(&'static str),
}

/// Where a subscriber wants to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Now,
    Oldest,
    Cursors,
}

/// A checked Subscribe request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    pub from: From,
    /// 1 (error) to 5 (trace).
    pub min_level: u8,
    origins: &'a [u8],
    cursors: &'a [u8],
}

/// The first record of an origin that a subscriber wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamCursor {
    pub origin: u8,
    pub boot_id: u64,
    pub seq: u64,
    /// Errors and warnings before `seq` in that boot, if the subscriber knows.
    pub retained: Option<u64>,
}

impl<'a> Subscribe<'a> {
    pub fn wants(&self, origin: u8) -> bool {
        self.origins.is_empty() || self.origins.contains(&origin)
    }

    pub fn cursors(&self) -> impl Iterator<Item = StreamCursor> + 'a {
        self.cursors.chunks_exact(CURSOR_BYTES).filter_map(|bytes| stream_cursor(bytes).ok())
    }

    /// The cursor for an origin, the first if there are several.
    pub fn cursor(&self, origin: u8) -> Option<StreamCursor> {
        self.cursors().find(|cursor| cursor.origin == origin)
    }
}

fn stream_cursor(bytes: &[u8]) -> Result<StreamCursor, Needs> {
    let mut reader = Reader::new(bytes);
    let origin = reader.u8()?;
    reader.take(7)?;
    let (boot_id, seq, retained) = (reader.u64()?, reader.u64()?, reader.u64()?);
    Ok(StreamCursor { origin, boot_id, seq, retained: (retained != u64::MAX).then_some(retained) })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debug {
    Panic,
    Flood {
        /// 1 (error) to 5 (trace).
        level: u8,
        body_length: u16,
        count: u32,
        /// Every so many records one is a warning instead; 0: none.
        warn_every: u32,
        /// Microseconds between two records; 0: as fast as possible.
        interval: u32,
    },
    Measure {
        count: u32,
    },
}

impl Debug {
    /// Bytes of the request after its code.
    pub const BYTES: usize = 19;

    /// Parses the request after its code, or says what is wrong with it.
    pub fn parse(bytes: &[u8; Self::BYTES]) -> Result<Debug, &'static str> {
        let cut = |_: Needs| "the debug request is cut"; // not reached: the fields take all the bytes
        let mut fields = Reader::new(bytes);
        let (kind, level) = (fields.u8().map_err(cut)?, fields.u8().map_err(cut)?);
        let zero = fields.u8().map_err(cut)?;
        let (body_length, zeros) = (fields.u16().map_err(cut)?, fields.u16().map_err(cut)?);
        let (count, warn_every) = (fields.u32().map_err(cut)?, fields.u32().map_err(cut)?);
        let interval = fields.u32().map_err(cut)?;
        if zero != 0 || zeros != 0 {
            return Err("reserved bytes of the debug request are not zero");
        }
        match kind {
            0 => Ok(Debug::Panic),
            1 if (1..=5).contains(&level) => Ok(Debug::Flood { level, body_length, count, warn_every, interval }),
            1 => Err("level of the flood is not 1 to 5"),
            2 => Ok(Debug::Measure { count }),
            _ => Err("unknown kind of debug request"),
        }
    }

    /// The request after its code.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let (kind, level, body_length, count, warn_every, interval) = match *self {
            Debug::Panic => (0, 0, 0, 0, 0, 0),
            Debug::Flood { level, body_length, count, warn_every, interval } => {
                (1, level, body_length, count, warn_every, interval)
            }
            Debug::Measure { count } => (2, 0, 0, count, 0, 0),
        };
        let start = Frame::default().u8(kind).u8(level).u8(0).u16(body_length).u16(0);
        start.u32(count).u32(warn_every).u32(interval).done()
    }
}

/// Parses the magic and the destination that follows it. Wrong bytes are told as soon as they are seen.
pub fn handshake(received: &[u8]) -> Result<Parsed<u8>, Error> {
    let seen = received.len().min(MAGIC.len());
    if received[..seen] != MAGIC[..seen] {
        return Err(Error::BadMagic);
    }
    Ok(match received.get(MAGIC.len()) {
        Some(&destination) => Parsed::Item(destination, MAGIC.len() + 1),
        None => Parsed::Needs(MAGIC.len() + 1),
    })
}

/// Parses the request at the start of `received`.
pub fn request<'a>(received: &'a [u8], limits: &Limits) -> Result<Parsed<Request<'a>>, Error> {
    let mut reader = Reader::new(received);
    match fields(&mut reader, limits) {
        Ok(request) => Ok(Parsed::Item(request, reader.used())),
        Err(Stop::Needs(bytes)) => Ok(Parsed::Needs(bytes)),
        Err(Stop::Error(error)) => Err(error),
    }
}

enum Stop {
    Needs(usize),
    Error(Error),
}

impl core::convert::From<Needs> for Stop {
    fn from(needs: Needs) -> Stop {
        Stop::Needs(needs.0)
    }
}

fn fields<'a>(reader: &mut Reader<'a>, limits: &Limits) -> Result<Request<'a>, Stop> {
    Ok(match reader.u8()? {
        1 => Request::GetLog,
        2 => Request::ClearLog,
        5 => Request::Reboot,
        7 => Request::PullLog,
        8 => Request::DebugAllocator,
        9 => Request::Flash { length: length(reader, "flash image", limits.image)? },
        12 => Request::ConfigRead { key: key(reader)? },
        13 => Request::ConfigWrite { key: key(reader)?, length: length(reader, "value", limits.value)? },
        14 => Request::ConfigRemove { key: key(reader)? },
        15 => Request::ConfigErase,
        IDENTIFY => Request::Identify,
        SUBSCRIBE => subscribe(reader)?,
        DEBUG => match Debug::parse(reader.array()?) {
            Ok(debug) => Request::Debug(debug),
            Err(why) => Request::Malformed(why),
        },
        code => return Err(Stop::Error(Error::UnknownCode(code))),
    })
}

fn length(reader: &mut Reader<'_>, field: &'static str, limit: u32) -> Result<u32, Stop> {
    let length = reader.u32()?;
    if length > limit {
        return Err(Stop::Error(Error::TooLong { field, length, limit }));
    }
    Ok(length)
}

fn key<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Stop> {
    let length = length(reader, "key", MAX_KEY as u32)?;
    core::str::from_utf8(reader.take(length as usize)?).map_err(|_| Stop::Error(Error::BadUtf8))
}

fn subscribe<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, Stop> {
    let (from, min_level, origins, cursors) = (reader.u8()?, reader.u8()?, reader.u8()?, reader.u8()?);
    let zeros = reader.take(3)?;
    let origins = reader.take(origins.into())?;
    let cursors = reader.take(usize::from(cursors) * CURSOR_BYTES)?;
    let from = match from {
        0 => From::Now,
        1 => From::Oldest,
        2 => From::Cursors,
        _ => return Ok(Request::Malformed("subscription starts neither now, nor at the oldest, nor at cursors")),
    };
    if !(1..=5).contains(&min_level) {
        return Ok(Request::Malformed("minimum level of the subscription is not 1 to 5"));
    }
    if zeros.iter().chain(cursors.chunks_exact(CURSOR_BYTES).flat_map(|cursor| &cursor[1..8])).any(|&byte| byte != 0) {
        return Ok(Request::Malformed("reserved bytes of the subscription are not zero"));
    }
    Ok(Request::Subscribe(Subscribe { from, min_level, origins, cursors }))
}

/// Reply code and length that go before the whole log text of `length` bytes.
pub fn log_content(length: u32) -> [u8; 5] {
    Frame::default().u8(LOG_CONTENT).u32(length).done()
}

/// Reply code and length that go before a value of `length` bytes.
pub fn config_data(length: u32) -> [u8; 5] {
    Frame::default().u8(CONFIG_DATA).u32(length).done()
}

/// Answer to Identify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    pub board_id: u64,
    pub boot_id: u64,
    /// Microseconds since boot.
    pub uptime: u64,
    /// See [`capability`].
    pub capabilities: u32,
    pub gateware: &'a str,
    pub firmware: &'a str,
}

impl Identity<'_> {
    /// Writes the reply, code included, and gives its length; `None` if `out` is too small for it.
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let start: [u8; 29] = Frame::default()
            .u8(IDENTIFY)
            .u64(self.board_id)
            .u64(self.boot_id)
            .u64(self.uptime)
            .u32(self.capabilities)
            .done();
        let lengths = [self.gateware, self.firmware].map(|text| (text.len() as u32).to_le_bytes());
        let mut used = 0;
        for field in [&start[..], &lengths[0], self.gateware.as_bytes(), &lengths[1], self.firmware.as_bytes()] {
            out.get_mut(used..used + field.len())?.copy_from_slice(field);
            used += field.len();
        }
        Some(used)
    }
}
