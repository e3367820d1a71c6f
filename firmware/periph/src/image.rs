//! A flash image as it comes over the network: is it what it should be, all of it?
//!
//! ```text
//! [u32 length | gateware] [u32 length | bootloader] [u32 length | firmware] [u32 CRC-32 of all before]
//! ```
//!
//! Integers are little endian. Gateware is a bitstream, the bootloader ends with its CRC-32, and firmware begins with
//! length and CRC-32 of what follows (FBI). The parts have no labels: a sender that leaves one out sends nonsense,
//! which is why each is looked at.

use core::fmt;

use crate::crc::Crc;
use crate::nor::{SECTOR, SIZE};
use crate::role::{Role, Search, OVERLAP};

/// Longest firmware that the bootloader takes, without its header.
pub const LONGEST_FIRMWARE: usize = 4 << 20;
/// Longest image: of the flash its parts leave out the configuration store, which is more than their lengths take.
pub const LONGEST: usize = SIZE as usize;

/// Bytes that a step looks at.
const STEP: usize = 4096;
const SYNC: [u8; 4] = [0xAA, 0x99, 0x55, 0x66];
/// Where the commands of a bitstream have begun, at the latest, and those that are looked at.
const SYNC_WITHIN: usize = 4096;
/// A bitstream's command that says which FPGA it is for; the number follows.
const WRITE_IDCODE: [u8; 4] = [0x30, 0x01, 0x80, 0x01];
/// Of such a number: all but the revision.
const FPGA: u32 = 0x0FFF_FFFF;
const FBI_HEADER: usize = 8;

/// A part of the flash that an image fills.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// At the start of the flash.
    Gateware,
    /// What the processor starts with.
    Bootloader,
    /// What the bootloader starts.
    Firmware,
}

impl Part {
    /// In the order in which an image has them.
    pub const ALL: [Part; 3] = [Part::Gateware, Part::Bootloader, Part::Firmware];

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Part::Gateware => "gateware",
            Part::Bootloader => "bootloader",
            Part::Firmware => "firmware",
        }
    }
}

/// Where in the flash the parts begin, and the configuration store between them. Multiples of [`SECTOR`], ascending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Where the gateware ends at the latest.
    pub bootloader: u32,
    /// The configuration store, which an image leaves alone.
    pub storage: u32,
    /// From here to the end.
    pub firmware: u32,
}

impl Layout {
    /// Whether regions are in order and begin with sectors: to be asserted where one is made.
    pub const fn is_sound(&self) -> bool {
        let starts = [0, self.bootloader, self.storage, self.firmware, SIZE];
        let mut i = 1;
        while i < starts.len() {
            if starts[i] <= starts[i - 1] || !starts[i].is_multiple_of(SECTOR) {
                return false;
            }
            i += 1;
        }
        true
    }

    /// Where a part begins, and where it ends at the latest.
    pub const fn region(&self, part: Part) -> (u32, u32) {
        match part {
            Part::Gateware => (0, self.bootloader),
            Part::Bootloader => (self.bootloader, self.storage),
            Part::Firmware => (self.firmware, SIZE),
        }
    }

    const fn room(&self, part: Part) -> usize {
        let (start, end) = self.region(part);
        (end - start) as usize
    }
}

/// A checked image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Image<'a> {
    parts: [&'a [u8]; 3],
    /// What its firmware is for.
    pub role: Role,
    /// Which registers its firmware was compiled for, if it says so.
    pub registers: Option<u32>,
    /// What its gateware is for, if it says so; see [`fpga`].
    pub fpga: Option<u32>,
}

impl<'a> Image<'a> {
    /// What belongs in the flash where `part` begins.
    pub fn part(&self, part: Part) -> &'a [u8] {
        let [gateware, bootloader, firmware] = self.parts;
        match part {
            Part::Gateware => gateware,
            Part::Bootloader => bootloader,
            Part::Firmware => firmware,
        }
    }
}

/// Why an image is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No room for the parts' lengths and the checksum.
    Short(usize),
    /// The checksum over all of it.
    Checksum {
        /// What it is.
        found: u32,
        /// What the image says.
        said: u32,
    },
    /// The lengths of the parts do not add up to that of the image.
    Lengths,
    /// A part is too long for its place.
    TooLong {
        /// The part.
        part: Part,
        /// Its bytes.
        length: usize,
        /// The bytes of its place.
        room: usize,
    },
    /// A part is not what stands in its place in images.
    NotA(Part),
    /// The checksum of a part.
    PartChecksum(Part),
    /// The firmware is neither a core device's nor a satellite's.
    NoRole,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Refusal::Short(length) => write!(f, "{length} bytes are too short for gateware, bootloader and firmware"),
            Refusal::Checksum { found, said } => {
                write!(f, "its checksum is {found:#010x}, but it says {said:#010x}")
            }
            Refusal::Lengths => f.write_str("it is not gateware, bootloader and firmware, each with its length"),
            Refusal::TooLong { part, length, room } => {
                write!(f, "its {} has {length} bytes, there is room for {room}", part.name())
            }
            Refusal::NotA(Part::Gateware) => f.write_str("its first part is no bitstream"),
            Refusal::NotA(Part::Bootloader) => f.write_str("its second part is no bootloader"),
            Refusal::NotA(Part::Firmware) => f.write_str("its third part has no header of a firmware image"),
            Refusal::PartChecksum(part) => write!(f, "the checksum of its {} is wrong", part.name()),
            Refusal::NoRole => f.write_str("its firmware is neither that of a core device nor that of a satellite"),
        }
    }
}

/// Which FPGA a bitstream is for, from its first bytes; `None` if it is no bitstream or does not say.
pub fn fpga(bitstream: &[u8]) -> Option<u32> {
    let head = &bitstream[..bitstream.len().min(SYNC_WITHIN)];
    let sync = find(head, &SYNC)?;
    let (words, _) = head[sync..].as_chunks::<4>();
    let command = words.iter().position(|word| *word == WRITE_IDCODE)?;
    words.get(command + 1).map(|&word| u32::from_be_bytes(word) & FPGA)
}

fn find(bytes: &[u8], what: &[u8; 4]) -> Option<usize> {
    bytes.array_windows().position(|window: &[u8; 4]| window == what)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|&word| u32::from_le_bytes(word))
}

#[derive(Clone, Copy)]
enum Stage {
    Whole,
    Bootloader,
    Firmware,
}

/// Looks at an image, a little with each step.
pub struct Check<'a> {
    bytes: &'a [u8],
    layout: Layout,
    stage: Stage,
    parts: [&'a [u8]; 3],
    /// Of what this stage reads: how far it is, and the checksum so far.
    at: usize,
    crc: Crc,
    search: Search,
}

impl<'a> Check<'a> {
    /// To look at `bytes`, for a flash of this layout.
    pub fn new(bytes: &'a [u8], layout: Layout) -> Check<'a> {
        let (stage, parts) = (Stage::Whole, [&[][..]; 3]);
        Check { bytes, layout, stage, parts, at: 0, crc: Crc::default(), search: Search::default() }
    }

    /// Looks at some more; `None` if there is more still.
    pub fn step(&mut self) -> Option<Result<Image<'a>, Refusal>> {
        self.stage().transpose()
    }

    fn stage(&mut self) -> Result<Option<Image<'a>>, Refusal> {
        let [gateware, bootloader, firmware] = self.parts;
        match self.stage {
            Stage::Whole => {
                let Some((body, &said)) = self.bytes.split_last_chunk().filter(|(body, _)| body.len() > 3 * 4) else {
                    return Err(Refusal::Short(self.bytes.len()));
                };
                let (Some(found), said) = (self.read(body), u32::from_le_bytes(said)) else { return Ok(None) };
                if found != said {
                    return Err(Refusal::Checksum { found, said });
                }
                self.parts = split(body, &self.layout)?;
                if find(&self.parts[0][..self.parts[0].len().min(SYNC_WITHIN)], &SYNC).is_none() {
                    return Err(Refusal::NotA(Part::Gateware));
                }
                self.stage = Stage::Bootloader;
            }
            Stage::Bootloader => {
                let Some((body, &said)) = bootloader.split_last_chunk().filter(|(body, _)| !body.is_empty()) else {
                    return Err(Refusal::NotA(Part::Bootloader));
                };
                let Some(found) = self.read(body) else { return Ok(None) };
                if found != u32::from_le_bytes(said) {
                    return Err(Refusal::PartChecksum(Part::Bootloader));
                }
                self.stage = Stage::Firmware;
            }
            Stage::Firmware => {
                let (Some(length), Some(said)) = (word(firmware, 0), word(firmware, 4)) else {
                    return Err(Refusal::NotA(Part::Firmware));
                };
                let payload = &firmware[FBI_HEADER..];
                if payload.is_empty() || length as usize != payload.len() {
                    return Err(Refusal::NotA(Part::Firmware));
                }
                let here = &payload[self.at.saturating_sub(OVERLAP)..payload.len().min(self.at + STEP)];
                self.search.update(here);
                let Some(found) = self.read(payload) else { return Ok(None) };
                if found != said {
                    return Err(Refusal::PartChecksum(Part::Firmware));
                }
                let role = self.search.role().ok_or(Refusal::NoRole)?;
                let registers = self.search.registers();
                return Ok(Some(Image { parts: self.parts, role, registers, fpga: fpga(gateware) }));
            }
        }
        Ok(None)
    }

    /// Reads on; the checksum once all of `bytes` is read.
    fn read(&mut self, bytes: &[u8]) -> Option<u32> {
        let end = bytes.len().min(self.at + STEP);
        self.crc.update(&bytes[self.at..end]);
        self.at = end;
        if end < bytes.len() {
            return None;
        }
        self.at = 0;
        Some(core::mem::take(&mut self.crc).value())
    }
}

/// The parts, if they have room in the flash and there is nothing else.
fn split<'a>(mut body: &'a [u8], layout: &Layout) -> Result<[&'a [u8]; 3], Refusal> {
    let mut parts = [&[][..]; 3];
    for (place, part) in parts.iter_mut().zip(Part::ALL) {
        let length = word(body, 0).ok_or(Refusal::Lengths)? as usize;
        (*place, body) = body[4..].split_at_checked(length).ok_or(Refusal::Lengths)?;
        let room = match part {
            Part::Firmware => layout.room(part).min(FBI_HEADER + LONGEST_FIRMWARE),
            _ => layout.room(part),
        };
        if length > room {
            return Err(Refusal::TooLong { part, length, room });
        }
    }
    if body.is_empty() {
        Ok(parts)
    } else {
        Err(Refusal::Lengths)
    }
}
