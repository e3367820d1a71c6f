//! The 24AA02E48: an EEPROM that was made with a MAC address in it.

use crate::i2c::{Bus, Error, Lines};

/// Where the six bytes of the address begin.
const EUI_48: u8 = 0xFA;

/// The address in the EEPROM at `address`; `None` if what stands there cannot be one.
pub fn eui48(bus: &mut Bus<impl Lines>, address: u8) -> Result<Option<[u8; 6]>, Error> {
    let mut eui = [0; 6];
    bus.read(address, EUI_48, &mut eui)?;
    let group = eui[0] & 1 != 0;
    Ok((!group && eui != [0; 6]).then_some(eui))
}
