//! The I2C bus: its lines, and reset pins of chips on it. A board without one has a bus on which nothing answers.

use corelog_periph::i2c::{Bus, Lines};

use crate::clock;
#[cfg(any(has_i2c, has_si5324_reset))]
use crate::{
    csr,
    register::{read, write},
};

/// Half a period of the clock, in us: 50 kHz.
const HALF_PERIOD: u64 = 10;

/// LiteX's `I2CMaster`: it drives a line low or lets it go.
pub struct Pins {
    clock_free: bool,
    data_free: bool,
}

/// Takes over the bus.
pub fn bus() -> Bus<Pins> {
    Bus::new(Pins { clock_free: true, data_free: true })
}

impl Pins {
    fn drive(&self) {
        // Bit 0 lets the clock go, bit 1 drives the data line, with bit 2, which stays 0.
        #[cfg(has_i2c)]
        write(csr::I2C_W_ADDR, u32::from(self.clock_free) | u32::from(!self.data_free) << 1);
    }
}

impl Lines for Pins {
    fn set_clock(&mut self, free: bool) {
        self.clock_free = free;
        self.drive();
    }

    fn set_data(&mut self, free: bool) {
        self.data_free = free;
        self.drive();
    }

    fn data(&mut self) -> bool {
        #[cfg(has_i2c)]
        return read(csr::I2C_R_ADDR) & 1 != 0;
        #[cfg(not(has_i2c))]
        false
    }

    fn pause(&mut self) {
        let start = clock::now();
        while clock::now() - start <= HALF_PERIOD {}
    }
}

/// Whether the Si5324 has a reset pin here.
pub const SI5324_RESET: bool = cfg!(has_si5324_reset);

/// Holds the Si5324 in reset, or lets it go, where it has a pin for it.
pub fn hold_si5324(held: bool) {
    #[cfg(has_si5324_reset)]
    write(csr::SI5324_RST_N_OUT_ADDR, (!held).into());
    #[cfg(not(has_si5324_reset))]
    let _ = held;
}
