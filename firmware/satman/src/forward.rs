//! Frames that go on through this board.
//!
//! Each neighbour, and each service of this board, has at most one frame waiting for a link, and links take them in
//! turn: who floods waits for himself.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use corelog_board::drtio::Link;
use corelog_device::aux::{self, Frame};
use corelog_device::{ports, routing};
use corelog_proto::aux::Packet;

/// Frames passed on upstream, modulo 2^32.
static FRAMES: AtomicU32 = AtomicU32::new(0);

pub fn frames() -> u32 {
    FRAMES.load(Relaxed)
}

/// Passes a frame of a downstream neighbour on to the core device.
pub async fn upstream(_port: usize, frame: &Frame) {
    aux::send(Link::Uplink, frame).await;
    FRAMES.store(frames().wrapping_add(1), Relaxed);
}

/// Passes a frame from upstream on to the board behind the port of `hop`. If that is not possible, a call is answered
/// in that board's place.
pub async fn downstream(hop: u8, frame: &Frame) {
    let port = usize::from(hop).wrapping_sub(1);
    if hop != routing::NOWHERE && ports::is_up(port) {
        aux::send(Link::Port(port), frame).await;
    } else if let Some(Packet::Call { destination, number, .. }) = frame.packet() {
        let answer = Packet::Unreachable { destination, number, rank: routing::rank().unwrap_or(0) };
        aux::send(Link::Uplink, &Frame::of(&answer)).await;
    }
}

/// Tells the core device at once which destinations are lost when a port goes down; it would find out by itself, later.
#[embassy_executor::task]
pub async fn watch_ports() -> ! {
    let mut changes = ports::watch();
    let mut before = ports::up();
    loop {
        let up = changes.changed().await;
        let lost = core::mem::replace(&mut before, up) & !up;
        for port in (0..u32::BITS).filter(|port| lost >> port & 1 != 0) {
            let rank = routing::rank().unwrap_or(0);
            for destination in routing::by_hop(port as u8 + 1) {
                let packet = Packet::Unreachable { destination, number: 0, rank };
                aux::send(Link::Uplink, &Frame::of(&packet)).await;
            }
        }
    }
}
