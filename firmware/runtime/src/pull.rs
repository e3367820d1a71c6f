//! The log as text, for clients of the existing protocol: PullLog streams it, GetLog takes what there is.

use core::fmt::{self, Write};

use corelog_board::clock;
use corelog_device::logger::{self, Logs, ReaderId};
use corelog_log::{text, Cursor, Item};
use corelog_relay::{Boots, Now, Own};
use embassy_futures::select::{select3, Either3};
use embassy_futures::yield_now;
use embassy_time::{Duration, Timer};

use crate::drtio::{self, Destination};
use crate::tcp::{Connection, End};

const PREVIOUS: &str = "[previous boot] ";
/// Text sent at a time: a TCP segment.
const CHUNK: usize = 1400;

/// Whose log it is.
#[derive(Clone, Copy)]
pub enum Source {
    /// The core device's.
    Own,
    /// A satellite's, as far as it has come here.
    Relay(&'static Destination),
}

impl Source {
    /// Lets `f` see the log, and the boot and record after the last ClearLog.
    fn read<R>(self, logs: &Logs, f: impl FnOnce(&dyn Boots, Option<(u32, u64)>) -> R) -> R {
        match self {
            Source::Own => {
                let now = Now { time: clock::now(), clock: None, synchronisations: 0 };
                let own = Own::new(&logs.ring, logs.previous.as_ref(), now);
                f(&own, logs.cleared().zip(own.newest()).map(|(seq, boot)| (boot, seq)))
            }
            Source::Relay(destination) => {
                let cleared = drtio::log::cleared(destination.index);
                drtio::log::relays(|relays| f(&relays[destination.index], cleared))
            }
        }
    }

    fn is_down(self) -> bool {
        matches!(self, Source::Relay(destination) if !destination.is_up())
    }
}

/// A place in a log, boot after boot.
struct Reader {
    source: Source,
    /// `None` while nothing has come.
    place: Option<(u32, Cursor)>,
    /// The boot that was under way at the start: of later ones nothing may be missing.
    late: u32,
    /// The text said that the destination is down.
    told_down: bool,
}

/// Text that is cut where its room ends.
struct Text<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.room.get_mut(self.used..self.used + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.used += text.len();
        Ok(())
    }
}

impl Reader {
    /// At the oldest record since the last ClearLog.
    fn oldest(source: Source, logs: &Logs) -> Reader {
        let mut reader = Reader { source, place: None, late: 0, told_down: false };
        source.read(logs, |boots, cleared| reader.start(boots, cleared));
        reader
    }

    fn start(&mut self, boots: &dyn Boots, cleared: Option<(u32, u64)>) {
        let Some(newest) = boots.newest() else { return };
        let first = boots.first_kept();
        let oldest = boots.boot(first).map(|boot| (first, boot.view.oldest()));
        self.place = cleared.map(|(boot, seq)| (boot, Cursor::new(seq, None))).or(oldest);
        self.late = newest;
    }

    fn more(&self, logs: &Logs) -> bool {
        self.down_untold()
            || self.source.read(logs, |boots, _| match (self.place, boots.newest()) {
                (Some((number, cursor)), Some(newest)) => {
                    number != newest || boots.boot(newest).is_some_and(|boot| boot.view.has_more(&cursor))
                }
                (None, newest) => newest.is_some(),
                (_, None) => false,
            })
    }

    fn down_untold(&self) -> bool {
        self.source.is_down() && !self.told_down
    }

    /// Writes the next line whole to the start of `room`; gives its length. 0: nothing left, or no room for it: the
    /// reader stays where it is.
    fn next_line(&mut self, logs: &Logs, room: &mut [u8]) -> usize {
        match self.source.read(logs, |boots, cleared| self.next_record(boots, cleared, room)) {
            Some(length) => length,
            None => self.state_line(room),
        }
    }

    /// The next line of the log. `None` if there is none now.
    fn next_record(&mut self, boots: &dyn Boots, cleared: Option<(u32, u64)>, room: &mut [u8]) -> Option<usize> {
        if self.place.is_none() {
            self.start(boots, cleared);
        }
        let newest = boots.newest()?;
        loop {
            let (number, mut cursor) = self.place?;
            let mut line = Text { room, used: 0 };
            let mark = if number == newest { "" } else { PREVIOUS };
            let done = match boots.boot(number).map(|boot| boot.view.read(&mut cursor)) {
                Some(Item::Record(record)) => text::write_line(&mut line, mark, &record),
                Some(Item::Loss(loss)) => text::write_loss_line(&mut line, mark, clock::now(), &loss),
                Some(Item::End) | None if number >= newest => return None,
                Some(Item::End) | None => {
                    let next = (number + 1).max(boots.first_known());
                    let oldest = boots.boot(next).map(|boot| boot.view.oldest()).filter(|_| next <= self.late);
                    self.place = Some((next, oldest.unwrap_or(Cursor::new(0, Some(0)))));
                    continue;
                }
            };
            if done.is_err() {
                return Some(0);
            }
            self.place = Some((number, cursor));
            return Some(line.used);
        }
    }

    /// What is to be said once of a destination whose log is at its end: that it is down.
    fn state_line(&mut self, room: &mut [u8]) -> usize {
        let (down, told) = (self.source.is_down(), self.told_down);
        self.told_down = down;
        let Source::Relay(destination) = self.source else { return 0 };
        if !down || told {
            return 0;
        }
        let mut line = Text { room, used: 0 };
        let time = clock::now();
        let (seconds, rest) = (time / 1_000_000, time % 1_000_000);
        match writeln!(
            line,
            "[{seconds:6}.{rest:06}s]  WARN(runtime): [DEST#{}] destination is down, this is what has come of its log",
            destination.number
        ) {
            Ok(()) => line.used,
            Err(_) => 0,
        }
    }
}

/// Sends records for ever: u32 length and that many bytes of whole lines.
pub async fn run(connection: &mut Connection, id: ReaderId, work: &mut [u8], source: Source) -> Result<(), End> {
    let mut reader = logger::read(|logs| Reader::oldest(source, logs));
    loop {
        wait(connection, id, &reader).await?;
        let (length, lines) = work.split_at_mut(4);
        let mut used = 0;
        while used < CHUNK {
            // Many lines take long to make: others have their turn after each.
            match logger::read(|logs| reader.next_line(logs, &mut lines[used..])) {
                0 => break,
                line => used += line,
            }
            yield_now().await;
        }
        if used > 0 {
            length.copy_from_slice(&(used as u32).to_le_bytes());
            connection.write_stream(&work[..4 + used]).await?;
        }
    }
}

/// Waits for records, minding the client meanwhile: it may leave, and it is not idle while it has all there is.
async fn wait(connection: &mut Connection, id: ReaderId, reader: &Reader) -> Result<(), End> {
    loop {
        if connection.socket.send_queue() == 0 {
            connection.waiting();
        }
        let mut byte = [0];
        let news = logger::news(id, |logs| reader.more(logs));
        let tick = Timer::after(Duration::from_secs(1));
        match select3(news, connection.socket.read(&mut byte), tick).await {
            Either3::First(()) => return Ok(()),
            Either3::Second(Ok(1..)) => return Err(End::Aborted("request during a stream")),
            Either3::Second(_) => return Err(End::Closed),
            Either3::Third(()) => {}
        }
    }
}

/// Writes the log as text to `buffer`, as far as it fits; gives the length.
pub async fn snapshot(source: Source, buffer: &mut [u8]) -> usize {
    let mut reader = logger::read(|logs| Reader::oldest(source, logs));
    let end = logger::read(|logs| {
        source.read(logs, |boots, _| Some((boots.newest()?, boots.boot(boots.newest()?)?.view.next_seq())))
    });
    let mut used = 0;
    loop {
        // What comes meanwhile is left out, so that this ends.
        let done = reader.place.map(|(boot, cursor)| (boot, cursor.seq())) >= end;
        let line = logger::read(|logs| match done {
            true => reader.state_line(&mut buffer[used..]),
            false => reader.next_line(logs, &mut buffer[used..]),
        });
        used += line;
        if done || line == 0 {
            return used;
        }
        yield_now().await;
    }
}
