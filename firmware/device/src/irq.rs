//! Interrupt lines wake tasks.

use core::task::Waker;

use embassy_sync::waitqueue::AtomicWaker;

use corelog_board::tasks::Lines;
use corelog_board::{clock, rtio, uart};

/// The processor's interrupt lines.
const LINES: usize = 32;

static WAKERS: [AtomicWaker; LINES] = [const { AtomicWaker::new() }; LINES];

/// Wakes `waker` whenever `line` is high between two rounds of tasks.
pub fn register(line: u32, waker: &Waker) {
    WAKERS[line as usize % LINES].register(waker);
}

/// Wakes the tasks of the `lines` that are high.
pub fn dispatch(mut lines: u32) {
    while lines != 0 {
        WAKERS[lines.trailing_zeros() as usize % LINES].wake();
        lines &= lines - 1;
    }
}

/// The lines that wake tasks, those of every board and `more`; those of RTIO errors interrupt them.
pub fn lines(more: &[u32]) -> Lines {
    let all = [clock::INTERRUPT, uart::INTERRUPT].into_iter().chain(more.iter().copied());
    Lines { watched: all.fold(0, |mask, line| mask | 1 << line), interrupting: 1 << rtio::errors::INTERRUPT }
}
