//! Writes a checked image to the flash, a little with each step, so that a power cut harms as little as it can.
//!
//! * A sector that holds what it should is not touched: an image with the bootloader that is there leaves it alone.
//! * Before anything else is changed the start of the firmware is erased, and it is written last. From the first
//!   change to the last the bootloader so finds no firmware, rather than half of one, or one for another gateware: it
//!   stays where firmware can be loaded by hand.
//! * The configuration store is no part of it.
//! * What was written is read back; a sector that differs is written once more, then the job fails.
//!
//! Power that fails while gateware or bootloader themselves are changed leaves a board that only JTAG can revive.

use core::fmt;

use crate::image::{fpga, Image, Layout, Part};
use crate::nor::{self, Flash, PAGE, SECTOR, SIZE};
use crate::role::Role;

/// Longest time for an erasure or a programming, in microseconds: the slowest chips take three seconds.
pub const PATIENCE: u64 = 6_000_000;
/// Times that a sector is written.
const ATTEMPTS: u32 = 2;
/// Bytes that are read in a step.
const STEP: usize = 1024;

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Some of the work.
    Working,
    /// Nothing: the flash is at it.
    Busy,
    /// Begins to write this part, of which so many bytes differ from what is there, by whole sectors.
    Writes(Part, u32),
    /// Everything is in its place.
    Done,
}

/// Why the flash does not hold the image. After the first [`Step::Writes`] it holds a part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The flash said so.
    Flash(nor::Error),
    /// It is busy for too long.
    Slow,
    /// The gateware is for another FPGA than the one that is there.
    OtherFpga,
    /// The firmware is for the other role, and the gateware is the one that is there.
    OtherRole(Role),
    /// The firmware is for other registers than these, and the gateware is the one that is there.
    OtherRegisters(u32),
    /// It does not keep what is written to this address.
    Differs(u32),
}

impl From<nor::Error> for Failure {
    fn from(error: nor::Error) -> Failure {
        Failure::Flash(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Failure::Flash(nor::Error::Bus) => f.write_str("the flash memory's bus does not work"),
            Failure::Flash(nor::Error::Unknown([maker, kind, capacity])) => {
                write!(f, "no known flash memory: it calls itself {maker:02x} {kind:02x} {capacity:02x}")
            }
            Failure::Flash(nor::Error::Protected) => f.write_str("the flash memory does not let itself be written"),
            Failure::Flash(nor::Error::OutOfRange) => f.write_str("the flash memory ends before"),
            Failure::Slow => f.write_str("the flash memory does not come to an end"),
            Failure::OtherFpga => f.write_str("its gateware is for another FPGA"),
            Failure::OtherRole(role) => write!(f, "its firmware is a {}, for other gateware", role.file()),
            Failure::OtherRegisters(number) => {
                write!(f, "its firmware is for gateware with registers {number:08x}, which this is not")
            }
            Failure::Differs(address) => write!(f, "the flash memory does not keep what is written at {address:#08x}"),
        }
    }
}

/// A set of sectors of the flash, by number.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Sectors([u64; (SIZE / SECTOR) as usize / 64]);

impl Sectors {
    fn set(&mut self, sector: u32, member: bool) {
        if let Some(word) = self.0.get_mut(sector as usize / 64) {
            *word = *word & !(1 << (sector % 64)) | u64::from(member) << (sector % 64);
        }
    }

    fn has(&self, sector: u32) -> bool {
        self.0.get(sector as usize / 64).is_some_and(|word| word >> (sector % 64) & 1 != 0)
    }

    fn count(&self, sectors: core::ops::Range<u32>) -> u32 {
        sectors.filter(|&sector| self.has(sector)).count() as u32
    }
}

#[derive(Clone, Copy)]
enum Phase {
    /// Which FPGA the gateware in the flash is for.
    Fpga,
    /// What of the image is already there: from this byte of this part on.
    Compare(usize, usize),
    /// The start of the firmware goes, so that there is none.
    Invalidate,
    /// Which of the sectors that differ is next.
    Choose,
    Erase(u32),
    /// Pages of a sector, from the one before this byte down to the first.
    Program(u32, usize),
    Verify(u32, usize),
}

/// What the program is that does the job, and so what the gateware is that is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Own {
    /// What it makes of the board.
    pub role: Role,
    /// The registers that it was compiled for.
    pub registers: u32,
}

/// A job.
pub struct Update<'a> {
    image: Image<'a>,
    layout: Layout,
    own: Own,
    phase: Phase,
    /// Sectors that do not hold what they should.
    differing: Sectors,
    /// The part of the last sector begun.
    part: Option<Part>,
    attempt: u32,
    /// When the flash was given something to do.
    begun: Option<u64>,
}

impl<'a> Update<'a> {
    /// To write `image` to a flash of this layout.
    pub fn new(image: Image<'a>, layout: Layout, own: Own) -> Update<'a> {
        let differing = Sectors::default();
        Update { image, layout, own, phase: Phase::Fpga, differing, part: None, attempt: 0, begun: None }
    }

    /// Goes on. `now` is the time in microseconds. To be called until it is done or fails, and not afterwards.
    pub fn step(&mut self, flash: &mut impl Flash, now: u64) -> Result<Step, Failure> {
        if let Some(begun) = self.begun {
            if flash.busy()? {
                let patient = now.saturating_sub(begun) <= PATIENCE;
                return if patient { Ok(Step::Busy) } else { Err(Failure::Slow) };
            }
            self.begun = None;
        }
        match self.phase {
            Phase::Fpga => self.compare_fpga(flash)?,
            Phase::Compare(part, offset) => self.compare(flash, part, offset)?,
            Phase::Invalidate => {
                self.differing.set(self.layout.firmware / SECTOR, true);
                flash.begin_erase(self.layout.firmware)?;
                self.begun = Some(now);
                self.phase = Phase::Choose;
            }
            Phase::Choose => return Ok(self.choose()),
            Phase::Erase(sector) => {
                flash.begin_erase(sector * SECTOR)?;
                self.begun = Some(now);
                self.phase = Phase::Program(sector, self.wanted(sector).len());
            }
            Phase::Program(sector, before) => self.program(flash, sector, before, now)?,
            Phase::Verify(sector, offset) => self.verify(flash, sector, offset)?,
        }
        Ok(Step::Working)
    }

    fn compare_fpga(&mut self, flash: &mut impl Flash) -> Result<(), Failure> {
        let mut head = [0; 4 * STEP];
        flash.read(0, &mut head)?;
        if let (Some(there), Some(new)) = (fpga(&head), self.image.fpga) {
            if there != new {
                return Err(Failure::OtherFpga);
            }
        }
        self.phase = Phase::Compare(0, 0);
        Ok(())
    }

    fn compare(&mut self, flash: &mut impl Flash, part: usize, offset: usize) -> Result<(), Failure> {
        let Some(&which) = Part::ALL.get(part) else {
            self.phase = if self.differing == Sectors::default() { Phase::Choose } else { Phase::Invalidate };
            return self.check_firmware();
        };
        let Some(rest @ [_, ..]) = self.image.part(which).get(offset..) else {
            self.phase = Phase::Compare(part + 1, 0);
            return Ok(());
        };
        let address = self.layout.region(which).0 + offset as u32;
        let wanted = &rest[..rest.len().min(STEP)];
        let next = match holds(flash, address, wanted)? {
            true => offset + wanted.len(),
            false => {
                self.differing.set(address / SECTOR, true);
                (offset + 1).next_multiple_of(SECTOR as usize)
            }
        };
        self.phase = Phase::Compare(part, next);
        Ok(())
    }

    /// With the gateware that is there, firmware has to be for what runs on it.
    fn check_firmware(&self) -> Result<(), Failure> {
        let Image { role, registers, .. } = self.image;
        match registers {
            _ if self.differing.count(self.sectors(Part::Gateware)) != 0 => Ok(()),
            _ if role != self.own.role => Err(Failure::OtherRole(role)),
            Some(number) if number != self.own.registers => Err(Failure::OtherRegisters(number)),
            _ => Ok(()),
        }
    }

    fn choose(&mut self) -> Step {
        let first = self.layout.firmware / SECTOR;
        let next = (0..SIZE / SECTOR).find(|&sector| sector != first && self.differing.has(sector));
        match next.or(Some(first).filter(|&first| self.differing.has(first))) {
            Some(sector) => self.begin(sector),
            None => Step::Done,
        }
    }

    /// Begins to write a sector.
    fn begin(&mut self, sector: u32) -> Step {
        self.attempt = 1;
        self.phase = Phase::Erase(sector);
        let part = self.part_of(sector);
        let step = match self.part == Some(part) {
            true => Step::Working,
            false => Step::Writes(part, self.differing.count(self.sectors(part)) * SECTOR),
        };
        self.part = Some(part);
        step
    }

    fn program(&mut self, flash: &mut impl Flash, sector: u32, before: usize, now: u64) -> Result<(), Failure> {
        let wanted = self.wanted(sector);
        // What begins a region so comes last.
        let Some(last) = before.checked_sub(1) else {
            self.phase = Phase::Verify(sector, 0);
            return Ok(());
        };
        let start = last - last % PAGE;
        let page = &wanted[start..before];
        if page.iter().any(|&byte| byte != 0xFF) {
            flash.begin_program(sector * SECTOR + start as u32, page)?;
            self.begun = Some(now);
        }
        self.phase = Phase::Program(sector, start);
        Ok(())
    }

    fn verify(&mut self, flash: &mut impl Flash, sector: u32, offset: usize) -> Result<(), Failure> {
        let wanted = self.wanted(sector);
        let part = &wanted[offset..wanted.len().min(offset + STEP)];
        if part.is_empty() {
            self.differing.set(sector, false);
            self.phase = Phase::Choose;
        } else if holds(flash, sector * SECTOR + offset as u32, part)? {
            self.phase = Phase::Verify(sector, offset + part.len());
        } else if self.attempt < ATTEMPTS {
            self.attempt += 1;
            self.phase = Phase::Erase(sector);
        } else {
            return Err(Failure::Differs(sector * SECTOR + offset as u32));
        }
        Ok(())
    }

    /// What belongs in a sector, from its start on.
    fn wanted(&self, sector: u32) -> &'a [u8] {
        let part = self.part_of(sector);
        let offset = (sector * SECTOR).saturating_sub(self.layout.region(part).0) as usize;
        let rest = self.image.part(part).get(offset..).unwrap_or_default();
        &rest[..rest.len().min(SECTOR as usize)]
    }

    fn part_of(&self, sector: u32) -> Part {
        let part = Part::ALL.into_iter().find(|&part| self.sectors(part).contains(&sector));
        part.unwrap_or(Part::Firmware) // not reached: only sectors of parts are written
    }

    fn sectors(&self, part: Part) -> core::ops::Range<u32> {
        let (start, end) = self.layout.region(part);
        start / SECTOR..end / SECTOR
    }
}

/// Whether this stands in the flash.
fn holds(flash: &mut impl Flash, address: u32, wanted: &[u8]) -> Result<bool, nor::Error> {
    let mut found = [0; STEP];
    let found = &mut found[..wanted.len().min(STEP)];
    flash.read(address, found)?;
    Ok(found == wanted)
}
