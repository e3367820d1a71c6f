//! A bus at the level of its lines: start and stop are edges of the data line while the clock is high, everything else
//! is bits. Chips hang on it directly or behind a switch.

use std::collections::BTreeMap;

use corelog_periph::i2c::Lines;

/// What a chip does.
pub trait Chip {
    fn begin(&mut self, read: bool);
    /// Whether it acknowledges.
    fn write(&mut self, byte: u8) -> bool;
    fn read(&mut self) -> u8;
    fn stop(&mut self) {}
}

/// A chip with registers behind an address that counts on: 24AA02, Si5324, MCP23017.
pub struct Registers {
    pub values: [u8; 256],
    pub writes: Vec<(u8, u8)>,
    at: Option<u8>,
}

impl Registers {
    pub fn new() -> Registers {
        Registers { values: [0; 256], writes: Vec::new(), at: None }
    }
}

impl Chip for Registers {
    fn begin(&mut self, read: bool) {
        if !read {
            self.at = None;
        }
    }

    fn write(&mut self, byte: u8) -> bool {
        match self.at {
            None => self.at = Some(byte),
            Some(at) => {
                self.values[usize::from(at)] = byte;
                self.writes.push((at, byte));
                self.at = Some(at.wrapping_add(1));
            }
        }
        true
    }

    fn read(&mut self) -> u8 {
        let at = self.at.expect("a register was chosen");
        self.at = Some(at.wrapping_add(1));
        self.values[usize::from(at)]
    }
}

enum Phase {
    Idle,
    /// Bits of a byte to the chips, and whether it is the address.
    Receiving {
        bits: u32,
        count: u32,
        address: bool,
    },
    /// The acknowledgement of a byte to the chips.
    Acknowledging {
        chip: bool,
    },
    /// Bits of a byte from a chip, and what the master says to it.
    Sending {
        byte: u8,
        count: u32,
    },
    Answered,
    /// Nobody is meant, or the master has enough.
    Ignored,
}

/// The bus with its chips, by address; those behind switches by switch and channel.
pub struct Model {
    pub chips: BTreeMap<u8, Registers>,
    pub behind: BTreeMap<(u8, u8), BTreeMap<u8, Registers>>,
    /// Channels that each switch connects.
    pub switches: BTreeMap<u8, u8>,
    clock: bool,
    data: bool,
    /// A chip holds the data line low; for this many pulses, whatever happens.
    pub held: u32,
    chip_low: bool,
    phase: Phase,
    address: u8,
    reading: bool,
    pub pauses: u64,
    pub stops: u32,
}

impl Model {
    pub fn new() -> Model {
        Model {
            chips: BTreeMap::new(),
            behind: BTreeMap::new(),
            switches: BTreeMap::new(),
            clock: true,
            data: true,
            held: 0,
            chip_low: false,
            phase: Phase::Idle,
            address: 0,
            reading: false,
            pauses: 0,
            stops: 0,
        }
    }

    fn level(&self) -> bool {
        self.data && !self.chip_low && self.held == 0
    }

    fn reachable(&mut self) -> Vec<&mut Registers> {
        let (address, switches) = (self.address, &self.switches);
        let connected = self.behind.iter_mut().filter_map(|((switch, channel), chips)| {
            (switches[switch] >> channel & 1 != 0).then_some(chips).and_then(|chips| chips.get_mut(&address))
        });
        let all: Vec<_> = self.chips.get_mut(&address).into_iter().chain(connected).collect();
        assert!(all.len() <= 1, "two chips answer at {address:#x}");
        all
    }

    fn present(&mut self) -> bool {
        self.switches.contains_key(&self.address) || !self.reachable().is_empty()
    }

    fn rising(&mut self) {
        let level = self.level();
        self.held = self.held.saturating_sub(1);
        match &mut self.phase {
            Phase::Receiving { bits, count, .. } => {
                *bits = *bits << 1 | u32::from(level);
                *count += 1;
            }
            Phase::Sending { count, .. } => *count += 1,
            Phase::Answered if level => self.phase = Phase::Ignored,
            _ => {}
        }
    }

    fn falling(&mut self) {
        self.chip_low = false;
        match self.phase {
            Phase::Receiving { bits, count: 8, address } => {
                let byte = bits as u8;
                let acknowledged = if address {
                    (self.address, self.reading) = (byte >> 1, byte & 1 != 0);
                    let (present, reading) = (self.present(), self.reading);
                    self.reachable().into_iter().for_each(|chip| chip.begin(reading));
                    present
                } else if let Some(channels) = self.switches.get_mut(&self.address) {
                    *channels = byte;
                    true
                } else {
                    self.reachable().into_iter().next().is_some_and(|chip| chip.write(byte))
                };
                self.chip_low = acknowledged;
                self.phase = if acknowledged { Phase::Acknowledging { chip: true } } else { Phase::Ignored };
            }
            Phase::Acknowledging { .. } if self.reading => self.send(),
            Phase::Acknowledging { .. } => self.phase = Phase::Receiving { bits: 0, count: 0, address: false },
            Phase::Sending { byte, count } if count < 8 => self.chip_low = byte >> (7 - count) & 1 == 0,
            Phase::Sending { .. } => self.phase = Phase::Answered,
            Phase::Answered => self.send(),
            _ => {}
        }
    }

    fn send(&mut self) {
        let byte = self.reachable().into_iter().next().map_or(0xFF, Chip::read);
        self.chip_low = byte >> 7 == 0;
        self.phase = Phase::Sending { byte, count: 0 };
    }

    fn edge(&mut self, before: bool) {
        let now = self.level();
        if !self.clock || before == now {
            return;
        }
        if now {
            self.stops += 1;
            self.phase = Phase::Idle;
            self.reachable().into_iter().for_each(Chip::stop);
        } else {
            self.phase = Phase::Receiving { bits: 0, count: 0, address: true };
        }
    }
}

impl Lines for &mut Model {
    fn set_clock(&mut self, free: bool) {
        match (self.clock, free) {
            (false, true) => {
                self.clock = true;
                self.rising();
            }
            (true, false) => {
                self.clock = false;
                self.falling();
            }
            _ => {}
        }
    }

    fn set_data(&mut self, free: bool) {
        let before = self.level();
        self.data = free;
        self.edge(before);
    }

    fn data(&mut self) -> bool {
        self.level()
    }

    fn pause(&mut self) {
        self.pauses += 1;
    }
}
