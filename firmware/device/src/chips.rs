//! The chips beside the FPGA: set up once at start, before any service. The simulated board has none.
//!
//! Whatever fails here is a record, and the start goes on: a board that cannot do all can still say why.

use core::cell::Cell;
use core::fmt;

use corelog_board::clock_switch::{self, Error};
use corelog_board::identity::{self, ResetCause};
use corelog_board::kind::{Kind, KIND};
use corelog_board::{flash, i2c, recovered_clock};
use corelog_config::rtio_clock::{rtio_clock, RtioClock};
use corelog_periph::cages::Pair;
use corelog_periph::eeprom::eui48;
use corelog_periph::i2c::{Bus, Switch};
use corelog_periph::si5324::{self, Input, Plan};
use critical_section::Mutex;
use embassy_time::{Duration, Instant, Timer};

use crate::cages::Cages;
use crate::record::{error, info, warn};
use crate::{config, uart};

/// Which chips there are, and where on the I2C bus.
struct Chips {
    /// The way to all of them: through switches to the channel that they share.
    way: &'static [Switch],
    /// A 24AA02E48.
    eeprom: Option<u8>,
    /// Expanders of SFP cages, each with two addresses, one for each chip that it can be.
    expanders: &'static [(u8, u8)],
    /// Where the Si5324 has the external clock.
    external: Input,
}

const CHIPS: Option<Chips> = match KIND {
    Kind::Simulated => None,
    Kind::Kasli { revision } => Some(Chips {
        way: &[Switch { address: 0x70, channels: 0 }, Switch { address: 0x71, channels: 1 << 3 }],
        eeprom: Some(if revision < 20 { 0x50 } else { 0x57 }),
        expanders: if revision < 20 { &[] } else { &[(0x20, 0x74), (0x21, 0x75)] },
        external: if revision < 20 { Input::Two } else { Input::One },
    }),
    Kind::Kc705 => Some(Chips {
        way: &[Switch { address: 0x74, channels: 1 << 7 }],
        eeprom: None,
        expanders: &[],
        external: Input::One,
    }),
};

/// Whether there are chips to set up.
pub const PRESENT: bool = CHIPS.is_some();

/// How often the synthesiser is asked whether it has locked.
const ASK: Duration = Duration::from_millis(20);
/// Longest time between the wish for another system clock and the reset that follows.
const SWITCHES_WITHIN: Duration = Duration::from_millis(200);

static MAC: Mutex<Cell<Option<[u8; 6]>>> = Mutex::new(Cell::new(None));

/// The MAC address that the board was made with, if it was, and tells.
pub fn mac() -> Option<[u8; 6]> {
    critical_section::with(|cs| MAC.borrow(cs).get())
}

/// Sets the chips up. If the system clock can be switched it is, and this never ends: the board starts anew.
pub async fn set_up() -> Cages {
    let mut cages = [None, None];
    let Some(chips) = CHIPS else { return cages };
    let mut bus = i2c::bus();
    if let Err(error) = bus.connect(chips.way) {
        error!("I2C: {}", Trouble::from(error));
    }
    if let Some(address) = chips.eeprom {
        match eui48(&mut bus, address) {
            Ok(mac) => critical_section::with(|cs| MAC.borrow(cs).set(mac)),
            Err(error) => warn!("no MAC address from the EEPROM: {}", Trouble::from(error)),
        }
    }
    for (number, (pair, &(mcp23017, pca9539))) in cages.iter_mut().zip(chips.expanders).enumerate() {
        match Pair::set_up(&mut bus, mcp23017, pca9539) {
            Ok(found) => *pair = Some(found),
            Err(error) => error!(
                "transmitters of SFP cages {} and {} may be off: {}",
                2 * number,
                2 * number + 1,
                Trouble::from(error)
            ),
        }
    }
    match flash::flash().identify() {
        Ok([maker, kind, capacity]) => info!("flash memory {maker:02x} {kind:02x} {capacity:02x}"),
        Err(error) => error!("{}", corelog_periph::update::Failure::from(error)),
    }
    if let Err(trouble) = set_up_clock(&mut bus, &chips).await {
        identity::set_error_led(true);
        error!("the system runs from the oscillator, without the clean clock: {trouble}");
    }
    cages
}

/// Why there is no clean clock.
pub enum Trouble {
    Bus(corelog_periph::i2c::Error),
    OtherPart([u8; 2]),
    NoCrystal,
    NoInput,
    NoLock,
    /// What the switch says.
    Switch(Error),
    NotSwitched(u32),
}

impl From<corelog_periph::i2c::Error> for Trouble {
    fn from(error: corelog_periph::i2c::Error) -> Trouble {
        Trouble::Bus(error)
    }
}

impl From<si5324::Error> for Trouble {
    fn from(error: si5324::Error) -> Trouble {
        match error {
            si5324::Error::Bus(error) => Trouble::Bus(error),
            si5324::Error::OtherPart(part) => Trouble::OtherPart(part),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Trouble::Bus(corelog_periph::i2c::Error::Stuck) => f.write_str("the I2C bus is held low"),
            Trouble::Bus(corelog_periph::i2c::Error::NoAnswer(address)) => {
                write!(f, "nothing answers at I2C address {address:#04x}")
            }
            Trouble::OtherPart([high, low]) => {
                write!(f, "the chip is no Si5324, its part number is {high:02x}{low:02x}")
            }
            Trouble::NoCrystal => f.write_str("the Si5324 has no crystal"),
            Trouble::NoInput => f.write_str("the Si5324 has no signal at its input"),
            Trouble::NoLock => f.write_str("the Si5324 does not lock"),
            Trouble::Switch(Error::NoClock) => f.write_str("there is none, or it has not 125 MHz"),
            Trouble::Switch(Error::NotLocked(number)) => write!(f, "it was not taken, error {number} of the switch"),
            Trouble::Switch(Error::Lost) => f.write_str("it went away"),
            Trouble::NotSwitched(khz) => write!(f, "it was not taken, and has {khz} kHz"),
        }
    }
}

async fn set_up_clock(bus: &mut Bus<i2c::Pins>, chips: &Chips) -> Result<(), Trouble> {
    if clock_switch::is_done() {
        info!("system clock: main clock, {} kHz", clock_switch::main_khz());
        return Ok(());
    }
    match clock_switch::error() {
        // The attempt ended in the reset that this start follows: another would, too.
        Some(error @ Error::NotLocked(_)) if identity::reset_cause() == ResetCause::Clock => {
            return Err(Trouble::Switch(error));
        }
        Some(Error::Lost) => warn!("the main clock went away"),
        _ => {}
    }
    synthesise(bus, chips).await?;
    info!("main clock {} kHz; switching the system clock, restarting...", clock_switch::main_khz());
    uart::drained().await;
    clock_switch::switch();
    Timer::after(SWITCHES_WITHIN).await;
    match clock_switch::error() {
        Some(error) => Err(Trouble::Switch(error)),
        None => Err(Trouble::NotSwitched(clock_switch::main_khz())),
    }
}

/// Lets the Si5324 make the clock that the configuration asks for.
async fn synthesise(bus: &mut Bus<i2c::Pins>, chips: &Chips) -> Result<(), Trouble> {
    i2c::hold_si5324(true);
    Timer::after(Duration::from_millis(1)).await;
    i2c::hold_si5324(false);
    Timer::after(Duration::from_micros(si5324::RESETS_WITHIN)).await;
    si5324::identify(bus)?;
    if !i2c::SI5324_RESET {
        si5324::reset(bus)?;
        Timer::after(Duration::from_micros(si5324::RESETS_WITHIN)).await;
    }
    let (plan, input) = match source() {
        _ if recovered_clock::PRESENT => (Some(Plan::RECOVERED), Input::One),
        RtioClock::Internal => (Some(Plan::CRYSTAL), Input::Two),
        RtioClock::External(10) => (Some(Plan::MHZ_10), chips.external),
        RtioClock::External(80) => (Some(Plan::MHZ_80), chips.external),
        RtioClock::External(100) => (Some(Plan::MHZ_100), chips.external),
        RtioClock::External(_) => (Some(Plan::MHZ_125), chips.external),
        RtioClock::Bypass => (None, chips.external),
    };
    match plan {
        Some(plan) => {
            si5324::configure(bus, &plan, input)?;
            locked(bus, &plan, input).await
        }
        None => Ok(si5324::bypass(bus, input)?),
    }
}

/// What `rtio_clock` says.
fn source() -> RtioClock {
    config::read("rtio_clock", |value| match value.map(rtio_clock) {
        Some(Some(source)) => source,
        Some(None) => {
            warn!("configuration key rtio_clock is no source of 125 MHz: using int_125");
            RtioClock::Internal
        }
        None => RtioClock::Internal,
    })
}

/// Waits for the Si5324 to lock.
async fn locked(bus: &mut Bus<i2c::Pins>, plan: &Plan, input: Input) -> Result<(), Trouble> {
    let end = Instant::now() + Duration::from_micros(si5324::LOCKS_WITHIN);
    info!("waiting for the Si5324 to lock");
    loop {
        let status = si5324::status(bus, input)?;
        // Where the crystal is the input, there is nothing at the one it stands in for.
        let input_there = status.input || *plan == Plan::CRYSTAL;
        match (status.locked && status.crystal && input_there, Instant::now() < end) {
            (true, _) => return Ok(()),
            (false, true) => Timer::after(ASK).await,
            (false, false) if !status.crystal => return Err(Trouble::NoCrystal),
            (false, false) if !input_there => return Err(Trouble::NoInput),
            (false, false) => return Err(Trouble::NoLock),
        }
    }
}

/// The Si5324 of a satellite, which follows the uplink's clock.
pub struct Follower(Bus<i2c::Pins>);

impl Follower {
    /// Takes over the bus, after [`set_up`].
    pub fn new() -> Result<Follower, Trouble> {
        let mut bus = i2c::bus();
        bus.connect(CHIPS.map_or(&[], |chips| chips.way))?;
        Ok(Follower(bus))
    }

    /// Lets it follow the recovered clock, or the board's own oscillator; ends when it has locked.
    pub async fn follow(&mut self, recovered: bool) -> Result<(), Trouble> {
        si5324::hold(&mut self.0, true)?;
        recovered_clock::select(recovered);
        si5324::hold(&mut self.0, false)?;
        locked(&mut self.0, &Plan::RECOVERED, Input::One).await
    }
}
