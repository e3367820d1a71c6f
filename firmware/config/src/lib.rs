//! The configuration of a board: format of its store and of the values in it.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod address;
pub mod device_map;
pub mod rtio_clock;
pub mod store;
