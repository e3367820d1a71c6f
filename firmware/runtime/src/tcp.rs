//! TCP connections: slots, deadlines, who makes room when all slots of a service are taken, the end of all of them.

use core::cell::Cell;
use core::future::pending;

use corelog_board::memory;
use embassy_futures::select::{select, Either};
use embassy_net::tcp::TcpSocket;
use embassy_net::Stack;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{with_deadline, Duration, Instant, Timer};

/// Longest wait for the rest of something a client has begun, and for a client to take an answer.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Slowest that something long may go, bytes per second.
const SLOWEST: usize = 8192;
/// A peer that answers no probe for this long is gone.
const DEAD_AFTER: Duration = Duration::from_secs(60);
const PROBE_EVERY: Duration = Duration::from_secs(15);
/// Longest time for the resets of connections to go out before a restart.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Sockets that should be listening at any time, for clients to come.
const SPARE: usize = 2;

/// Longest time for `length` bytes to come or go.
fn patience(length: usize) -> Duration {
    PATIENCE + Duration::from_secs((length / SLOWEST) as u64)
}

/// Why a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The client closed it, or the network did.
    Closed,
    /// It asked for something that ends it, or broke the rules: the reason for the log.
    Aborted(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Listening,
    /// Has not yet said what it wants.
    New,
    /// Waits for its client: between two requests, or for it to read.
    Waiting,
    Busy,
    /// The board restarts: no client will be served any more.
    Gone,
}

/// Why a connection is asked to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leave {
    MakeRoom,
    Restart,
}

pub struct Slot {
    used: Cell<Use>,
    since: Cell<Instant>,
    leave: Signal<NoopRawMutex, Leave>,
}

/// Slots for `N` connections, those of all services.
pub fn slots<const N: usize>() -> [Slot; N] {
    core::array::from_fn(|_| Slot {
        used: Cell::new(Use::Listening),
        since: Cell::new(Instant::MIN),
        leave: Signal::new(),
    })
}

/// The slots of a service. The last [`SPARE`] are for newcomers, who then push out the one that waits the longest.
#[derive(Clone, Copy)]
pub struct Pool {
    slots: &'static [Slot],
    /// Those of all services.
    all: &'static [Slot],
}

/// Clients that are connected now.
fn connected(slots: &[Slot]) -> usize {
    slots.iter().filter(|slot| !matches!(slot.used.get(), Use::Listening | Use::Gone)).count()
}

impl Pool {
    /// Two services' pools, of which the first has `first` of the slots.
    pub fn two(all: &'static [Slot], first: usize) -> (Pool, Pool) {
        let (one, other) = all.split_at(first);
        (Pool { slots: one, all }, Pool { slots: other, all })
    }

    /// Asks one connection other than `newcomer` to end if too few sockets are listening: one that has not said what it
    /// wants, else the one that waits the longest. Those at work are left alone.
    fn make_room(&self, newcomer: usize) {
        if self.slots.len() - connected(self.slots) >= SPARE {
            return;
        }
        let rank = |slot: &Slot| match slot.used.get() {
            Use::New => Some(0),
            Use::Waiting => Some(1),
            Use::Listening | Use::Busy | Use::Gone => None,
        };
        let candidates = self.slots.iter().enumerate().filter(|(i, slot)| *i != newcomer && !slot.leave.signaled());
        let chosen = candidates
            .filter_map(|(_, slot)| Some((rank(slot)?, slot.since.get(), slot)))
            .min_by_key(|&(rank, since, _)| (rank, since));
        if let Some((_, _, slot)) = chosen {
            slot.leave.signal(Leave::MakeRoom);
        }
    }

    /// Serves slot `index` until the board restarts: accepts on `port`, lets `serve` have the connection, closes, and
    /// so on.
    pub async fn run(
        self,
        stack: Stack<'static>,
        index: usize,
        port: u16,
        buffers: Buffers,
        mut serve: impl AsyncFnMut(&mut Connection) -> End,
        ended: impl Fn(&'static str),
    ) -> ! {
        let slot = &self.slots[index];
        let socket = TcpSocket::new(stack, memory::take(buffers.rx), memory::take(buffers.tx));
        let mut connection = Connection { socket, slot, all: self.all };
        connection.socket.set_nagle_enabled(false);
        loop {
            connection.socket.set_timeout(None);
            connection.socket.set_keep_alive(None);
            slot.used.set(Use::Listening);
            match select(connection.socket.accept(port), slot.leave.wait()).await {
                Either::First(Ok(())) => {}
                Either::First(Err(_)) => {
                    connection.finish().await;
                    continue;
                }
                Either::Second(Leave::MakeRoom) => continue, // it has, by itself
                Either::Second(Leave::Restart) => break,
            }
            connection.socket.set_keep_alive(Some(PROBE_EVERY));
            connection.socket.set_timeout(Some(DEAD_AFTER));
            connection.mark(Use::New);
            self.make_room(index);
            match select(serve(&mut connection), slot.leave.wait()).await {
                Either::First(End::Closed) => {}
                Either::First(End::Aborted(reason)) => ended(reason),
                Either::Second(Leave::MakeRoom) => ended("connection slots are taken, made room for another client"),
                Either::Second(Leave::Restart) => break,
            }
            connection.mark(Use::New);
            connection.finish().await;
        }
        connection.abort().await;
        slot.used.set(Use::Gone);
        pending().await
    }
}

/// Bytes of a socket's buffers.
pub struct Buffers {
    pub rx: usize,
    pub tx: usize,
}

/// An accepted connection.
pub struct Connection {
    pub socket: TcpSocket<'static>,
    slot: &'static Slot,
    all: &'static [Slot],
}

impl Connection {
    fn mark(&self, used: Use) {
        self.slot.used.set(used);
        self.slot.since.set(Instant::now());
    }

    /// From now on this connection may be asked to make room: it waits for its client.
    pub fn waiting(&self) {
        self.mark(Use::Waiting);
    }

    /// The connection works for its client.
    pub fn busy(&self) {
        self.mark(Use::Busy);
    }

    /// Waits for the first byte of a request, for as long as it takes.
    pub async fn read_first(&mut self) -> Result<u8, End> {
        let mut byte = [0];
        match self.socket.read(&mut byte).await {
            Ok(1..) => Ok(byte[0]),
            Ok(0) | Err(_) => Err(End::Closed),
        }
    }

    /// Reads at least a byte into `buffer`, which is not empty, until `deadline`; gives how many.
    pub async fn read_some(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<usize, End> {
        match with_deadline(deadline, self.socket.read(buffer)).await {
            Ok(Ok(n @ 1..)) => Ok(n),
            Ok(Ok(0)) => Err(End::Aborted("connection closed in the middle of a request")),
            Ok(Err(_)) => Err(End::Closed),
            Err(_) => Err(End::Aborted("timeout in the middle of a request")),
        }
    }

    /// Fills `buffer`, within [`patience`].
    pub async fn read_exact(&mut self, mut buffer: &mut [u8]) -> Result<(), End> {
        let deadline = Instant::now() + patience(buffer.len());
        while !buffer.is_empty() {
            let n = self.read_some(buffer, deadline).await?;
            buffer = &mut buffer[n..];
        }
        Ok(())
    }

    /// Writes all of `bytes` to the socket's buffer, within [`patience`].
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), End> {
        let deadline = Instant::now() + patience(bytes.len());
        while !bytes.is_empty() {
            match with_deadline(deadline, self.socket.write(bytes)).await {
                Ok(Ok(n)) => bytes = &bytes[n..],
                Ok(Err(_)) => return Err(End::Closed),
                Err(_) => return Err(End::Aborted("client does not read its answer")),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes`, for as long as it takes the client to read: it may be asked to make room meanwhile.
    pub async fn write_stream(&mut self, mut bytes: &[u8]) -> Result<(), End> {
        while !bytes.is_empty() {
            self.waiting();
            let written = self.socket.write(bytes).await.map_err(|_| End::Closed)?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Waits until the client's machine has everything written so far, at most [`PATIENCE`].
    pub async fn flush(&mut self) {
        // Errors and timeouts alike mean that nothing more can be done for this client.
        let _ = with_deadline(Instant::now() + PATIENCE, self.socket.flush()).await;
    }

    /// Closes in good order where the client lets us, else resets.
    async fn finish(&mut self) {
        self.socket.close();
        let closing = with_deadline(Instant::now() + Duration::from_secs(1), self.socket.flush());
        // What a client still sends must not hold up the end: after this second the connection is reset.
        if let Either::Second(leave) = select(closing, self.slot.leave.wait()).await {
            self.slot.leave.signal(leave); // a restart is not forgotten
        }
        self.abort().await;
    }

    async fn abort(&mut self) {
        self.socket.abort();
        let _ = with_deadline(Instant::now() + Duration::from_secs(1), self.socket.flush()).await;
    }

    /// Closes this connection, resets those of all other clients, so that they notice at once that the board goes, and
    /// accepts no more: what would come now would get no answer.
    pub async fn end_all(&mut self) {
        self.socket.close();
        self.flush().await;
        let others = || self.all.iter().filter(|&slot| !core::ptr::eq(slot, self.slot));
        others().for_each(|slot| slot.leave.signal(Leave::Restart));
        let deadline = Instant::now() + LAST_WORDS;
        while others().any(|slot| slot.used.get() != Use::Gone) && Instant::now() < deadline {
            Timer::after(Duration::from_millis(2)).await;
        }
    }
}
