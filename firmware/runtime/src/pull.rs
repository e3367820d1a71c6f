//! The log as text, for clients of the existing protocol: PullLog streams it, GetLog takes what there is.

use core::fmt::{self, Write};

use corelog_board::clock;
use corelog_device::logger::{self, Logs, ReaderId};
use corelog_log::{text, Cursor, Item};
use embassy_futures::select::{select3, Either3};
use embassy_futures::yield_now;
use embassy_time::{Duration, Timer};

use crate::tcp::{Connection, End};

const PREVIOUS: &str = "[previous boot] ";
/// Text sent at a time: a TCP segment.
const CHUNK: usize = 1400;

/// A place in the log of the previous boot, then in this one's.
struct Reader {
    previous: Option<Cursor>,
    current: Cursor,
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
    fn oldest(logs: &Logs) -> Reader {
        match logs.cleared() {
            Some(seq) => Reader { previous: None, current: Cursor::new(seq, None) },
            None => Reader { previous: logs.previous.map(|log| log.oldest()), current: logs.ring.oldest() },
        }
    }

    fn more(&self, logs: &Logs) -> bool {
        self.previous.is_some() || logs.ring.view().has_more(&self.current)
    }

    /// Writes the next line whole to the start of `room`; gives its length. 0: nothing left, or no room for it: the
    /// reader stays where it is.
    fn next_line(&mut self, logs: &Logs, room: &mut [u8]) -> usize {
        let (view, mut cursor, mark) = match (self.previous, &logs.previous) {
            (Some(cursor), Some(log)) => (log.view(), cursor, PREVIOUS),
            _ => (logs.ring.view(), self.current, ""),
        };
        let mut line = Text { room, used: 0 };
        let done = match view.read(&mut cursor) {
            Item::Record(record) => text::write_line(&mut line, mark, &record),
            Item::Loss(loss) => text::write_loss_line(&mut line, mark, clock::now(), &loss),
            Item::End if mark.is_empty() => return 0,
            Item::End => {
                self.previous = None;
                return self.next_line(logs, line.room);
            }
        };
        if done.is_err() {
            return 0;
        }
        let used = line.used;
        if mark.is_empty() {
            self.current = cursor;
        } else {
            self.previous = Some(cursor);
        }
        used
    }
}

/// Sends records for ever: u32 length and that many bytes of whole lines.
pub async fn run(connection: &mut Connection, id: ReaderId, work: &mut [u8]) -> Result<(), End> {
    let mut reader = logger::read(|logs| Reader::oldest(logs));
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
pub async fn snapshot(buffer: &mut [u8]) -> usize {
    let (mut reader, end) = logger::read(|logs| (Reader::oldest(logs), logs.ring.next_seq()));
    let mut used = 0;
    loop {
        let done = reader.previous.is_none() && reader.current.seq() >= end;
        match logger::read(|logs| if done { 0 } else { reader.next_line(logs, &mut buffer[used..]) }) {
            0 => return used,
            line => used += line,
        }
        yield_now().await;
    }
}
