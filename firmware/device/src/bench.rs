//! Measures what the log costs, in cycles of the processor.

use corelog_board::{cpu, memory, Exclusive};
use corelog_log::Level;
use embassy_futures::yield_now;

use crate::logger;
use crate::record::info;

/// Most samples of one measurement.
const SAMPLES: usize = 1024;
/// Records streamed at a time: about as many as a TCP segment takes.
pub const BATCH: u32 = 10;
/// Samples taken before other tasks have their turn.
const STEP: usize = 8;

static BUFFER: Exclusive<Option<(&'static mut [u32], &'static mut [u8])>> = Exclusive::new(None);

/// Runs every measurement `count` times, at most [`SAMPLES`], and logs the results. `more` are the program's own, with
/// room for their samples.
pub async fn run(count: u32, more: impl AsyncFnOnce(&mut [u32])) {
    let Some(Some((samples, frames))) =
        BUFFER.with(|buffer| Some(buffer.take().unwrap_or_else(|| (memory::take_words(SAMPLES), memory::take(4096)))))
    else {
        return;
    };
    let used = &mut samples[..(count as usize).clamp(1, SAMPLES)];
    logger::read(|logs| logs.mute_uart(true));

    measure(used, |_| {}).await;
    let overhead = median(used);
    measure(used, call::no_arguments).await;
    report("record, no arguments", used, overhead);
    measure(used, call::four_arguments).await;
    report("record, four arguments", used, overhead);
    measure(used, |_| info!("the same record again and again")).await;
    report("record, repeated", used, overhead);
    let few = used.len().div_ceil(BATCH as usize);
    batches(&mut used[..few], frames).await;
    report("stream a record (batch)", &mut used[..few], 0);
    for sample in used.iter_mut() {
        let start = cpu::cycles();
        yield_now().await;
        *sample = cpu::cycles().wrapping_sub(start);
    }
    report("idle loop", used, overhead);
    more(used).await;
    // The UART is behind by the records of the measurement: it passes over them before it speaks again.
    yield_now().await;
    logger::read(|logs| logs.mute_uart(false));
    BUFFER.with(|buffer| *buffer = Some((samples, frames)));
}

/// Where records are written from. The linker puts these beside the log's code (`link.x`), so that what is measured
/// does not depend on whether a call site happens to share lines of the instruction cache with it.
mod call {
    use core::hint::black_box;

    use corelog_board::cpu;

    use crate::record::info;

    /// Calls `f` with the number of each sample from `first`, and notes what it cost.
    #[inline(never)]
    pub fn timed(samples: &mut [u32], first: u32, f: fn(u32)) {
        for (i, sample) in (first..).zip(samples) {
            let start = cpu::cycles();
            f(i);
            *sample = cpu::cycles().wrapping_sub(start);
        }
    }

    #[inline(never)]
    pub fn no_arguments(i: u32) {
        match i % 2 {
            0 => info!("a record without arguments, as many are"),
            _ => info!("another record that has no arguments"),
        }
    }

    #[inline(never)]
    pub fn four_arguments(i: u32) {
        let (i, data) = (black_box(i), black_box(0xC0FF_EE00_u32));
        info!("channel {} got event {i} of {} in the queue, data {data:#010x}, all is well so far", i & 7, 1234);
    }
}

async fn measure(samples: &mut [u32], f: fn(u32)) {
    for (i, samples) in (0..).zip(samples.chunks_mut(STEP)) {
        call::timed(samples, i * STEP as u32, f);
        yield_now().await;
    }
}

/// Copies batches of fresh records out of the ring as a subscription does; a sample is a batch's cost per record.
async fn batches(samples: &mut [u32], frames: &mut [u8]) {
    for sample in samples {
        let mut cursor = logger::read(|logs| logs.ring.newest());
        write_batch();
        *sample = logger::read(|logs| {
            let start = cpu::cycles();
            let fill = logs.ring.fill(&mut cursor, Level::Trace, frames);
            let cost = cpu::cycles().wrapping_sub(start);
            core::hint::black_box(fill);
            cost / BATCH
        });
        yield_now().await;
    }
}

/// Writes [`BATCH`] records.
pub fn write_batch() {
    for i in 0..BATCH {
        call::four_arguments(i);
    }
}

fn median(samples: &mut [u32]) -> u32 {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// Logs the median of the `samples` and the worst.
pub fn report(name: &str, samples: &mut [u32], overhead: u32) {
    let median = median(samples).saturating_sub(overhead);
    let worst = samples.last().map_or(0, |worst| worst.saturating_sub(overhead));
    info!("{name}: median {median} worst {worst} cycles");
}
