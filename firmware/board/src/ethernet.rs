//! LiteEth's MAC: slots of received frames, and slots to send from.
//!
//! The slots are uncached memory of the MAC. Every access to them is slow, so frames are copied from and to them by
//! whole words, and work is done on the copies.

use core::cell::Cell;
use core::ptr;

use critical_section::Mutex;

use crate::csr;
use crate::register::{read, write};

/// Interrupt line that is high while a frame is waiting or, after [`Transmitter::wake_when_sent`], a slot was sent.
pub const INTERRUPT: u32 = csr::ETHMAC_INTERRUPT;
/// Words of a slot: the longest frame.
pub const SLOT_WORDS: usize = csr::ETHMAC_SLOT_SIZE as usize / 4;
/// Shortest frame in bytes, without checksum.
const SHORTEST: usize = 60;

/// The receiving half of the MAC.
pub struct Receiver(());

/// The sending half of the MAC.
pub struct Transmitter {
    /// The slot to fill next.
    next: usize,
}

/// Both halves of the MAC.
///
/// # Panics
/// On the second call: slots must have one owner.
pub fn take() -> (Receiver, Transmitter) {
    static TAKEN: Mutex<Cell<bool>> = Mutex::new(Cell::new(false));
    let taken = critical_section::with(|cs| TAKEN.borrow(cs).replace(true));
    assert!(!taken, "the MAC has an owner");
    write(csr::ETHMAC_SRAM_WRITER_EV_ENABLE_ADDR, 1);
    (Receiver(()), Transmitter { next: 0 })
}

impl Receiver {
    /// Whether a frame is waiting.
    pub fn waiting(&self) -> bool {
        read(csr::ETHMAC_SRAM_WRITER_EV_PENDING_ADDR) & 1 != 0
    }

    /// Copies the oldest frame into `frame` and frees its slot; gives its length in bytes. To be called when
    /// [`Receiver::waiting`]. What does not fit is cut.
    pub fn receive(&mut self, frame: &mut [u32]) -> usize {
        let slot = read(csr::ETHMAC_SRAM_WRITER_SLOT_ADDR) as usize % csr::ETHMAC_RX_SLOTS as usize;
        let length = read(csr::ETHMAC_SRAM_WRITER_LENGTH_ADDR) as usize;
        let words = length.div_ceil(4).min(SLOT_WORDS).min(frame.len());
        let source = (csr::ETHMAC_RX_BASE + slot * csr::ETHMAC_SLOT_SIZE as usize) as *const u32;
        // SAFETY: the slot is the MAC's memory, in which `words` words are mapped and no Rust object lives; the MAC
        // does not write to it before the slot is freed below.
        unsafe { ptr::copy_nonoverlapping(source, frame.as_mut_ptr(), words) };
        write(csr::ETHMAC_SRAM_WRITER_EV_PENDING_ADDR, 1);
        length.min(4 * words)
    }
}

impl Transmitter {
    /// Whether a slot is free to send from.
    pub fn can_send(&self) -> bool {
        // `level` counts the frames queued or under way. The slots go round, so the next is free unless all are in use.
        (read(csr::ETHMAC_SRAM_READER_LEVEL_ADDR) as usize) < csr::ETHMAC_TX_SLOTS as usize
    }

    /// Sends the first `length` bytes of `frame`, with zeros behind them if it is short for a frame. To be called when
    /// [`Transmitter::can_send`].
    pub fn send(&mut self, frame: &[u32], length: usize) {
        let slot = self.next;
        self.next = (slot + 1) % csr::ETHMAC_TX_SLOTS as usize;
        let words = length.div_ceil(4).min(SLOT_WORDS).min(frame.len());
        let target = (csr::ETHMAC_TX_BASE + slot * csr::ETHMAC_SLOT_SIZE as usize) as *mut u32;
        // SAFETY: the slot is the MAC's memory, in which SLOT_WORDS words are mapped and no Rust object lives; it is
        // free (see `can_send`), and a frame of the shortest length fits.
        unsafe {
            ptr::copy_nonoverlapping(frame.as_ptr(), target, words);
            for word in words..SHORTEST / 4 {
                target.add(word).write_volatile(0);
            }
        }
        write(csr::ETHMAC_SRAM_READER_SLOT_ADDR, slot as u32);
        write(csr::ETHMAC_SRAM_READER_LENGTH_ADDR, length.clamp(SHORTEST, 4 * SLOT_WORDS) as u32);
        write(csr::ETHMAC_SRAM_READER_START_ADDR, 1);
    }

    /// Lets the next sent frame raise the interrupt line.
    pub fn wake_when_sent(&mut self) {
        write(csr::ETHMAC_SRAM_READER_EV_PENDING_ADDR, 1);
        write(csr::ETHMAC_SRAM_READER_EV_ENABLE_ADDR, 1);
    }

    /// Lowers the line that a sent frame raised.
    pub fn acknowledge(&mut self) {
        write(csr::ETHMAC_SRAM_READER_EV_ENABLE_ADDR, 0);
    }
}

/// Frames that arrived while every receive slot was full, since reset.
pub fn dropped() -> u32 {
    read(csr::ETHMAC_SRAM_WRITER_ERRORS_ADDR)
}
