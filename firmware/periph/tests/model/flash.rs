//! NOR flash whose power can fail at any change: an erasure, or a programming, then is half done.

use std::collections::BTreeMap;
use std::rc::Rc;

use corelog_periph::nor::{Error, Flash, PAGE, SECTOR, SIZE};

use super::random::Random;

type Sector = Rc<Vec<u8>>;

/// Only sectors that were ever written are there.
#[derive(Clone)]
pub struct Model {
    sectors: BTreeMap<u32, Sector>,
    pub random: Random,
    /// Changes that are done before the power fails.
    pub lives_for: u64,
    pub changes: u64,
    pub erased: Vec<u32>,
    left: u32,
    /// Answers that it is busy for ever.
    pub hangs: bool,
    /// An address whose first bit cannot be erased or programmed away from what it is.
    pub stuck: Option<u32>,
}

/// What ends a job in the midst.
pub const POWER_CUT: Error = Error::Bus;

impl Model {
    pub fn new(random: Random) -> Model {
        let sectors = BTreeMap::new();
        Model {
            sectors,
            random,
            lives_for: u64::MAX,
            changes: 0,
            erased: Vec::new(),
            left: 0,
            hangs: false,
            stuck: None,
        }
    }

    fn sector(&mut self, number: u32) -> &mut Vec<u8> {
        assert!(number < SIZE / SECTOR);
        Rc::make_mut(self.sectors.entry(number).or_insert_with(|| Rc::new(vec![0xFF; SECTOR as usize])))
    }

    /// Puts bytes there, as JTAG would.
    pub fn put(&mut self, address: u32, bytes: &[u8]) {
        for (i, &byte) in bytes.iter().enumerate() {
            let at = address + i as u32;
            self.sector(at / SECTOR)[(at % SECTOR) as usize] = byte;
        }
    }

    pub fn get(&self, address: u32, length: usize) -> Vec<u8> {
        let byte = |at: u32| self.sectors.get(&(at / SECTOR)).map_or(0xFF, |sector| sector[(at % SECTOR) as usize]);
        (address..address + length as u32).map(byte).collect()
    }

    /// Power comes back.
    pub fn revive(&mut self) {
        (self.lives_for, self.left) = (u64::MAX, 0);
        self.erased.clear();
    }

    /// Whether there is power for another change.
    fn lives(&mut self) -> bool {
        assert_eq!(self.left, 0, "changed while it was busy");
        self.changes += 1;
        self.changes <= self.lives_for
    }

    fn keep_stuck(&mut self, before: &Model) {
        if let Some(at) = self.stuck {
            let byte = before.get(at, 1)[0];
            self.sector(at / SECTOR)[(at % SECTOR) as usize] = byte & 1 | self.get(at, 1)[0] & 0xFE;
        }
    }
}

impl Flash for Model {
    fn read(&mut self, address: u32, into: &mut [u8]) -> Result<(), Error> {
        assert_eq!(self.left, 0, "read while it was busy");
        into.copy_from_slice(&self.get(address, into.len()));
        Ok(())
    }

    fn begin_erase(&mut self, address: u32) -> Result<(), Error> {
        assert_eq!(address % SECTOR, 0);
        let (lives, before) = (self.lives(), self.clone());
        self.erased.push(address);
        let mut random = self.random.clone();
        for byte in self.sector(address / SECTOR) {
            // What is half erased reads as anything.
            *byte = if lives { 0xFF } else { *byte | random.byte() };
        }
        self.random = random;
        self.keep_stuck(&before);
        self.left = 4;
        if lives {
            Ok(())
        } else {
            Err(POWER_CUT)
        }
    }

    fn begin_program(&mut self, address: u32, bytes: &[u8]) -> Result<(), Error> {
        assert!(!bytes.is_empty() && address as usize % PAGE + bytes.len() <= PAGE);
        let (lives, before) = (self.lives(), self.clone());
        let mut random = self.random.clone();
        let start = (address % SECTOR) as usize;
        for (place, &byte) in self.sector(address / SECTOR)[start..].iter_mut().zip(bytes) {
            *place &= if lives { byte } else { byte | random.byte() };
        }
        self.random = random;
        self.keep_stuck(&before);
        self.left = 2;
        if lives {
            Ok(())
        } else {
            Err(POWER_CUT)
        }
    }

    fn busy(&mut self) -> Result<bool, Error> {
        if self.hangs {
            return Ok(true);
        }
        self.left = self.left.saturating_sub(1);
        Ok(self.left > 0)
    }
}
