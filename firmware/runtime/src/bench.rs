//! Measures what it costs to deliver the log, in cycles of the processor.

use corelog_board::{cpu, tasks};
use corelog_device::bench::{report, write_batch, BATCH};
use corelog_device::logger;
use embassy_time::{Duration, Timer};

use crate::stream;

/// Batches written at a time: several segments.
const DELIVERED: u32 = 20;

/// What it costs to get a record to a subscriber, network included, if there is one: busy cycles from records in the
/// ring until all of them were acknowledged, per record and subscriber.
pub async fn delivery(samples: &mut [u32]) {
    let readers = stream::subscribers();
    if readers == 0 {
        return;
    }
    let rounds = samples.len().min(16);
    for sample in &mut samples[..rounds] {
        for _ in 0..DELIVERED {
            write_batch();
        }
        let end = logger::read(|logs| logs.ring.next_seq());
        let (start, idle) = (cpu::cycles(), tasks::idle_cycles());
        // Asleep, so that waiting for acknowledgements does not count as work.
        while !stream::all_have(end) {
            Timer::after(Duration::from_millis(100)).await;
        }
        // What was taken last is still to be sent and acknowledged.
        Timer::after(Duration::from_millis(50)).await;
        let idle = tasks::idle_cycles().wrapping_sub(idle);
        *sample = cpu::cycles().wrapping_sub(start).wrapping_sub(idle) / (DELIVERED * BATCH * readers);
    }
    report("deliver a record (batch, with TCP)", &mut samples[..rounds], 0);
}
