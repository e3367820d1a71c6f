//! Downstream ports: bringing links up, and telling who wants to know.
//!
//! A port whose link came up pings the board behind it, gives it the time, the paths that lead through it and its rank.
//! Every step is asked for again when no answer comes, as frames can be lost; the link is up when all were answered.

use core::cell::Cell;

use corelog_board::drtio::{port as registers, Link, PORTS};
use corelog_board::rtio;
use corelog_proto::aux::{self as packets, Packet, Route};
use critical_section::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use embassy_sync::watch::{Receiver, Watch};
use embassy_time::{with_timeout, Duration, Instant, Timer};

use crate::aux::{self, Frame};
use crate::program::PORT;
use crate::record::{error, info};
use crate::routing;

/// How often a port looks whether its link is up.
const LOOK: Duration = Duration::from_millis(50);
/// Longest wait for a neighbour's answer to one frame.
const ANSWER: Duration = Duration::from_millis(100);
const PINGS: u32 = 100;
/// Times that a path and other settings are sent before the link is given up.
const TRIES: u32 = 30;
/// Echo measurements, of which the shortest counts, and how often one is tried that got no answer.
const ECHOES: u32 = 8;
const ECHO_TRIES: u32 = 20;
/// Longest time for a neighbour to load the time.
const SYNC: Duration = Duration::from_secs(10);
/// How long nothing is sent for the other end to see the link go down.
pub const SILENCE: Duration = Duration::from_millis(20);
/// Pause before a link that could not be brought up is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Most tasks that watch the ports.
const WATCHERS: usize = 4;

/// The ports that are up, one bit each.
static UP: Watch<CriticalSectionRawMutex, u32, WATCHERS> = Watch::new();
static SINCE: Mutex<Cell<[Instant; PORTS]>> = Mutex::new(Cell::new([Instant::MIN; PORTS]));

/// What the neighbour said last, of what is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Echo,
    Reset,
    TimeLoaded,
    Routing,
}

static ANSWERS: [Signal<CriticalSectionRawMutex, Answer>; PORTS] = [const { Signal::new() }; PORTS];

/// Which ports are up, bit n for port n.
pub fn up() -> u32 {
    UP.try_get().unwrap_or(0)
}

/// Whether the link of `port` is up: its board has time, paths and rank.
pub fn is_up(port: usize) -> bool {
    up().checked_shr(port as u32).is_some_and(|bits| bits & 1 != 0)
}

/// Since when the port is as it is.
pub fn since(port: usize) -> Instant {
    critical_section::with(|cs| SINCE.borrow(cs).get()).get(port).copied().unwrap_or(Instant::MIN)
}

/// For a task that waits for changes of [`up`].
///
/// # Panics
/// If there are too many: watchers are taken at start.
pub fn watch() -> Receiver<'static, CriticalSectionRawMutex, u32, WATCHERS> {
    UP.receiver().unwrap_or_else(|| panic!("no room for another watcher of the ports"))
}

fn set_up(port: usize, value: bool) {
    let bit = 1 << port;
    let now = if value { up() | bit } else { up() & !bit };
    critical_section::with(|cs| {
        let mut since = SINCE.borrow(cs).get();
        since[port] = Instant::now();
        SINCE.borrow(cs).set(since);
    });
    UP.sender().send(now);
}

/// Receives the frames of `port` for ever. Those that go on upstream are for `upstream`; while it is busy no others are
/// received, so that a neighbour that floods has to wait.
pub async fn receive(port: usize, mut upstream: impl AsyncFnMut(usize, &Frame)) -> ! {
    let link = Link::Port(port);
    let mut frame = Frame::new();
    loop {
        aux::receive(link, &mut frame).await;
        match packets::route(frame.bytes()) {
            Some(Route::Upstream(_)) => upstream(port, &frame).await,
            Some(Route::Neighbour) => match frame.packet() {
                Some(Packet::EchoRequest) => drop(aux::send(link, &Frame::of(&Packet::EchoReply)).await),
                Some(Packet::EchoReply) => ANSWERS[port].signal(Answer::Echo),
                Some(Packet::ResetAck) => ANSWERS[port].signal(Answer::Reset),
                Some(Packet::TscAck) => ANSWERS[port].signal(Answer::TimeLoaded),
                Some(Packet::RoutingAck) => ANSWERS[port].signal(Answer::Routing),
                _ => aux::unexpected(link),
            },
            Some(Route::Destination(_)) | None => aux::unexpected(link),
        }
    }
}

/// Sends `packet` until the neighbour gives the `answer`; false if it does not, `tries` times.
async fn ask(port: usize, packet: &Packet<'_>, answer: Answer, tries: u32) -> Option<u32> {
    let frame = Frame::of(packet);
    ANSWERS[port].reset();
    for attempt in 1..=tries {
        if !Link::Port(port).rx_up() {
            return None;
        }
        aux::send(Link::Port(port), &frame).await;
        if with_timeout(ANSWER, answered(port, answer)).await.is_ok() {
            if attempt > 1 {
                // The answer to an earlier try may still come: it must not pass for one to what is sent next.
                Timer::after(ANSWER).await;
            }
            return Some(attempt);
        }
    }
    None
}

async fn answered(port: usize, answer: Answer) {
    while ANSWERS[port].wait().await != answer {}
}

/// Why a link could not be brought up.
enum Failure {
    Ping,
    Time(&'static str),
    Routing,
    Rank,
    /// The link went down meanwhile.
    Lost,
}

/// Keeps the link of `port` up for ever.
pub async fn run(port: usize) -> ! {
    let link = Link::Port(port);
    link.enable(true);
    loop {
        // A satellite has time and paths to give, and a rank, once its own uplink is up.
        while !link.rx_up() || routing::rank().is_none() {
            Timer::after(LOOK).await;
        }
        link.take_dropped();
        let routes = routing::changes();
        info!("[{PORT}#{port}] link RX became up, pinging");
        match bring_up(port).await {
            Ok(()) => {
                info!("[{PORT}#{port}] link initialization completed");
                set_up(port, true);
                while link.rx_up() && !link.take_dropped() && routing::changes() == routes {
                    Timer::after(LOOK).await;
                }
                set_up(port, false);
                registers::reset(port);
                if routing::changes() == routes {
                    info!("[{PORT}#{port}] link is down");
                } else {
                    // The board behind has to forget, too.
                    info!("[{PORT}#{port}] the way here changed, link starts anew");
                    link.enable(false);
                    Timer::after(SILENCE).await;
                    link.enable(true);
                }
                continue;
            }
            Err(Failure::Ping) => error!("[{PORT}#{port}] ping failed"),
            Err(Failure::Time(why)) => error!("[{PORT}#{port}] failed to sync TSC ({why})"),
            Err(Failure::Routing) => error!("[{PORT}#{port}] failed to load routing table"),
            Err(Failure::Rank) => error!("[{PORT}#{port}] failed to set rank"),
            Err(Failure::Lost) => {
                info!("[{PORT}#{port}] link is down");
                continue;
            }
        }
        Timer::after(AGAIN).await;
    }
}

async fn bring_up(port: usize) -> Result<(), Failure> {
    let link = Link::Port(port);
    let failed = |failure| if link.rx_up() { failure } else { Failure::Lost };
    let pings = ask(port, &Packet::EchoRequest, Answer::Echo, PINGS).await.ok_or_else(|| failed(Failure::Ping))?;
    info!("[{PORT}#{port}] remote replied after {pings} packets");
    set_time(port).await.map_err(|why| failed(Failure::Time(why)))?;
    let rank = routing::rank().ok_or(Failure::Rank)?;
    for destination in routing::by_hop(port as u8 + 1) {
        let path = Packet::RoutingSetPath { destination, hops: &routing::path(destination) };
        ask(port, &path, Answer::Routing, TRIES).await.ok_or_else(|| failed(Failure::Routing))?;
    }
    let rank = Packet::RoutingSetRank { rank: rank.saturating_add(1) };
    ask(port, &rank, Answer::Routing, TRIES).await.ok_or_else(|| failed(Failure::Rank))?;
    match link.take_dropped() {
        true => Err(Failure::Lost),
        false => Ok(()),
    }
}

/// Measures how far the neighbour is and gives it the time.
async fn set_time(port: usize) -> Result<(), &'static str> {
    let mut shortest = None;
    for _ in 0..ECHOES {
        let echo = echo(port).await.ok_or("no echo")?;
        shortest = shortest.into_iter().chain([echo]).min();
    }
    let echo = shortest.ok_or("no echo")?;
    registers::set_underflow_margin(port, underflow_margin(port, echo));
    let deadline = Instant::now() + SYNC;
    while Instant::now() < deadline && Link::Port(port).rx_up() {
        ANSWERS[port].reset();
        registers::set_time(port, echo);
        if with_timeout(ANSWER, answered(port, Answer::TimeLoaded)).await.is_ok() {
            return Ok(());
        }
    }
    Err("timeout")
}

/// How much time an event needs, in machine units, to the farthest destination behind `port` if every link on the way
/// takes as long as this one.
fn underflow_margin(port: usize, echo: u32) -> u32 {
    // In coarse cycles: a packet, and one before it, at each board on the way; submitting, and the lanes' own margin.
    const PASS_ON: u32 = 48;
    const SUBMIT: u32 = 64;
    let rank = routing::rank().map_or(0, usize::from);
    let is_link = |hop: &&u8| !matches!(**hop, 0 | routing::NOWHERE);
    let links = |destination| routing::path(destination).iter().skip(rank).take_while(is_link).count();
    let farthest = routing::by_hop(port as u8 + 1).map(links).max().unwrap_or(1) as u32;
    (farthest * (echo / 2 + PASS_ON) + SUBMIT) * rtio::MU_PER_COARSE
}

/// How many cycles an echo takes; `None` if no answer came.
async fn echo(port: usize) -> Option<u32> {
    for _ in 0..ECHO_TRIES {
        registers::start_echo(port);
        // 4095 cycles at most: some hundred polls are more than that.
        for _ in 0..1000 {
            match registers::echo_cycles(port) {
                None => embassy_futures::yield_now().await,
                Some(0) => break,
                Some(cycles) => return Some(cycles),
            }
        }
    }
    None
}

/// Resets the RTIO cores behind `port`; false if its board does not say that it did.
pub async fn reset_rtio(port: usize) -> bool {
    registers::reset(port);
    is_up(port) && ask(port, &Packet::ResetRequest, Answer::Reset, TRIES).await.is_some()
}
