//! LEDs of SFP cages, where they are on I2C: they show whose link is up, as the gateware's do on other boards.

use corelog_board::{i2c, sfp};
use corelog_periph::cages::Pair;
use embassy_time::{Duration, Timer};

use crate::chips::Trouble;
use crate::record::{info, warn};

/// Those that were found.
pub type Cages = [Option<Pair>; 2];

/// How often a pair of cages is looked at, and how often after an error. An LED that changes takes 1 ms of the
/// processor's time.
const LOOK: Duration = Duration::from_millis(50);
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Shows the state of two links for ever.
#[embassy_executor::task(pool_size = 2)]
pub async fn show(number: usize, mut pair: Pair) -> ! {
    let (first, second) = (2 * number, 2 * number + 1);
    let mut bus = i2c::bus();
    let mut errors = 0_u32;
    loop {
        Timer::after(if errors == 0 { LOOK } else { TRY_AGAIN }).await;
        let up = [first, second].map(|cage| sfp::up() >> cage & 1 != 0);
        match pair.show(&mut bus, up) {
            Ok(done) if done && errors > 0 => {
                info!("LEDs of SFP cages {first} and {second} are right again, after {errors} errors");
                errors = 0;
            }
            Ok(_) => {}
            Err(error) => {
                if errors == 0 {
                    warn!("LEDs of SFP cages {first} and {second} are not right: {}", Trouble::from(error));
                }
                errors = errors.saturating_add(1);
                // Leads a chip that was cut off in a byte to its end.
                bus = i2c::bus();
            }
        }
    }
}
