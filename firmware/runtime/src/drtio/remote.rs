//! Management requests for a satellite: its answer, or Error with a record that says why not.

use corelog_device::logger::ReaderId;
use corelog_device::record::warn;
use corelog_proto::aux::call::{Reply, What, MAX_REQUEST_DATA};
use corelog_proto::mgmt::{self, Request};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::semaphore::{FairSemaphore, Semaphore, SemaphoreReleaser};
use embassy_time::{with_timeout, Duration};

use super::call::Failure;
use super::{find, log, Destination};
use crate::pull;
use crate::requests::{self, answer, refuse, skip, success};
use crate::tcp::{Connection, End};

/// Longest wait for the requests of other clients to the same destination.
const TURN: Duration = Duration::from_millis(300);
/// Most clients, and the survey, that wait for their turn.
const WAITERS: usize = ReaderId::CLIENTS + 1;

/// Who may send a destination something in several parts.
pub type Turn = FairSemaphore<CriticalSectionRawMutex, WAITERS>;

/// A talk of several calls, which others must not interrupt.
pub struct Talk<'a> {
    destination: &'a Destination,
    _turn: SemaphoreReleaser<'a, Turn>,
    whole: bool,
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
    async fn order(&mut self, what: What<'_>) -> Result<bool, Failure> {
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

/// Does `request` at `number` and answers it.
pub async fn perform(
    connection: &mut Connection,
    request: Request<'_>,
    work: &mut [u8],
    reader: ReaderId,
    number: u8,
) -> Result<(), End> {
    let Some(destination) = find(number) else {
        return fail(connection, request, work, number, Failure::NoRoute).await;
    };
    match request {
        Request::GetLog => requests::get_log(connection, pull::Source::Relay(destination)).await,
        Request::PullLog => pull::run(connection, reader, work, pull::Source::Relay(destination)).await,
        Request::ClearLog => {
            log::clear(destination.index);
            success(connection).await
        }
        Request::ConfigRead { key } => config_read(connection, destination, key, work).await,
        Request::ConfigWrite { key, length } => config_write(connection, destination, key, length as usize, work).await,
        Request::Flash { length } => flash(connection, destination, length as usize, work).await,
        Request::Identify => identify(connection, destination, work).await,
        Request::ConfigRemove { key } => order(connection, destination, What::ConfigRemove { key }, request).await,
        Request::ConfigErase => order(connection, destination, What::ConfigErase, request).await,
        Request::Reboot => order(connection, destination, What::Reboot, request).await,
        Request::DebugAllocator => order(connection, destination, What::AllocatorDebug, request).await,
        Request::Debug(debug) => order(connection, destination, What::Debug(debug), request).await,
        Request::Subscribe(_) => {
            warn!("request refused: subscriptions are made at destination 0, and name the origins");
            refuse(connection).await
        }
        Request::Malformed(reason) => {
            warn!("request refused: {reason}");
            refuse(connection).await
        }
    }
}

/// Answers a request that could not be done with Error, and says why in the log.
async fn fail(
    connection: &mut Connection,
    request: Request<'_>,
    work: &mut [u8],
    number: u8,
    failure: Failure,
) -> Result<(), End> {
    warn!("[DEST#{number}] request failed: {failure}");
    if let Some(destination) = find(number).filter(|_| failure != Failure::Busy) {
        destination.doubt();
    }
    match request {
        Request::DebugAllocator => return Ok(()), // this request has no answer
        Request::ConfigWrite { length, .. } | Request::Flash { length } => {
            skip(connection, length as usize, work, |_| {}).await?;
        }
        _ => {}
    }
    refuse(connection).await
}

async fn identify(connection: &mut Connection, destination: &Destination, work: &mut [u8]) -> Result<(), End> {
    work[0] = mgmt::IDENTIFY;
    let identity = async {
        if !destination.is_up() {
            return Err(Failure::Down);
        }
        let take = |reply: Reply<'_>| match reply {
            Reply::Identify { data } => {
                work.get_mut(1..1 + data.len())?.copy_from_slice(data);
                Some(1 + data.len())
            }
            _ => None,
        };
        destination.calls.call(What::Identify, take).await
    };
    match identity.await {
        Ok(length) => connection.write_all(&work[..length]).await,
        Err(failure) => fail(connection, Request::Identify, work, destination.number, failure).await,
    }
}

/// Lets the destination do something that is one call, and answers.
async fn order(
    connection: &mut Connection,
    destination: &Destination,
    what: What<'_>,
    request: Request<'_>,
) -> Result<(), End> {
    let done = async {
        let mut talk = destination.talk().await?;
        talk.order(what).await
    };
    match done.await {
        _ if matches!(request, Request::DebugAllocator) => Ok(()),
        Ok(true) if matches!(request, Request::Reboot) => connection.write_all(&[mgmt::REBOOT_IMMINENT]).await,
        Ok(done) => answer(connection, done).await,
        Err(failure) => fail(connection, request, &mut [], destination.number, failure).await,
    }
}

/// A value of a destination's configuration.
enum Value {
    None,
    Bytes(usize),
    /// Longer than the buffer.
    TooLong,
}

async fn config_read(
    connection: &mut Connection,
    destination: &Destination,
    key: &str,
    work: &mut [u8],
) -> Result<(), End> {
    let request = Request::ConfigRead { key };
    match read_value(destination, key, work).await {
        Ok(Value::TooLong) => match requests::value_buffer().await {
            Some(mut buffer) => {
                let buffer = buffer.as_deref_mut().unwrap_or_default();
                let value = read_value(destination, key, buffer).await;
                send_value(connection, destination, request, value, buffer).await
            }
            None => fail(connection, request, work, destination.number, Failure::Busy).await,
        },
        value => send_value(connection, destination, request, value, work).await,
    }
}

async fn send_value(
    connection: &mut Connection,
    destination: &Destination,
    request: Request<'_>,
    value: Result<Value, Failure>,
    buffer: &mut [u8],
) -> Result<(), End> {
    match value {
        Ok(Value::Bytes(length)) => {
            connection.write_all(&mgmt::config_data(length as u32)).await?;
            connection.write_all(&buffer[..length]).await
        }
        Ok(Value::None) => refuse(connection).await,
        Ok(Value::TooLong) => fail(connection, request, buffer, destination.number, Failure::BadReply).await,
        Err(failure) => fail(connection, request, buffer, destination.number, failure).await,
    }
}

/// Reads a value into `buffer`.
async fn read_value(destination: &Destination, key: &str, buffer: &mut [u8]) -> Result<Value, Failure> {
    let mut talk = destination.talk().await?;
    let mut used = 0;
    let mut what = What::ConfigRead { key };
    loop {
        let part = destination.calls.call(what, |reply| match reply {
            Reply::ConfigRead { last, data } => match buffer.get_mut(used..used + data.len()) {
                Some(room) => {
                    room.copy_from_slice(data);
                    used += data.len();
                    Some(last.then_some(Value::Bytes(used)))
                }
                None => Some(Some(Value::TooLong)),
            },
            Reply::Done { ok: false } => Some(Some(Value::None)),
            _ => None,
        });
        match part.await? {
            Some(value) => {
                talk.whole = true;
                return Ok(value);
            }
            None => what = What::ConfigReadContinue,
        }
    }
}

/// Takes a value from the client and writes it to the destination's configuration.
async fn config_write(
    connection: &mut Connection,
    destination: &Destination,
    key: &str,
    length: usize,
    work: &mut [u8],
) -> Result<(), End> {
    let request = Request::ConfigWrite { key, length: length as u32 };
    if !destination.is_up() {
        return fail(connection, request, work, destination.number, Failure::Down).await;
    }
    if let Some(value) = work.get_mut(..length) {
        return write_value(connection, destination, key, value).await;
    }
    match requests::value_buffer().await {
        Some(mut buffer) => match buffer.as_deref_mut().unwrap_or_default().get_mut(..length) {
            Some(value) => write_value(connection, destination, key, value).await,
            None => Err(End::Aborted("value does not fit")), // not reached: the length was checked
        },
        None => fail(connection, request, work, destination.number, Failure::Busy).await,
    }
}

async fn write_value(
    connection: &mut Connection,
    destination: &Destination,
    key: &str,
    value: &mut [u8],
) -> Result<(), End> {
    connection.read_exact(value).await?;
    let lengths = [key.len(), value.len()].map(|length| (length as u32).to_le_bytes());
    let fields = [&lengths[0][..], key.as_bytes(), &lengths[1], value];
    let done = async {
        let mut talk = destination.talk().await?;
        talk.send_parts(|last, data| What::ConfigWrite { last, data }, |offset, part| copy(&fields, offset, part)).await
    };
    match done.await {
        Ok(done) => answer(connection, done).await,
        Err(failure) => {
            // The value is here: there is nothing to skip.
            let request = Request::ConfigWrite { key, length: 0 };
            fail(connection, request, &mut [], destination.number, failure).await
        }
    }
}

/// Copies what stands in `fields`, one after the other, from `offset` on; gives how many bytes, and whether more follow.
fn copy(fields: &[&[u8]], mut offset: usize, part: &mut [u8]) -> (usize, bool) {
    let mut used = 0;
    for field in fields {
        let from = &field[offset.min(field.len())..];
        offset = offset.saturating_sub(field.len());
        let taken = from.len().min(part.len() - used);
        part[used..used + taken].copy_from_slice(&from[..taken]);
        used += taken;
        if taken < from.len() {
            return (used, true);
        }
    }
    (used, false)
}

/// Passes a flash image on as it comes from the client.
async fn flash(
    connection: &mut Connection,
    destination: &Destination,
    mut length: usize,
    work: &mut [u8],
) -> Result<(), End> {
    let mut talk = match destination.talk().await {
        Ok(talk) => talk,
        Err(failure) => {
            let request = Request::Flash { length: length as u32 };
            return fail(connection, request, work, destination.number, failure).await;
        }
    };
    let mut done = destination.calls.order(What::Flash { length: length as u32 }).await;
    while done == Ok(true) {
        let part = &mut work[..length.min(MAX_REQUEST_DATA)];
        connection.read_exact(part).await?;
        length -= part.len();
        done = destination.calls.order(What::FlashAddData { last: length == 0, data: part }).await;
        if length == 0 {
            talk.whole = done.is_ok();
            break;
        }
    }
    match done {
        Ok(true) => connection.write_all(&[mgmt::REBOOT_IMMINENT]).await,
        Ok(false) => {
            skip(connection, length, work, |_| {}).await?;
            refuse(connection).await
        }
        Err(failure) => {
            let rest = Request::Flash { length: length as u32 };
            fail(connection, rest, work, destination.number, failure).await
        }
    }
}
