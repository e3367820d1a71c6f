//! Chips as tests play them.

#![allow(dead_code, reason = "each test program uses some of it")]

pub mod flash;
pub mod i2c;
pub mod images;
pub mod random;
pub mod spi;
