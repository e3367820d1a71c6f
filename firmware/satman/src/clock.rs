//! The system clock follows the uplink's: the synthesiser gets the recovered clock, whose phase is then put where
//! nothing is ambiguous. Only then is anything received. `gateware/corelog_gateware/transceiver/README.md` has the
//! order of steps.

use corelog_board::recovered_clock::{self, STEPS};
use corelog_device::chips::{Follower, Trouble};
use corelog_device::record::{error, info, warn};
use corelog_periph::phase::{Next, Search};
use embassy_time::{Duration, Timer};

/// How often the uplink is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Time before another attempt.
const PAUSE: Duration = Duration::from_secs(1);
/// What the synthesiser's loop takes to settle after a step.
const SETTLES: Duration = Duration::from_micros(500);
/// Readings of the phase that have to agree, and the time between two.
const READINGS: usize = 16;
const BETWEEN: Duration = Duration::from_micros(60);

#[embassy_executor::task]
pub async fn run() -> ! {
    loop {
        let mut follower = match Follower::new() {
            Ok(follower) => follower,
            Err(trouble) => {
                error!("the uplink's clock cannot be followed: {trouble}");
                Timer::after(PAUSE).await;
                continue;
            }
        };
        while !recovered_clock::is_good() {
            Timer::after(LOOK).await;
        }
        info!("uplink has a clock of {} kHz", recovered_clock::khz());
        match follow(&mut follower).await {
            Ok(true) => {
                recovered_clock::receive(true);
                info!("the system clock follows the uplink");
                watch().await;
                recovered_clock::receive(false);
                warn!("the uplink's clock is gone: back to the oscillator");
            }
            Ok(false) if recovered_clock::is_good() => {
                warn!("the phase of the uplink's clock has no edge, trying again")
            }
            Ok(false) => warn!("the uplink's clock went away while it was followed"),
            Err(trouble) => error!("the uplink's clock cannot be followed: {trouble}"),
        }
        if let Err(trouble) = follower.follow(false).await {
            error!("the oscillator cannot be followed: {trouble}");
        }
        Timer::after(PAUSE).await;
    }
}

/// Takes the recovered clock; whether its phase is where it should be.
async fn follow(follower: &mut Follower) -> Result<bool, Trouble> {
    follower.follow(true).await?;
    let mut search = Search::new(STEPS);
    while recovered_clock::is_good() {
        match search.read(still_phase().await) {
            Next::Shift => shift().await,
            Next::Done => return Ok(true),
            Next::NoEdge => return Ok(false),
        }
    }
    Ok(false)
}

/// The phase, if it keeps still.
async fn still_phase() -> Option<u8> {
    let first = recovered_clock::phase();
    for _ in 1..READINGS {
        Timer::after(BETWEEN).await;
        if recovered_clock::phase() != first {
            return None;
        }
    }
    Some(first)
}

/// Shifts one step; a step that does not end because the clock went is left.
async fn shift() {
    recovered_clock::shift();
    Timer::after(SETTLES).await;
    while recovered_clock::is_shifting() && recovered_clock::is_good() {
        Timer::after(BETWEEN).await;
    }
}

/// Waits until the clock is gone.
async fn watch() {
    let mut told = false;
    while recovered_clock::is_good() {
        if recovered_clock::is_ambiguous() && !told {
            warn!("the uplink came up at an ambiguous phase: times may be a cycle off");
            told = true;
        }
        Timer::after(LOOK).await;
    }
}
