//! Management requests for a satellite: its answer, or Error with a record that says why not.

use corelog_device::logger::ReaderId;
use corelog_device::record::warn;
use corelog_proto::aux::call::{Reply, What};
use corelog_proto::mgmt::{self, Request};

use super::call::Failure;
use super::transfer::{config_read, config_write, flash};
use super::{find, log, Destination};
use crate::pull;
use crate::requests::{self, answer, refuse, skip, success};
use crate::tcp::{Connection, End};

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
pub async fn fail(
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
