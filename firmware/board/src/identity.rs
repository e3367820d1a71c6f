//! Who this board is, why it started, and how to start it again.

use crate::csr;
use crate::register::{read, read64, write};

/// Which gateware this program was compiled for: the CRC-32 of its `csr.rs`. `corelog flash` looks for this text, and
/// refuses gateware whose bitstream has another number.
pub const MADE_FOR: &str = concat!("made for registers ", env!("CORELOG_REGISTERS"));
/// The same as a number.
pub const REGISTERS: u32 = match u32::from_str_radix(env!("CORELOG_REGISTERS"), 16) {
    Ok(number) => number,
    Err(_) => panic!("build.rs writes it in hexadecimal"),
};

/// Why the SoC was reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResetCause {
    PowerOn,
    Requested,
    Watchdog,
    /// The system clock was switched, or went away.
    Clock,
}

/// The board's own number, the same for ever.
pub fn board_id() -> u64 {
    read64(csr::IDENTITY_BOARD_ID_ADDR)
}

/// A random word, another one at every start at least.
pub fn entropy() -> u32 {
    read(csr::IDENTITY_ENTROPY_ADDR)
}

/// Why the SoC was reset last. An unknown value counts as power-on.
pub fn reset_cause() -> ResetCause {
    match read(csr::IDENTITY_RESET_CAUSE_ADDR) {
        1 => ResetCause::Requested,
        2 => ResetCause::Watchdog,
        3 => ResetCause::Clock,
        _ => ResetCause::PowerOn,
    }
}

/// Resets the whole SoC; memory keeps its contents.
pub fn reset() -> ! {
    loop {
        write(csr::IDENTITY_RESET_ADDR, 1);
    }
}

/// Loads gateware, bootloader and firmware anew from the flash, where the gateware can; else resets the SoC.
pub fn reload() -> ! {
    #[cfg(has_reload)]
    loop {
        write(csr::ICAP_RELOAD_ADDR, 1);
    }
    #[cfg(not(has_reload))]
    reset()
}

/// Lights the error LED, or puts it out, if there is one.
pub fn set_error_led(on: bool) {
    #[cfg(has_error_led)]
    write(csr::ERROR_LED_OUT_ADDR, on.into());
    #[cfg(not(has_error_led))]
    let _ = on;
}

/// Tells the outside that the firmware is up.
pub fn set_ready() {
    write(csr::IDENTITY_READY_ADDR, 1);
}

/// Writes the gateware's identity (`version;target`) into `buffer`; gives the text.
pub fn gateware(buffer: &mut [u8; 128]) -> &str {
    let mut len = 0;
    for slot in buffer.iter_mut().take(csr::IDENTIFIER_MEM_WORDS) {
        let byte = read(csr::IDENTIFIER_MEM_ADDR + 4 * len) as u8;
        if byte == 0 {
            break;
        }
        *slot = byte;
        len += 1;
    }
    core::str::from_utf8(&buffer[..len]).unwrap_or("unreadable")
}

/// Resets the SoC (cause: watchdog) unless [`feed_watchdog`] is called at least every `seconds`.
pub fn start_watchdog(seconds: u32) {
    write(csr::WATCHDOG_PERIOD_ADDR, csr::CLOCK_FREQUENCY.saturating_mul(seconds));
}

/// Starts the watchdog's period anew.
#[inline(always)]
pub fn feed_watchdog() {
    write(csr::WATCHDOG_FEED_ADDR, 1);
}
