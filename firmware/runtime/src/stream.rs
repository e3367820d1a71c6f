//! A subscription: the log as frames, for as long as the client wants.

use core::cell::Cell;
use core::future::poll_fn;
use core::task::Poll;

use corelog_board::clock;
use corelog_device::logger::{self, Logs, ReaderId};
use corelog_device::time_axis;
use corelog_log::MAX_FRAME_BYTES;
use corelog_proto::mgmt::Subscribe;
use corelog_relay::{Own, Relay};
use critical_section::Mutex;
use embassy_futures::select::{select, Either};
use embassy_futures::yield_now;
use embassy_net::tcp::TcpWriter;
use embassy_time::{Instant, Timer};

use crate::tcp::{Connection, End};
use crate::{drtio, mgmt};

/// Most bytes filled in before other tasks have their turn: four TCP segments.
const STEP: usize = 5840;
/// Most bytes filled in at a time: as long as that takes, no interrupt is served.
const PART: usize = 1460;
const _: () = assert!(PART >= MAX_FRAME_BYTES);
const CODE: u8 = 0x41;

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

/// What one subscriber gets: the log of this board and of those below it.
type Stream = corelog_relay::Stream<{ drtio::MOST }>;

/// Lets `f` see the logs that subscriptions are about.
#[inline]
fn look<R>(logs: &Logs, f: impl FnOnce(&Own<'_>, &[Relay<'static>]) -> R) -> R {
    let own = Own::new(&logs.ring, logs.previous.as_ref(), time_axis::now());
    drtio::log::relays(|relays| f(&own, relays))
}

#[inline]
fn read<R>(f: impl FnOnce(&Own<'_>, &[Relay<'static>]) -> R) -> R {
    logger::read(|logs| look(logs, f))
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
                        let fill = read(|own, relays| stream.fill(own, relays, &mut room[used..end]));
                        used += fill.bytes;
                        if !fill.more {
                            break;
                        }
                    }
                } else {
                    self.sent = 0;
                    self.len = read(|own, relays| stream.fill(own, relays, &mut self.buffer[..MAX_FRAME_BYTES])).bytes;
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
    let mut stream = read(|own, relays| Stream::subscribe(&request, own, relays));
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
                    let news = logger::news(id, |logs| look(logs, |own, relays| stream.ready(own, relays)));
                    let heartbeat = Instant::from_micros(Stream::deadline(clock::now()));
                    let _ = select(news, Timer::at(heartbeat)).await;
                }
                another_turn().await;
                carry.send(&mut writer, &mut stream).await
            };
            // To look for something to read wakes the network's task, which then would come last: so this comes second.
            match select(deliver, reader.read(&mut byte)).await {
                Either::First(sent) => {
                    sent?;
                    progress.set(Some(read(|own, _| stream.own_seq(own))));
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
