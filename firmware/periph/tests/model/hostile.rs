//! Flash images from anyone: what is taken is what a plain reading of the format takes, and then stands in the flash,
//! with nothing else changed. Also included by path into the fuzz targets.

use std::collections::BTreeMap;

use corelog_periph::crc::Crc;
use corelog_periph::image::{Check, Image, Layout, Part};
use corelog_periph::nor::{Error, Flash, PAGE, SECTOR};
use corelog_periph::role::Role;
use corelog_periph::update::{Failure, Own, Step, Update};

use crate::choices::Choices;

/// Small regions, so that small images are too long for them.
const LAYOUT: Layout = Layout { bootloader: SECTOR, storage: 2 * SECTOR, firmware: 3 * SECTOR };
const LONGEST_FIRMWARE: usize = 8 + (4 << 20);
const SYNC: &[u8] = &[0xAA, 0x99, 0x55, 0x66];
const TITLES: [(&[u8], Role); 2] =
    [(b"ARTIQ runtime", Role::CoreDevice), (b"ARTIQ satellite manager", Role::Satellite)];

/// Any bytes as an image; whether it is one. `role`: of the board that it comes to.
pub fn bytes(data: &[u8], role: Role) -> bool {
    let own = Own { role, registers: 0x89AB_CDEF };
    let taken = check(data);
    assert_eq!(taken.map(|image| (Part::ALL.map(|part| image.part(part)), image.role)), plain(data));
    taken.inspect(|&image| written(image, own)).is_some()
}

/// An image of mostly sound parts, mostly with right lengths and checksums, so that what is behind these is reached;
/// whether it is sound.
pub fn made(choose: &mut impl Choices) -> bool {
    let own = choose.one_of([Role::CoreDevice, Role::Satellite]);
    bytes(&image(choose), own)
}

fn image(choose: &mut impl Choices) -> Vec<u8> {
    let parts = [gateware(choose), bootloader(choose), firmware(choose)];
    let mut bytes = vec![];
    for part in parts {
        let wrong = if choose.one_in(20) { choose.below(9).wrapping_sub(4) } else { 0 };
        bytes.extend((part.len() as u32).wrapping_add(wrong).to_le_bytes());
        bytes.extend(part);
    }
    if choose.one_in(20) {
        bytes.push(0);
    }
    bytes.extend(checksum(choose, &bytes));
    if choose.one_in(10) {
        bytes.truncate(choose.below(bytes.len() as u32) as usize);
    }
    bytes
}

/// That of `bytes`, or nearly.
fn checksum(choose: &mut impl Choices, bytes: &[u8]) -> [u8; 4] {
    let wrong = if choose.one_in(20) { 1 << choose.below(32) } else { 0 };
    (crc(bytes) ^ wrong).to_le_bytes()
}

/// Filled with a byte; lengths at the limits are frequent.
fn filled(choose: &mut impl Choices) -> Vec<u8> {
    let near = choose.below(9) as usize;
    let length = match choose.below(16) {
        0 => near,
        1 => SECTOR as usize - near,
        2 => SECTOR as usize + near,
        3 => 4096 - near,
        _ => choose.below(10_000) as usize,
    };
    vec![choose.below(256) as u8; length]
}

fn put(choose: &mut impl Choices, into: &mut [u8], what: &[u8]) {
    if let Some(last) = into.len().checked_sub(what.len()) {
        let at = choose.below(last as u32 + 1) as usize;
        into[at..at + what.len()].copy_from_slice(what);
    }
}

fn gateware(choose: &mut impl Choices) -> Vec<u8> {
    let mut bytes = filled(choose);
    let end = bytes.len().min(if choose.one_in(8) { usize::MAX } else { 200 });
    // With the number of its FPGA, one of two.
    let idcode = [0x30, 0x01, 0x80, 0x01, 0x03, 0x63, 0x10, 0x93 ^ u8::from(choose.one_in(4))];
    put(choose, &mut bytes[..end], &[SYNC, &idcode].concat());
    bytes
}

fn bootloader(choose: &mut impl Choices) -> Vec<u8> {
    let mut bytes = filled(choose);
    bytes.extend(checksum(choose, &bytes));
    bytes
}

fn firmware(choose: &mut impl Choices) -> Vec<u8> {
    let mut payload = filled(choose);
    for (title, _) in TITLES {
        if choose.one_in(2) {
            put(choose, &mut payload, title);
        }
    }
    for made_for in [b"made for registers 89abcdef", b"made for registers 89abcdee"] {
        if choose.one_in(4) {
            put(choose, &mut payload, made_for);
        }
    }
    let wrong = if choose.one_in(20) { choose.below(3).wrapping_sub(1) } else { 0 };
    let mut bytes = (payload.len() as u32).wrapping_add(wrong).to_le_bytes().to_vec();
    bytes.extend(checksum(choose, &payload));
    bytes.extend(payload);
    bytes.truncate(bytes.len() - if choose.one_in(20) { choose.below(8) as usize } else { 0 });
    bytes
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::default();
    crc.update(bytes);
    crc.value()
}

fn check(bytes: &[u8]) -> Option<Image<'_>> {
    let mut check = Check::new(bytes, LAYOUT);
    // Three times over all of it at most, some thousand bytes a step.
    let steps = bytes.len() * 3 / 4096 + 6;
    (0..steps).find_map(|_| check.step()).expect("it comes to an end").ok()
}

/// What an image is, read in the plainest way.
fn plain(bytes: &[u8]) -> Option<([&[u8]; 3], Role)> {
    let sum = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let with_checksum =
        |bytes: &[u8]| bytes.len() > 4 && crc(&bytes[..bytes.len() - 4]) == sum(&bytes[bytes.len() - 4..]);
    let has = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    if !with_checksum(bytes) {
        return None;
    }
    let (mut rest, mut parts) = (&bytes[..bytes.len() - 4], vec![]);
    for _ in Part::ALL {
        let (length, behind) = rest.split_at_checked(4)?;
        let (part, behind) = behind.split_at_checked(sum(length) as usize)?;
        parts.push(part);
        rest = behind;
    }
    let [gateware, bootloader, firmware] = parts[..] else { return None };
    let (header, payload) = firmware.split_at_checked(8)?;
    let roles: Vec<Role> = TITLES.iter().filter(|(title, _)| has(payload, title)).map(|(_, role)| *role).collect();
    let sound = rest.is_empty()
        && gateware.len() <= SECTOR as usize
        && has(&gateware[..gateware.len().min(4096)], SYNC)
        && bootloader.len() <= SECTOR as usize
        && with_checksum(bootloader)
        && firmware.len() <= LONGEST_FIRMWARE
        && !payload.is_empty()
        && sum(&header[..4]) as usize == payload.len()
        && sum(&header[4..]) == crc(payload)
        && roles.len() == 1;
    sound.then(|| ([gateware, bootloader, firmware], roles[0]))
}

/// A flash that never fails: sectors that were ever written.
#[derive(Clone, Default, PartialEq, Debug)]
struct Chip {
    sectors: BTreeMap<u32, Vec<u8>>,
    busy: bool,
}

impl Chip {
    fn sector(&mut self, address: u32) -> &mut [u8] {
        self.sectors.entry(address / SECTOR).or_insert_with(|| vec![0xFF; SECTOR as usize])
    }

    fn begin(&mut self) {
        assert!(!self.busy, "asked for something while it was busy");
        self.busy = true;
    }
}

impl Flash for Chip {
    fn read(&mut self, address: u32, into: &mut [u8]) -> Result<(), Error> {
        assert!(!self.busy, "read while it was busy");
        for (at, byte) in (address..).zip(into) {
            *byte = self.sectors.get(&(at / SECTOR)).map_or(0xFF, |sector| sector[(at % SECTOR) as usize]);
        }
        Ok(())
    }

    fn begin_erase(&mut self, address: u32) -> Result<(), Error> {
        assert!(address.is_multiple_of(SECTOR));
        self.begin();
        self.sector(address).fill(0xFF);
        Ok(())
    }

    fn begin_program(&mut self, address: u32, bytes: &[u8]) -> Result<(), Error> {
        assert!(!bytes.is_empty() && address as usize % PAGE + bytes.len() <= PAGE, "within a page");
        self.begin();
        let place = (address % SECTOR) as usize;
        self.sector(address)[place..].iter_mut().zip(bytes).for_each(|(kept, byte)| *kept &= byte);
        Ok(())
    }

    fn busy(&mut self) -> Result<bool, Error> {
        Ok(std::mem::take(&mut self.busy))
    }
}

/// Writes the image over one of another FPGA's, of this one's, and over itself: either all of it stands there
/// afterwards or nothing is changed, and never the configuration.
fn written(image: Image<'_>, own: Own) {
    let mut chip = Chip::default();
    chip.sector(LAYOUT.storage).fill(0x5A);
    for round in 0..2 {
        let before = chip.clone();
        let mut update = Update::new(image, LAYOUT, own);
        let done = (0..1_000_000).find_map(|now| match update.step(&mut chip, now) {
            Ok(Step::Done) => Some(Ok(())),
            Ok(_) => None,
            Err(failure) => Some(Err(failure)),
        });
        chip.busy = false;
        match done.expect("the job comes to an end") {
            Ok(()) => {
                for part in Part::ALL {
                    let mut found = vec![0; image.part(part).len()];
                    chip.read(LAYOUT.region(part).0, &mut found).expect("it never fails");
                    assert!(found == image.part(part), "{} is not what was sent", part.name());
                }
                assert!(chip.sector(LAYOUT.storage).iter().all(|&byte| byte == 0x5A), "the configuration is changed");
                assert!(round == 0 || chip == before, "what is there is written again");
            }
            Err(Failure::OtherRole(role)) => {
                assert!(role == image.role && role != own.role, "its role is this board's");
                assert!(chip == before, "refused, and something is changed");
            }
            Err(Failure::OtherRegisters(number)) => {
                assert!(Some(number) == image.registers && number != own.registers, "its registers are this board's");
                assert!(chip == before, "refused, and something is changed");
            }
            Err(failure) => panic!("{failure}"),
        }
    }
    // The same board with a bitstream for another FPGA in it takes nothing.
    let other = [SYNC, &[0x30, 0x01, 0x80, 0x01, 0x0F, 0xFF, 0xFF, 0xFF]].concat();
    chip.sector(0)[..12].copy_from_slice(&other);
    let before = chip.clone();
    let mut update = Update::new(image, LAYOUT, own);
    if image.fpga.is_some() {
        assert_eq!(update.step(&mut chip, 0), Err(Failure::OtherFpga));
        assert!(chip == before);
    }
}
