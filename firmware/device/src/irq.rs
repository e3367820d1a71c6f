//! Interrupt lines wake tasks.

use core::task::Waker;

use embassy_sync::waitqueue::AtomicWaker;

use corelog_board::tasks::Lines;
use corelog_board::{clock, rtio, uart};

use crate::aux;

/// The processor's interrupt lines.
const LINES: usize = 32;

/// Of every line two: who receives and who sends.
static WAKERS: [[AtomicWaker; 2]; LINES] = [const { [const { AtomicWaker::new() }; 2] }; LINES];

/// Wakes `waker` whenever `line` is high between two rounds of tasks.
pub fn register(line: u32, waker: &Waker) {
    WAKERS[line as usize % LINES][0].register(waker);
}

/// Wakes `waker`, too.
pub fn register_other(line: u32, waker: &Waker) {
    WAKERS[line as usize % LINES][1].register(waker);
}

/// Wakes the tasks of the `lines` that are high.
pub fn dispatch(mut lines: u32) {
    while lines != 0 {
        for waker in &WAKERS[lines.trailing_zeros() as usize % LINES] {
            waker.wake();
        }
        lines &= lines - 1;
    }
}

/// The lines that wake tasks, those of every board and `more`; those of RTIO errors interrupt them.
pub fn lines(more: &[u32]) -> Lines {
    let all = [clock::INTERRUPT, uart::INTERRUPT].into_iter().chain(more.iter().copied());
    let all = all.chain((0..aux::LINKS).filter_map(|index| aux::link(index).interrupt()));
    Lines { watched: all.fold(0, |mask, line| mask | 1 << line), interrupting: 1 << rtio::errors::INTERRUPT }
}
