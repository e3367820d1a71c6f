//! Ethernet: the MAC as a device of the network stack, and the board's addresses.

use core::task::Context;

use bytemuck::{cast_slice, cast_slice_mut};
use corelog_board::ethernet::{self, Receiver, Transmitter, SLOT_WORDS};
use corelog_board::kind::{Kind, KIND};
use corelog_board::{identity, memory};
use corelog_config::address::{self, Ip};
use corelog_device::record::{info, warn};
use corelog_device::{chips, config, irq};
use embassy_executor::Spawner;
use embassy_net::{Config, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embassy_net_driver::{Capabilities, Checksum, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_time::{Duration, Timer};
use static_cell::StaticCell;

use crate::{mgmt, session};

/// Of a board that was made without one.
const DEFAULT_MAC: [u8; 6] = match KIND {
    Kind::Kc705 => [0x02, 0x00, 0x00, 0x00, 0x00, 0x01],
    _ => [0x02, 0x00, 0x00, 0x00, 0x00, 0x21],
};
const DEFAULT_IP: &str = "10.0.2.15/24";
const DEFAULT_GATEWAY: &str = "10.0.2.2";
/// How often dropped frames are looked at.
const DROPS_EVERY: Duration = Duration::from_secs(1);
/// Sockets: those of the services and DHCP's.
const SOCKETS: usize = mgmt::SOCKETS + session::SOCKETS + 1;

/// Starts the network; gives the stack that services take their sockets from.
pub fn start(spawner: Spawner) -> Stack<'static> {
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let configured = config::read("mac", |value| value.and_then(address::mac));
    let mac = configured.or_else(chips::mac).unwrap_or(DEFAULT_MAC);
    let seed = u64::from(identity::entropy()) << 32 | u64::from(identity::entropy());
    let resources = RESOURCES.init(StackResources::new());
    let (stack, runner) = embassy_net::new(Device::new(mac), addresses(), resources, seed);
    spawner.spawn(corelog_device::expect_task(run(runner)));
    spawner.spawn(corelog_device::expect_task(watch_drops()));
    stack
}

#[embassy_executor::task]
async fn run(mut runner: Runner<'static, Device>) -> ! {
    runner.run().await
}

fn addresses() -> Config {
    let configured = config::read("ip", |value| match value {
        Some(value) => address::ip(value).or_else(|| {
            warn!("configuration key ip is neither an IPv4 address nor use_dhcp: using {DEFAULT_IP}");
            None
        }),
        None => None,
    });
    let (address, prefix) = match configured.or_else(|| address::ip(DEFAULT_IP.as_bytes())) {
        Some(Ip::Static(address, prefix)) => (address, prefix.unwrap_or(24)),
        Some(Ip::Dhcp) | None => {
            info!("network address by DHCP");
            return Config::dhcpv4(Default::default());
        }
    };
    let gateway = config::read("ipv4_default_route", |value| value.and_then(address::gateway));
    let network = Ipv4Cidr::new(address, prefix);
    // The default gateway belongs to the default network only.
    let gateway = gateway.or_else(|| DEFAULT_GATEWAY.parse().ok().filter(|gateway| network.contains_addr(gateway)));
    info!("network address {network}");
    Config::ipv4_static(StaticConfigV4 { address: network, gateway, dns_servers: Default::default() })
}

/// The MAC between two copies of frames in cached memory.
struct Device {
    receiver: Receiver,
    transmitter: Transmitter,
    received: &'static mut [u32],
    sent: &'static mut [u32],
    mac: [u8; 6],
}

impl Device {
    fn new(mac: [u8; 6]) -> Device {
        let (receiver, transmitter) = ethernet::take();
        let (received, sent) = (memory::take_words(SLOT_WORDS), memory::take_words(SLOT_WORDS));
        Device { receiver, transmitter, received, sent, mac }
    }

    /// Whether a frame can be sent; if not, the task is woken when one can.
    fn can_send(&mut self) -> bool {
        if self.transmitter.can_send() {
            self.transmitter.acknowledge();
            return true;
        }
        self.transmitter.wake_when_sent();
        self.transmitter.can_send()
    }
}

struct Received<'a> {
    receiver: &'a mut Receiver,
    frame: &'a mut [u32],
}

struct Sent<'a> {
    transmitter: &'a mut Transmitter,
    frame: &'a mut [u32],
}

impl Driver for Device {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, cx: &mut Context) -> Option<(Received<'_>, Sent<'_>)> {
        irq::register(ethernet::INTERRUPT, cx.waker());
        if !self.receiver.waiting() || !self.can_send() {
            return None;
        }
        let received = Received { receiver: &mut self.receiver, frame: self.received };
        Some((received, Sent { transmitter: &mut self.transmitter, frame: self.sent }))
    }

    fn transmit(&mut self, cx: &mut Context) -> Option<Sent<'_>> {
        irq::register(ethernet::INTERRUPT, cx.waker());
        if !self.can_send() {
            return None;
        }
        Some(Sent { transmitter: &mut self.transmitter, frame: self.sent })
    }

    fn link_state(&mut self, _cx: &mut Context) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = 1514;
        // The checksum over what is sent is made in `Sent::consume`, by words.
        capabilities.checksum.tcp = Checksum::Rx;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.mac)
    }
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        let length = self.receiver.receive(self.frame);
        f(&mut cast_slice_mut(self.frame)[..length])
    }
}

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        // The bytes behind the frame in its last word go out as padding of a short frame.
        if let Some(last) = self.frame.get_mut(length / 4) {
            *last = 0;
        }
        let result = f(&mut cast_slice_mut(self.frame)[..length]);
        set_tcp_checksum(self.frame, length);
        self.transmitter.send(self.frame, length);
        result
    }
}

/// Sets the checksum of a TCP segment over IPv4 without options in the Ethernet frame of `length` bytes, whose last
/// word is filled up with zeros. Other frames stay as they are.
fn set_tcp_checksum(frame: &mut [u32], length: usize) {
    const IP: usize = 14;
    const TCP: usize = IP + 20;
    const CHECKSUM: usize = TCP + 16;
    let bytes: &[u8] = cast_slice(frame);
    if length < TCP + 20 || bytes[12..15] != [0x08, 0x00, 0x45] || bytes[IP + 9] != 6 {
        return;
    }
    let end = IP + usize::from(u16::from_be_bytes([bytes[IP + 2], bytes[IP + 3]]));
    if end != length {
        return;
    }
    cast_slice_mut::<u32, u8>(frame)[CHECKSUM..CHECKSUM + 2].fill(0);
    // From the IP addresses to the end; the word in which they begin holds two bytes of the IP header's checksum.
    let words = &frame[(IP + 10) / 4..length.div_ceil(4)];
    let [first, rest @ ..] = words else { return };
    let mut sum = u64::from(first >> 16) + u64::from(u16::to_be(6)) + u64::from(u16::to_be((length - TCP) as u16));
    let (eights, rest) = rest.as_chunks::<8>();
    for eight in eights {
        for &word in eight {
            sum += u64::from(word);
        }
    }
    for &word in rest {
        sum += u64::from(word);
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    let checksum = !(sum as u16);
    cast_slice_mut::<u32, u8>(frame)[CHECKSUM..CHECKSUM + 2].copy_from_slice(&checksum.to_le_bytes());
}

/// Tells in the log when frames were dropped because no receive slot was free. Peers send those again.
#[embassy_executor::task]
async fn watch_drops() -> ! {
    let mut told = 0;
    loop {
        Timer::after(DROPS_EVERY).await;
        let dropped = ethernet::dropped();
        if dropped != told {
            warn!("{} received frames dropped, no slot was free", dropped.wrapping_sub(told));
            told = dropped;
        }
    }
}
