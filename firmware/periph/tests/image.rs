//! Images that come over the network: good ones, and hostile ones.

mod model;

use corelog_periph::image::{fpga, Image, Part, Refusal, LONGEST_FIRMWARE};
use corelog_periph::role::Role;
use model::images::{bootloader, check, crc, fbi, firmware, gateware, image, title, KASLI, LAYOUT};
use model::random::Random;

struct Parts {
    gateware: Vec<u8>,
    bootloader: Vec<u8>,
    firmware: Vec<u8>,
}

fn parts(role: Role) -> Parts {
    let mut random = Random::new();
    Parts {
        gateware: gateware(&mut random, KASLI, 20_000),
        bootloader: bootloader(&mut random, 9_000),
        firmware: firmware(&mut random, role, 30_000),
    }
}

impl Parts {
    fn image(&self) -> Vec<u8> {
        image([&self.gateware, &self.bootloader, &self.firmware])
    }

    fn refusal(&self) -> Refusal {
        check(&self.image()).unwrap_err()
    }
}

/// The capture in the description of the protocol: its parts are none.
const CAPTURE: [u8; 27] =
    [4, 0, 0, 0, 1, 2, 3, 4, 2, 0, 0, 0, b'B', b'L', 5, 0, 0, 0, b'R', b'T', b'F', b'B', b'I', 0x4E, 0xEB, 0x36, 0x70];

#[test]
fn good_image_is_taken_apart_with_its_role_and_its_fpga() {
    for role in [Role::CoreDevice, Role::Satellite] {
        let parts = parts(role);
        let bytes = parts.image();
        let found: Image<'_> = check(&bytes).unwrap();
        assert_eq!((found.role, found.fpga), (role, Some(KASLI & 0x0FFF_FFFF)));
        assert!(found.part(Part::Gateware) == parts.gateware && found.part(Part::Bootloader) == parts.bootloader);
        assert!(found.part(Part::Firmware) == parts.firmware);
    }
}

#[test]
fn captured_image_has_a_right_checksum_and_is_refused_for_its_gateware() {
    assert_eq!(check(&CAPTURE), Err(Refusal::NotA(Part::Gateware)));
}

#[test]
fn any_changed_byte_is_refused() {
    let mut bytes = parts(Role::CoreDevice).image();
    let mut random = Random::new();
    for _ in 0..200 {
        let at = random.below(bytes.len());
        let change = 1 + random.below(255) as u8;
        bytes[at] ^= change;
        assert!(matches!(check(&bytes), Err(Refusal::Checksum { .. })), "changed at {at}");
        bytes[at] ^= change;
    }
    assert!(check(&bytes).is_ok());
}

#[test]
fn image_cut_anywhere_is_refused() {
    let bytes = parts(Role::CoreDevice).image();
    for length in (0..bytes.len()).step_by(97).chain(0..40) {
        assert!(check(&bytes[..length]).is_err());
    }
    assert_eq!(check(&bytes[..16]), Err(Refusal::Short(16)));
}

#[test]
fn parts_left_out_swapped_or_added_are_refused() {
    let Parts { gateware, bootloader, firmware } = &parts(Role::CoreDevice);
    assert_eq!(check(&image([bootloader, gateware, firmware])), Err(Refusal::NotA(Part::Gateware)));
    assert_eq!(check(&image([gateware, firmware, bootloader])), Err(Refusal::PartChecksum(Part::Bootloader)));
    assert_eq!(check(&image([gateware, bootloader, bootloader])), Err(Refusal::NotA(Part::Firmware)));
    assert_eq!(check(&image([gateware, bootloader, gateware])), Err(Refusal::NotA(Part::Firmware)));
    assert_eq!(check(&image([gateware, &[], firmware])), Err(Refusal::NotA(Part::Bootloader)));
    assert_eq!(check(&image([&[], bootloader, firmware])), Err(Refusal::NotA(Part::Gateware)));
    assert_eq!(check(&image([gateware, bootloader, &[]])), Err(Refusal::NotA(Part::Firmware)));
    // Upstream's sender leaves out what it does not find.
    let two = image([gateware, bootloader, &[]]);
    let mut two = two[..two.len() - 8].to_vec();
    two.extend(crc(&two).to_le_bytes());
    assert_eq!(check(&two), Err(Refusal::Lengths));
    let mut four = image([gateware, bootloader, firmware]);
    four.truncate(four.len() - 4);
    four.extend([0; 5]);
    four.extend(crc(&four).to_le_bytes());
    assert_eq!(check(&four), Err(Refusal::Lengths));
}

#[test]
fn parts_that_do_not_fit_their_place_are_refused() {
    let mut random = Random::new();
    let good = parts(Role::CoreDevice);
    let too_long = |parts: [&[u8]; 3]| match check(&image(parts)) {
        Err(Refusal::TooLong { part, length, room }) if length == room + 1 => part,
        other => panic!("{other:?}"),
    };
    let large = gateware(&mut random, KASLI, LAYOUT.bootloader as usize + 1);
    assert_eq!(too_long([&large, &good.bootloader, &good.firmware]), Part::Gateware);
    let large = bootloader(&mut random, (LAYOUT.storage - LAYOUT.bootloader) as usize + 1);
    assert_eq!(too_long([&good.gateware, &large, &good.firmware]), Part::Bootloader);
    let large = firmware(&mut random, Role::CoreDevice, LONGEST_FIRMWARE + 1);
    assert_eq!(too_long([&good.gateware, &good.bootloader, &large]), Part::Firmware);
    let largest = firmware(&mut random, Role::CoreDevice, LONGEST_FIRMWARE);
    assert!(check(&image([&good.gateware, &good.bootloader, &largest])).is_ok());
}

#[test]
fn damaged_parts_under_a_right_checksum_are_refused() {
    let mut damaged = parts(Role::CoreDevice);
    *damaged.bootloader.last_mut().unwrap() ^= 1;
    assert_eq!(damaged.refusal(), Refusal::PartChecksum(Part::Bootloader));
    let mut damaged = parts(Role::CoreDevice);
    *damaged.firmware.last_mut().unwrap() ^= 1;
    assert_eq!(damaged.refusal(), Refusal::PartChecksum(Part::Firmware));
    let mut damaged = parts(Role::CoreDevice);
    damaged.firmware.push(0);
    assert_eq!(damaged.refusal(), Refusal::NotA(Part::Firmware));
    let mut damaged = parts(Role::CoreDevice);
    damaged.gateware[35] ^= 1; // of the synchronisation word
    assert_eq!(damaged.refusal(), Refusal::NotA(Part::Gateware));
}

#[test]
fn role_is_found_wherever_the_title_stands_and_only_if_there_is_one() {
    for role in [Role::CoreDevice, Role::Satellite] {
        for at in 4060..4110 {
            let mut random = Random::new();
            let mut payload = vec![0; 9000];
            payload[at..at + title(role).len()].copy_from_slice(title(role));
            let firmware = fbi(&payload);
            let bytes = image([&gateware(&mut random, KASLI, 300), &bootloader(&mut random, 300), &firmware]);
            assert_eq!(check(&bytes).map(|image| image.role), Ok(role), "at {at}");
        }
    }
    let both = [title(Role::CoreDevice), b"\0", title(Role::Satellite)].concat();
    for payload in [&both[..], b"ARTIQ", b"ARTIQ satellite manage"] {
        let mut parts = parts(Role::CoreDevice);
        parts.firmware = fbi(payload);
        assert_eq!(parts.refusal(), Refusal::NoRole);
    }
}

#[test]
fn registers_of_the_firmware_are_found_wherever_they_stand() {
    let registers = |payload: &[u8]| {
        let mut parts = parts(Role::CoreDevice);
        parts.firmware = fbi(&[b"ARTIQ runtime\0", payload].concat());
        check(&parts.image()).unwrap().registers
    };
    for at in 4040..4110 {
        assert_eq!(registers(&[&vec![b'm'; at], &b"made for registers 89abcdef"[..]].concat()), Some(0x89AB_CDEF));
    }
    for none in [&b""[..], b"made for registers ", b"made for registers 89abcde", b"made for registers 89abcdeg"] {
        assert_eq!(registers(none), None);
    }
}

#[test]
fn any_bytes_with_a_right_checksum_are_refused_without_panic() {
    let mut random = Random::new();
    for _ in 0..3000 {
        let length = random.below(120);
        let mut bytes: Vec<u8> = random.bytes(length);
        for byte in &mut bytes {
            // Mostly small, so that lengths often make sense.
            *byte = if random.below(4) == 0 { *byte } else { *byte & 7 };
        }
        if random.below(2) == 0 && length > 40 {
            bytes[4..8].copy_from_slice(&[0xAA, 0x99, 0x55, 0x66]);
        }
        bytes.extend(crc(&bytes).to_le_bytes());
        assert!(check(&bytes).is_err());
    }
}

#[test]
fn fpga_of_a_bitstream_is_read_and_of_anything_else_is_none() {
    let mut random = Random::new();
    let bitstream = gateware(&mut random, KASLI, 400);
    assert_eq!(fpga(&bitstream), Some(KASLI & 0x0FFF_FFFF));
    for end in 0..56 {
        assert_eq!(fpga(&bitstream[..end]), None);
    }
    assert_eq!(fpga(&[0xFF; 4096]), None);
}
