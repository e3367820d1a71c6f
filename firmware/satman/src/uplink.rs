//! The uplink: its state, and what comes from upstream.

use core::fmt;

use corelog_board::drtio::{uplink as registers, Link};
use corelog_board::rtio;
use corelog_device::aux::{self, Frame};
use corelog_device::record::{error, info};
use corelog_device::{config, ports, routing, time_axis};
use corelog_proto::aux::{self as packets, Packet, Route};
use embassy_time::{Duration, Timer};

use crate::stream::{self, Said};
use crate::{calls, forward};

/// How often the state is looked at. A neighbour waits 100 ms for the acknowledgement of a time.
const LOOK: Duration = Duration::from_millis(20);

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
                if !time_axis::is_synchronised() {
                    info!("TSC loaded from uplink");
                }
                time_axis::set_synchronised(true);
            }
            tell_write_errors();
            Timer::after(LOOK).await;
        }
        info!("uplink is down");
        time_axis::set_synchronised(false);
        routing::clear();
        calls::forget();
        // The other end shall see the link go down, too, and begin anew.
        link.enable(false);
        Timer::after(ports::SILENCE).await;
    }
}

/// Tells of writes from upstream that were not done. The core device lets that not happen, unless something is wrong.
fn tell_write_errors() {
    let Some(errors) = registers::take_write_errors() else { return };
    let (timestamp, slack) = (errors.timestamp, errors.slack);
    let counter = timestamp.wrapping_sub(slack as u64);
    let kinds = [(errors.underflow, "underflow"), (errors.overflow, "overflow"), (errors.unreachable, "unreachable")];
    for (_, kind) in kinds.into_iter().filter(|(set, _)| *set) {
        channel_name(errors.channel, |channel| {
            error!("write {kind}, channel={channel}, timestamp={timestamp}, counter={counter}, slack={slack}");
        });
    }
}

/// Lets `f` see number and name of a channel with its destination: `0x0002:ttl2` if it is one of this board's.
fn channel_name(channel: u32, f: impl FnOnce(fmt::Arguments)) {
    match routing::hop((channel >> 16) as u8) {
        0 => config::channel_name(channel & 0xffff, |name| f(format_args!("{:#06x}:{name}", channel & 0xffff))),
        _ => f(format_args!("{channel:#08x}")),
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
        Some(Packet::LogOpen { destination, session, cursor }) => {
            stream::say(Said::Open { destination, session, cursor });
        }
        Some(Packet::LogAck { destination, session, offset }) => {
            stream::say(Said::Ack { destination, session, offset });
        }
        _ => aux::unexpected(Link::Uplink),
    }
}
