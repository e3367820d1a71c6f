//! Measures what it costs to deliver the log, in cycles of the processor.

use corelog_board::{cpu, tasks};
use corelog_device::bench::{report, write_batch, BATCH};
use corelog_device::logger;
use corelog_relay::Boots;
use embassy_time::{Duration, Timer};

use crate::{drtio, stream};

/// Batches written at a time: several segments.
const DELIVERED: u32 = 20;

/// Both measurements, if there is somebody to measure them with.
pub async fn run(samples: &mut [u32]) {
    delivery(samples).await;
    relaying(samples).await;
}

/// What it costs to get a record to a subscriber, network included, if there is one: busy cycles from records in the
/// ring until all of them were acknowledged, per record and subscriber.
async fn delivery(samples: &mut [u32]) {
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

/// What it costs to take a satellite's record and get it to the subscribers, if any come meanwhile: busy cycles of half
/// a second per record.
async fn relaying(samples: &mut [u32]) {
    let mut used = 0;
    for _ in 0..samples.len().min(8) {
        let (start, idle, before) = (cpu::cycles(), tasks::idle_cycles(), relayed());
        Timer::after(Duration::from_millis(500)).await;
        let busy = cpu::cycles().wrapping_sub(start).wrapping_sub(tasks::idle_cycles().wrapping_sub(idle));
        let records = relayed().wrapping_sub(before);
        if let (Some(cycles), Some(sample)) = (busy.checked_div(records), samples.get_mut(used)) {
            *sample = cycles;
            used += 1;
        }
    }
    if used > 0 {
        report("relay a record of a satellite (with TCP)", &mut samples[..used], 0);
    }
}

/// Number of the next record of each satellite that is expected here, all added up modulo 2^32.
fn relayed() -> u32 {
    let next = |relay: &corelog_relay::Relay| relay.boot(relay.newest()?).map(|boot| boot.view.next_seq() as u32);
    drtio::log::relays(|relays| relays.iter().filter_map(next).fold(0, u32::wrapping_add))
}
