//! Writing the flash, against a model whose power can fail at any change.

mod model;

use corelog_periph::image::{Image, Part};
use corelog_periph::nor::{Error, SECTOR};
use corelog_periph::role::Role;
use corelog_periph::update::{Failure, Own, Step, Update};
use model::flash::{Model, POWER_CUT};
use model::images::{bootloader, check, fbi, firmware, gateware, image, KASLI, KC705, LAYOUT};
use model::random::Random;

/// Of the program that does the job.
const REGISTERS: u32 = 0x0BAD_C0DE;
const STORE: &[u8] = b"\x00\x00\x00\x0eip\x001.2.3.4";

struct Build {
    gateware: Vec<u8>,
    bootloader: Vec<u8>,
    firmware: Vec<u8>,
}

impl Build {
    fn new(random: &mut Random) -> Build {
        Build {
            gateware: gateware(random, KASLI, 2 * SECTOR as usize + 100),
            bootloader: bootloader(random, 20_000),
            firmware: firmware(random, Role::CoreDevice, 2 * SECTOR as usize + 10),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        image([&self.gateware, &self.bootloader, &self.firmware])
    }

    /// A board that has this, and a configuration.
    fn board(&self, random: &Random) -> Model {
        let mut flash = Model::new(random.clone());
        for (part, bytes) in Part::ALL.into_iter().zip([&self.gateware, &self.bootloader, &self.firmware]) {
            flash.put(LAYOUT.region(part).0, bytes);
        }
        flash.put(LAYOUT.storage, STORE);
        flash
    }
}

/// Whether a part of the flash is that of the image.
fn holds(flash: &Model, image: &Image, part: Part) -> bool {
    let wanted = image.part(part);
    flash.get(LAYOUT.region(part).0, wanted.len()) == wanted
}

/// Whether the bootloader would start what is there: the firmware's header is not that of erased flash, and its
/// checksum is right.
fn starts(flash: &Model) -> bool {
    let header = flash.get(LAYOUT.firmware, 8);
    let [length, crc] = [0, 4].map(|at| u32::from_le_bytes(header[at..at + 4].try_into().unwrap()));
    (1..=4 << 20).contains(&length) && model::images::crc(&flash.get(LAYOUT.firmware + 8, length as usize)) == crc
}

/// Runs a job to its end; what it said it writes.
fn run(flash: &mut Model, image: Image, role: Role) -> Result<Vec<(Part, u32)>, Failure> {
    let mut update = Update::new(image, LAYOUT, Own { role, registers: REGISTERS });
    let mut written = Vec::new();
    for now in 0..1_000_000 {
        match update.step(flash, now)? {
            Step::Working | Step::Busy => {}
            Step::Writes(part, bytes) => written.push((part, bytes)),
            Step::Done => return Ok(written),
        }
    }
    panic!("the job does not end");
}

#[test]
fn whole_image_is_written_to_an_empty_flash_and_nothing_else_is() {
    let mut random = Random::new();
    let build = Build::new(&mut random);
    let bytes = build.bytes();
    let image = check(&bytes).unwrap();
    let mut flash = Model::new(random);
    flash.put(LAYOUT.storage, STORE);
    let written = run(&mut flash, image, Role::CoreDevice).unwrap();
    let order = [(Part::Gateware, 3), (Part::Bootloader, 1), (Part::Firmware, 3)];
    assert_eq!(written, order.map(|(part, sectors)| (part, sectors * SECTOR)));
    assert!(Part::ALL.into_iter().all(|part| holds(&flash, &image, part)) && starts(&flash));
    assert_eq!(flash.get(LAYOUT.storage, STORE.len() + 4), [STORE, &[0xFF; 4]].concat());
    assert!(!flash.erased.contains(&LAYOUT.storage));
}

#[test]
fn same_image_again_changes_nothing() {
    let mut random = Random::new();
    let build = Build::new(&mut random);
    let bytes = build.bytes();
    let mut flash = build.board(&random);
    assert_eq!(run(&mut flash, check(&bytes).unwrap(), Role::CoreDevice), Ok(vec![]));
    assert_eq!(flash.changes, 0);
}

#[test]
fn new_firmware_leaves_gateware_and_bootloader_untouched() {
    let mut random = Random::new();
    let old = Build::new(&mut random);
    let firmware = firmware(&mut random, Role::CoreDevice, 70_000);
    let bytes = image([&old.gateware, &old.bootloader, &firmware]);
    let new = check(&bytes).unwrap();
    let mut flash = old.board(&random);
    assert_eq!(run(&mut flash, new, Role::CoreDevice), Ok(vec![(Part::Firmware, 2 * SECTOR)]));
    assert!(flash.erased.iter().all(|&sector| sector >= LAYOUT.firmware));
    assert!(holds(&flash, &new, Part::Firmware) && starts(&flash));
}

/// Cuts the power at every change of a job from `old` to `new`, and checks what is left. Then the job is done again, on
/// what is left.
fn cut_everywhere(old: &Build, new: &Build, random: &mut Random, step: usize, check_left: impl Fn(&Model, &Image)) {
    let bytes = new.bytes();
    let image = check(&bytes).unwrap();
    let mut whole = old.board(random);
    run(&mut whole, image, Role::CoreDevice).unwrap();
    let mut cut = 0;
    while cut < whole.changes {
        random.byte();
        let mut flash = old.board(random);
        flash.lives_for = cut;
        assert_eq!(run(&mut flash, image, Role::CoreDevice), Err(Failure::Flash(POWER_CUT)));
        check_left(&flash, &image);
        if flash.erased.iter().filter(|&&sector| sector == LAYOUT.firmware).count() == 2 {
            // The start of the firmware comes last.
            assert!(holds(&flash, &image, Part::Gateware) && holds(&flash, &image, Part::Bootloader));
            let rest = &image.part(Part::Firmware)[SECTOR as usize..];
            assert!(flash.get(LAYOUT.firmware + SECTOR, rest.len()) == rest);
        }
        assert!(!starts(&flash), "cut at change {cut} of {}: something starts", whole.changes);
        assert_eq!(flash.get(LAYOUT.storage, SECTOR as usize), whole.get(LAYOUT.storage, SECTOR as usize));
        flash.revive();
        run(&mut flash, image, Role::CoreDevice).unwrap();
        assert!(Part::ALL.into_iter().all(|part| holds(&flash, &image, part)) && starts(&flash), "cut at {cut}");
        // The first and the last changes are the interesting ones.
        let near = cut < 8 || cut + 300 > whole.changes;
        cut += if near { 1 } else { 1 + random.below(step) as u64 };
    }
}

#[test]
fn power_cut_at_any_change_of_new_firmware_leaves_gateware_bootloader_and_store_whole() {
    let mut random = Random::new();
    let old = Build::new(&mut random);
    let firmware = firmware(&mut random, Role::CoreDevice, SECTOR as usize + 5_000);
    let new = Build { firmware, gateware: old.gateware.clone(), bootloader: old.bootloader.clone() };
    cut_everywhere(&old, &new, &mut random, 1, |flash, image| {
        assert!(holds(flash, image, Part::Gateware) && holds(flash, image, Part::Bootloader));
        assert!(flash.erased.iter().all(|&sector| sector >= LAYOUT.firmware));
    });
}

#[test]
fn power_cut_at_any_change_of_everything_leaves_no_firmware_that_would_start_on_what_is_there() {
    let mut random = Random::new();
    let (old, new) = (Build::new(&mut random), Build::new(&mut random));
    cut_everywhere(&old, &new, &mut random, 60, |_, _| {});
}

#[test]
fn gateware_of_another_board_is_refused_before_anything_is_changed() {
    let mut random = Random::new();
    let old = Build::new(&mut random);
    let new = Build { gateware: gateware(&mut random, KC705, 5_000), ..Build::new(&mut random) };
    let bytes = new.bytes();
    let mut flash = old.board(&random);
    assert_eq!(run(&mut flash, check(&bytes).unwrap(), Role::CoreDevice), Err(Failure::OtherFpga));
    assert_eq!(flash.changes, 0);
    // Another revision of the same FPGA is none.
    let new = Build { gateware: gateware(&mut random, KASLI ^ 0xF000_0000, 5_000), ..Build::new(&mut random) };
    assert!(run(&mut flash, check(&new.bytes()).unwrap(), Role::CoreDevice).is_ok());
}

#[test]
fn firmware_of_the_other_role_needs_other_gateware() {
    let mut random = Random::new();
    let old = Build::new(&mut random);
    let satman = firmware(&mut random, Role::Satellite, 5_000);
    let bytes = image([&old.gateware, &old.bootloader, &satman]);
    let mut flash = old.board(&random);
    let refused = Err(Failure::OtherRole(Role::Satellite));
    assert_eq!(run(&mut flash, check(&bytes).unwrap(), Role::CoreDevice), refused);
    assert_eq!(flash.changes, 0);
    let bytes = image([&gateware(&mut random, KASLI, 5_000), &old.bootloader, &satman]);
    assert!(run(&mut flash, check(&bytes).unwrap(), Role::CoreDevice).is_ok());
    assert!(starts(&flash));
}

#[test]
fn firmware_for_other_registers_needs_other_gateware() {
    let mut random = Random::new();
    let old = Build::new(&mut random);
    let mut flash = old.board(&random);
    for (number, fits) in [("0badc0de", true), ("0badc0df", false)] {
        let firmware = fbi(format!("ARTIQ runtime, made for registers {number}").as_bytes());
        let bytes = image([&old.gateware, &old.bootloader, &firmware]);
        let changes = flash.changes;
        let done = run(&mut flash, check(&bytes).unwrap(), Role::CoreDevice).map(|_| ());
        assert_eq!(done, if fits { Ok(()) } else { Err(Failure::OtherRegisters(0x0BAD_C0DF)) });
        assert_eq!(flash.changes == changes, !fits);
        let bytes = image([&gateware(&mut random, KASLI, 5_000), &old.bootloader, &firmware]);
        assert!(run(&mut flash.clone(), check(&bytes).unwrap(), Role::CoreDevice).is_ok());
    }
}

#[test]
fn flash_that_does_not_keep_a_bit_fails_the_job_and_nothing_starts() {
    let mut random = Random::new();
    let old = Build::new(&mut random);
    let new = Build { gateware: old.gateware.clone(), bootloader: old.bootloader.clone(), ..Build::new(&mut random) };
    let bytes = new.bytes();
    let differs = |&at: &usize| (old.firmware[at] ^ new.firmware[at]) & 1 != 0;
    let address = LAYOUT.firmware + (300..).find(differs).unwrap() as u32;
    let mut flash = old.board(&random);
    flash.stuck = Some(address);
    let Err(Failure::Differs(at)) = run(&mut flash, check(&bytes).unwrap(), Role::CoreDevice) else {
        panic!("it was not noticed");
    };
    assert!(at <= address && address < at + 1024);
    assert!(!starts(&flash));
    let times = flash.erased.iter().filter(|&&sector| sector == LAYOUT.firmware).count();
    assert_eq!(times, 3, "erased to begin with, and written twice");
}

#[test]
fn flash_that_stays_busy_or_does_not_answer_ends_the_job() {
    let mut random = Random::new();
    let old = Build::new(&mut random);
    let bytes = Build::new(&mut random).bytes();
    let mut flash = old.board(&random);
    let mut update = Update::new(check(&bytes).unwrap(), LAYOUT, Own { role: Role::CoreDevice, registers: REGISTERS });
    flash.hangs = true;
    let mut now = 0;
    let end = loop {
        now += 1_000;
        match update.step(&mut flash, now) {
            Ok(step) => assert_ne!(step, Step::Done),
            Err(failure) => break failure,
        }
    };
    assert_eq!(end, Failure::Slow);
    assert!(now < 20_000_000, "{now}");
    flash.lives_for = 0;
    flash.hangs = false;
    flash.revive();
    flash.lives_for = 0;
    flash.changes = 0;
    assert_eq!(run(&mut flash, check(&bytes).unwrap(), Role::CoreDevice), Err(Failure::Flash(Error::Bus)));
}
