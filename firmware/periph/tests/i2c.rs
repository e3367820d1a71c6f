//! Chips on the I2C bus, played line by line.

mod model;

use corelog_periph::cages::Pair;
use corelog_periph::eeprom::eui48;
use corelog_periph::expander::Expander;
use corelog_periph::i2c::{Bus, Error, Switch};
use model::i2c::{Model, Registers};

/// Kasli's switches: what is shared is behind the second one.
const SHARED: [Switch; 2] = [Switch { address: 0x70, channels: 0 }, Switch { address: 0x71, channels: 1 << 3 }];
const EUI: [u8; 6] = [0x80, 0x1F, 0x12, 0x34, 0x56, 0x78];

fn kasli() -> Model {
    let mut model = Model::new();
    model.switches.extend([(0x70, 0xFF), (0x71, 0)]);
    let mut eeprom = Registers::new();
    eeprom.values[0xFA..].copy_from_slice(&EUI);
    model.behind.entry((0x71, 3)).or_default().extend([(0x57, eeprom), (0x20, Registers::new())]);
    // On every port of the other switch there may be a card with a chip of the same address.
    model.behind.entry((0x70, 5)).or_default().insert(0x57, Registers::new());
    model
}

#[test]
fn mac_address_is_read_through_the_switches_with_those_of_cards_shut_off() {
    let mut model = kasli();
    let mut bus = Bus::new(&mut model);
    assert_eq!(eui48(&mut bus, 0x57), Ok(None), "that of a card, which is empty");
    bus.connect(&SHARED).unwrap();
    assert_eq!(eui48(&mut bus, 0x57), Ok(Some(EUI)));
    assert_eq!(model.switches, [(0x70, 0), (0x71, 8)].into());
}

#[test]
fn empty_eeprom_and_group_address_are_no_mac_address() {
    for eui in [[0; 6], [0xFF; 6], [0x01, 0, 0, 0, 0, 1]] {
        let mut model = Model::new();
        let mut eeprom = Registers::new();
        eeprom.values[0xFA..].copy_from_slice(&eui);
        model.chips.insert(0x50, eeprom);
        assert_eq!(eui48(&mut Bus::new(&mut model), 0x50), Ok(None));
    }
}

#[test]
fn chip_that_is_not_there_gives_an_error_and_the_bus_goes_on() {
    let mut model = kasli();
    let mut bus = Bus::new(&mut model);
    bus.connect(&SHARED).unwrap();
    assert_eq!(eui48(&mut bus, 0x51), Err(Error::NoAnswer(0x51)));
    assert_eq!(bus.write(0x33, &[1, 2]), Err(Error::NoAnswer(0x33)));
    assert_eq!(eui48(&mut bus, 0x57), Ok(Some(EUI)));
}

#[test]
fn chip_that_a_reset_cut_off_in_a_byte_is_led_to_its_end() {
    for held in 1..=9 {
        let mut model = kasli();
        model.held = held;
        let mut bus = Bus::new(&mut model);
        assert_eq!(bus.connect(&SHARED), Ok(()), "held for {held} pulses");
    }
}

#[test]
fn line_that_stays_low_is_an_error_and_no_endless_wait() {
    let mut model = kasli();
    model.held = u32::MAX;
    let mut bus = Bus::new(&mut model);
    assert_eq!(bus.connect(&SHARED), Err(Error::Stuck));
    assert_eq!(eui48(&mut bus, 0x57), Err(Error::Stuck));
    assert!(model.pauses < 100);
}

#[test]
fn levels_of_an_expander_are_set_before_its_pins_become_outputs() {
    for (address, registers) in [(0x20, [0x14, 0x15, 0x00, 0x01]), (0x74, [0x02, 0x03, 0x06, 0x07])] {
        let mut model = Model::new();
        model.chips.insert(address, Registers::new());
        let mut bus = Bus::new(&mut model);
        let expander = Expander::find(&mut bus, 0x20, 0x74).unwrap();
        expander.set(&mut bus, [0x42, 0x42], [0x40, 0x00]).unwrap();
        let values = [0x40, 0x00, !0x42, !0x42];
        let expected: Vec<_> = registers.into_iter().zip(values).collect();
        assert_eq!(model.chips[&address].writes, expected);
    }
    let mut model = Model::new();
    assert_eq!(Expander::find(&mut Bus::new(&mut model), 0x20, 0x74), Err(Error::NoAnswer(0x74)));
}

/// The bus with an expander of two cages, one of either kind, and its registers for the levels.
fn cages() -> [(Model, u8, [u8; 2]); 2] {
    [(0x20, [0x14, 0x15]), (0x74, [0x02, 0x03])].map(|(address, levels)| {
        let mut model = Model::new();
        model.chips.insert(address, Registers::new());
        (model, address, levels)
    })
}

#[test]
fn leds_of_cages_follow_their_links_with_one_port_written_at_a_time_and_none_if_nothing_changed() {
    for (mut model, address, levels) in cages() {
        let mut pair = Pair::set_up(&mut Bus::new(&mut model), 0x20, 0x74).unwrap();
        let mut shown = [false; 2];
        for up in [[false; 2], [true; 2], [true; 2], [false, true], [true, false], [false; 2]] {
            for look in 0.. {
                model.chips.get_mut(&address).unwrap().writes.clear();
                let before = model.pauses;
                let mut bus = Bus::new(&mut model);
                let done = pair.show(&mut bus, up).unwrap();
                let writes = &model.chips[&address].writes;
                assert_eq!(writes.len(), usize::from(shown != up), "of {shown:?} for {up:?}");
                // Taking the bus over takes 8; the longest call is what an LED takes of the processor's time.
                assert!(model.pauses - before <= 8 + 88, "{} pauses", model.pauses - before);
                for &(register, value) in writes {
                    let port = levels.iter().position(|&level| level == register).unwrap();
                    // The transmitter stays on: its bit is 0.
                    assert_eq!(value, if up[port] { 0x40 } else { 0 });
                    shown[port] = up[port];
                }
                assert_eq!(done, shown == up);
                if done {
                    assert!(look < 2);
                    break;
                }
            }
        }
    }
}

#[test]
fn led_that_could_not_be_written_is_written_again_even_if_its_link_is_as_before() {
    for (mut model, address, levels) in cages() {
        let mut pair = Pair::set_up(&mut Bus::new(&mut model), 0x20, 0x74).unwrap();
        model.held = u32::MAX;
        assert_eq!(pair.show(&mut Bus::new(&mut model), [true, false]), Err(Error::Stuck));
        model.held = 0;
        let chip = model.chips.remove(&address).unwrap();
        assert_eq!(pair.show(&mut Bus::new(&mut model), [true, false]), Err(Error::NoAnswer(address)));
        model.chips.insert(address, chip);
        model.chips.get_mut(&address).unwrap().writes.clear();
        assert_eq!(pair.show(&mut Bus::new(&mut model), [false; 2]), Ok(true));
        assert_eq!(model.chips[&address].writes, [(levels[0], 0)]);
        assert_eq!(pair.show(&mut Bus::new(&mut model), [false; 2]), Ok(true));
        assert_eq!(model.chips[&address].writes.len(), 1);
    }
}
