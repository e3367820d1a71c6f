//! The configuration: a copy in memory of the store, kept in step with it.

use core::cell::RefCell;
use core::ops::Range;

use corelog_board::{memory, storage};
use corelog_config::device_map::DeviceMap;
use corelog_config::store::{self, Compaction};
use critical_section::Mutex;
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::mutex::MutexGuard;
use embassy_time::{Duration, Instant, Timer};

use crate::record::{error, warn};

/// Bytes that are copied or programmed before other tasks have their turn.
const STEP: usize = 64;
/// Longest time to erase the store: slow flash takes three seconds for a sector.
const ERASED_WITHIN: Duration = Duration::from_secs(6);

struct Store {
    image: &'static mut [u8],
    /// Where the next record belongs; `None` if the store has to be written anew first.
    end: Option<usize>,
    /// Where in the image the value of `device_map` lies, if it is a valid one.
    device_map: Range<usize>,
}

static STORE: Mutex<RefCell<Option<Store>>> = Mutex::new(RefCell::new(None));
/// Held by the one task that changes the store; contains the second buffer for it.
static CHANGE: embassy_sync::mutex::Mutex<CriticalSectionRawMutex, Change> = embassy_sync::mutex::Mutex::new(None);
type Change = Option<&'static mut [u8]>;

/// Keeps the store from being changed.
pub struct Held(#[allow(dead_code, reason = "ends with it")] MutexGuard<'static, CriticalSectionRawMutex, Change>);

/// Waits for a change that is under way, and keeps others off the memory that the store lies in, until it is dropped.
pub async fn hold() -> Held {
    Held(CHANGE.lock().await)
}

/// Why a change was refused or failed. The text goes to the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    BadKey,
    Full,
    Hardware,
}

impl Error {
    pub fn text(self) -> &'static str {
        match self {
            Error::BadKey => "a configuration key cannot be empty or contain a zero byte",
            Error::Full => "no room in the configuration store",
            Error::Hardware => "the configuration store does not answer or does not keep what is written",
        }
    }
}

/// Reads the store. Called once, before anything is read.
pub fn start() {
    let image = memory::take(storage::SIZE);
    let scratch = memory::take(storage::SIZE);
    if load(image).is_err() {
        error!("{}", Error::Hardware.text());
        image.fill(0xFF);
    }
    let end = store::end(image);
    if let Err(damage) = end {
        warn!(
            "configuration store is damaged at byte {}: the rest is ignored, the next change repairs it",
            damage.offset
        );
    }
    let mut store = Store { image, end: end.ok(), device_map: 0..0 };
    store.find_device_map();
    critical_section::with(|cs| STORE.borrow(cs).replace(Some(store)));
    if let Ok(mut change) = CHANGE.try_lock() {
        *change = Some(scratch);
    }
}

/// Reads records up to the end of the list; the rest of the image counts as erased.
fn load(image: &mut [u8]) -> Result<(), storage::Stuck> {
    let mut at = 0;
    while let Some(header) = image.get_mut(at..at + 4) {
        storage::read_into(at, header)?;
        let size = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        match image.get_mut(at + 4..at.saturating_add(size)) {
            Some(body) => storage::read_into(at + 4, body)?,
            None => {
                at += 4;
                break;
            }
        }
        at += size;
    }
    if let Some(rest) = image.get_mut(at..) {
        rest.fill(0xFF);
    }
    Ok(())
}

impl Store {
    fn find_device_map(&mut self) {
        let value = store::find(self.image, b"device_map").unwrap_or(&[]);
        let start = value.as_ptr().addr().wrapping_sub(self.image.as_ptr().addr());
        self.device_map = match (value, DeviceMap::parse(value)) {
            ([], _) => 0..0,
            (_, Some(_)) => start..start + value.len(),
            (_, None) => {
                warn!("configuration key device_map is not a device map: channels have no names");
                0..0
            }
        };
    }
}

/// Lets `f` see the value of `key`.
pub fn read<R>(key: &str, f: impl FnOnce(Option<&[u8]>) -> R) -> R {
    critical_section::with(|cs| match &*STORE.borrow_ref(cs) {
        Some(store) => f(store::find(store.image, key.as_bytes())),
        None => f(None),
    })
}

/// Channel names that the core device gave a satellite: a device map, for the channels of a destination.
struct Names {
    map: &'static mut [u8],
    length: usize,
    destination: u8,
}

static NAMES: Mutex<RefCell<Option<Names>>> = Mutex::new(RefCell::new(None));

/// Takes channel names from the core device in place of the configuration's; false if they are no device map.
pub fn set_channel_names(destination: u8, map: &[u8]) -> bool {
    if DeviceMap::parse(map).is_none() {
        warn!("channel names refused: they are not a device map");
        return false;
    }
    critical_section::with(|cs| {
        let mut names = NAMES.borrow_ref_mut(cs);
        let names = names.get_or_insert_with(|| Names { map: memory::take(storage::SIZE), length: 0, destination });
        let Some(place) = names.map.get_mut(..map.len()) else { return false };
        place.copy_from_slice(map);
        (names.length, names.destination) = (map.len(), destination);
        true
    })
}

/// Lets `f` see the name of an RTIO channel of this board.
pub fn channel_name<R>(channel: u32, f: impl FnOnce(&str) -> R) -> R {
    critical_section::with(|cs| {
        if let Some(names) = &*NAMES.borrow_ref(cs) {
            let map = DeviceMap::checked(&names.map[..names.length]);
            return f(map.name(u32::from(names.destination) << 16 | channel).unwrap_or("unknown"));
        }
        match &*STORE.borrow_ref(cs) {
            Some(store) => {
                f(DeviceMap::checked(&store.image[store.device_map.clone()]).name(channel).unwrap_or("unknown"))
            }
            None => f("unknown"),
        }
    })
}

/// Writes `value` under `key`; an empty value removes it.
pub async fn write(key: &[u8], value: &[u8]) -> Result<(), Error> {
    if !store::valid_key(key) {
        return Err(Error::BadKey);
    }
    let mut change = CHANGE.lock().await;
    if value.is_empty() && critical_section::with(|cs| with(cs, |store| store::find(store.image, key).is_none())) {
        return Ok(());
    }
    let appended = critical_section::with(|cs| {
        with(cs, |store| {
            let start = store.end?;
            let size = store::encode(key, value, &mut store.image[start..])?;
            store.end = Some(start + size);
            Some(start..start + size)
        })
    });
    let result = match appended {
        Some(range) => append(range).await,
        None => rewrite(change.as_deref_mut().unwrap_or_default(), key, value).await,
    };
    critical_section::with(|cs| with(cs, Store::find_device_map));
    result
}

/// Removes every key.
pub async fn erase() -> Result<(), Error> {
    let _change = CHANGE.lock().await;
    critical_section::with(|cs| {
        with(cs, |store| {
            store.image.fill(0xFF);
            store.end = Some(0);
            store.device_map = 0..0;
        })
    });
    erase_store().await
}

async fn erase_store() -> Result<(), Error> {
    let begun = Instant::now();
    let mut busy = storage::begin_erase().and_then(|()| storage::busy());
    while busy == Ok(true) && begun.elapsed() < ERASED_WITHIN {
        Timer::after(Duration::from_millis(1)).await;
        busy = storage::busy();
    }
    if busy == Ok(false) {
        Ok(())
    } else {
        Err(Error::Hardware)
    }
}

fn with<R>(cs: critical_section::CriticalSection, f: impl FnOnce(&mut Store) -> R) -> R {
    let mut store = STORE.borrow_ref_mut(cs);
    f(store.as_mut().expect("services start after the configuration"))
}

/// Programs a record that stands in the image. Its size comes last, so that an interrupted record does not exist.
async fn append(range: Range<usize>) -> Result<(), Error> {
    let body = range.start + 4..range.end;
    program(body).await?;
    program(range.start..range.start + 4).await
}

/// Writes the live records and a new one to the erased store.
async fn rewrite(scratch: &mut [u8], key: &[u8], value: &[u8]) -> Result<(), Error> {
    // Readers go on using the image while this works on the other buffer.
    for start in (0..scratch.len()).step_by(STEP) {
        let range = start..(start + STEP).min(scratch.len());
        critical_section::with(|cs| with(cs, |store| scratch[range.clone()].copy_from_slice(&store.image[range])));
        yield_now().await;
    }
    let mut compaction = Compaction::default();
    while compaction.step(scratch) {
        yield_now().await;
    }
    let live = compaction.finish(scratch);
    let fits = store::encode(key, value, &mut scratch[live..]).map(|size| live + size);
    let end = fits.unwrap_or(live);
    // The record of the same key that this one replaces is left in: it is dead, and the next rewrite drops it.
    critical_section::with(|cs| {
        with(cs, |store| {
            store.image.copy_from_slice(scratch);
            store.end = Some(end);
            store.device_map = 0..0;
        })
    });
    erase_store().await?;
    program(0..end).await?;
    fits.map(|_| ()).ok_or(Error::Full)
}

/// Programs a part of the image and reads it back; a store that differs is written anew at the next change.
async fn program(range: Range<usize>) -> Result<(), Error> {
    for start in range.clone().step_by(STEP) {
        let range = start..(start + STEP).min(range.end);
        let mut bytes = [0; STEP];
        let bytes = &mut bytes[..range.len()];
        critical_section::with(|cs| with(cs, |store| bytes.copy_from_slice(&store.image[range.clone()])));
        let mut kept = [0; STEP];
        let kept = &mut kept[..range.len()];
        let done = storage::program(start, bytes).and_then(|()| storage::read_into(start, kept));
        if done.is_err() || kept != bytes {
            critical_section::with(|cs| with(cs, |store| store.end = None));
            return Err(Error::Hardware);
        }
        yield_now().await;
    }
    Ok(())
}
