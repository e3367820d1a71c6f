//! Debug requests take long, and so does writing a flash image: what is to be done after their call was answered.

use corelog_board::identity;
use corelog_device::record::info;
use corelog_device::{bench, debug, flash};
use corelog_proto::mgmt::Debug;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Duration, Timer};

/// Requests not yet begun.
static REQUESTS: Channel<CriticalSectionRawMutex, Debug, 4> = Channel::new();

/// Time for the last records to go upstream.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Lets a request be done; false if too many wait already.
pub fn ask(request: Debug) -> bool {
    REQUESTS.try_send(request).is_ok()
}

/// Starts what images hold, once they are written.
#[embassy_executor::task]
pub async fn restart() -> ! {
    loop {
        if flash::written().await {
            info!("restarting");
            Timer::after(LAST_WORDS).await;
            identity::reload()
        }
    }
}

/// Does requests for ever.
#[embassy_executor::task]
pub async fn run() -> ! {
    loop {
        match REQUESTS.receive().await {
            Debug::Panic => panic!("asked for by a debug request"),
            Debug::Flood { level, body_length, count, warn_every, interval } => {
                debug::flood(debug::Flood { level, body_length: body_length.into(), count, warn_every, interval })
                    .await;
            }
            Debug::Measure { count } => bench::run(count, links).await,
        }
    }
}

async fn links(samples: &mut [u32]) {
    crate::bench::upstream(samples).await;
    crate::bench::forwarding(samples).await;
}
