//! Requests that only help to test and measure: what answers them, and a flood of records.

use core::fmt;

use corelog_board::identity;
use embassy_futures::yield_now;
use embassy_time::{Duration, Instant, Timer};
use log::Level;

use crate::config;
use crate::record::record;
use crate::target;

/// Records written before other tasks have their turn.
const STEP: u32 = 8;

/// Whether debug requests are served: on the simulated board, or where the configuration says so.
pub fn allowed() -> bool {
    let mut buffer = [0; 128];
    identity::gateware(&mut buffer).contains(";sim") || config::read("debug_requests", |value| value == Some(b"1"))
}

/// What to write; see docs/wire.md, Debug kind 1.
pub struct Flood {
    pub level: u8,
    pub body_length: usize,
    pub count: u32,
    pub warn_every: u32,
    pub interval: u32,
}

/// The body of a record, padded with dots.
struct Body {
    number: u32,
    count: u32,
    length: usize,
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DOTS: &str = "................................................................";
        write!(f, "flood {}/{}", self.number, self.count)?;
        let digits = |n: u32| n.checked_ilog10().unwrap_or(0) as usize + 1;
        let mut missing = self.length.saturating_sub("flood /".len() + digits(self.number) + digits(self.count));
        while missing > 0 {
            let part = missing.min(DOTS.len());
            f.write_str(&DOTS[..part])?;
            missing -= part;
        }
        Ok(())
    }
}

/// Writes the records, in time if they have an interval.
pub async fn flood(flood: Flood) {
    let level = Level::iter().nth(usize::from(flood.level).saturating_sub(1)).unwrap_or(Level::Info);
    let start = Instant::now();
    for number in 1..=flood.count {
        if flood.interval > 0 {
            Timer::at(start + Duration::from_micros(u64::from(number - 1) * u64::from(flood.interval))).await;
        } else if number % STEP == 0 {
            yield_now().await;
        }
        let warning = flood.warn_every > 0 && number % flood.warn_every == 0;
        let body = Body { number, count: flood.count, length: flood.body_length };
        let level = if warning { Level::Warn } else { level };
        record!(level, target: target!(), "{body}");
    }
}
