//! DRTIO links: registers of the downstream ports and of the uplink, routing, and the buffers of aux frames.
//!
//! `docs/drtio.md`, section 5, is the contract. A board has the links that its gateware has: what is asked of another
//! one reads 0, and what is written to it goes nowhere.

use core::ptr;

use crate::register::{read, read64, write};

/// Downstream ports of this board.
#[cfg(has_ports)]
pub const PORTS: usize = crate::csr::DRTIO_LINKS;
/// Downstream ports of this board.
#[cfg(not(has_ports))]
pub const PORTS: usize = 0;
/// Whether this board has an uplink.
pub const UPLINK: bool = cfg!(has_uplink);

/// Longest aux frame, with its CRC.
pub const FRAME_BYTES: usize = 1024;
/// The same in words.
pub const FRAME_WORDS: usize = FRAME_BYTES / 4;
/// Bytes of an aux frame's CRC, which the gateware makes and checks.
pub const CRC_BYTES: usize = 4;
const RECEIVE_BUFFERS: usize = 8192;
const BUFFERS: usize = 8;

/// One end of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    Port(usize),
    Uplink,
}

/// Where something is that links have: of every port, and of the uplink.
struct Each {
    ports: &'static [usize],
    uplink: Option<usize>,
}

impl Each {
    #[inline]
    fn of(&self, link: Link) -> Option<usize> {
        match link {
            Link::Port(port) => self.ports.get(port).copied(),
            Link::Uplink => self.uplink,
        }
    }

    fn read(&self, link: Link) -> u32 {
        self.of(link).map_or(0, read)
    }

    fn write(&self, link: Link, value: u32) {
        if let Some(address) = self.of(link) {
            write(address, value);
        }
    }
}

/// What the ports' gateware has under this name, if there is such.
macro_rules! ports {
    ($flag:ident, $ports:ident) => {{
        #[cfg($flag)]
        const PORTS: &[usize] = &crate::csr::$ports;
        #[cfg(not($flag))]
        const PORTS: &[usize] = &[];
        PORTS
    }};
}

macro_rules! uplink {
    ($uplink:ident) => {{
        #[cfg(has_uplink)]
        const UPLINK: Option<usize> = Some(crate::csr::$uplink);
        #[cfg(not(has_uplink))]
        const UPLINK: Option<usize> = None;
        UPLINK
    }};
}

macro_rules! registers {
    ($($name:ident: $ports:ident, $uplink:ident;)*) => {
        $(const $name: Each = Each { ports: ports!(has_ports, $ports), uplink: uplink!($uplink) };)*
    };
}

macro_rules! port_registers {
    ($flag:ident: $($name:ident: $ports:ident;)*) => {
        $(const $name: Each = Each { ports: ports!($flag, $ports), uplink: None };)*
    };
}

registers! {
    TX_ENABLE: DRTIO_N_TX_ENABLE_ADDR, DRTIOSAT_TX_ENABLE_ADDR;
    RX_UP: DRTIO_N_RX_UP_ADDR, DRTIOSAT_RX_UP_ADDR;
    DROPPED: DRTIO_N_DROPPED_ADDR, DRTIOSAT_DROPPED_ADDR;
    SYMBOL_ERRORS: DRTIO_N_SYMBOL_ERRORS_ADDR, DRTIOSAT_SYMBOL_ERRORS_ADDR;
    CORRUPT_PACKETS: DRTIO_N_CORRUPT_PACKETS_ADDR, DRTIOSAT_CORRUPT_PACKETS_ADDR;
    UNKNOWN_PACKETS: DRTIO_N_UNKNOWN_PACKETS_ADDR, DRTIOSAT_UNKNOWN_PACKETS_ADDR;
    AUX_TX_LENGTH: DRTIOAUX_N_TX_LENGTH_ADDR, DRTIOSATAUX_TX_LENGTH_ADDR;
    AUX_TX: DRTIOAUX_N_TX_ADDR, DRTIOSATAUX_TX_ADDR;
    AUX_RX_PRESENT: DRTIOAUX_N_RX_PRESENT_ADDR, DRTIOSATAUX_RX_PRESENT_ADDR;
    AUX_RX_BUFFER: DRTIOAUX_N_RX_BUFFER_ADDR, DRTIOSATAUX_RX_BUFFER_ADDR;
    AUX_RX_LENGTH: DRTIOAUX_N_RX_LENGTH_ADDR, DRTIOSATAUX_RX_LENGTH_ADDR;
    AUX_RX_OVERFLOWS: DRTIOAUX_N_RX_OVERFLOWS_ADDR, DRTIOSATAUX_RX_OVERFLOWS_ADDR;
    AUX_RX_CORRUPT: DRTIOAUX_N_RX_CORRUPT_ADDR, DRTIOSATAUX_RX_CORRUPT_ADDR;
    AUX_EV_ENABLE: DRTIOAUX_N_EV_ENABLE_ADDR, DRTIOSATAUX_EV_ENABLE_ADDR;
    AUX_MEMORY: DRTIOAUX_N_MEM_BASE, DRTIOSATAUX_MEM_BASE;
}

port_registers! { has_ports:
    ECHO: DRTIO_N_ECHO_ADDR;
    ECHO_CYCLES: DRTIO_N_ECHO_CYCLES_ADDR;
    TIME_CORRECTION: DRTIO_N_TIME_CORRECTION_ADDR;
    SET_TIME: DRTIO_N_SET_TIME_ADDR;
    RESET: DRTIO_N_RESET_ADDR;
    MISSED_WRITES: DRTIO_N_MISSED_WRITES_ADDR;
}

port_registers! { has_credits:
    UNDERFLOW_MARGIN: DRTIO_N_UNDERFLOW_MARGIN_ADDR;
    SPACE_TIMEOUTS: DRTIO_N_SPACE_TIMEOUTS_ADDR;
    READ_TIMEOUTS: DRTIO_N_READ_TIMEOUTS_ADDR;
    SPACE_DESTINATION: DRTIO_N_SPACE_DESTINATION_ADDR;
    SPACE_REQUEST: DRTIO_N_SPACE_REQUEST_ADDR;
    SPACE: DRTIO_N_SPACE_ADDR;
}

/// What went wrong on a link since reset, as far as the gateware counts it (saturating).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Errors {
    pub symbols: u32,
    /// Real-time packets dropped for their CRC or length, and for their type.
    pub corrupt_packets: u32,
    pub unknown_packets: u32,
    /// Aux frames that found no buffer, and ones that did not check.
    pub overflows: u32,
    pub corrupt_frames: u32,
    /// Of a port: writes that came while the one before was still being sent.
    pub missed_writes: u32,
    /// Where credits are counted: questions for buffer space, and reads, that were not answered.
    pub space_timeouts: u32,
    pub read_timeouts: u32,
}

impl Link {
    /// Interrupt line of the link's aux channel, if there is such a link.
    pub fn interrupt(self) -> Option<u32> {
        match self {
            #[cfg(has_ports)]
            Link::Port(port) => crate::csr::DRTIOAUX_N_INTERRUPT.get(port).copied(),
            #[cfg(has_uplink)]
            Link::Uplink => Some(crate::csr::DRTIOSATAUX_INTERRUPT),
            #[allow(unreachable_patterns)] // a board with both has none other
            _ => None,
        }
    }

    /// Starts or stops sending: idle words at least.
    pub fn enable(self, on: bool) {
        TX_ENABLE.write(self, on.into());
    }

    /// Whether the link is up.
    pub fn rx_up(self) -> bool {
        RX_UP.read(self) & 1 != 0
    }

    /// Whether the link was down since this was last asked.
    pub fn take_dropped(self) -> bool {
        let dropped = DROPPED.read(self) & 1 != 0;
        if dropped {
            DROPPED.write(self, 1);
        }
        dropped
    }

    pub fn errors(self) -> Errors {
        Errors {
            symbols: SYMBOL_ERRORS.read(self),
            corrupt_packets: CORRUPT_PACKETS.read(self),
            unknown_packets: UNKNOWN_PACKETS.read(self),
            overflows: AUX_RX_OVERFLOWS.read(self),
            corrupt_frames: AUX_RX_CORRUPT.read(self),
            missed_writes: MISSED_WRITES.read(self),
            space_timeouts: SPACE_TIMEOUTS.read(self),
            read_timeouts: READ_TIMEOUTS.read(self),
        }
    }

    /// Whether an aux frame is being sent.
    pub fn sending(self) -> bool {
        AUX_TX.read(self) & 1 != 0
    }

    /// Sends the aux frame of `words`, `length` bytes with the CRC, which the gateware puts in place. To be called when
    /// not [`Link::sending`]; a length that is none (docs/drtio.md, section 4) sends nothing.
    pub fn send(self, words: &[u32], length: usize) {
        let Some(memory) = AUX_MEMORY.of(self) else { return };
        if length & 7 != 0 || length > FRAME_BYTES || length > 4 * words.len() {
            return;
        }
        let count = (length - length.min(CRC_BYTES)) / 4;
        // SAFETY: the transmit buffer is the link's memory, FRAME_WORDS words from its start, in which no Rust object
        // lives; `count` is at most that, and at most what `words` has.
        unsafe { ptr::copy_nonoverlapping(words.as_ptr(), memory as *mut u32, count) };
        AUX_TX_LENGTH.write(self, length as u32);
        AUX_TX.write(self, 1);
    }

    /// Whether an aux frame was received.
    pub fn received(self) -> bool {
        AUX_RX_PRESENT.read(self) & 1 != 0
    }

    /// Copies the oldest aux frame received into `words` and frees its buffer; gives its length in bytes with the CRC.
    /// To be called when [`Link::received`].
    pub fn receive(self, words: &mut [u32; FRAME_WORDS]) -> usize {
        let Some(memory) = AUX_MEMORY.of(self) else { return 0 };
        let length = (AUX_RX_LENGTH.read(self) as usize).min(FRAME_BYTES);
        let buffer = AUX_RX_BUFFER.read(self) as usize % BUFFERS;
        let source = (memory + RECEIVE_BUFFERS + buffer * FRAME_BYTES) as *const u32;
        // SAFETY: the receive buffer is the link's memory of FRAME_WORDS words, in which no Rust object lives; the
        // gateware does not write to it before it is released below.
        unsafe { ptr::copy_nonoverlapping(source, words.as_mut_ptr(), length.div_ceil(4)) };
        AUX_RX_PRESENT.write(self, 1);
        length
    }

    /// Which events raise the interrupt line: a frame is there; nothing is being sent.
    pub fn listen(self, received: bool, sent: bool) {
        AUX_EV_ENABLE.write(self, u32::from(received) | u32::from(sent) << 1);
    }
}

/// What only downstream ports have.
pub mod port {
    use super::*;

    /// Starts to measure what an echo takes.
    pub fn start_echo(port: usize) {
        ECHO.write(Link::Port(port), 1);
    }

    /// What the last echo took in coarse cycles; `None` while it is under way, 0 if no answer came.
    pub fn echo_cycles(port: usize) -> Option<u32> {
        let port = Link::Port(port);
        (ECHO.read(port) & 1 == 0).then(|| ECHO_CYCLES.read(port))
    }

    /// Sends the time, corrected for the way there, if an echo takes this many cycles.
    pub fn set_time(port: usize, echo_cycles: u32) {
        #[cfg(has_ports)]
        const CONSTANT: u32 = crate::csr::DRTIO_TIME_CONSTANT;
        #[cfg(not(has_ports))]
        const CONSTANT: u32 = 0;
        let port = Link::Port(port);
        TIME_CORRECTION.write(port, (4 * echo_cycles).wrapping_add(CONSTANT));
        SET_TIME.write(port, 1);
    }

    /// Forgets credits and what waits to be sent.
    pub fn reset(port: usize) {
        RESET.write(Link::Port(port), 1);
    }

    /// Events with less time than this left, in machine units, are underflows.
    pub fn set_underflow_margin(port: usize, margin: u32) {
        UNDERFLOW_MARGIN.write(Link::Port(port), margin);
    }

    /// Starts to ask how many events fit at a destination.
    pub fn request_space(port: usize, destination: u8) {
        let port = Link::Port(port);
        SPACE_DESTINATION.write(port, destination.into());
        SPACE_REQUEST.write(port, 1);
    }

    /// How many events fit at the destination asked about last; `None` while the question is under way.
    pub fn space(port: usize) -> Option<u32> {
        let port = Link::Port(port);
        (SPACE_REQUEST.read(port) & 1 == 0).then(|| SPACE.read(port))
    }
}

/// What only the uplink has.
pub mod uplink {
    use super::*;

    /// Writes from upstream that were not done.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct WriteErrors {
        /// Too late; while too many waited; no such channel, or no way to it.
        pub underflow: bool,
        pub overflow: bool,
        pub unreachable: bool,
        /// Of the first: channel with its destination, and machine units.
        pub channel: u32,
        pub timestamp: u64,
        pub slack: i64,
    }

    const TIME_LOADED: Option<usize> = uplink!(DRTIOSAT_TIME_LOADED_ADDR);
    const WRITE_UNDERFLOW: Option<usize> = uplink!(DRTIOSAT_WRITE_UNDERFLOW_ADDR);
    const WRITE_OVERFLOW: Option<usize> = uplink!(DRTIOSAT_WRITE_OVERFLOW_ADDR);
    const WRITE_UNREACHABLE: Option<usize> = uplink!(DRTIOSAT_WRITE_UNREACHABLE_ADDR);
    const WRITE_CHANNEL: Option<usize> = uplink!(DRTIOSAT_WRITE_CHANNEL_ADDR);
    const WRITE_TIMESTAMP: Option<usize> = uplink!(DRTIOSAT_WRITE_TIMESTAMP_ADDR);
    const WRITE_SLACK: Option<usize> = uplink!(DRTIOSAT_WRITE_SLACK_ADDR);

    /// Whether the flag was set; it is not any more.
    fn take(flag: Option<usize>) -> bool {
        let set = flag.filter(|&address| read(address) & 1 != 0);
        if let Some(address) = set {
            write(address, 1);
        }
        set.is_some()
    }

    /// Whether a time was loaded since this was last asked.
    pub fn take_time_loaded() -> bool {
        take(TIME_LOADED)
    }

    /// What became of writes since this was last asked; `None` if all were done.
    pub fn take_write_errors() -> Option<WriteErrors> {
        let flags = [WRITE_UNDERFLOW, WRITE_OVERFLOW, WRITE_UNREACHABLE];
        if !flags.into_iter().flatten().any(|flag| read(flag) & 1 != 0) {
            return None;
        }
        // Once the flags are cleared these are the next one's.
        let (channel, timestamp) = (WRITE_CHANNEL.map_or(0, read), WRITE_TIMESTAMP.map_or(0, read64));
        let slack = WRITE_SLACK.map_or(0, read64) as i64;
        let [underflow, overflow, unreachable] = flags.map(take);
        Some(WriteErrors { underflow, overflow, unreachable, channel, timestamp, slack })
    }
}

/// Sets the hop that packets for `destination` take: 0 this board's own RTIO core, n its port n - 1, 0xff none.
pub fn set_hop(destination: u8, hop: u8) {
    #[cfg(has_routing)]
    {
        write(crate::csr::DRTIO_ROUTING_DESTINATION_ADDR, destination.into());
        write(crate::csr::DRTIO_ROUTING_HOP_ADDR, hop.into());
    }
    #[cfg(not(has_routing))]
    let _ = (destination, hop);
}
