//! SFP cages whose slow signals are on an expander: two cages, a port for each.

use crate::expander::Expander;
use crate::i2c::{Bus, Error, Lines};

/// Pins of a port: the cage's LED, and what switches its transmitter off.
const LED: u8 = 1 << 6;
const TX_DISABLE: u8 = 1 << 1;

/// Two cages and their expander.
pub struct Pair {
    expander: Expander,
    /// Whether the LED of each is lit, as far as is known.
    lit: [Option<bool>; 2],
}

impl Pair {
    /// Finds the expander, see [`Expander::find`], and switches the transmitters on and the LEDs off.
    pub fn set_up(bus: &mut Bus<impl Lines>, mcp23017: u8, pca9539: u8) -> Result<Pair, Error> {
        let expander = Expander::find(bus, mcp23017, pca9539)?;
        expander.set(bus, [LED | TX_DISABLE; 2], [0; 2])?;
        Ok(Pair { expander, lit: [Some(false); 2] })
    }

    /// Lights the LED of each cage that is `up`; gives whether both are now as they should be. Writes to one port at
    /// most, so that the caller's other work does not wait longer.
    pub fn show(&mut self, bus: &mut Bus<impl Lines>, up: [bool; 2]) -> Result<bool, Error> {
        for ((port, lit), up) in (0..).zip(&mut self.lit).zip(up) {
            if *lit != Some(up) {
                *lit = None;
                self.expander.set_port(bus, port, if up { LED } else { 0 })?;
                *lit = Some(up);
                break;
            }
        }
        Ok(self.lit == up.map(Some))
    }
}
