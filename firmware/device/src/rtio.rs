//! RTIO errors that arise in the gateware, after the program that caused them has gone on or even ended.

use core::cell::Cell;

use corelog_board::rtio::errors::{self, Kind};
use corelog_board::tasks;
use critical_section::Mutex;

use crate::{config, logger, target};

/// Kinds seen since the last [`take_seen`], one bit each.
static SEEN: Mutex<Cell<u32>> = Mutex::new(Cell::new(0));
/// Lost reports told so far, by kind.
static LOST: Mutex<Cell<[u32; 3]>> = Mutex::new(Cell::new([0; 3]));

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Collision => "collision",
        Kind::Busy => "busy error",
        Kind::Sequence => "sequence error",
    }
}

/// Reports taken at a time before tasks go on: a storm of errors shall not stop everything else.
const PER_INTERRUPT: usize = 4;

/// From now on reports go to the log as they come.
pub fn start() {
    errors::enable_interrupt();
}

/// Called whenever a report is present, in the middle of whatever runs. A report's record so has the time at which the
/// error was seen, however long the task takes that was running.
pub fn interrupt() {
    for _ in 0..PER_INTERRUPT {
        if !serve_one() {
            return serve_lost();
        }
    }
    tasks::hold_interrupts();
}

/// Writes the oldest report to the log, if there is one.
fn serve_one() -> bool {
    // Also called by tasks, which the interrupt must not disturb between looking at a report and removing it.
    critical_section::with(|_| {
        let Some(report) = errors::take() else { return false };
        saw(report.kind);
        config::channel_name(report.channel.into(), |channel| {
            logger::write_error(
                target!(),
                format_args!("RTIO {} involving channel {:#06x}:{channel}", name(report.kind), report.channel),
                format_args!(" at {} mu", report.timestamp),
            );
        });
        true
    })
}

/// Writes to the log how many errors there were no reports of, because the queue of reports was full.
fn serve_lost() {
    critical_section::with(|cs| {
        let mut told = LOST.borrow(cs).get();
        for kind in Kind::ALL {
            let total = errors::lost(kind);
            let lost = total.wrapping_sub(core::mem::replace(&mut told[kind as usize], total));
            if lost != 0 {
                saw(kind);
                let message = format_args!("{lost} RTIO {} reports lost", name(kind));
                logger::write_error(target!(), message, format_args!(""));
            }
        }
        LOST.borrow(cs).set(told);
    })
}

fn saw(kind: Kind) {
    critical_section::with(|cs| SEEN.borrow(cs).set(SEEN.borrow(cs).get() | 1 << kind as u32));
}

/// The kinds of errors reported since the last call (bit 0 collision, 1 busy, 2 sequence), up to this moment.
pub fn take_seen() -> u32 {
    while serve_one() {}
    serve_lost();
    critical_section::with(|cs| SEEN.borrow(cs).replace(0))
}
