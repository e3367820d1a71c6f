//! The chips beside the FPGA on real boards, and what the flash memory is written with.
//!
//! Drivers work over small traits ([`i2c::Lines`], [`nor::Spi`], [`nor::Flash`]) that the board implements and tests
//! play. There are no registers here and no waiting for more than a few milliseconds: what takes longer is begun, and
//! asked about.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod cages;
pub mod crc;
pub mod eeprom;
pub mod expander;
pub mod i2c;
pub mod image;
pub mod nor;
pub mod phase;
pub mod role;
pub mod si5324;
pub mod update;
