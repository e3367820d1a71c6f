//! 16 slow pins on an I2C bus: an MCP23017, or a PCA9539 on boards where that was to be had.

use crate::i2c::{Bus, Error, Lines};

/// Which chip it is, and its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expander {
    /// Microchip's.
    Mcp23017(u8),
    /// NXP's.
    Pca9539(u8),
}

impl Expander {
    /// The chip that answers, of the two addresses at which it can be.
    pub fn find(bus: &mut Bus<impl Lines>, mcp23017: u8, pca9539: u8) -> Result<Expander, Error> {
        match bus.write(mcp23017, &[]) {
            Ok(()) => Ok(Expander::Mcp23017(mcp23017)),
            Err(Error::NoAnswer(_)) => bus.write(pca9539, &[]).map(|()| Expander::Pca9539(pca9539)),
            Err(stuck) => Err(stuck),
        }
    }

    /// Sets the levels of its two ports, and which of their pins are outputs (1).
    pub fn set(self, bus: &mut Bus<impl Lines>, outputs: [u8; 2], levels: [u8; 2]) -> Result<(), Error> {
        let (address, level, direction) = self.registers();
        // The levels first, so that no pin ever drives a wrong one. A pin is an input where the direction has a 1.
        for (register, value) in (level..).zip(levels).chain((direction..).zip(outputs.map(|outputs| !outputs))) {
            bus.write(address, &[register, value])?;
        }
        Ok(())
    }

    /// Sets the levels of one port, the first or the second.
    pub fn set_port(self, bus: &mut Bus<impl Lines>, port: u8, levels: u8) -> Result<(), Error> {
        let (address, level, _) = self.registers();
        bus.write(address, &[level + (port & 1), levels])
    }

    /// The chip's address, and its registers for the levels and directions of the first port; the second's follow.
    fn registers(self) -> (u8, u8, u8) {
        match self {
            Expander::Mcp23017(address) => (address, 0x14, 0x00),
            Expander::Pca9539(address) => (address, 0x02, 0x06),
        }
    }
}
