//! The serial port: output only.

use crate::csr;
use crate::register::{read, write};

/// Interrupt line that is high when there is room again, from [`listen`] to the next [`acknowledge`].
pub const INTERRUPT: u32 = csr::UART_INTERRUPT;

/// Sends as many bytes as there is room for, gives how many.
pub fn send(bytes: &[u8]) -> usize {
    let mut sent = 0;
    for &byte in bytes {
        if read(csr::UART_TXFULL_ADDR) != 0 {
            break;
        }
        write(csr::UART_RXTX_ADDR, byte.into());
        sent += 1;
    }
    sent
}

/// Sends everything, spinning while there is no room: for a dying system only. Gives up on a port that does not drain.
pub fn send_blocking(bytes: &[u8]) {
    for &byte in bytes {
        let mut patience = 1_000_000;
        while read(csr::UART_TXFULL_ADDR) != 0 {
            patience -= 1;
            if patience == 0 {
                return;
            }
        }
        write(csr::UART_RXTX_ADDR, byte.into());
    }
}

/// Whether everything was sent, to the last but one byte.
pub fn is_empty() -> bool {
    read(csr::UART_TXEMPTY_ADDR) != 0
}

/// Lets the next byte that makes room raise the line. Look once more for room after this: the event may be past.
pub fn listen() {
    write(csr::UART_EV_PENDING_ADDR, 1);
    write(csr::UART_EV_ENABLE_ADDR, 1);
}

/// Lowers the line.
pub fn acknowledge() {
    write(csr::UART_EV_ENABLE_ADDR, 0);
}
