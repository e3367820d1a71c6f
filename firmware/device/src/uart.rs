//! The log on the UART: text lines, made as fast as the UART takes them.

use core::cell::Cell;
use core::fmt::{self, Write};
use core::future::poll_fn;
use core::task::Poll;

use corelog_board::{clock, memory, uart};
use corelog_log::{text, Cursor, Item, Level, View};
use critical_section::Mutex;
use embassy_time::{Duration, Instant, Timer};
use log::LevelFilter;

use crate::logger::{self, Logs};
use crate::{chips, irq};

/// Longest line. A record that makes a longer one (its bytes were not text) is cut.
const LINE: usize = 4096;

/// Where the UART is, once it has sent something.
static SENT: Mutex<Cell<Option<Cursors>>> = Mutex::new(Cell::new(None));
/// Longest wait for the UART: some 5 KB of text at 115200 baud.
const DRAINED_WITHIN: Duration = Duration::from_millis(500);

/// Sends the log of this boot for ever.
#[embassy_executor::task]
pub async fn run() -> ! {
    let buffer = memory::take(LINE);
    let mut cursors = Cursors { ring: Cursor::new(0, Some(0)), uart_only: Cursor::new(0, Some(0)) };
    loop {
        logger::uart_turn(|logs| cursors.more(logs)).await;
        let mut line = Line { buffer, used: 0 };
        logger::read(|logs| cursors.next_line(logs, &mut line));
        let used = line.used;
        send(&buffer[..used]).await;
        if chips::PRESENT {
            critical_section::with(|cs| SENT.borrow(cs).set(Some(cursors)));
        }
    }
}

/// Waits until everything that was written so far is sent, at most [`DRAINED_WITHIN`].
pub async fn drained() {
    let end = Instant::now() + DRAINED_WITHIN;
    let all_sent = || {
        let sent = critical_section::with(|cs| SENT.borrow(cs).get());
        sent.is_some_and(|cursors| !logger::read(|logs| cursors.more(logs)))
    };
    while !(all_sent() && uart::is_empty()) && Instant::now() < end {
        Timer::after(Duration::from_millis(1)).await;
    }
    // The last byte is still in the shift register.
    Timer::after(Duration::from_millis(1)).await;
}

/// The UART's places in the two rings.
#[derive(Clone, Copy)]
struct Cursors {
    ring: Cursor,
    uart_only: Cursor,
}

impl Cursors {
    fn more(&self, logs: &Logs) -> bool {
        logs.ring.view().has_more(&self.ring) || logs.uart_only.view().has_more(&self.uart_only)
    }

    /// Takes the earlier of the next records of both rings and writes it to `line`, if its level is wanted.
    fn next_line(&mut self, logs: &Logs, line: &mut Line) {
        let (ring, uart_only) = (logs.ring.view(), logs.uart_only.view());
        if logs.uart_muted() {
            (self.ring, self.uart_only) = (ring.newest(), uart_only.newest());
            return;
        }
        let from_ring = time_at(ring, self.ring) <= time_at(uart_only, self.uart_only);
        let item = if from_ring { ring.read(&mut self.ring) } else { uart_only.read(&mut self.uart_only) };
        // Only the room in the line can fail; what was written until then is sent.
        let _ = match item {
            Item::Record(record) if !wanted(record.level(), logs.uart_level()) => Ok(()),
            Item::Record(record) => text::write_line(line, "", &record),
            Item::Loss(loss) => text::write_loss_line(line, "", clock::now(), &loss),
            Item::End => Ok(()),
        };
    }
}

/// Time of the record at a cursor: 0 for a loss, which is told at once, never if there is none.
fn time_at(view: View, mut cursor: Cursor) -> u64 {
    match view.read(&mut cursor) {
        Item::Record(record) => record.time(),
        Item::Loss(_) => 0,
        Item::End => u64::MAX,
    }
}

fn wanted(level: Level, most: LevelFilter) -> bool {
    level as usize <= most as usize
}

struct Line<'a> {
    buffer: &'a mut [u8],
    used: usize,
}

impl Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.buffer.get_mut(self.used..self.used + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.used += text.len();
        Ok(())
    }
}

async fn send(mut bytes: &[u8]) {
    poll_fn(|cx| {
        uart::acknowledge();
        bytes = &bytes[uart::send(bytes)..];
        if !bytes.is_empty() {
            irq::register(uart::INTERRUPT, cx.waker());
            uart::listen();
            // There may have become room before the event was listened for.
            bytes = &bytes[uart::send(bytes)..];
        }
        if bytes.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await
}
