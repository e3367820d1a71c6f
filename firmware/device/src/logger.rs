//! The log: every record of the firmware goes through here into a ring that survives a reset.
//!
//! There are two rings. The numbered one is what clients get. Records that only the UART wants, and everything that the
//! network stack writes, go to a second one: what is written while records are delivered can so never be delivered
//! itself. Writing copies into a ring and asks for another turn of the executor; it never waits and never allocates.
//! Readers have their own cursors and are woken by [`turn`].

use core::cell::Cell;
use core::convert::Infallible;
use core::fmt::Arguments;
use core::future::poll_fn;
use core::task::Poll;

use corelog_board::{clock, logging, memory, tasks, Exclusive};
use corelog_log::{Fixed, Level, Recovered, Ring};
use critical_section::Mutex;
use embassy_sync::waitqueue::AtomicWaker;
use embassy_time::{Instant, Timer};
use log::{LevelFilter, Log, Metadata};

use crate::config;
use crate::record::{info, warn};

/// Words of each block of the numbered ring: one of this boot, one of the boot before.
const BLOCK: usize = 64 * 1024;
/// Words of the ring of what only the UART gets.
const UART_BLOCK: usize = 16 * 1024;
/// Longest time for which repetitions are counted before they are told, in us.
const REPEATS_AFTER: u64 = 100_000;

/// Longest time the UART waits for its turn, in us.
const UART_PATIENCE: u64 = 20_000;

/// Everything the log consists of.
pub struct Logs {
    pub ring: Ring<'static>,
    pub uart_only: Ring<'static>,
    /// The log of the boot before, if the memory still held one.
    pub previous: Option<Recovered<'static>>,
    /// Most verbose level of the numbered ring.
    level: LevelFilter,
    /// Most verbose level of the UART.
    uart_level: LevelFilter,
    /// What `news` was told last: the next numbers of both rings.
    told: (u64, u64),
    /// Where ClearLog was asked for last: a number of the numbered ring.
    cleared: Option<u64>,
    uart_muted: bool,
    uart_turn: UartTurn,
}

impl Logs {
    /// Hides what there is from later readers of the log as text. Nothing is taken from anybody.
    pub fn clear(&mut self) {
        self.ring.flush_repeats();
        self.cleared = Some(self.ring.next_seq());
    }

    /// The first record after the last [`Logs::clear`].
    pub fn cleared(&self) -> Option<u64> {
        self.cleared
    }

    /// Most verbose level that the UART gets.
    pub fn uart_level(&self) -> LevelFilter {
        self.uart_level
    }

    /// Whether the UART has to pass over what is written now.
    pub fn uart_muted(&self) -> bool {
        self.uart_muted
    }

    /// Keeps records from the UART while something is measured.
    pub fn mute_uart(&mut self, mute: bool) {
        self.uart_muted = mute;
    }
}

static LOGS: Exclusive<Option<Logs>> = Exclusive::new(None);
/// Records that were written while a record was being written, and so could not be kept.
static REFUSED: Mutex<Cell<u32>> = Mutex::new(Cell::new(0));

/// A reader that waits for records.
#[derive(Clone, Copy)]
pub struct ReaderId(usize);

impl ReaderId {
    const UART: ReaderId = ReaderId(0);
    const REPEATS: ReaderId = ReaderId(1);
    const FIRST_CLIENT: usize = 2;
    /// Most readers besides.
    pub const CLIENTS: usize = 11;
    const COUNT: usize = Self::FIRST_CLIENT + Self::CLIENTS;

    /// # Panics
    /// If `index` is not below [`ReaderId::CLIENTS`].
    pub const fn client(index: usize) -> ReaderId {
        assert!(index < Self::CLIENTS, "more readers than there is room for");
        ReaderId(Self::FIRST_CLIENT + index)
    }

    /// The slot of a client's reader; of others the first.
    pub fn client_index(self) -> usize {
        self.0.saturating_sub(Self::FIRST_CLIENT)
    }
}

static READERS: [AtomicWaker; ReaderId::COUNT] = [const { AtomicWaker::new() }; ReaderId::COUNT];

/// Starts the log. Levels are set later, by [`configure`], because the configuration itself logs.
///
/// # Panics
/// On the second call, and if the retained memory is too small for the rings.
pub fn start(boot_id: u64) {
    let (one, rest) = memory::take_retained().split_at_mut(BLOCK);
    let (other, _) = rest.split_at_mut(BLOCK);
    let (ring, previous) = corelog_log::open(one, other, boot_id).expect("retained memory");
    let uart_only = Ring::new(memory::take_words(UART_BLOCK), boot_id, 1).expect("memory of the UART's ring");
    let (level, uart_level) = (LevelFilter::Info, LevelFilter::Info);
    let logs = Logs {
        ring,
        uart_only,
        previous,
        level,
        uart_level,
        told: (0, 0),
        cleared: None,
        uart_muted: false,
        uart_turn: UartTurn::NothingToDo,
    };
    LOGS.with(|slot| *slot = Some(logs));
    logging::install(&LOGGER).expect("one logger");
    logging::set_max_level(LevelFilter::Info);
}

struct Logger;
static LOGGER: Logger = Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record) {
        write_to(record.level(), record.target(), *record.args());
    }

    fn flush(&self) {}
}

/// Whether the network stack wrote a record.
#[inline]
fn from_network(target: &str) -> bool {
    match target.as_bytes().first() {
        Some(b's') => target.starts_with("smoltcp"),
        Some(b'e') => target.starts_with("embassy_net"),
        _ => false,
    }
}

#[inline]
pub const fn kept(level: log::Level) -> Level {
    match level {
        log::Level::Error => Level::Error,
        log::Level::Warn => Level::Warn,
        log::Level::Info => Level::Info,
        log::Level::Debug => Level::Debug,
        log::Level::Trace => Level::Trace,
    }
}

/// Writes a record, of whatever target, into the ring it belongs to.
pub fn write_to(level: log::Level, target: &str, message: Arguments) {
    written(LOGS.with(|logs| {
        let Some(logs) = logs else { return };
        if level <= logs.level && !from_network(target) {
            logs.ring.write(clock::now(), kept(level), target, message);
        } else if level <= logs.uart_level {
            logs.uart_only.write(clock::now(), kept(level), target, message);
        }
    }));
}

/// Writes a record of ours into the ring it belongs to.
#[inline(never)]
pub fn write(level: log::Level, start: &Fixed<[u32]>, message: Arguments) {
    written(LOGS.with_section(|section, logs| {
        let Some(logs) = logs else { return };
        let ring = match level {
            level if level <= logs.level => &mut logs.ring,
            level if level <= logs.uart_level => &mut logs.uart_only,
            _ => return,
        };
        ring.write_formatted(clock::now_in(section), start, message);
    }));
}

/// Writes a record that lies ready into the ring it belongs to.
#[inline(never)]
pub fn write_fixed(level: log::Level, record: &Fixed<[u32]>) {
    written(LOGS.with_section(|section, logs| {
        let Some(logs) = logs else { return };
        let ring = match level {
            level if level <= logs.level => &mut logs.ring,
            level if level <= logs.uart_level => &mut logs.uart_only,
            _ => return,
        };
        ring.write_fixed(clock::now_in(section), record);
    }));
}

/// Writes an error with a detail that does not make it a different one when repetitions are counted.
pub fn write_error(target: &str, message: Arguments, detail: Arguments) {
    written(LOGS.with(|logs| {
        let Some(logs) = logs else { return };
        let (now, level) = (clock::now(), log::Level::Error);
        if level <= logs.level {
            logs.ring.write_with_detail(now, Level::Error, target, message, detail);
        } else if level <= logs.uart_level {
            logs.uart_only.write_with_detail(now, Level::Error, target, message, detail);
        }
    }));
}

#[inline]
fn written(done: Option<()>) {
    if done.is_none() {
        critical_section::with(|cs| REFUSED.borrow(cs).set(REFUSED.borrow(cs).get().saturating_add(1)));
    }
    tasks::again();
}

/// Writes the last words of this boot, which end in a reset, and lets `f` have the log.
pub fn seize(f: impl FnOnce(&mut Option<Logs>) -> Infallible) -> ! {
    LOGS.seize(f)
}

/// Lets `f` read the log.
///
/// # Panics
/// If called while a record is written, or before [`start`]: readers are tasks of their own.
pub fn read<R>(f: impl FnOnce(&mut Logs) -> R) -> R {
    LOGS.with(|logs| logs.as_mut().map(f)).flatten().expect("the log is read by tasks only")
}

/// Wakes readers if there are new records. Called before every round of tasks; `idle` if no task was ready.
#[inline]
pub fn turn(idle: bool) {
    let (news, repeats, uart) = read(|logs| {
        let now = (logs.ring.next_seq(), logs.uart_only.next_seq());
        let news = core::mem::replace(&mut logs.told, now) != now;
        let repeats = logs.ring.pending_since().is_some() || logs.uart_only.pending_since().is_some();
        let uart = match logs.uart_turn {
            UartTurn::NothingToDo => news,
            UartTurn::Wanted { due } if idle || clock::now() >= due => {
                logs.uart_turn = UartTurn::Given;
                true
            }
            UartTurn::Wanted { .. } | UartTurn::Given => false,
        };
        (news, repeats, uart)
    });
    if news {
        wake_clients();
    }
    if repeats {
        READERS[ReaderId::REPEATS.0].wake();
    }
    if uart {
        READERS[ReaderId::UART.0].wake();
    }
}

/// Wakes the clients' readers: there may be something for them, if only from another board.
pub fn wake_clients() {
    for reader in &READERS[ReaderId::FIRST_CLIENT..] {
        reader.wake();
    }
}

/// Whether the UART has its turn.
enum UartTurn {
    NothingToDo,
    /// There are records for it; its turn comes when no task is ready, but not later than `due` (us since reset).
    Wanted {
        due: u64,
    },
    Given,
}

/// Waits until there is something for the UART (`ready`) and time for it: to make text takes long, so that it is done
/// while nothing else is to be done, or after [`UART_PATIENCE`].
pub async fn uart_turn(mut ready: impl FnMut(&Logs) -> bool) {
    read(|logs| logs.uart_turn = UartTurn::NothingToDo);
    poll_fn(|cx| {
        READERS[ReaderId::UART.0].register(cx.waker());
        read(|logs| match logs.uart_turn {
            UartTurn::Given => Poll::Ready(()),
            UartTurn::NothingToDo if ready(logs) => {
                logs.uart_turn = UartTurn::Wanted { due: clock::now() + UART_PATIENCE };
                tasks::linger();
                Poll::Pending
            }
            _ => Poll::Pending,
        })
    })
    .await
}

/// Waits until `ready` says so; asked when there are new records.
pub async fn news(reader: ReaderId, mut ready: impl FnMut(&Logs) -> bool) {
    poll_fn(|cx| {
        READERS[reader.0].register(cx.waker());
        match read(|logs| ready(logs)) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await
}

/// Tells repetitions that have been counted for long enough, and records that had to be refused.
#[embassy_executor::task]
pub async fn flush_repeats() -> ! {
    let mut told = 0;
    loop {
        news(ReaderId::REPEATS, |logs| logs.ring.pending_since().or(logs.uart_only.pending_since()).is_some()).await;
        let since = read(|logs| logs.ring.pending_since().into_iter().chain(logs.uart_only.pending_since()).min());
        Timer::at(Instant::from_micros(since.unwrap_or(0) + REPEATS_AFTER)).await;
        read(|logs| {
            logs.ring.flush_repeats();
            logs.uart_only.flush_repeats();
        });
        let refused = critical_section::with(|cs| REFUSED.borrow(cs).get());
        if refused != told {
            warn!("{} records lost: written while another was being written", refused - told);
            told = refused;
        }
    }
}

/// The level a configuration value names.
pub fn parse_level(value: &[u8]) -> Option<LevelFilter> {
    core::str::from_utf8(value).ok()?.trim_ascii().parse().ok()
}

/// A configuration key that holds a level, or none of them.
pub fn is_level_key(key: &[u8]) -> bool {
    key == b"log_level" || key == b"uart_log_level"
}

/// Takes the levels from the configuration; INFO where it says nothing. A change is logged.
pub fn configure() {
    let level = |key| config::read(key, |value| value.and_then(parse_level)).unwrap_or(LevelFilter::Info);
    let (level, uart_level) = (level("log_level"), level("uart_log_level"));
    let old = read(|logs| (logs.level, logs.uart_level));
    // Told with the more verbose of the two settings, so that the record of a change is itself kept.
    set_levels(level.max(old.0), uart_level.max(old.1));
    if level != old.0 {
        info!("changing log level to {level}");
    }
    if uart_level != old.1 {
        info!("changing UART log level to {uart_level}");
    }
    set_levels(level, uart_level);
}

fn set_levels(level: LevelFilter, uart_level: LevelFilter) {
    read(|logs| (logs.level, logs.uart_level) = (level, uart_level));
    logging::set_max_level(level.max(uart_level));
}
