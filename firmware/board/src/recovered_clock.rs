//! The clock that a satellite recovers from its uplink, and what is received with it. The contract is
//! `gateware/corelog_gateware/transceiver/README.md`. The simulated satellite has none: its links have no clock.

#[cfg(has_recovered_clock)]
use crate::{
    csr,
    register::{read, write},
};

/// Whether this board has one.
pub const PRESENT: bool = cfg!(has_recovered_clock);
/// Steps of its phase in a cycle.
pub const STEPS: u32 = 448;

#[cfg(has_recovered_clock)]
fn flag(address: usize) -> bool {
    read(address) & 1 != 0
}

/// Whether it is there.
pub fn is_good() -> bool {
    #[cfg(has_recovered_clock)]
    return flag(csr::UPLINK_PHY_RX_READY_ADDR) && flag(csr::RECOVERED_LOCKED_ADDR);
    #[cfg(not(has_recovered_clock))]
    false
}

/// Its frequency in kHz.
pub fn khz() -> u32 {
    #[cfg(has_recovered_clock)]
    return read(csr::RECOVERED_KHZ_ADDR);
    #[cfg(not(has_recovered_clock))]
    0
}

/// Gives the synthesiser this clock, or the board's own oscillator.
pub fn select(recovered: bool) {
    #[cfg(has_recovered_clock)]
    write(csr::RECOVERED_SELECT_ADDR, recovered.into());
    #[cfg(not(has_recovered_clock))]
    let _ = recovered;
}

/// Passes on what is received, or does not.
pub fn receive(on: bool) {
    #[cfg(has_recovered_clock)]
    write(csr::UPLINK_PHY_RECEIVE_ADDR, on.into());
    #[cfg(not(has_recovered_clock))]
    let _ = on;
}

/// Its phase against the system clock, in whole cycles.
pub fn phase() -> u8 {
    #[cfg(has_recovered_clock)]
    return read(csr::UPLINK_PHY_PHASE_ADDR) as u8;
    #[cfg(not(has_recovered_clock))]
    0
}

/// Whether the link came up with a phase at an edge.
pub fn is_ambiguous() -> bool {
    #[cfg(has_recovered_clock)]
    return flag(csr::UPLINK_PHY_PHASE_AMBIGUOUS_ADDR);
    #[cfg(not(has_recovered_clock))]
    false
}

/// Begins to shift it one step later.
pub fn shift() {
    #[cfg(has_recovered_clock)]
    write(csr::RECOVERED_SHIFT_ADDR, 1);
}

/// Whether it is being shifted.
pub fn is_shifting() -> bool {
    #[cfg(has_recovered_clock)]
    return flag(csr::RECOVERED_SHIFT_ADDR);
    #[cfg(not(has_recovered_clock))]
    false
}
