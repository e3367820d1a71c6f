//! The flash-like store of the configuration: bits go from 1 to 0 by programming, and back only by erasing everything.
//! It is a sector of the SPI flash; the simulator has a memory of its own for it.

/// The store does not become ready, or does not do what it is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stuck;

#[cfg(has_store)]
pub use own::*;
#[cfg(not(has_store))]
pub use sector::*;

#[cfg(has_store)]
mod own {
    use super::Stuck;
    use crate::csr;
    use crate::register::{read, write};

    /// Bytes of the store.
    pub const SIZE: usize = csr::STORAGE_SIZE as usize;

    /// Longest wait for a byte, in polls.
    const PATIENCE: u32 = 1_000_000;

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

    /// Begins to set every byte to 0xFF. Nothing else may be asked of the store while it is busy.
    pub fn begin_erase() -> Result<(), Stuck> {
        write(csr::STORAGE_ERASE_ADDR, 1);
        Ok(())
    }

    /// Whether it is being erased.
    pub fn busy() -> Result<bool, Stuck> {
        Ok(read(csr::STORAGE_BUSY_ADDR) != 0)
    }

    fn wait() -> Result<(), Stuck> {
        for _ in 0..PATIENCE {
            if read(csr::STORAGE_BUSY_ADDR) == 0 {
                return Ok(());
            }
        }
        Err(Stuck)
    }
}

#[cfg(not(has_store))]
mod sector {
    use corelog_periph::nor::{Error, Flash, PAGE, SECTOR};

    use super::Stuck;
    use crate::{clock, csr, flash};

    /// Bytes of the store.
    pub const SIZE: usize = csr::FLASH_STORAGE_SIZE as usize;
    const _: () = assert!(SIZE == SECTOR as usize, "the store is erased as a whole");
    const START: u32 = csr::FLASH_STORAGE;

    /// Longest time to program a page, in us: five times what slow chips take.
    const PATIENCE: u64 = 25_000;

    impl From<Error> for Stuck {
        fn from(_: Error) -> Stuck {
            Stuck
        }
    }

    /// Reads from `offset` into `buffer`; what lies beyond the store reads as erased.
    pub fn read_into(offset: usize, buffer: &mut [u8]) -> Result<(), Stuck> {
        let inside = buffer.len().min(SIZE.saturating_sub(offset));
        let (inside, beyond) = buffer.split_at_mut(inside);
        beyond.fill(0xFF);
        Ok(flash::flash().read(START + offset as u32, inside)?)
    }

    /// Programs `bytes` at `offset`; what lies beyond the store is ignored.
    pub fn program(mut offset: usize, bytes: &[u8]) -> Result<(), Stuck> {
        let mut bytes = &bytes[..bytes.len().min(SIZE.saturating_sub(offset))];
        let mut flash = flash::flash();
        while !bytes.is_empty() {
            let page;
            (page, bytes) = bytes.split_at(bytes.len().min(PAGE - offset % PAGE));
            flash.begin_program(START + offset as u32, page)?;
            let begun = clock::now();
            while flash.busy()? {
                if clock::now() - begun > PATIENCE {
                    return Err(Stuck);
                }
            }
            offset += page.len();
        }
        Ok(())
    }

    /// Begins to set every byte to 0xFF. Nothing else may be asked of the store while it is busy.
    pub fn begin_erase() -> Result<(), Stuck> {
        Ok(flash::flash().begin_erase(START)?)
    }

    /// Whether it is being erased.
    pub fn busy() -> Result<bool, Stuck> {
        Ok(flash::flash().busy()?)
    }
}
