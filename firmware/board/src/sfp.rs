//! SFP cages whose LEDs the gateware cannot reach: it tells what they should show.

#[cfg(has_sfp_up)]
use crate::{csr, register::read};

/// Whose link is up: bit n is cage n.
pub fn up() -> u32 {
    #[cfg(has_sfp_up)]
    return read(csr::SFP_UP_IN_ADDR);
    #[cfg(not(has_sfp_up))]
    0
}
