//! The flash-like store of the configuration: bits go from 1 to 0 by programming, and back only by erasing everything.

use crate::csr;
use crate::register::{read, write};

/// Bytes of the store.
pub const SIZE: usize = csr::STORAGE_SIZE as usize;

/// Longest wait for the store, in polls: an erase of a flash sector takes well below this.
const PATIENCE: u32 = 10_000_000;

/// The store did not become ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stuck;

/// Reads from `offset` into `buffer`; what lies beyond the store reads as erased.
pub fn read_into(offset: usize, buffer: &mut [u8]) -> Result<(), Stuck> {
    for (i, byte) in buffer.iter_mut().enumerate() {
        *byte = 0xFF;
        if offset + i < SIZE {
            write(csr::STORAGE_ADDRESS_ADDR, (offset + i) as u32);
            wait()?;
            *byte = read(csr::STORAGE_DATA_ADDR) as u8;
        }
    }
    Ok(())
}

/// Programs `bytes` at `offset`; what lies beyond the store is ignored.
pub fn program(offset: usize, bytes: &[u8]) -> Result<(), Stuck> {
    for (i, &byte) in bytes.iter().enumerate() {
        if offset + i < SIZE {
            write(csr::STORAGE_ADDRESS_ADDR, (offset + i) as u32);
            write(csr::STORAGE_PROGRAM_ADDR, byte.into());
            wait()?;
        }
    }
    Ok(())
}

/// Sets every byte to 0xFF.
pub fn erase() -> Result<(), Stuck> {
    write(csr::STORAGE_ERASE_ADDR, 1);
    wait()
}

fn wait() -> Result<(), Stuck> {
    for _ in 0..PATIENCE {
        if read(csr::STORAGE_BUSY_ADDR) == 0 {
            return Ok(());
        }
    }
    Err(Stuck)
}
