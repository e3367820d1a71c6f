//! A flash image on its way: received into memory, checked, and written, while everything else goes on.
//!
//! On boards without flash memory it is only checked, as it goes by, and refused.

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};

use corelog_board::{clock, flash, identity, memory};
use corelog_periph::crc::Crc;
pub use corelog_periph::image::LONGEST;
use corelog_periph::image::{Check, Image as Checked, Layout};
use corelog_periph::update::{Own, Step, Update};
use critical_section::Mutex;
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Timer};

use crate::program::ROLE;
use crate::record::{error, info};
use crate::{config, program};

/// Whether there is flash memory.
pub const PRESENT: bool = flash::LAYOUT.is_some();

/// How often the flash is asked whether it has done what it was told.
const ASK: Duration = Duration::from_millis(1);
/// Steps that are done before other tasks have their turn: a programming takes less than a turn.
const STEPS: u32 = 4;

/// The memory for an image: taken at the first one, given back by each.
static BUFFER: Mutex<Cell<Place>> = Mutex::new(Cell::new(Place::Untouched));

/// An image to be checked and written, and what became of it.
static JOB: Signal<CriticalSectionRawMutex, Image> = Signal::new();
static CHECKED: Signal<CriticalSectionRawMutex, bool> = Signal::new();
static WRITTEN: Signal<CriticalSectionRawMutex, bool> = Signal::new();
static WRITING: AtomicBool = AtomicBool::new(false);

enum Place {
    Untouched,
    Free(&'static mut [u8]),
    Taken,
}

/// An image on its way.
pub struct Image {
    length: usize,
    received: usize,
    to: To,
}

enum To {
    Memory(&'static mut [u8], Layout),
    /// Nowhere: the checksum so far, and what the image says it is.
    Nowhere(Crc, u32),
}

impl Image {
    /// An image of `length` bytes; `None`, with the reason in the log, if there is no room for it now.
    pub fn new(length: usize) -> Option<Image> {
        let to = match flash::LAYOUT {
            _ if length > LONGEST => {
                error!("flash image refused: {length} bytes are more than a flash memory has");
                return None;
            }
            None => To::Nowhere(Crc::default(), 0),
            Some(layout) => match critical_section::with(|cs| BUFFER.borrow(cs).replace(Place::Taken)) {
                Place::Untouched => To::Memory(memory::take(LONGEST), layout),
                Place::Free(buffer) => To::Memory(buffer, layout),
                Place::Taken => {
                    error!("flash image refused: another one is under way");
                    return None;
                }
            },
        };
        Some(Image { length, received: 0, to })
    }

    /// Takes the next bytes; what comes beyond the length counts for nothing.
    pub fn update(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(self.length - self.received)];
        let end = self.received + bytes.len();
        match &mut self.to {
            To::Memory(buffer, _) => buffer[self.received..end].copy_from_slice(bytes),
            To::Nowhere(crc, said) => {
                let body = self.length.saturating_sub(4).saturating_sub(self.received);
                let (body, sum) = bytes.split_at(bytes.len().min(body));
                crc.update(body);
                *said = sum.iter().fold(*said, |said, &byte| said >> 8 | u32::from(byte) << 24);
            }
        }
        self.received = end;
    }

    /// Lets it be checked and written; whether it is what it should be, so that it is written from now on: see
    /// [`written`]. The log says why not.
    pub async fn finish(self) -> bool {
        let (length, missing) = (self.length, self.length - self.received);
        if length < 4 {
            error!("flash image refused: {length} bytes are too short for its checksum");
            return false;
        }
        if missing > 0 {
            error!("flash image refused: {missing} of its {length} bytes did not come");
            return false;
        }
        if let To::Nowhere(crc, said) = &self.to {
            match crc.value() {
                found if found == *said => error!("flash image is sound, but this board has no flash memory for it"),
                found => error!("flash image refused: its checksum is {found:#010x}, but it says {said:#010x}"),
            }
            return false;
        }
        CHECKED.reset();
        WRITTEN.reset();
        JOB.signal(self);
        CHECKED.wait().await
    }
}

/// Waits for the end of the job; whether the image is in its place, so that the board is to be loaded anew.
pub async fn written() -> bool {
    WRITTEN.wait().await
}

/// Whether the flash is being written, so that the board must not be loaded anew.
pub fn is_written() -> bool {
    WRITING.load(Ordering::Relaxed)
}

/// Checks and writes images for ever: whoever brought one may leave meanwhile. Started where there is flash memory.
#[embassy_executor::task]
pub async fn work() -> ! {
    loop {
        let job = JOB.wait().await;
        let To::Memory(buffer, layout) = &job.to else { continue };
        let image = checked(&buffer[..job.length], *layout).await;
        WRITING.store(image.is_some(), Ordering::Relaxed);
        CHECKED.signal(image.is_some());
        if let Some(image) = image {
            let done = write(image, *layout).await;
            WRITING.store(false, Ordering::Relaxed);
            WRITTEN.signal(done);
        }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let to = core::mem::replace(&mut self.to, To::Nowhere(Crc::default(), 0));
        if let To::Memory(buffer, _) = to {
            critical_section::with(|cs| BUFFER.borrow(cs).set(Place::Free(buffer)));
        }
    }
}

async fn checked(bytes: &[u8], layout: Layout) -> Option<Checked<'_>> {
    let mut check = Check::new(bytes, layout);
    loop {
        match check.step() {
            Some(Ok(image)) => return Some(image),
            Some(Err(refusal)) => {
                error!("flash image refused: {refusal}");
                return None;
            }
            None => yield_now().await,
        }
    }
}

async fn write(image: Checked<'_>, layout: Layout) -> bool {
    let _held = config::hold().await;
    let mut flash = flash::flash();
    if let Err(error) = flash.identify() {
        error!("flash memory not written: {}", corelog_periph::update::Failure::from(error));
        return false;
    }
    let mut update = Update::new(image, layout, Own { role: ROLE, registers: identity::REGISTERS });
    let (mut begun, mut steps) = (false, 0u32);
    loop {
        match update.step(&mut flash, clock::now()) {
            Ok(Step::Working) => {}
            Ok(Step::Busy) => Timer::after(ASK).await,
            Ok(Step::Writes(part, bytes)) => {
                begun = true;
                info!("flashing {} binary, {bytes} bytes...", part.name());
            }
            Ok(Step::Done) => {
                let what = if begun { "holds the image" } else { "held the image already" };
                info!("flash memory {what}");
                return true;
            }
            Err(failure) if begun => {
                error!(
                    "flash memory holds a part of the image, the {} does not start any more: {failure}",
                    program::NAME
                );
                return false;
            }
            Err(failure) => {
                error!("flash memory not written: {failure}");
                return false;
            }
        }
        steps = steps.wrapping_add(1);
        if steps.is_multiple_of(STEPS) {
            yield_now().await;
        }
    }
}
