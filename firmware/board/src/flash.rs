//! The SPI flash that the FPGA is configured from.
//!
//! It is the firmware's to see that no two jobs are at it at the same time (`firmware/device`, `config::hold`).

use corelog_periph::image::Layout;
#[cfg(has_flash)]
use corelog_periph::nor::{Error, Spi};

/// Where what is, on boards that have such a flash.
#[cfg(has_flash)]
pub const LAYOUT: Option<Layout> = Some(Layout {
    bootloader: crate::csr::FLASH_BOOTLOADER,
    storage: crate::csr::FLASH_STORAGE,
    firmware: crate::csr::FLASH_FIRMWARE,
});
/// Where what is, on boards that have such a flash.
#[cfg(not(has_flash))]
pub const LAYOUT: Option<Layout> = None;

const _: () = assert!(match LAYOUT {
    Some(layout) => layout.is_sound(),
    None => true,
});

/// The flash.
#[cfg(has_flash)]
pub type Flash = corelog_periph::nor::Nor<Controller>;
/// A flash that is not there.
#[cfg(not(has_flash))]
pub type Flash = absent::Flash;

/// The flash.
pub const fn flash() -> Flash {
    #[cfg(has_flash)]
    return Flash::new(Controller(()));
    #[cfg(not(has_flash))]
    absent::Flash
}

/// LiteSPI's master.
#[cfg(has_flash)]
pub struct Controller(());

#[cfg(has_flash)]
mod controller {
    use super::*;
    use crate::csr;
    use crate::register::{read, write};

    /// Polls for a word: at 20 MHz it takes 1.6 us, after the CPU's own access to the flash some more.
    const PATIENCE: u32 = 100_000;
    const SENT: u32 = 1 << 0;
    const RECEIVED: u32 = 1 << 1;
    /// On one line: width and output mask; the length in bits is added.
    const ONE_LINE: u32 = 1 << 8 | 1 << 16;

    /// Exchanges the lower `bits` of a word, the highest first.
    fn exchange(bits: u32, out: u32) -> Result<u32, Error> {
        write(csr::SPIFLASH_CORE_MASTER_PHYCONFIG_ADDR, ONE_LINE | bits);
        wait(SENT)?;
        write(csr::SPIFLASH_CORE_MASTER_RXTX_ADDR, out);
        wait(RECEIVED)?;
        Ok(read(csr::SPIFLASH_CORE_MASTER_RXTX_ADDR))
    }

    fn wait(flag: u32) -> Result<(), Error> {
        for _ in 0..PATIENCE {
            if read(csr::SPIFLASH_CORE_MASTER_STATUS_ADDR) & flag != 0 {
                return Ok(());
            }
        }
        Err(Error::Bus)
    }

    fn send(bytes: &[u8]) -> Result<(), Error> {
        let (words, rest) = bytes.as_chunks();
        words.iter().try_for_each(|&word| exchange(32, u32::from_be_bytes(word)).map(|_| ()))?;
        rest.iter().try_for_each(|&byte| exchange(8, byte.into()).map(|_| ()))
    }

    fn receive(bytes: &mut [u8]) -> Result<(), Error> {
        let (words, rest) = bytes.as_chunks_mut();
        for word in words {
            *word = exchange(32, 0)?.to_be_bytes();
        }
        for byte in rest {
            *byte = exchange(8, 0)? as u8;
        }
        Ok(())
    }

    impl Spi for Controller {
        fn transfer(&mut self, command: &[u8], data: &[u8], reply: &mut [u8]) -> Result<(), Error> {
            // What an exchange that was broken off left behind.
            if read(csr::SPIFLASH_CORE_MASTER_STATUS_ADDR) & RECEIVED != 0 {
                read(csr::SPIFLASH_CORE_MASTER_RXTX_ADDR);
            }
            write(csr::SPIFLASH_CORE_MASTER_CS_ADDR, 1);
            let done = send(command).and_then(|()| send(data)).and_then(|()| receive(reply));
            write(csr::SPIFLASH_CORE_MASTER_CS_ADDR, 0);
            done
        }
    }
}

#[cfg(not(has_flash))]
mod absent {
    use corelog_periph::nor::{self, Error};

    pub struct Flash;

    impl Flash {
        pub fn identify(&mut self) -> Result<[u8; 3], Error> {
            Err(Error::Bus)
        }
    }

    impl nor::Flash for Flash {
        fn read(&mut self, _address: u32, _into: &mut [u8]) -> Result<(), Error> {
            Err(Error::Bus)
        }

        fn begin_erase(&mut self, _address: u32) -> Result<(), Error> {
            Err(Error::Bus)
        }

        fn begin_program(&mut self, _address: u32, _bytes: &[u8]) -> Result<(), Error> {
            Err(Error::Bus)
        }

        fn busy(&mut self) -> Result<bool, Error> {
            Err(Error::Bus)
        }
    }
}
