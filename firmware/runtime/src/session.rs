//! Session port, TCP 1381: programs of RTIO operations are received whole, checked, and played one at a time.

use core::convert::Infallible;
use core::fmt::{Display, Write};

use corelog_board::{memory, rtio};
use corelog_device::record::warn;
use corelog_proto::session::{self, Check, Done, Hello, Request};
use corelog_proto::Parsed;
use embassy_executor::Spawner;
use embassy_futures::yield_now;
use embassy_net::Stack;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::mutex::Mutex;
use embassy_time::{with_timeout, Duration, Instant};

use crate::mgmt::aborted;
use crate::player::{Outcome, Player, Reason};
use crate::tcp::{Buffers, Connection, End, Pool, PATIENCE};

const PORT: u16 = 1381;
/// Two clients, one whose turn to leave has come, and two sockets that listen.
pub const SOCKETS: usize = 5;
const BUFFERS: Buffers = Buffers { rx: 8192, tx: 4096 };
/// Bytes of the longest program, and numbers of the longest result.
const LONGEST: usize = 256 * 1024;
const RESULTS: usize = 8192;
/// Operations checked before other tasks have their turn.
const CHECKED_AT_A_TIME: u32 = 64;
/// Longest wait for the program of another client to end.
const TURN: Duration = Duration::from_secs(10);
/// Input and Count may wait this long.
const LONGEST_WAIT_SECONDS: u64 = 60;
/// The same in machine units.
pub const LONGEST_WAIT: i64 = (LONGEST_WAIT_SECONDS * 1_000_000_000_000_000 / rtio::MU_FS) as i64;

/// The one who plays; the cursor is his.
static PLAYER: Mutex<CriticalSectionRawMutex, Player> = Mutex::new(Player::new());

pub fn start(spawner: Spawner, stack: Stack<'static>, pool: Pool) {
    for index in 0..SOCKETS {
        spawner.spawn(corelog_device::expect_task(slot(pool, stack, index)));
    }
}

#[embassy_executor::task(pool_size = SOCKETS)]
async fn slot(pool: Pool, stack: Stack<'static>, index: usize) -> ! {
    let mut client = Client { program: memory::take(LONGEST), results: memory::take(8 * RESULTS) };
    let serve = async |connection: &mut Connection| match client.serve(connection).await {
        Ok(never) => match never {},
        Err(end) => end,
    };
    pool.run(stack, index, PORT, BUFFERS, serve, |reason| aborted(module_path!(), format_args!("{reason}"))).await
}

struct Client {
    program: &'static mut [u8],
    /// u64 each, as they are sent.
    results: &'static mut [u8],
}

impl Client {
    async fn serve(&mut self, connection: &mut Connection) -> Result<Infallible, End> {
        handshake(connection).await?;
        loop {
            match request(connection).await? {
                Request::Hello => {
                    let hello = Hello {
                        mu_per_coarse: rtio::MU_PER_COARSE,
                        machine_unit_fs: rtio::MU_FS,
                        channels: rtio::CHANNELS,
                        longest_program: LONGEST as u32,
                        counter: rtio::counter(),
                    };
                    connection.write_all(&hello.encode()).await?;
                }
                Request::Run { length } => self.run(connection, length as usize).await?,
            }
        }
    }

    async fn run(&mut self, connection: &mut Connection, length: usize) -> Result<(), End> {
        let Some(code) = self.program.get_mut(..length) else {
            return Err(End::Aborted("program does not fit")); // not reached: the length was checked
        };
        connection.read_exact(code).await?;
        let mut check = Check::new(code, LONGEST_WAIT, RESULTS as u32);
        let program = loop {
            match check.step(CHECKED_AT_A_TIME) {
                Ok(Some(program)) => break program,
                Ok(None) => yield_now().await,
                Err(error) => return refuse(connection, error).await,
            }
        };
        let Ok(mut player) = with_timeout(TURN, PLAYER.lock()).await else {
            return refuse(connection, "another client's program is still being played").await;
        };
        let results = program.results() as usize;
        match player.play(program, self.results, connection).await {
            Outcome::Done { cursor, async_errors } => {
                let done = Done { cursor, counter: rtio::counter(), async_errors, results: results as u32 };
                connection.write_all(&done.encode()).await?;
                connection.write_all(&self.results[..8 * results]).await
            }
            Outcome::Exception(exception) => connection.write_all(&exception.encode()).await,
            Outcome::Refused { index, reason } => refuse(connection, format_args!("operation {index}: {reason}")).await,
            Outcome::Abandoned => Err(End::Aborted("client left while its program was being played")),
        }
    }
}

async fn handshake(connection: &mut Connection) -> Result<(), End> {
    let mut received = [0; session::MAGIC.len()];
    let (mut have, deadline) = (0, Instant::now() + PATIENCE);
    loop {
        match session::handshake(&received[..have]) {
            Ok(Parsed::Item(..)) => return connection.write_all(&[session::ENDIANNESS]).await,
            Ok(Parsed::Needs(needed)) => {
                let Some(room) = received.get_mut(have..needed) else { return Err(End::Closed) };
                have += match connection.read_some(room, deadline).await {
                    // Who only knocks and leaves is no news.
                    Err(_) if have == 0 && !connection.socket.may_recv() => return Err(End::Closed),
                    received => received?,
                };
            }
            Err(error) => return Err(abort(error)),
        }
    }
}

async fn request(connection: &mut Connection) -> Result<Request, End> {
    let mut received = [0; session::HEADER_BYTES];
    connection.waiting();
    received[0] = connection.read_first().await?;
    connection.busy();
    connection.read_exact(&mut received[1..]).await?;
    match session::request(&received, LONGEST as u32) {
        Ok(Parsed::Item(request, _)) => Ok(request),
        Ok(Parsed::Needs(_)) => Err(End::Closed), // not reached: a header is all that is needed
        Err(error) => {
            answer_error(connection, &reason(error)).await?;
            Err(abort(error))
        }
    }
}

fn abort(reason: impl Display) -> End {
    aborted(module_path!(), format_args!("{reason}"));
    End::Closed
}

fn reason(reason: impl Display) -> Reason {
    let mut text = Reason::default();
    // One that is too long is cut.
    let _ = write!(text, "{reason}");
    text
}

/// Refuses a program, and says why to the client and in the log.
async fn refuse(connection: &mut Connection, why: impl Display) -> Result<(), End> {
    let why = reason(why);
    warn!("program refused: {}", why.as_str());
    answer_error(connection, &why).await
}

async fn answer_error(connection: &mut Connection, why: &Reason) -> Result<(), End> {
    connection.write_all(&session::error(why.as_str().len() as u32)).await?;
    connection.write_all(why.as_str().as_bytes()).await
}
