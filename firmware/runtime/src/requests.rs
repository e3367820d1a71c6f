//! What management requests do.

use corelog_board::{identity, memory, storage};
use corelog_config::store;
use corelog_device::flash::{self, Image};
use corelog_device::logger::{self, ReaderId};
use corelog_device::record::{info, warn};
use corelog_device::{config, debug, manage};
use corelog_proto::mgmt::{self, capability, Debug, Request};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::mutex::{Mutex, MutexGuard};
use embassy_time::{with_timeout, Duration};

use crate::drtio::{self, remote};
use crate::pull::Source;
use crate::tcp::{Connection, End};
use crate::{bench, pull, stream};

/// Bytes of the buffer for the log as text: both boots' rings, with times and levels written out.
const LOG_TEXT: usize = 768 * 1024;
/// Longest wait for a buffer that clients share.
const TURN: Duration = Duration::from_secs(10);

/// A buffer that one client has at a time. It comes at the first use.
type Shared = Mutex<CriticalSectionRawMutex, Option<&'static mut [u8]>>;
/// The buffer while a client has it; it is there.
pub type SharedGuard = MutexGuard<'static, CriticalSectionRawMutex, Option<&'static mut [u8]>>;
static LOG_BUFFER: Shared = Mutex::new(None);
/// For values that do not fit the room that each client has.
static VALUE_BUFFER: Shared = Mutex::new(None);

async fn shared(buffer: &'static Shared, length: usize) -> Option<SharedGuard> {
    let mut guard = with_timeout(TURN, buffer.lock()).await.ok()?;
    guard.get_or_insert_with(|| memory::take(length));
    Some(guard)
}

/// The buffer for a long value, unless others have it for too long.
pub async fn value_buffer() -> Option<SharedGuard> {
    shared(&VALUE_BUFFER, storage::SIZE).await
}

/// Does `request` and answers it. A stream gives the code of the request that ended it.
pub async fn perform(
    connection: &mut Connection,
    request: Request<'_>,
    work: &mut [u8],
    reader: ReaderId,
    destination: u8,
) -> Result<Option<u8>, End> {
    if destination != 0 {
        return remote::perform(connection, request, work, reader, destination).await.map(|()| None);
    }
    match request {
        Request::GetLog => get_log(connection, Source::Own).await?,
        Request::ClearLog => {
            logger::read(logger::Logs::clear);
            success(connection).await?;
        }
        Request::Reboot => reboot(connection).await?,
        Request::PullLog => pull::run(connection, reader, work, Source::Own).await?,
        Request::DebugAllocator => manage::dump_memory(),
        Request::Flash { length } => flash_image(connection, length as usize, work).await?,
        Request::ConfigRead { key } => config_read(connection, key, work).await?,
        Request::ConfigWrite { key, length } => config_write(connection, key, length as usize, work).await?,
        Request::ConfigRemove { key } => store_value(connection, key, &[]).await?,
        Request::ConfigErase => {
            let done = manage::config_erase().await;
            drtio::renamed();
            answer(connection, done).await?;
        }
        Request::Identify => identify(connection).await?,
        Request::Subscribe(request) => return stream::run(connection, reader, work, request).await.map(Some),
        Request::Debug(request) => perform_debug(connection, request).await?,
        Request::Malformed(reason) => {
            warn!("request refused: {reason}");
            refuse(connection).await?;
        }
    }
    Ok(None)
}

pub async fn success(connection: &mut Connection) -> Result<(), End> {
    connection.write_all(&[mgmt::SUCCESS]).await
}

pub async fn refuse(connection: &mut Connection) -> Result<(), End> {
    connection.write_all(&[mgmt::ERROR]).await
}

/// Reads `length` bytes through `work`, letting `see` have them.
pub async fn skip(
    connection: &mut Connection,
    mut length: usize,
    work: &mut [u8],
    mut see: impl FnMut(&[u8]),
) -> Result<(), End> {
    while length > 0 {
        let part = &mut work[..length.min(1024)];
        connection.read_exact(part).await?;
        see(part);
        length -= part.len();
    }
    Ok(())
}

pub async fn get_log(connection: &mut Connection, source: Source) -> Result<(), End> {
    let Some(mut buffer) = shared(&LOG_BUFFER, LOG_TEXT).await else {
        warn!("request refused: another client's log is still under way");
        return refuse(connection).await;
    };
    let buffer = buffer.as_deref_mut().unwrap_or_default();
    let length = pull::snapshot(source, buffer).await;
    connection.write_all(&mgmt::log_content(length as u32)).await?;
    connection.write_all(&buffer[..length]).await
}

async fn reboot(connection: &mut Connection) -> Result<(), End> {
    if flash::is_written() {
        warn!("request refused: the flash memory is being written");
        return refuse(connection).await;
    }
    connection.write_all(&[mgmt::REBOOT_IMMINENT]).await?;
    info!("restarting");
    connection.end_all().await;
    identity::reload()
}

async fn config_read(connection: &mut Connection, key: &str, work: &mut [u8]) -> Result<(), End> {
    let length = config::read(key, |value| value.map(<[u8]>::len));
    match length {
        None => {
            info!("configuration has no key {key:?}");
            refuse(connection).await
        }
        Some(length) if length <= work.len() => send_value(connection, key, work).await,
        Some(_) => match value_buffer().await {
            Some(mut buffer) => send_value(connection, key, buffer.as_deref_mut().unwrap_or_default()).await,
            None => {
                warn!("request refused: another client's long value is still under way");
                refuse(connection).await
            }
        },
    }
}

/// Sends the value by way of `buffer`, as it may change meanwhile.
async fn send_value(connection: &mut Connection, key: &str, buffer: &mut [u8]) -> Result<(), End> {
    let length = config::read(key, |value| {
        let value = value?;
        buffer.get_mut(..value.len())?.copy_from_slice(value);
        Some(value.len())
    });
    match length {
        Some(length) => {
            connection.write_all(&mgmt::config_data(length as u32)).await?;
            connection.write_all(&buffer[..length]).await
        }
        None => refuse(connection).await, // it was removed, or grew, in between
    }
}

async fn config_write(connection: &mut Connection, key: &str, length: usize, work: &mut [u8]) -> Result<(), End> {
    if let Some(value) = work.get_mut(..length) {
        connection.read_exact(value).await?;
        return store_value(connection, key, value).await;
    }
    match value_buffer().await {
        Some(mut buffer) => match buffer.as_deref_mut().unwrap_or_default().get_mut(..length) {
            Some(value) => {
                connection.read_exact(value).await?;
                store_value(connection, key, value).await
            }
            None => Err(End::Aborted("value does not fit")), // not reached: the length was checked
        },
        None => {
            warn!("request refused: another client's long value is still under way");
            skip(connection, length, work, |_| {}).await?;
            refuse(connection).await
        }
    }
}

async fn store_value(connection: &mut Connection, key: &str, value: &[u8]) -> Result<(), End> {
    let done = manage::config_write(key, value).await;
    if key == "device_map" {
        drtio::renamed();
    }
    answer(connection, done).await
}

pub async fn answer(connection: &mut Connection, done: bool) -> Result<(), End> {
    match done {
        true => success(connection).await,
        false => refuse(connection).await,
    }
}

async fn identify(connection: &mut Connection) -> Result<(), End> {
    let mut capabilities = capability::SUBSCRIBE | capability::SESSION;
    if drtio::PRESENT {
        capabilities |= capability::DRTIO;
    }
    if debug::allowed() {
        capabilities |= capability::DEBUG;
    }
    let mut reply = [0; 256];
    match manage::identify(capabilities, &mut reply) {
        Some(length) => connection.write_all(&reply[..length]).await,
        None => refuse(connection).await,
    }
}

async fn perform_debug(connection: &mut Connection, request: Debug) -> Result<(), End> {
    if !debug::allowed() {
        warn!("request refused: debug requests need the configuration key debug_requests = 1");
        return refuse(connection).await;
    }
    match request {
        Debug::Panic => panic!("asked for by a debug request"),
        Debug::Flood { level, body_length, count, warn_every, interval } => {
            debug::flood(debug::Flood { level, body_length: body_length.into(), count, warn_every, interval }).await;
        }
        Debug::Measure { count } => corelog_device::bench::run(count, bench::run).await,
    }
    success(connection).await
}

/// Receives a flash image, has it written, and starts what it holds.
async fn flash_image(connection: &mut Connection, length: usize, work: &mut [u8]) -> Result<(), End> {
    let Some(mut image) = Image::new(length) else {
        skip(connection, length, work, |_| {}).await?;
        return refuse(connection).await;
    };
    skip(connection, length, work, |part| image.update(part)).await?;
    match image.finish().await && flash::written().await {
        true => reboot(connection).await,
        false => refuse(connection).await,
    }
}

/// Longest key with a value of one byte must fit the store many times over.
const _: () = assert!(mgmt::MAX_KEY + 1 + store::OVERHEAD < storage::SIZE / 16);
