//! The clock synthesiser: its plans by arithmetic, and what is written to it.

mod model;

use corelog_periph::i2c::{self, Bus};
use corelog_periph::si5324::{self, Error, Input, Plan, Status, ADDRESS};
use model::i2c::{Model, Registers};

const PLANS: [Plan; 6] = [Plan::CRYSTAL, Plan::MHZ_10, Plan::MHZ_80, Plan::MHZ_100, Plan::MHZ_125, Plan::RECOVERED];

fn chip() -> Model {
    let mut model = Model::new();
    let mut registers = Registers::new();
    (registers.values[134], registers.values[135]) = (0x01, 0x82);
    // As after a reset.
    for (register, value) in [(0, 0x14), (2, 0x42), (3, 0x05), (4, 0x12), (6, 0x2D), (21, 0xFF), (129, 0), (130, 0)] {
        registers.values[register] = value;
    }
    model.chips.insert(ADDRESS, registers);
    model
}

#[test]
fn every_plan_gives_125_mhz_within_what_the_chip_can() {
    for plan in PLANS {
        let (n1, n2, n3) = (u64::from(plan.n1.0) * u64::from(plan.n1.1), plan.n2, u64::from(plan.n3));
        let n2 = u64::from(n2.0) * u64::from(n2.1);
        let (f3, oscillator) = (plan.input as f64 / n3 as f64, plan.input as f64 / n3 as f64 * n2 as f64);
        assert!((2e3..=2e6).contains(&f3), "{plan:?}: f3 {f3}");
        assert!((4.85e9..=5.67e9).contains(&oscillator), "{plan:?}: oscillator {oscillator}");
        let error = oscillator / n1 as f64 / 125e6 - 1.0;
        assert!(error.abs() < 1e-6, "{plan:?}: off by {error:e}");
        if plan.input != si5324::CRYSTAL {
            assert_eq!(plan.input * n2, 125_000_000 * n1 * n3, "{plan:?} is exact");
        }
        assert!((4..=11).contains(&plan.n1.0) && (4..=11).contains(&plan.n2.0));
        assert!(plan.n1.1 % 2 == 0 && plan.n2.1 % 2 == 0 && plan.n2.1 < 1 << 20 && plan.n3 < 1 << 19);
    }
}

/// The divider in three registers from `at` on.
fn divider(values: &[u8; 256], at: usize) -> u32 {
    (u32::from(values[at] & 0x0F) << 16 | u32::from(values[at + 1]) << 8 | u32::from(values[at + 2])) + 1
}

#[test]
fn dividers_input_and_calibration_are_in_the_registers() {
    for (plan, input) in PLANS.into_iter().flat_map(|plan| [(plan, Input::One), (plan, Input::Two)]) {
        let mut model = chip();
        let mut bus = Bus::new(&mut model);
        si5324::identify(&mut bus).unwrap();
        si5324::configure(&mut bus, &plan, input).unwrap();
        let registers = &model.chips[&ADDRESS];
        let values = &registers.values;
        assert_eq!([values[25] >> 5, values[40] >> 5].map(|high_speed| high_speed + 4), [plan.n1.0, plan.n2.0]);
        assert_eq!([31, 34, 40].map(|at| divider(values, at)), [plan.n1.1, plan.n1.1, plan.n2.1]);
        assert_eq!([43, 46].map(|at| divider(values, at)), [plan.n3, plan.n3]);
        assert_eq!(values[3] >> 6, if input == Input::One { 0 } else { 1 });
        assert_eq!((values[3] & 0x3F, values[0]), (0x15, if plan.crystal { 0x54 } else { 0x14 }));
        assert_eq!((values[2], values[4], values[6] & 0x3F, values[21]), (plan.bandwidth << 4 | 2, 0x12, 0x3F, 0xFE));
        let (last, _) = registers.writes.split_last().unwrap();
        assert_eq!((last.0, last.1 & 0x40), (136, 0x40), "calibration comes last");
    }
}

#[test]
fn bypass_selects_the_input_and_leaves_the_loop_out() {
    let mut model = chip();
    si5324::bypass(&mut Bus::new(&mut model), Input::Two).unwrap();
    let values = &model.chips[&ADDRESS].values;
    assert_eq!((values[0] & 0x02, values[3] >> 6), (0x02, 1));
}

#[test]
fn hold_changes_nothing_else() {
    let mut model = chip();
    let mut bus = Bus::new(&mut model);
    si5324::configure(&mut bus, &Plan::RECOVERED, Input::One).unwrap();
    si5324::hold(&mut bus, true).unwrap();
    let (held, count) = (model.chips[&ADDRESS].values[3], model.chips[&ADDRESS].writes.len());
    si5324::hold(&mut Bus::new(&mut model), false).unwrap();
    let registers = &model.chips[&ADDRESS];
    assert_eq!((held, registers.values[3]), (0x35, 0x15));
    assert_eq!(registers.writes.len(), count + 1);
}

#[test]
fn missing_crystal_missing_input_and_lost_lock_are_told_apart() {
    let cases = [
        (0x00, 0x00, [true, true, true]),
        (0x01, 0x00, [false, true, true]),
        (0x02, 0x01, [true, false, false]),
        (0x04, 0x01, [true, true, false]), // the other input
    ];
    for (lost, unlocked, [crystal, input, locked]) in cases {
        let mut model = chip();
        let values = &mut model.chips.get_mut(&ADDRESS).unwrap().values;
        (values[129], values[130]) = (lost, unlocked);
        let status = si5324::status(&mut Bus::new(&mut model), Input::One);
        assert_eq!(status, Ok(Status { crystal, input, locked }));
    }
}

#[test]
fn another_chip_or_none_is_an_error() {
    let mut model = chip();
    model.chips.get_mut(&ADDRESS).unwrap().values[135] = 0x83;
    assert_eq!(si5324::identify(&mut Bus::new(&mut model)), Err(Error::OtherPart([0x01, 0x83])));
    let mut model = Model::new();
    let missing = Err(Error::Bus(i2c::Error::NoAnswer(ADDRESS)));
    assert_eq!(si5324::configure(&mut Bus::new(&mut model), &Plan::CRYSTAL, Input::Two), missing);
}
