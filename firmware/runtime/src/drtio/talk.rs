//! Talks with a satellite: several calls that others must not interrupt.

use corelog_device::logger::ReaderId;
use corelog_proto::aux::call::{What, MAX_REQUEST_DATA};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::semaphore::{FairSemaphore, Semaphore, SemaphoreReleaser};
use embassy_time::{with_timeout, Duration};

use super::call::Failure;
use super::Destination;

/// Longest wait for the requests of other clients to the same destination.
const TURN: Duration = Duration::from_millis(300);
/// Most clients, and the survey, that wait for their turn.
const WAITERS: usize = ReaderId::CLIENTS + 1;

/// Who may send a destination something in several parts.
pub type Turn = FairSemaphore<CriticalSectionRawMutex, WAITERS>;

/// The turn of one client, or of the survey.
pub struct Talk<'a> {
    destination: &'a Destination,
    _turn: SemaphoreReleaser<'a, Turn>,
    /// It did not break off in the middle.
    pub whole: bool,
}

impl Destination {
    /// Waits for the turn to talk. Fails at once if the destination is down.
    pub async fn talk(&self) -> Result<Talk<'_>, Failure> {
        if !self.is_up() {
            return Err(Failure::Down);
        }
        match with_timeout(TURN, self.turn.acquire(1)).await {
            Ok(Ok(turn)) => Ok(Talk { destination: self, _turn: turn, whole: false }),
            _ => Err(Failure::Busy),
        }
    }
}

impl Talk<'_> {
    /// Sends `length` bytes in parts, as `order` has them: `get` writes those from an offset on and gives how many, and
    /// whether more follow. False if the destination refuses one.
    pub async fn send_parts(
        &mut self,
        order: impl for<'p> Fn(bool, &'p [u8]) -> What<'p>,
        mut get: impl FnMut(usize, &mut [u8]) -> (usize, bool),
    ) -> Result<bool, Failure> {
        let mut part = [0; MAX_REQUEST_DATA];
        let mut offset = 0;
        loop {
            let (length, more) = get(offset, &mut part);
            if !self.destination.calls.order(order(!more, &part[..length])).await? {
                return Ok(false);
            }
            if !more {
                self.whole = true;
                return Ok(true);
            }
            offset += length;
        }
    }

    /// One call.
    pub async fn order(&mut self, what: What<'_>) -> Result<bool, Failure> {
        let done = self.destination.calls.order(what).await?;
        self.whole = true;
        Ok(done)
    }
}

impl Drop for Talk<'_> {
    fn drop(&mut self) {
        if !self.whole {
            // It broke off in the middle: the destination is asked how it is, which also makes it forget the parts.
            self.destination.doubt();
        }
    }
}
