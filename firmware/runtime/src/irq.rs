//! Interrupt lines wake tasks.

use core::task::Waker;

use embassy_sync::waitqueue::AtomicWaker;

use corelog_board::tasks::Lines;
use corelog_board::{clock, csr, ethernet, rtio, uart};

const LINES: usize = {
    let mut most = 0;
    let lines = [csr::UPTIME_INTERRUPT, ethernet::INTERRUPT, uart::INTERRUPT];
    let mut i = 0;
    while i < lines.len() {
        if lines[i] as usize > most {
            most = lines[i] as usize;
        }
        i += 1;
    }
    most + 1
};

static WAKERS: [AtomicWaker; LINES] = [const { AtomicWaker::new() }; LINES];

/// Wakes `waker` whenever `line` is high between two rounds of tasks.
pub fn register(line: u32, waker: &Waker) {
    WAKERS[line as usize].register(waker);
}

/// Wakes the tasks of the `lines` that are high.
pub fn dispatch(mut lines: u32) {
    while lines != 0 {
        if let Some(waker) = WAKERS.get(lines.trailing_zeros() as usize) {
            waker.wake();
        }
        lines &= lines - 1;
    }
}

/// The lines that wake tasks; those of RTIO errors interrupt them.
pub fn lines() -> Lines {
    let watched = [clock::INTERRUPT, ethernet::INTERRUPT, uart::INTERRUPT];
    Lines { watched: watched.iter().fold(0, |mask, line| mask | 1 << line), interrupting: 1 << rtio::errors::INTERRUPT }
}
