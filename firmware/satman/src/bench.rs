//! Measures what the way upstream costs, in cycles of the processor.

use corelog_board::{cpu, tasks};
use corelog_device::bench::{report, write_batch, BATCH};
use embassy_time::{Duration, Timer};

use crate::{forward, stream};

/// Batches written at a time: several frames.
const DELIVERED: u32 = 6;
/// Longest wait for the core device to have them, in steps.
const PATIENCE: u32 = 50;
/// Most samples.
const ROUNDS: usize = 8;
const STEP: Duration = Duration::from_millis(100);

/// What it costs to get a record of this board to the core device: busy cycles from records in the ring until they were
/// acknowledged, per record.
pub async fn upstream(samples: &mut [u32]) {
    let rounds = samples.len().min(ROUNDS);
    for sample in &mut samples[..rounds] {
        for _ in 0..DELIVERED {
            write_batch();
        }
        let busy = Busy::start();
        // Asleep, so that waiting for acknowledgements does not count as work.
        let mut waited = 0;
        Timer::after(STEP).await;
        while !stream::is_up_to_date() {
            waited += 1;
            if waited > PATIENCE {
                return; // nobody wants it
            }
            Timer::after(STEP).await;
        }
        *sample = busy.cycles() / (DELIVERED * BATCH);
    }
    report("deliver a record upstream (batch)", &mut samples[..rounds], 0);
}

/// What it costs to pass on a frame from a board behind this one, if any come meanwhile: busy cycles of a tenth of a
/// second, per frame.
pub async fn forwarding(samples: &mut [u32]) {
    let mut used = 0;
    for _ in 0..samples.len().min(ROUNDS) {
        let (busy, before) = (Busy::start(), forward::frames());
        Timer::after(STEP).await;
        let frames = forward::frames().wrapping_sub(before);
        if let (Some(cycles), Some(sample)) = (busy.cycles().checked_div(frames), samples.get_mut(used)) {
            *sample = cycles;
            used += 1;
        }
    }
    if used > 0 {
        report("pass a frame on upstream", &mut samples[..used], 0);
    }
}

/// Counts cycles in which the processor does not sleep.
struct Busy {
    start: u32,
    idle: u32,
}

impl Busy {
    fn start() -> Busy {
        Busy { start: cpu::cycles(), idle: tasks::idle_cycles() }
    }

    fn cycles(&self) -> u32 {
        let idle = tasks::idle_cycles().wrapping_sub(self.idle);
        cpu::cycles().wrapping_sub(self.start).wrapping_sub(idle)
    }
}
