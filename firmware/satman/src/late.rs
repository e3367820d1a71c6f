//! Debug requests take long, so that they are done after their call was answered.

use corelog_device::{bench, debug};
use corelog_proto::mgmt::Debug;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;

/// Requests not yet begun.
static REQUESTS: Channel<CriticalSectionRawMutex, Debug, 4> = Channel::new();

/// Lets a request be done; false if too many wait already.
pub fn ask(request: Debug) -> bool {
    REQUESTS.try_send(request).is_ok()
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
