//! RTIO errors that arise in the gateware, after the program that caused them has gone on or even ended.

use core::cell::Cell;
use core::future::poll_fn;
use core::task::Poll;

use corelog_board::rtio::errors::{self, Kind};
use critical_section::Mutex;

use crate::{config, irq, logger};

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

/// Writes reports to the log as they come.
#[embassy_executor::task]
pub async fn run() -> ! {
    errors::enable_interrupt();
    poll_fn(|cx| {
        irq::register(errors::INTERRUPT, cx.waker());
        serve();
        Poll::Pending
    })
    .await
}

/// Writes all reports that are there to the log.
pub fn serve() {
    while let Some(report) = errors::take() {
        saw(report.kind);
        config::channel_name(report.channel.into(), |channel| {
            logger::write_error(
                module_path!(),
                format_args!("RTIO {} involving channel {:#06x}:{channel}", name(report.kind), report.channel),
                format_args!(" at {} mu", report.timestamp),
            );
        });
    }
    for kind in Kind::ALL {
        let total = errors::lost(kind);
        let told = critical_section::with(|cs| {
            let mut lost = LOST.borrow(cs).get();
            let told = core::mem::replace(&mut lost[kind as usize], total);
            LOST.borrow(cs).set(lost);
            told
        });
        if total != told {
            saw(kind);
            logger::write_error(
                module_path!(),
                format_args!("{} RTIO {} reports lost", total.wrapping_sub(told), name(kind)),
                format_args!(""),
            );
        }
    }
}

fn saw(kind: Kind) {
    critical_section::with(|cs| SEEN.borrow(cs).set(SEEN.borrow(cs).get() | 1 << kind as u32));
}

/// The kinds of errors reported since the last call (bit 0 collision, 1 busy, 2 sequence), up to this moment.
pub fn take_seen() -> u32 {
    serve();
    critical_section::with(|cs| SEEN.borrow(cs).replace(0))
}
