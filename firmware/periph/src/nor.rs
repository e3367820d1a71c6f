//! NOR flash of 16 MiB on SPI: sectors of 64 KiB that erasing sets to ones, pages of 256 bytes in which programming
//! clears bits. Any chip with the commands that all of them share.

/// Bytes of the whole flash.
pub const SIZE: u32 = 16 << 20;
/// Bytes that are erased together.
pub const SECTOR: u32 = 64 << 10;
/// Bytes that can be programmed together.
pub const PAGE: usize = 256;

/// The bus, with the flash as its one chip.
pub trait Spi {
    /// Selects the chip, sends `command` and then `data`, receives into `reply`, and lets the chip go.
    fn transfer(&mut self, command: &[u8], data: &[u8], reply: &mut [u8]) -> Result<(), Error>;
}

/// What can go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The controller of the bus does not answer.
    Bus,
    /// No chip of this size and sectors: what it says it is.
    Unknown([u8; 3]),
    /// It does not let itself be written.
    Protected,
    /// Not within the flash, or not within a page.
    OutOfRange,
}

/// Memory as [`Nor`] offers it. An erasure or a programming is begun, and under way for as long as the memory is busy;
/// nothing else may be asked of it meanwhile.
pub trait Flash {
    /// Reads from `address` on.
    fn read(&mut self, address: u32, into: &mut [u8]) -> Result<(), Error>;
    /// Begins to set the sector that begins at `address` to ones.
    fn begin_erase(&mut self, address: u32) -> Result<(), Error>;
    /// Begins to clear those bits from `address` on that `bytes` have not; they lie within a page.
    fn begin_program(&mut self, address: u32, bytes: &[u8]) -> Result<(), Error>;
    /// Whether something is under way.
    fn busy(&mut self) -> Result<bool, Error>;
}

const PAGE_PROGRAM: u8 = 0x02;
const READ: u8 = 0x03;
const READ_STATUS: u8 = 0x05;
const WRITE_ENABLE: u8 = 0x06;
const IDENTIFY: u8 = 0x9F;
const SECTOR_ERASE: u8 = 0xD8;

const BUSY: u8 = 1 << 0;
const WRITABLE: u8 = 1 << 1;

/// Spansion's S25FL128S, and what its fifth byte says if its sectors have 256 KiB.
const S25FL128S: [u8; 4] = [0x01, 0x20, 0x18, 0x4D];
const LARGE_SECTORS: u8 = 0x00;
/// How chips say 16 MiB.
const CAPACITY: u8 = 0x18;

/// A flash chip.
pub struct Nor<S> {
    spi: S,
}

impl<S: Spi> Nor<S> {
    /// The chip on this bus.
    pub const fn new(spi: S) -> Nor<S> {
        Nor { spi }
    }

    /// Manufacturer, type and capacity, if the chip is one that this driver can serve.
    pub fn identify(&mut self) -> Result<[u8; 3], Error> {
        let mut id = [0; 5];
        self.spi.transfer(&[IDENTIFY], &[], &mut id)?;
        let [maker, kind, capacity, ..] = id;
        let large = id[..4] == S25FL128S && id[4] == LARGE_SECTORS;
        if capacity == CAPACITY && !large {
            Ok([maker, kind, capacity])
        } else {
            Err(Error::Unknown([maker, kind, capacity]))
        }
    }

    fn status(&mut self) -> Result<u8, Error> {
        let mut status = [0];
        self.spi.transfer(&[READ_STATUS], &[], &mut status)?;
        Ok(status[0])
    }

    fn enable(&mut self) -> Result<(), Error> {
        self.spi.transfer(&[WRITE_ENABLE], &[], &mut [])?;
        if self.status()? & WRITABLE == 0 {
            Err(Error::Protected)
        } else {
            Ok(())
        }
    }
}

/// Command and address, as they are sent.
fn at(command: u8, address: u32) -> [u8; 4] {
    let [_, high, middle, low] = address.to_be_bytes();
    [command, high, middle, low]
}

/// Whether this many bytes from `address` on are in the flash.
fn within(address: u32, length: usize) -> Result<(), Error> {
    let end = u64::from(address) + length as u64;
    if end <= u64::from(SIZE) {
        Ok(())
    } else {
        Err(Error::OutOfRange)
    }
}

impl<S: Spi> Flash for Nor<S> {
    fn read(&mut self, address: u32, into: &mut [u8]) -> Result<(), Error> {
        within(address, into.len())?;
        self.spi.transfer(&at(READ, address), &[], into)
    }

    fn begin_erase(&mut self, address: u32) -> Result<(), Error> {
        within(address, SECTOR as usize)?;
        if !address.is_multiple_of(SECTOR) {
            return Err(Error::OutOfRange);
        }
        self.enable()?;
        self.spi.transfer(&at(SECTOR_ERASE, address), &[], &mut [])
    }

    fn begin_program(&mut self, address: u32, bytes: &[u8]) -> Result<(), Error> {
        within(address, bytes.len())?;
        // Beyond the end of a page a chip would go on at its start.
        if bytes.is_empty() || address as usize % PAGE + bytes.len() > PAGE {
            return Err(Error::OutOfRange);
        }
        self.enable()?;
        self.spi.transfer(&at(PAGE_PROGRAM, address), bytes, &mut [])
    }

    fn busy(&mut self) -> Result<bool, Error> {
        Ok(self.status()? & BUSY != 0)
    }
}
