//! DRTIO: the satellites below the core device.
//!
//! A core device without ports has none of this: [`PORTS`] is 0, nothing is started, no destination is ever found.

pub mod call;
pub mod log;
pub mod remote;
mod survey;
mod talk;
mod transfer;

use core::cell::Cell;

use call::Calls;
use corelog_board::drtio::{self, Link, PORTS};
use corelog_device::aux::{self, Frame};
use corelog_device::record::{info, warn};
use corelog_device::{config, expect_task, link_errors, ports, routing, time_axis};
use corelog_proto::aux::Packet;
use critical_section::Mutex;
use embassy_executor::Spawner;
use embassy_futures::join::join_array;
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use heapless::Vec;
use static_cell::StaticCell;
use survey::Survey;
use talk::Turn;

/// Whether there are ports.
pub const PRESENT: bool = PORTS != 0;
/// Most destinations that are served.
pub const MOST: usize = if PORTS == 0 { 0 } else { 16 };
/// Room for tasks: at least for one, as Embassy wants it.
const PORT_TASKS: usize = if PORTS == 0 { 1 } else { PORTS };
const DESTINATION_TASKS: usize = if MOST == 0 { 1 } else { MOST };

/// Frames of a port that are taken before other tasks have their turn, however many there are: few enough that this
/// board's own work goes on, and enough that a satellite gets its acknowledgements before it sends again.
const FRAMES: u32 = 4;

const ROUTING_TABLE: &str = "routing_table";
const ROUTING_TABLE_BYTES: usize = 8192;

/// What the core device knows of a destination below one of its ports.
pub struct Destination {
    pub number: u8,
    pub port: usize,
    /// Its place among those that are served, and of its log in [`log::relays`].
    pub index: usize,
    pub calls: Calls,
    turn: Turn,
    survey: Survey,
    /// There may be something to be sent because of its log.
    log_event: Signal<CriticalSectionRawMutex, ()>,
}

/// The destinations that have a route, the first [`MOST`] of them.
static TREE: Mutex<Cell<&'static [Destination]>> = Mutex::new(Cell::new(&[]));

/// All destinations below the ports that are served.
pub fn destinations() -> impl Iterator<Item = &'static Destination> {
    let tree = critical_section::with(|cs| TREE.borrow(cs).get());
    tree.iter()
}

/// The destination of this number.
pub fn find(number: u8) -> Option<&'static Destination> {
    destinations().find(|destination| destination.number == number)
}

/// Brings up the links, if there are ports, and serves the destinations behind them.
pub fn start(spawner: Spawner) {
    if !PRESENT {
        return;
    }
    load_routing_table();
    let below = || (1..=u8::MAX).filter(|&number| (1..=PORTS as u8).contains(&routing::hop(number)));
    for number in below().skip(MOST) {
        warn!("[DEST#{number}] not served: the routing table has more than {MOST} destinations");
    }
    static DESTINATIONS: StaticCell<Vec<Destination, MOST>> = StaticCell::new();
    let tree = DESTINATIONS.init_with(Vec::new);
    for number in below().take(MOST) {
        log::add(number);
        // There is room for so many.
        let _ = tree.push(Destination::new(number, tree.len()));
    }
    critical_section::with(|cs| TREE.borrow(cs).set(tree));

    time_axis::set_synchronised(true);
    info!("[DEST#0] destination is up");
    for destination in destinations() {
        spawner.spawn(expect_task(survey::run(destination)));
        spawner.spawn(expect_task(log::run(destination)));
    }
    spawner.spawn(expect_task(survey::watch_ports()));
    spawner.spawn(expect_task(link_errors::watch()));
    (0..PORTS).for_each(|port| {
        spawner.spawn(expect_task(receive(port)));
        spawner.spawn(expect_task(run_port(port)));
    });
}

/// Takes the configuration's table, or a star. No destination can be reached before it is up.
fn load_routing_table() {
    config::read(ROUTING_TABLE, |value| {
        let right = value.filter(|value| value.len() == ROUTING_TABLE_BYTES);
        if let (Some(value), None) = (value, right) {
            let length = value.len();
            warn!(
                "configuration key {ROUTING_TABLE} has {length} bytes instead of {ROUTING_TABLE_BYTES}: using a star"
            );
        }
        routing::load(right);
    });
    for number in 1..=u8::MAX {
        drtio::set_hop(number, routing::NOWHERE);
    }
    info!("routing table: {}", routing::Paths);
}

impl Destination {
    fn new(number: u8, index: usize) -> Destination {
        let port = usize::from(routing::hop(number)).saturating_sub(1);
        Destination {
            number,
            port,
            index,
            calls: Calls::new(number, port),
            turn: Turn::new(1),
            survey: Survey::new(),
            log_event: Signal::new(),
        }
    }

    pub fn is_up(&self) -> bool {
        self.survey.is_up()
    }

    /// Something is wrong with it: it is asked at once how it is.
    pub fn doubt(&self) {
        self.survey.doubt();
    }
}

#[embassy_executor::task(pool_size = PORT_TASKS)]
async fn run_port(port: usize) -> ! {
    ports::run(port).await
}

#[embassy_executor::task(pool_size = PORT_TASKS)]
async fn receive(port: usize) -> ! {
    let mut taken = 0u32;
    let take = async |port: usize, frame: &Frame| {
        if take(port, frame).is_none() {
            aux::unexpected(Link::Port(port));
        }
        taken = taken.wrapping_add(1);
        if taken.is_multiple_of(FRAMES) {
            yield_now().await;
        }
    };
    ports::receive(port, take).await
}

/// Takes a frame from below; `None` if it makes no sense here.
fn take(port: usize, frame: &Frame) -> Option<()> {
    let from = |number| find(number).filter(|destination| destination.port == port);
    match frame.packet()? {
        Packet::CallReply { destination, number, packet } => from(destination)?.calls.reply(number, packet),
        Packet::Unreachable { destination, number, .. } => {
            let destination = from(destination)?;
            destination.calls.unreachable(number);
            if destination.is_up() {
                destination.doubt();
            }
        }
        Packet::LogData { destination, session, offset, bytes } => {
            from(destination)?.take_log(session, offset, bytes);
        }
        Packet::LogUnknown { destination, session } => from(destination)?.log_unknown(session),
        _ => return None,
    }
    Some(())
}

/// The names of channels may have changed.
pub fn renamed() {
    destinations().for_each(|destination| destination.survey.renamed());
}

/// Resets the RTIO cores of all destinations that are up. What fails is told in the log.
pub async fn reset_rtio() {
    if !PRESENT {
        return;
    }
    (0..PORTS).for_each(drtio::port::reset);
    let mut all = destinations();
    let resets: [_; MOST] = core::array::from_fn(|_| survey::reset_rtio(all.next()));
    join_array(resets).await;
}
