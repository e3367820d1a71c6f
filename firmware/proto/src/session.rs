//! Session port, TCP 1381: the device's side, and the programs it plays.
//!
//! After [`handshake`], [`request`] takes 8 bytes per request; a program's bytes follow on the connection and are
//! checked whole by [`Program::check`] before any of it is played.

use core::fmt;

use crate::bytes::{Frame, Needs, Put, Reader};
use crate::Parsed;

pub const MAGIC: &[u8; 16] = b"CORELOG session\n";
/// Answer to the magic: integers are little endian.
pub const ENDIANNESS: u8 = b'e';
pub const VERSION: u32 = 1;
/// Bytes before each request's and reply's payload.
pub const HEADER_BYTES: usize = 8;

const HELLO: u8 = 1;
const RUN: u8 = 2;
const DONE: u8 = 2;
const EXCEPTION: u8 = 3;
const ERROR: u8 = 6;

/// Why a connection cannot go on. After the handshake: answer with [`error`] and this text, log it, close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    BadMagic,
    UnknownCode(u8),
    Reserved,
    TooLong { length: u32, limit: u32 },
    NotEmpty { length: u32 },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::BadMagic => f.write_str("bad magic: this port speaks Corelog's session protocol"),
            Error::UnknownCode(code) => write!(f, "unknown request code {code:#04x}"),
            Error::Reserved => f.write_str("reserved bytes of the request are not zero"),
            Error::TooLong { length, limit } => {
                write!(f, "program of {length} bytes is longer than the {limit} allowed")
            }
            Error::NotEmpty { length } => write!(f, "Hello has no payload, but {length} bytes were announced"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Hello,
    /// The program follows on the connection.
    Run {
        length: u32,
    },
}

/// Parses the magic. Wrong bytes are told as soon as they are seen.
pub fn handshake(received: &[u8]) -> Result<Parsed<()>, Error> {
    let seen = received.len().min(MAGIC.len());
    if received[..seen] != MAGIC[..seen] {
        return Err(Error::BadMagic);
    }
    Ok(if seen == MAGIC.len() { Parsed::Item((), seen) } else { Parsed::Needs(MAGIC.len()) })
}

/// Parses the request at the start of `received`; `limit` is the longest program taken, in bytes.
pub fn request(received: &[u8], limit: u32) -> Result<Parsed<Request>, Error> {
    let mut reader = Reader::new(received);
    let fields = |reader: &mut Reader<'_>| Ok::<_, Needs>((reader.u8()?, reader.take(3)? != [0; 3], reader.u32()?));
    let Ok((code, reserved, length)) = fields(&mut reader) else {
        return Ok(Parsed::Needs(HEADER_BYTES));
    };
    let request = match code {
        _ if reserved => return Err(Error::Reserved),
        HELLO if length == 0 => Request::Hello,
        HELLO => return Err(Error::NotEmpty { length }),
        RUN if length <= limit => Request::Run { length },
        RUN => return Err(Error::TooLong { length, limit }),
        _ => return Err(Error::UnknownCode(code)),
    };
    Ok(Parsed::Item(request, HEADER_BYTES))
}

/// One operation of a program. Times are in machine units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Reset {
        slack: u32,
    },
    BreakRealtime {
        slack: u32,
    },
    At(u64),
    Delay(i64),
    /// `target`: channel << 8 | address.
    Output {
        target: u32,
        data: u32,
    },
    Input {
        channel: u32,
        duration: i64,
    },
    Count {
        channel: u32,
        duration: i64,
    },
    Now,
    Counter,
}

impl Op {
    /// How many results the operation gives.
    pub fn results(&self) -> u32 {
        match self {
            Op::At(_) | Op::Delay(_) | Op::Output { .. } => 0,
            Op::Input { .. } => 2,
            _ => 1,
        }
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Op, Bad> {
        Ok(match reader.u8()? {
            1 => Op::Reset { slack: reader.u32()? },
            2 => Op::BreakRealtime { slack: reader.u32()? },
            3 => Op::At(reader.u64()?),
            4 => Op::Delay(reader.i64()?),
            5 => Op::Output { target: reader.u32()?, data: reader.u32()? },
            6 => Op::Input { channel: reader.u32()?, duration: reader.i64()? },
            7 => Op::Count { channel: reader.u32()?, duration: reader.i64()? },
            8 => Op::Now,
            9 => Op::Counter,
            code => return Err(Bad::Operation(code)),
        })
    }
}

/// What is wrong with a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// No such operation.
    Operation(u8),
    /// The program ends within the operation.
    Cut,
    /// Input or Count would wait longer than allowed.
    Wait { duration: i64, limit: i64 },
    /// More results than the device has room for.
    Results { limit: u32 },
}

impl From<Needs> for Bad {
    fn from(_: Needs) -> Bad {
        Bad::Cut
    }
}

/// Operation number `index` (from 0) of a program is `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramError {
    pub index: u32,
    pub reason: Bad,
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {}: ", self.index)?;
        match self.reason {
            Bad::Operation(code) => write!(f, "unknown code {code:#04x}"),
            Bad::Cut => f.write_str("the program ends within it"),
            Bad::Wait { duration, limit } => write!(f, "waits {duration} mu, more than the {limit} allowed"),
            Bad::Results { limit } => write!(f, "the program has more than the {limit} results allowed"),
        }
    }
}

/// A checked program.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    code: &'a [u8],
    results: u32,
}

/// The check of a program, which can be made in steps.
pub struct Check<'a> {
    code: &'a [u8],
    reader: Reader<'a>,
    longest_wait: i64,
    max_results: u32,
    index: u32,
    results: u32,
}

impl<'a> Check<'a> {
    /// Will check all of `code`. `longest_wait`: mu that an Input or Count may reach ahead of the cursor;
    /// `max_results`: how many results there is room for.
    pub fn new(code: &'a [u8], longest_wait: i64, max_results: u32) -> Check<'a> {
        Check { code, reader: Reader::new(code), longest_wait, max_results, index: 0, results: 0 }
    }

    /// Checks at most `operations` more; gives the program when its end was reached.
    pub fn step(&mut self, operations: u32) -> Result<Option<Program<'a>>, ProgramError> {
        for _ in 0..operations {
            if self.reader.used() == self.code.len() {
                break;
            }
            self.operation().map_err(|reason| ProgramError { index: self.index, reason })?;
            self.index += 1;
        }
        let done = self.reader.used() == self.code.len();
        Ok(done.then_some(Program { code: self.code, results: self.results }))
    }

    fn operation(&mut self) -> Result<(), Bad> {
        let op = Op::parse(&mut self.reader)?;
        match op {
            Op::Input { duration, .. } | Op::Count { duration, .. } if duration > self.longest_wait => {
                return Err(Bad::Wait { duration, limit: self.longest_wait });
            }
            _ => self.results += op.results(),
        }
        if self.results > self.max_results {
            return Err(Bad::Results { limit: self.max_results });
        }
        Ok(())
    }
}

impl<'a> Program<'a> {
    /// Checks all of `code` at once; see [`Check::new`].
    pub fn check(code: &'a [u8], longest_wait: i64, max_results: u32) -> Result<Program<'a>, ProgramError> {
        let mut check = Check::new(code, longest_wait, max_results);
        loop {
            if let Some(program) = check.step(u32::MAX)? {
                return Ok(program);
            }
        }
    }

    /// How many results playing it gives.
    pub fn results(&self) -> u32 {
        self.results
    }

    pub fn ops(&self) -> Ops<'a> {
        Ops { reader: Reader::new(self.code) }
    }
}

/// The operations of a checked program in order.
pub struct Ops<'a> {
    reader: Reader<'a>,
}

impl Iterator for Ops<'_> {
    type Item = Op;

    #[inline]
    fn next(&mut self) -> Option<Op> {
        Op::parse(&mut self.reader).ok()
    }
}

/// What the device says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    pub mu_per_coarse: u32,
    pub machine_unit_fs: u64,
    pub channels: u32,
    /// Bytes of the longest program taken.
    pub longest_program: u32,
    /// The RTIO counter, mu.
    pub counter: u64,
}

/// A program was played; its results follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    pub cursor: u64,
    pub counter: u64,
    /// Bit 0 collision, 1 busy, 2 sequence error: reported while it ran.
    pub async_errors: u32,
    pub results: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ExceptionKind {
    Underflow = 1,
    Overflow = 2,
    Unreachable = 3,
}

/// A program ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    pub kind: ExceptionKind,
    pub channel: u32,
    pub timestamp: u64,
    /// mu
    pub slack: i64,
    /// Number of the operation, from 0.
    pub index: u32,
}

fn reply<const N: usize>(code: u8, payload: u32) -> Frame<N> {
    Frame::default().u8(code).put(&[0; 3]).u32(payload)
}

impl Hello {
    pub fn encode(&self) -> [u8; HEADER_BYTES + 32] {
        reply(HELLO, 32)
            .u32(VERSION)
            .u32(self.mu_per_coarse)
            .u64(self.machine_unit_fs)
            .u32(self.channels)
            .u32(self.longest_program)
            .u64(self.counter)
            .done()
    }
}

impl Done {
    /// The reply up to its results, which follow as `results` × u64.
    pub fn encode(&self) -> [u8; HEADER_BYTES + 24] {
        reply(DONE, self.results.saturating_mul(8).saturating_add(24))
            .u64(self.cursor)
            .u64(self.counter)
            .u32(self.async_errors)
            .u32(self.results)
            .done()
    }
}

impl Exception {
    pub fn encode(&self) -> [u8; HEADER_BYTES + 32] {
        reply(EXCEPTION, 32)
            .u32(self.kind as u32)
            .u32(self.channel)
            .u64(self.timestamp)
            .i64(self.slack)
            .u32(self.index)
            .u32(0)
            .done()
    }
}

/// What goes before the text of an Error reply of `length` bytes.
pub fn error(length: u32) -> [u8; HEADER_BYTES] {
    reply(ERROR, length).done()
}
