//! A subscription: the log as frames, for as long as the client wants.

use core::cell::Cell;
use core::future::poll_fn;
use core::task::Poll;

use corelog_board::clock;
use corelog_device::logger::{self, Logs, ReaderId};
use corelog_device::start;
use corelog_log::{Cursor, Level, Recovered, MAX_FRAME_BYTES};
use corelog_proto::mgmt::{From, Subscribe};
use corelog_proto::stream::{Boot, Header, Heartbeat};
use critical_section::Mutex;
use embassy_futures::select::{select, Either};
use embassy_futures::yield_now;
use embassy_net::tcp::TcpWriter;
use embassy_time::{Duration, Instant, Timer};

use crate::mgmt;
use crate::tcp::{Connection, End};

/// Well below the second that is promised: the network takes its time too.
const HEARTBEAT: Duration = Duration::from_millis(800);
/// Most bytes filled in before other tasks have their turn: four TCP segments.
const STEP: usize = 5840;
/// Most bytes filled in at a time: as long as that takes, no interrupt is served.
const PART: usize = 1460;
const _: () = assert!(PART >= MAX_FRAME_BYTES);
const ORIGIN: u8 = 0;
const CODE: u8 = 0x41;

/// What the stream sends next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    PreviousBoot,
    Previous,
    CurrentBoot,
    Current,
}

/// How far subscriptions have come, by reader: the number of the next record to be filled in.
static PROGRESS: Mutex<Cell<[Option<u64>; mgmt::SOCKETS]>> = Mutex::new(Cell::new([None; mgmt::SOCKETS]));

/// Entry of a subscription in [`PROGRESS`], removed when it ends, however it ends.
struct Progress(usize);

impl Progress {
    fn set(&self, seq: Option<u64>) {
        critical_section::with(|cs| {
            let mut all = PROGRESS.borrow(cs).get();
            all[self.0] = seq;
            PROGRESS.borrow(cs).set(all);
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.set(None);
    }
}

/// Subscriptions under way.
pub fn subscribers() -> u32 {
    critical_section::with(|cs| PROGRESS.borrow(cs).get().iter().flatten().count() as u32)
}

/// Whether every subscription was given the records before `seq`.
pub fn all_have(seq: u64) -> bool {
    critical_section::with(|cs| PROGRESS.borrow(cs).get().iter().flatten().all(|&place| place >= seq))
}

struct Stream {
    stage: Stage,
    wanted: bool,
    min_level: Level,
    unknown_boot: bool,
    ahead: bool,
    previous: Cursor,
    current: Cursor,
    heartbeat: Instant,
}

impl Stream {
    fn new(request: &Subscribe, logs: &Logs) -> Stream {
        let mut stream = Stream {
            stage: Stage::Header,
            wanted: request.wants(ORIGIN),
            min_level: Level::from_u8(request.min_level).unwrap_or(Level::Trace),
            unknown_boot: false,
            ahead: false,
            previous: logs.previous.map_or(Cursor::new(0, None), |log| log.oldest()),
            current: logs.ring.oldest(),
            heartbeat: Instant::MIN,
        };
        let skip_previous = |stream: &mut Stream| {
            stream.previous = logs.previous.map_or(Cursor::new(0, None), |log| log.newest());
        };
        match (request.from, request.cursor(ORIGIN)) {
            (From::Now, _) => {
                skip_previous(&mut stream);
                stream.current = logs.ring.newest();
            }
            (From::Cursors, Some(cursor)) if cursor.boot_id == logs.ring.boot_id() => {
                skip_previous(&mut stream);
                stream.current = Cursor::new(cursor.seq, cursor.retained);
                if logs.ring.view().is_ahead(&stream.current) {
                    stream.ahead = true;
                    stream.current = logs.ring.newest();
                }
            }
            (From::Cursors, Some(cursor)) => match logs.previous.filter(|log| log.boot_id() == cursor.boot_id) {
                Some(log) => {
                    stream.previous = Cursor::new(cursor.seq, cursor.retained);
                    if log.view().is_ahead(&stream.previous) {
                        stream.ahead = true;
                        stream.previous = log.newest();
                    }
                    // This reader was there: what it missed of this boot is a loss, not a late start.
                    stream.current = Cursor::new(0, Some(0));
                }
                None => stream.unknown_boot = true,
            },
            (From::Cursors, None) | (From::Oldest, _) => {}
        }
        stream
    }

    /// Whether there is anything to send but a heartbeat.
    fn ready(&self, logs: &Logs) -> bool {
        self.stage != Stage::Current || (self.wanted && logs.ring.view().has_more(&self.current))
    }

    /// Writes whole frames to `out`; gives their length.
    fn fill(&mut self, logs: &Logs, out: &mut [u8]) -> usize {
        let mut used = 0;
        let now = Instant::now();
        loop {
            let room = &mut out[used..];
            let before = used;
            match self.stage {
                Stage::Header => {
                    used += put(room, &self.header(logs));
                    if used > before {
                        self.heartbeat = now + HEARTBEAT;
                        self.stage = if self.wanted { Stage::PreviousBoot } else { Stage::Current };
                        continue;
                    }
                }
                Stage::PreviousBoot => match logs.previous.filter(|log| log.view().has_more(&self.previous)) {
                    Some(log) => {
                        used += put(room, &previous_boot(&log, &self.previous));
                        if used > before {
                            self.stage = Stage::Previous;
                            continue;
                        }
                    }
                    None => {
                        self.stage = Stage::CurrentBoot;
                        continue;
                    }
                },
                Stage::Previous => {
                    let Some(log) = &logs.previous else { return used };
                    let fill = log.fill(&mut self.previous, self.min_level, room);
                    used += fill.bytes;
                    if !fill.more {
                        self.stage = Stage::CurrentBoot;
                        continue;
                    }
                }
                Stage::CurrentBoot => {
                    used += put(room, &current_boot(logs, &self.current));
                    if used > before {
                        self.stage = Stage::Current;
                        continue;
                    }
                }
                Stage::Current => {
                    if now >= self.heartbeat {
                        let heartbeat =
                            Heartbeat { origin: ORIGIN, time: clock::now(), next_seq: logs.ring.next_seq() };
                        used += put(room, &heartbeat.encode());
                        if used > before {
                            self.heartbeat = now + HEARTBEAT;
                        }
                    }
                    if self.wanted {
                        used += logs.ring.fill(&mut self.current, self.min_level, &mut out[used..]).bytes;
                    }
                }
            }
            return used;
        }
    }

    fn header(&self, logs: &Logs) -> [u8; Header::BYTES] {
        Header {
            unknown_boot: self.unknown_boot,
            cursor_ahead: self.ahead,
            boot_id: start::current_boot_id(),
            time: clock::now(),
            oldest_seq: logs.ring.oldest().seq(),
            next_seq: logs.ring.next_seq(),
        }
        .encode()
    }
}

fn previous_boot(log: &Recovered, cursor: &Cursor) -> [u8; Boot::BYTES] {
    Boot {
        origin: ORIGIN,
        previous: true,
        panicked: log.ended_in_panic(),
        unknown_boot: false,
        boot_id: log.boot_id(),
        oldest_seq: log.oldest().seq(),
        next_seq: log.next_seq(),
        start_seq: cursor.seq(),
        retained: log.view().retained_at(cursor).unwrap_or(u64::MAX),
    }
    .encode()
}

fn current_boot(logs: &Logs, cursor: &Cursor) -> [u8; Boot::BYTES] {
    Boot {
        origin: ORIGIN,
        previous: false,
        panicked: false,
        unknown_boot: false,
        boot_id: logs.ring.boot_id(),
        oldest_seq: logs.ring.oldest().seq(),
        next_seq: logs.ring.next_seq(),
        start_seq: cursor.seq(),
        retained: logs.ring.view().retained_at(cursor).unwrap_or(u64::MAX),
    }
    .encode()
}

/// Copies `frame` to `room` if it fits; gives how many bytes that took.
fn put(room: &mut [u8], frame: &[u8]) -> usize {
    match room.get_mut(..frame.len()) {
        Some(place) => {
            place.copy_from_slice(frame);
            frame.len()
        }
        None => 0,
    }
}

/// Frames on their way into a socket. `carry[sent..len]` is what did not fit behind the frames before it.
struct Carry<'a> {
    buffer: &'a mut [u8],
    sent: usize,
    len: usize,
}

impl Carry<'_> {
    fn is_empty(&self) -> bool {
        self.sent == self.len
    }

    /// Fills the socket's free memory: by whole frames straight from the ring where one surely fits, else by way of the
    /// carry, so that a frame may go round the end of that memory.
    async fn send(&mut self, writer: &mut TcpWriter<'_>, stream: &mut Stream) -> Result<(), End> {
        let written = writer.write_with(|room| {
            let length = room.len().min(STEP);
            let room = &mut room[..length];
            let mut used = self.move_into(room);
            if self.is_empty() {
                if room.len() - used >= MAX_FRAME_BYTES {
                    while room.len() - used >= MAX_FRAME_BYTES {
                        let end = room.len().min(used + PART);
                        used += logger::read(|logs| stream.fill(logs, &mut room[used..end]));
                        if end - used >= MAX_FRAME_BYTES {
                            break; // there was room for any frame, so there is none
                        }
                    }
                } else {
                    self.sent = 0;
                    self.len = logger::read(|logs| stream.fill(logs, &mut self.buffer[..MAX_FRAME_BYTES]));
                    used += self.move_into(&mut room[used..]);
                }
            }
            (used, ())
        });
        written.await.map_err(|_| End::Closed)
    }

    fn move_into(&mut self, room: &mut [u8]) -> usize {
        let part = (self.len - self.sent).min(room.len());
        room[..part].copy_from_slice(&self.buffer[self.sent..self.sent + part]);
        self.sent += part;
        part
    }
}

/// Asks for the next turn now, before others are woken. The executor takes the one that was woken last first: what
/// is written next so goes out before this task goes on.
async fn another_turn() {
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Ready(())
    })
    .await
}

/// Streams until the client sends something; gives its first byte, the code of another Subscribe.
pub async fn run(
    connection: &mut Connection,
    id: ReaderId,
    work: &mut [u8],
    request: Subscribe<'_>,
) -> Result<u8, End> {
    let mut stream = logger::read(|logs| Stream::new(&request, logs));
    let progress = Progress(id.client_index());
    let mut carry = Carry { buffer: work, sent: 0, len: 0 };
    let mut byte = [0];
    loop {
        connection.waiting();
        // Looked at first, because a stream that flows never comes to the second half of the select below.
        let said = connection.socket.can_recv() || !connection.socket.may_recv();
        let (mut reader, mut writer) = connection.socket.split();
        let got = if said {
            reader.read(&mut byte).await
        } else {
            let deliver = async {
                if carry.is_empty() {
                    let news = logger::news(id, |logs| stream.ready(logs));
                    let _ = select(news, Timer::at(stream.heartbeat)).await;
                }
                another_turn().await;
                carry.send(&mut writer, &mut stream).await
            };
            // To look for something to read wakes the network's task, which then would come last: so this comes second.
            match select(deliver, reader.read(&mut byte)).await {
                Either::First(sent) => {
                    sent?;
                    progress.set(Some(stream.current.seq()));
                    // What was filled in goes out, and others have their turn, before more is filled in.
                    yield_now().await;
                    continue;
                }
                Either::Second(got) => got,
            }
        };
        return match got {
            Ok(1..) if byte[0] == CODE => {
                // The frame under way goes out whole before the new header.
                let rest = carry.sent..carry.len;
                let buffer = carry.buffer;
                connection.write_stream(&buffer[rest]).await?;
                Ok(CODE)
            }
            Ok(1..) => Err(End::Aborted("request during a stream")),
            Ok(0) | Err(_) => Err(End::Closed),
        };
    }
}
