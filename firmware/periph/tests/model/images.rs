//! Flash images as a host makes them.

use corelog_periph::crc::Crc;
use corelog_periph::image::{Check, Image, Layout, Refusal};
use corelog_periph::role::Role;

use super::random::Random;

/// That of Kasli.
pub const LAYOUT: Layout = Layout { bootloader: 0x400000, storage: 0x440000, firmware: 0x450000 };
pub const KASLI: u32 = 0x1363_1093;
pub const KC705: u32 = 0x3365_1093;

pub fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::default();
    crc.update(bytes);
    crc.value()
}

fn with_length(part: &[u8]) -> Vec<u8> {
    [&(part.len() as u32).to_le_bytes()[..], part].concat()
}

pub fn gateware(random: &mut Random, idcode: u32, length: usize) -> Vec<u8> {
    let mut words = vec![0xFFFF_FFFFu32; 8];
    words.extend([0xAA99_5566, 0x2000_0000, 0x3002_2001, 0, 0x3001_8001, idcode, 0x3000_8001, 0]);
    let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
    bytes.extend(random.bytes(length - bytes.len()));
    bytes
}

pub fn bootloader(random: &mut Random, length: usize) -> Vec<u8> {
    let mut bytes = random.bytes(length - 4);
    bytes.extend(crc(&bytes).to_le_bytes());
    bytes
}

pub fn title(role: Role) -> &'static [u8] {
    match role {
        Role::CoreDevice => b"ARTIQ runtime",
        Role::Satellite => b"ARTIQ satellite manager",
    }
}

pub fn fbi(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32).to_le_bytes()[..], &crc(payload).to_le_bytes(), payload].concat()
}

pub fn firmware(random: &mut Random, role: Role, length: usize) -> Vec<u8> {
    let mut payload = random.bytes(length);
    let at = random.below(length - 30);
    payload[at..at + title(role).len()].copy_from_slice(title(role));
    fbi(&payload)
}

pub fn image(parts: [&[u8]; 3]) -> Vec<u8> {
    let mut bytes: Vec<u8> = parts.into_iter().flat_map(with_length).collect();
    bytes.extend(crc(&bytes).to_le_bytes());
    bytes
}

pub fn check(bytes: &[u8]) -> Result<Image<'_>, Refusal> {
    let mut check = Check::new(bytes, LAYOUT);
    loop {
        if let Some(result) = check.step() {
            return result;
        }
    }
}
