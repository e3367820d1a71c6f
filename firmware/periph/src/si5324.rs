//! The Si5324: makes 125 MHz of its crystal, or of a clock that comes in.
//!
//! input / N3 = f3;  f3 * N2 = oscillator;  oscillator / N1 = output. N1 and N2 are products of a high-speed divider
//! and an (even) low-speed one. f3 is 2 kHz to 2 MHz, the oscillator 4.85 to 5.67 GHz.

use crate::i2c::{self, Bus, Lines};

/// Address on its bus.
pub const ADDRESS: u8 = 0x68;
/// Frequency of the crystal on Kasli and KC705, Hz.
pub const CRYSTAL: u64 = 114_285_000;
/// Longest time to lock, in microseconds: with a narrow loop it is slow.
pub const LOCKS_WITHIN: u64 = 20_000_000;
/// Time from [`reset`] to the first use, in microseconds.
pub const RESETS_WITHIN: u64 = 10_000;

const PART: [u8; 2] = [0x01, 0x82];

/// What can go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The bus does not work, or the chip does not answer.
    Bus(i2c::Error),
    /// Another chip answers: these are its part numbers.
    OtherPart([u8; 2]),
}

impl From<i2c::Error> for Error {
    fn from(error: i2c::Error) -> Error {
        Error::Bus(error)
    }
}

/// A clock input. With a crystal plan the crystal takes the place of the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// CKIN1
    One,
    /// CKIN2
    Two,
}

impl Input {
    fn selected(self) -> u8 {
        match self {
            Input::One => 0 << 6,
            Input::Two => 1 << 6,
        }
    }
}

/// Dividers for an output of 125 MHz on both outputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Hz in.
    pub input: u64,
    /// The crystal stands in for the second input.
    pub crystal: bool,
    /// Divider of the oscillator, 4 to 11, and then of each output, 1 or even.
    pub n1: (u8, u32),
    /// Divider back to f3: 4 to 11, and even.
    pub n2: (u8, u32),
    /// Divider of the input.
    pub n3: u32,
    /// Loop bandwidth, as the chip wants it.
    pub bandwidth: u8,
}

impl Plan {
    /// Of the crystal.
    pub const CRYSTAL: Plan =
        Plan { input: CRYSTAL, crystal: true, n1: (10, 4), n2: (10, 19972), n3: 4565, bandwidth: 4 };
    /// Of a clock of 10 MHz.
    pub const MHZ_10: Plan =
        Plan { input: 10_000_000, crystal: false, n1: (10, 4), n2: (10, 300), n3: 6, bandwidth: 4 };
    /// Of a clock of 80 MHz.
    pub const MHZ_80: Plan =
        Plan { input: 80_000_000, crystal: false, n1: (4, 10), n2: (10, 250), n3: 40, bandwidth: 4 };
    /// Of a clock of 100 MHz.
    pub const MHZ_100: Plan =
        Plan { input: 100_000_000, crystal: false, n1: (10, 4), n2: (10, 260), n3: 52, bandwidth: 4 };
    /// Of a clock of 125 MHz.
    pub const MHZ_125: Plan =
        Plan { input: 125_000_000, crystal: false, n1: (5, 8), n2: (7, 360), n3: 63, bandwidth: 4 };
    /// Of a clock of 125 MHz recovered from a link; the crystal is there for what the input cannot.
    pub const RECOVERED: Plan = Plan { crystal: true, ..Plan::MHZ_125 };
}

/// What the chip says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// There is a signal from the crystal.
    pub crystal: bool,
    /// There is a signal at the input asked about.
    pub input: bool,
    /// The output follows the input.
    pub locked: bool,
}

/// Whether it is the right chip.
pub fn identify(bus: &mut Bus<impl Lines>) -> Result<(), Error> {
    let mut part = [0; 2];
    bus.read(ADDRESS, 134, &mut part)?;
    if part == PART {
        Ok(())
    } else {
        Err(Error::OtherPart(part))
    }
}

/// Resets it by register, where its pin is not connected. Wait [`RESETS_WITHIN`] before the next use.
pub fn reset(bus: &mut Bus<impl Lines>) -> Result<(), Error> {
    // It resets before it would acknowledge the value.
    match bus.write(ADDRESS, &[136, 0x80]) {
        Ok(()) | Err(i2c::Error::NoAnswer(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the clock of `input` by this plan, and starts the calibration that ends in lock.
pub fn configure(bus: &mut Bus<impl Lines>, plan: &Plan, input: Input) -> Result<(), Error> {
    change(bus, 0, 0x40, if plan.crystal { 0x40 } else { 0 })?; // FREE_RUN
    select(bus, input)?;
    change(bus, 2, 0xF0, plan.bandwidth << 4)?; // BWSEL_REG
    let [n1, n2] = [plan.n1.0, plan.n2.0].map(|high_speed| high_speed.wrapping_sub(4) << 5);
    let [low1, low2, n3] = [plan.n1.1, plan.n2.1, plan.n3].map(|divider| divider.wrapping_sub(1).to_be_bytes());
    let [_, low1 @ ..] = low1;
    let [_, low2 @ ..] = low2;
    let [_, n3 @ ..] = n3;
    write(bus, 25, &[n1])?;
    write(bus, 31, &low1)?; // of the first output
    write(bus, 34, &low1)?; // of the second
    write(bus, 40, &[n2 | low2[0], low2[1], low2[2]])?;
    write(bus, 43, &n3)?; // of the first input
    write(bus, 46, &n3)?; // of the second
    change(bus, 137, 0x01, 0x01)?; // FASTLOCK
    change(bus, 136, 0x40, 0x40) // ICAL
}

/// Passes `input` on as it is.
pub fn bypass(bus: &mut Bus<impl Lines>, input: Input) -> Result<(), Error> {
    select(bus, input)?;
    change(bus, 0, 0x02, 0x02) // BYPASS_REG
}

/// Both outputs LVDS, silent until calibrated; the input by register and by nothing else.
fn select(bus: &mut Bus<impl Lines>, input: Input) -> Result<(), Error> {
    change(bus, 21, 0x01, 0)?; // CKSEL_PIN
    change(bus, 3, 0xD0, input.selected() | 0x10)?; // CKSEL_REG, SQ_ICAL
    change(bus, 4, 0xC0, 0)?; // AUTOSEL_REG: manual
    change(bus, 6, 0x3F, 0x3F) // SFOUT2_REG, SFOUT1_REG
}

/// Holds the output where it is, whatever comes in; or follows the input again.
pub fn hold(bus: &mut Bus<impl Lines>, held: bool) -> Result<(), Error> {
    change(bus, 3, 0x20, if held { 0x20 } else { 0 }) // DHOLD
}

/// How it is doing.
pub fn status(bus: &mut Bus<impl Lines>, input: Input) -> Result<Status, Error> {
    let mut missing = [0; 2];
    bus.read(ADDRESS, 129, &mut missing)?;
    let lost = match input {
        Input::One => 0x02,
        Input::Two => 0x04,
    };
    Ok(Status { crystal: missing[0] & 0x01 == 0, input: missing[0] & lost == 0, locked: missing[1] & 0x01 == 0 })
}

/// Writes registers from `first` on, one by one.
fn write(bus: &mut Bus<impl Lines>, first: u8, values: &[u8]) -> Result<(), Error> {
    (first..).zip(values).try_for_each(|(register, &value)| Ok(bus.write(ADDRESS, &[register, value])?))
}

/// Changes the bits of `mask`.
fn change(bus: &mut Bus<impl Lines>, register: u8, mask: u8, value: u8) -> Result<(), Error> {
    let mut old = [0];
    bus.read(ADDRESS, register, &mut old)?;
    write(bus, register, &[old[0] & !mask | value & mask])
}
