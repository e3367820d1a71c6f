//! The switch of the system clock, from the oscillator that is always there to the main clock. The contract is
//! `gateware/corelog_gateware/clocking/README.md`.

/// Whether this board has one.
pub const PRESENT: bool = cfg!(has_clock_switch);

/// Why the system clock is not the main clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// There is none, or its frequency is not the right one.
    NoClock,
    /// A PLL did not lock, or transceivers did not get ready, with this number.
    NotLocked(u32),
    /// It went away while it was used.
    Lost,
}

/// Whether the system runs from the main clock.
pub fn is_done() -> bool {
    #[cfg(has_clock_switch)]
    return crate::register::read(crate::csr::CRG_SWITCH_DONE_ADDR) & 1 != 0;
    #[cfg(not(has_clock_switch))]
    true
}

/// What became of the last attempt to switch, if it failed.
pub fn error() -> Option<Error> {
    #[cfg(has_clock_switch)]
    return match crate::register::read(crate::csr::CRG_SWITCH_ERROR_ADDR) {
        0 => None,
        1 => Some(Error::NoClock),
        5 => Some(Error::Lost),
        number => Some(Error::NotLocked(number)),
    };
    #[cfg(not(has_clock_switch))]
    None
}

/// The main clock in kHz as it was measured, 0 if there is none, or none yet.
pub fn main_khz() -> u32 {
    #[cfg(has_clock_switch)]
    return crate::register::read(crate::csr::CRG_MAIN_KHZ_ADDR);
    #[cfg(not(has_clock_switch))]
    0
}

/// Asks for the main clock. If there is one, a reset follows.
pub fn switch() {
    #[cfg(has_clock_switch)]
    crate::register::write(crate::csr::CRG_CLOCK_SEL_ADDR, 1);
}
