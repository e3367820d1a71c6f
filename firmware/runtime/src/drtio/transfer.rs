//! Values and flash images on their way between a client and a satellite, in parts.

use corelog_proto::aux::call::{Reply, What, MAX_REQUEST_DATA};
use corelog_proto::mgmt::{self, Request};

use super::call::Failure;
use super::remote::fail;
use super::Destination;
use crate::requests::{self, answer, refuse, skip};
use crate::tcp::{Connection, End};

/// A value of a destination's configuration.
enum Value {
    None,
    Bytes(usize),
    /// Longer than the buffer.
    TooLong,
}

/// Reads a value and sends it to the client.
pub async fn config_read(
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
pub async fn config_write(
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

/// Copies what stands in `fields`, one after the other, from `offset` on; gives how many bytes, and whether more
/// follow.
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
pub async fn flash(
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
