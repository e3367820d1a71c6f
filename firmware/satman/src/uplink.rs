//! The uplink: its state, and what comes from upstream.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use corelog_board::drtio::{uplink as registers, Link};
use corelog_board::rtio;
use corelog_device::aux::{self, Frame};
use corelog_device::record::{error, info};
use corelog_device::{config, routing};
use corelog_proto::aux::{self as packets, Packet, Route};
use embassy_time::{Duration, Timer};

use crate::{calls, forward};

/// How often the state is looked at. A neighbour waits 100 ms for the acknowledgement of a time.
const LOOK: Duration = Duration::from_millis(20);
/// How long nothing is sent after the uplink was down, so that the other end sees it go down, too, and begins anew.
const SILENCE: Duration = Duration::from_millis(20);

/// Whether this board's RTIO counter is the core device's.
static SYNCHRONISED: AtomicBool = AtomicBool::new(false);

pub fn synchronised() -> bool {
    SYNCHRONISED.load(Relaxed)
}

/// Follows the state of the uplink for ever.
#[embassy_executor::task]
pub async fn run() -> ! {
    let link = Link::Uplink;
    loop {
        link.enable(true);
        while !link.rx_up() {
            Timer::after(LOOK).await;
        }
        link.take_dropped();
        registers::take_time_loaded();
        info!("uplink is up");
        while link.rx_up() && !link.take_dropped() {
            if registers::take_time_loaded() {
                aux::send(link, &Frame::of(&Packet::TscAck)).await;
                if !SYNCHRONISED.load(Relaxed) {
                    info!("TSC loaded from uplink");
                }
                SYNCHRONISED.store(true, Relaxed);
            }
            tell_write_errors();
            Timer::after(LOOK).await;
        }
        info!("uplink is down");
        SYNCHRONISED.store(false, Relaxed);
        routing::clear();
        calls::forget();
        link.enable(false);
        Timer::after(SILENCE).await;
    }
}

/// Writes from upstream that came too late or found no room: the core device lets neither happen, unless something is
/// wrong.
fn tell_write_errors() {
    if let Some(late) = registers::take_write_underflow() {
        let (timestamp, slack) = (late.timestamp, late.slack);
        let counter = timestamp.wrapping_sub(slack as u64);
        let channel = late.channel & 0xffff;
        config::channel_name(channel, |name| {
            error!("write underflow, channel={channel:#06x}:{name}, timestamp={timestamp}, counter={counter}, slack={slack}");
        });
    }
    if let Some(channel) = registers::take_write_overflow() {
        let channel = channel & 0xffff;
        config::channel_name(channel, |name| error!("write overflow, channel={channel:#06x}:{name}"));
    }
}

/// Receives what comes from upstream for ever.
#[embassy_executor::task]
pub async fn receive() -> ! {
    let mut frame = Frame::new();
    loop {
        aux::receive(Link::Uplink, &mut frame).await;
        match packets::route(frame.bytes()) {
            Some(Route::Destination(destination)) => match routing::hop(destination) {
                0 => ours(&frame).await,
                hop => forward::downstream(hop, &frame).await,
            },
            Some(Route::Neighbour) => neighbour(&frame).await,
            Some(Route::Upstream(_)) | None => aux::unexpected(Link::Uplink),
        }
    }
}

async fn neighbour(frame: &Frame) {
    let answer = match frame.packet() {
        Some(Packet::EchoRequest) => Packet::EchoReply,
        Some(Packet::ResetRequest) => {
            reset_rtio();
            Packet::ResetAck
        }
        Some(Packet::RoutingSetPath { destination, hops }) => {
            routing::set_path(destination, hops);
            Packet::RoutingAck
        }
        Some(Packet::RoutingSetRank { rank }) => {
            if routing::rank() != Some(rank) {
                info!("rank: {rank}");
                info!("routing table: {}", routing::Paths);
            }
            routing::set_rank(Some(rank));
            Packet::RoutingAck
        }
        _ => return aux::unexpected(Link::Uplink),
    };
    aux::send(Link::Uplink, &Frame::of(&answer)).await;
}

/// Resets this board's RTIO core.
pub fn reset_rtio() {
    info!("resetting RTIO");
    rtio::reset();
    rtio::reset_phy();
}

async fn ours(frame: &Frame) {
    match frame.packet() {
        Some(Packet::Call { destination, number, packet }) => calls::called(destination, number, packet).await,
        _ => aux::unexpected(Link::Uplink),
    }
}
