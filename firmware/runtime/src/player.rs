//! Plays a program on the RTIO core, a few operations at a time, so that network and errors are served meanwhile.

use core::fmt;

use corelog_board::rtio::{self, Input, Output};
use corelog_device::rtio::take_seen;
use corelog_proto::session::{Exception, ExceptionKind, Op, Program};
use embassy_futures::yield_now;

use crate::drtio;
use crate::session::LONGEST_WAIT;
use crate::tcp::Connection;

/// Operations played before other tasks have their turn.
const STEP: u32 = 16;
/// Looks at the core in a wait before other tasks have their turn: a decision of the core takes a few cycles. That of a
/// satellite, asked for its buffer space, takes the way there and back, a fraction of a turn of the others.
const LOOKS: u32 = if drtio::PRESENT { 64 } else { 8 };

/// Highest number that a channel can have.
const LAST_CHANNEL: u32 = 0xff_ffff;

/// How a program ended.
pub enum Outcome {
    /// Every event is submitted.
    Done {
        cursor: u64,
        async_errors: u32,
    },
    Exception(Exception),
    /// An operation cannot be done.
    Refused {
        index: u32,
        reason: &'static str,
    },
    /// The client left during a wait.
    Abandoned,
}

/// Plays programs; keeps the cursor from one to the next.
pub struct Player {
    cursor: u64,
}

/// Why an operation ended the program.
enum Stop {
    Exception { kind: ExceptionKind, channel: u32 },
    Refused(&'static str),
    Abandoned,
}

/// Results as they are sent.
struct Results<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl Results<'_> {
    fn push(&mut self, value: u64) {
        // The program was checked to have no more results than there is room for.
        if let Some(room) = self.room.get_mut(self.used..self.used + 8) {
            room.copy_from_slice(&value.to_le_bytes());
            self.used += 8;
        }
    }
}

impl Player {
    pub const fn new() -> Player {
        Player { cursor: 0 }
    }

    /// Plays `program`; its results go to `results`, 8 bytes each.
    pub async fn play(&mut self, program: Program<'_>, results: &mut [u8], connection: &Connection) -> Outcome {
        take_seen();
        let mut results = Results { room: results, used: 0 };
        for (index, op) in (0..).zip(program.ops()) {
            if index % STEP == STEP - 1 {
                yield_now().await;
            }
            match self.perform(op, &mut results, connection).await {
                Ok(()) => {}
                Err(Stop::Exception { kind, channel }) => {
                    let slack = self.cursor.wrapping_sub(rtio::counter()) as i64;
                    let exception = Exception { kind, channel, timestamp: self.cursor, slack, index };
                    return Outcome::Exception(exception);
                }
                Err(Stop::Refused(reason)) => return Outcome::Refused { index, reason },
                Err(Stop::Abandoned) => return Outcome::Abandoned,
            }
        }
        Outcome::Done { cursor: self.cursor, async_errors: take_seen() }
    }

    async fn perform(&mut self, op: Op, results: &mut Results<'_>, connection: &Connection) -> Result<(), Stop> {
        match op {
            Op::Reset { slack } => {
                rtio::reset();
                drtio::reset_rtio().await;
                self.cursor = rtio::counter().wrapping_add(slack.into());
                results.push(self.cursor);
            }
            Op::BreakRealtime { slack } => {
                let earliest = rtio::counter().wrapping_add(slack.into());
                self.cursor = self.cursor.max(earliest);
                results.push(self.cursor);
            }
            Op::At(time) => self.cursor = time,
            Op::Delay(duration) => self.cursor = self.cursor.wrapping_add_signed(duration),
            Op::Output { target, data } => self.output(target, data, connection).await?,
            Op::Input { channel, duration } => match self.input(channel, duration, connection).await? {
                Some((timestamp, data)) => {
                    results.push(timestamp);
                    results.push(data.into());
                }
                None => {
                    results.push(u64::MAX);
                    results.push(0);
                }
            },
            Op::Count { channel, duration } => {
                let mut count = 0;
                while self.input(channel, duration, connection).await?.is_some() {
                    count += 1;
                }
                results.push(count);
            }
            Op::Now => results.push(self.cursor),
            Op::Counter => results.push(rtio::counter()),
        }
        Ok(())
    }

    async fn output(&mut self, target: u32, data: u32, connection: &Connection) -> Result<(), Stop> {
        wait(connection, || rtio::writable().then_some(())).await?;
        rtio::submit(target, self.cursor, data);
        match wait(connection, rtio::outcome).await? {
            Output::Submitted => Ok(()),
            Output::Underflow => Err(Stop::Exception { kind: ExceptionKind::Underflow, channel: target >> 8 }),
            Output::Unreachable => Err(Stop::Exception { kind: ExceptionKind::Unreachable, channel: target >> 8 }),
        }
    }

    /// The next event of `channel` until `duration` after the cursor: time and data.
    async fn input(
        &mut self,
        channel: u32,
        duration: i64,
        connection: &Connection,
    ) -> Result<Option<(u64, u32)>, Stop> {
        if channel > LAST_CHANNEL {
            return Err(Stop::Exception { kind: ExceptionKind::Unreachable, channel });
        }
        let deadline = self.cursor.wrapping_add_signed(duration);
        if (deadline.wrapping_sub(rtio::counter()) as i64) > LONGEST_WAIT {
            return Err(Stop::Refused("would wait for more than 60 s"));
        }
        let settled = || Some(rtio::poll_read()).filter(|input| *input != Input::Wait);
        // A read that a client left behind has a deadline of its own.
        wait(connection, settled).await?;
        rtio::start_read(channel, deadline);
        match wait(connection, settled).await? {
            Input::Event { timestamp, data } => Ok(Some((timestamp, data))),
            Input::Timeout | Input::Wait => Ok(None),
            Input::Overflow => Err(Stop::Exception { kind: ExceptionKind::Overflow, channel }),
            Input::Unreachable => Err(Stop::Exception { kind: ExceptionKind::Unreachable, channel }),
        }
    }
}

/// Waits until `ready` gives something, or the client has left. There is no other deadline: events wait for the time
/// they are for.
async fn wait<R>(connection: &Connection, mut ready: impl FnMut() -> Option<R>) -> Result<R, Stop> {
    loop {
        for _ in 0..LOOKS {
            if let Some(result) = ready() {
                return Ok(result);
            }
        }
        if !connection.socket.may_recv() {
            return Err(Stop::Abandoned);
        }
        yield_now().await;
    }
}

/// A short text.
pub struct Reason {
    text: [u8; 160],
    used: usize,
}

impl Default for Reason {
    fn default() -> Self {
        Reason { text: [0; 160], used: 0 }
    }
}

impl Reason {
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.text[..self.used]).unwrap_or("")
    }
}

impl fmt::Write for Reason {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.text.get_mut(self.used..self.used + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.used += text.len();
        Ok(())
    }
}
