//! Management socket, TCP 1380: connections, handshake, requests one after the other. What requests do: `requests.rs`.

use core::cell::Cell;
use core::convert::Infallible;
use core::fmt::{self, Display};

use corelog_board::{memory, storage};
use corelog_device::flash::LONGEST;
use corelog_device::logger::ReaderId;
use corelog_device::record::warn;
use corelog_proto::mgmt::{self, Limits};
use corelog_proto::Parsed;
use critical_section::Mutex;
use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_time::{Duration, Instant};

use crate::requests;
use crate::tcp::{Buffers, Connection, End, Pool, PATIENCE};

const PORT: u16 = 1380;
/// Eight clients, one whose turn to leave has come, and two sockets that listen.
pub const SOCKETS: usize = ReaderId::CLIENTS;
const BUFFERS: Buffers = Buffers { rx: 2048, tx: 8192 };

/// Limits of announced lengths: what the configuration store, and a flash memory, can hold.
const LIMITS: Limits = Limits { value: storage::SIZE as u32, image: LONGEST as u32 };

/// Bytes of a client's room for answers: any frame, any line of text.
const WORK: usize = 8192;

pub fn start(spawner: Spawner, stack: Stack<'static>, pool: Pool) {
    for index in 0..SOCKETS {
        spawner.spawn(corelog_device::expect_task(slot(pool, stack, index)));
    }
}

#[embassy_executor::task(pool_size = SOCKETS)]
async fn slot(pool: Pool, stack: Stack<'static>, index: usize) -> ! {
    let mut client = Client {
        received: memory::take(mgmt::MAX_REQUEST),
        have: 0,
        work: memory::take(WORK),
        reader: ReaderId::client(index),
        destination: 0,
    };
    let serve = async |connection: &mut Connection| match client.serve(connection).await {
        Ok(never) => match never {},
        Err(end) => end,
    };
    pool.run(stack, index, PORT, BUFFERS, serve, |reason| aborted(module_path!(), format_args!("{reason}"))).await
}

/// What a connected client occupies besides its socket.
pub struct Client {
    /// The request being received, its first `have` bytes.
    received: &'static mut [u8],
    have: usize,
    /// Room for answers, and for what follows a request.
    pub work: &'static mut [u8],
    pub reader: ReaderId,
    pub destination: u8,
}

impl Client {
    async fn serve(&mut self, connection: &mut Connection) -> Result<Infallible, End> {
        self.handshake(connection).await?;
        let mut begun = None;
        loop {
            self.received[0] = match begun {
                Some(byte) => byte,
                None => {
                    connection.waiting();
                    connection.read_first().await?
                }
            };
            connection.busy();
            begun = self.request(connection).await?;
        }
    }

    async fn handshake(&mut self, connection: &mut Connection) -> Result<(), End> {
        let deadline = Instant::now() + PATIENCE;
        self.have = 0;
        loop {
            match mgmt::handshake(&self.received[..self.have]) {
                Ok(Parsed::Item(destination, _)) => {
                    self.destination = destination;
                    return connection.write_all(&[mgmt::ENDIANNESS]).await;
                }
                Ok(Parsed::Needs(needed)) => match self.receive(connection, needed, deadline).await {
                    // Who only knocks and leaves is no news.
                    Err(_) if self.have == 0 && !connection.socket.may_recv() => return Err(End::Closed),
                    received => received?,
                },
                Err(error) => return Err(abort(error)),
            }
        }
    }

    /// Receives more, but not beyond `needed` bytes in all.
    async fn receive(&mut self, connection: &mut Connection, needed: usize, deadline: Instant) -> Result<(), End> {
        let Some(room) = self.received.get_mut(self.have..needed) else {
            return Err(End::Aborted("request is longer than any can be"));
        };
        self.have += connection.read_some(room, deadline).await?;
        Ok(())
    }

    /// Receives the rest of the request that has begun, and does it. If it was a stream, the next request may have
    /// begun: its code.
    async fn request(&mut self, connection: &mut Connection) -> Result<Option<u8>, End> {
        self.have = 1;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match mgmt::request(&self.received[..self.have], &LIMITS) {
                Ok(Parsed::Item(..)) => break,
                Ok(Parsed::Needs(needed)) => self.receive(connection, needed, deadline).await?,
                Err(error) => {
                    connection.write_all(&[mgmt::ERROR]).await?;
                    return Err(abort(error));
                }
            }
        }
        let Ok(Parsed::Item(request, _)) = mgmt::request(&self.received[..self.have], &LIMITS) else {
            return Ok(None); // not reached: it was parsed above
        };
        requests::perform(connection, request, self.work, self.reader, self.destination).await
    }
}

/// Logs why a connection ends.
fn abort(reason: impl Display) -> End {
    aborted(module_path!(), format_args!("{reason}"));
    End::Closed
}

/// Writes `aborted: <reason>`, at most ten times a second: a hostile client shall not push records of others out of the
/// log. What is left out is counted and told.
pub fn aborted(target: &str, reason: fmt::Arguments) {
    static WINDOW: Mutex<Cell<(Instant, u32)>> = Mutex::new(Cell::new((Instant::MIN, 0)));
    const PER_WINDOW: u32 = 10;
    let now = Instant::now();
    let (start, count) = critical_section::with(|cs| WINDOW.borrow(cs).get());
    let (start, count) = if now.saturating_duration_since(start) >= Duration::from_secs(1) {
        if count > PER_WINDOW {
            warn!("{} more connections aborted, not told one by one", count - PER_WINDOW);
        }
        (now, 1)
    } else {
        (start, count + 1)
    };
    critical_section::with(|cs| WINDOW.borrow(cs).set((start, count)));
    if count <= PER_WINDOW {
        warn!(target: target, "aborted: {reason}");
    }
}
