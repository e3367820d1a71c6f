//! The driver of NOR flash against a chip that is played command by command.

mod model;

use corelog_periph::nor::{Error, Flash, Nor, PAGE, SECTOR, SIZE};
use model::random::Random;
use model::spi::Chip;

const N25Q128: [u8; 5] = [0x20, 0xBA, 0x18, 0x10, 0x00];
const S25FL128S: [u8; 5] = [0x01, 0x20, 0x18, 0x4D, 0x01];

fn wait(flash: &mut impl Flash) {
    let looks = (0..100).take_while(|_| flash.busy() == Ok(true)).count();
    assert!(looks < 100);
}

#[test]
fn chips_of_the_boards_are_known_and_others_are_refused() {
    for id in [N25Q128, S25FL128S, [0xEF, 0x40, 0x18, 0, 0]] {
        assert_eq!(Nor::new(&mut Chip::new(id)).identify(), Ok([id[0], id[1], id[2]]));
    }
    // None there, half the size, sectors of 256 KiB.
    for id in [[0xFF; 5], [0; 5], [0x20, 0xBA, 0x17, 0, 0], [0x01, 0x20, 0x18, 0x4D, 0x00]] {
        assert_eq!(Nor::new(&mut Chip::new(id)).identify(), Err(Error::Unknown([id[0], id[1], id[2]])));
    }
}

#[test]
fn memory_equals_a_model_under_erasures_and_programmings() {
    let mut random = Random::new();
    let mut model = vec![0xFF; SIZE as usize];
    let mut chip = Chip::new(N25Q128);
    for _ in 0..300 {
        let mut flash = Nor::new(&mut chip);
        let sector = random.below(256) as u32 * SECTOR;
        match random.below(8) {
            0 => {
                flash.begin_erase(sector).unwrap();
                assert_eq!(flash.busy(), Ok(true));
                wait(&mut flash);
                model[sector as usize..(sector + SECTOR) as usize].fill(0xFF);
            }
            1..=5 => {
                let start = random.below(PAGE);
                let length = 1 + random.below(PAGE - start);
                let address = sector as usize + random.below(256) * PAGE + start;
                let bytes = random.bytes(length);
                flash.begin_program(address as u32, &bytes).unwrap();
                wait(&mut flash);
                model[address..].iter_mut().zip(bytes).for_each(|(place, byte)| *place &= byte);
            }
            _ => {
                let mut found = vec![0; random.below(3000)];
                let address = random.below(SIZE as usize - found.len());
                flash.read(address as u32, &mut found).unwrap();
                assert_eq!(found, model[address..address + found.len()]);
            }
        }
    }
    assert!(chip.memory == model);
}

#[test]
fn what_leaves_the_flash_a_sector_or_a_page_is_refused_and_nothing_is_sent() {
    let mut chip = Chip::new(N25Q128);
    let mut flash = Nor::new(&mut chip);
    let refused = Err(Error::OutOfRange);
    assert_eq!(flash.read(SIZE - 2, &mut [0; 3]), refused);
    assert_eq!(flash.read(u32::MAX, &mut [0; 3]), refused);
    assert_eq!(flash.begin_erase(SECTOR + 4), refused);
    assert_eq!(flash.begin_erase(SIZE), refused);
    assert_eq!(flash.begin_program(SIZE, &[0]), refused);
    assert_eq!(flash.begin_program(200, &[0; 57]), refused);
    assert_eq!(flash.begin_program(0, &[]), refused);
    assert!(chip.memory.iter().all(|&byte| byte == 0xFF));
}

#[test]
fn protected_chip_and_dead_bus_are_errors() {
    let mut chip = Chip::new(N25Q128);
    chip.writable = false;
    assert_eq!(Nor::new(&mut chip).begin_erase(0), Err(Error::Protected));
    assert_eq!(Nor::new(&mut chip).begin_program(0, &[0]), Err(Error::Protected));
    chip.broken = true;
    assert_eq!(Nor::new(&mut chip).identify(), Err(Error::Bus));
    assert_eq!(Nor::new(&mut chip).busy(), Err(Error::Bus));
}
