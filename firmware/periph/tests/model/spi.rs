//! A NOR chip at the level of its commands.

use corelog_periph::nor::{Error, Spi, PAGE, SECTOR, SIZE};

pub struct Chip {
    pub memory: Vec<u8>,
    pub id: [u8; 5],
    /// Lets itself be written.
    pub writable: bool,
    enabled: bool,
    /// Looks at its status for which it stays busy, after a programming and after an erasure.
    pub durations: (u32, u32),
    left: u32,
    pub broken: bool,
}

impl Chip {
    pub fn new(id: [u8; 5]) -> Chip {
        let memory = vec![0xFF; SIZE as usize];
        Chip { memory, id, writable: true, enabled: false, durations: (3, 9), left: 0, broken: false }
    }
}

impl Spi for &mut Chip {
    fn transfer(&mut self, command: &[u8], data: &[u8], reply: &mut [u8]) -> Result<(), Error> {
        if self.broken {
            return Err(Error::Bus);
        }
        let address = match command {
            [_, high, middle, low] => usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low),
            _ => 0,
        };
        assert!(self.left == 0 || command == [0x05], "asked for {command:02x?} while it was busy");
        match (command[0], command.len()) {
            (0x05, 1) => {
                reply.fill(u8::from(self.left > 0) | u8::from(self.enabled) << 1);
                self.left = self.left.saturating_sub(1);
            }
            (0x06, 1) => self.enabled = self.writable,
            (0x9F, 1) => reply.copy_from_slice(&self.id[..reply.len()]),
            (0x03, 4) => {
                for (i, byte) in reply.iter_mut().enumerate() {
                    *byte = self.memory[(address + i) % SIZE as usize];
                }
            }
            (0x02, 4) if std::mem::take(&mut self.enabled) => {
                for (i, &byte) in data.iter().enumerate() {
                    // At the end of the page it goes on at the page's start, as real ones do.
                    self.memory[address - address % PAGE + (address + i) % PAGE] &= byte;
                }
                self.left = self.durations.0;
            }
            (0xD8, 4) if std::mem::take(&mut self.enabled) => {
                let start = address - address % SECTOR as usize;
                self.memory[start..start + SECTOR as usize].fill(0xFF);
                self.left = self.durations.1;
            }
            other => panic!("unknown, or not enabled: {other:02x?}"),
        }
        Ok(())
    }
}
