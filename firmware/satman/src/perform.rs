//! What calls do.

use corelog_board::{identity, memory, storage};
use corelog_device::flash::{self, Image};
use corelog_device::record::{info, warn};
use corelog_device::{config, debug, manage};
use corelog_proto::aux::call::{self, Reply, Request, What, MAX_REPLY_DATA};
use corelog_proto::mgmt::{capability, Debug};
use embassy_time::{Duration, Instant, Timer};

use crate::{late, uplink};

/// Longest key and value, with their lengths.
const PARTS: usize = 2 * storage::SIZE;
/// Parts of something that wait for the next one longer than this are forgotten.
const PARTS_WAIT: Duration = Duration::from_secs(10);

/// What happens after the reply.
pub enum Then {
    Reboot,
    Panic,
}

impl Then {
    /// Time for the reply to arrive, and to be asked for again.
    pub async fn pause() {
        Timer::after(Duration::from_millis(200)).await;
    }

    pub fn happen(self) {
        match self {
            Then::Reboot => {
                info!("restarting");
                identity::reload()
            }
            Then::Panic => panic!("asked for by a debug request"),
        }
    }
}

/// Does calls; keeps what comes and goes in several parts.
pub struct Performer {
    /// Of a configuration value or of channel names.
    parts: Parts,
    image: Option<Image>,
    /// The value being read.
    value: &'static mut [u8],
    sent: usize,
    length: usize,
}

impl Performer {
    pub fn new() -> Performer {
        Performer {
            parts: Parts { buffer: memory::take(PARTS), length: 0, of: Of::Value, since: Instant::MIN },
            image: None,
            value: memory::take(storage::SIZE),
            sent: 0,
            length: 0,
        }
    }

    /// Does what `packet` asks for and writes the answer to `reply`; gives its length, and what is to follow.
    pub async fn perform(&mut self, packet: &[u8], reply: &mut [u8]) -> (usize, Option<Then>) {
        let (answer, then) = match Request::decode(packet) {
            Ok(request) => self.request(request).await,
            Err(_) => {
                warn!("call refused: it is none, or not known");
                (Reply::Done { ok: false }, None)
            }
        };
        (answer.encode(reply).unwrap_or(0), then)
    }

    async fn request(&mut self, request: Request<'_>) -> (Reply<'_>, Option<Then>) {
        if !matches!(request.what, What::ConfigWrite { .. } | What::ChannelNames { .. }) {
            self.parts.length = 0; // whoever sent parts has broken off
        }
        let ok = match request.what {
            What::DestinationStatus => return (Reply::DestinationOk, None),
            What::ConfigRead { key } => return (self.begin_reading(key), None),
            What::ConfigReadContinue => return (self.next_part(), None),
            What::Identify => return (self.identify(), None),
            What::ConfigWrite { last, data } => match self.parts.take(Of::Value, last, data) {
                Some(whole) => match call::config_write(whole) {
                    Some((key, value)) => manage::config_write(key, value).await,
                    None => false,
                },
                None => !last,
            },
            What::ChannelNames { last, data } => match self.parts.take(Of::Names, last, data) {
                Some(whole) => config::set_channel_names(request.destination, whole),
                None => !last,
            },
            What::ConfigRemove { key } => manage::config_write(key, &[]).await,
            What::ConfigErase => manage::config_erase().await,
            What::Flash { length } => {
                self.image = None; // its memory is needed
                self.image = Image::new(length as usize);
                self.image.is_some()
            }
            What::FlashAddData { last, data } => self.flash(last, data).await,
            What::AllocatorDebug => {
                manage::dump_memory();
                true
            }
            What::RtioReset => {
                uplink::reset_rtio();
                true
            }
            What::Reboot if flash::is_written() => {
                warn!("request refused: the flash memory is being written");
                false
            }
            What::Reboot => return (Reply::Done { ok: true }, Some(Then::Reboot)),
            What::Debug(_) if !debug::allowed() => {
                warn!("request refused: debug requests need the configuration key debug_requests = 1");
                false
            }
            What::Debug(Debug::Panic) => return (Reply::Done { ok: true }, Some(Then::Panic)),
            What::Debug(request) => late::ask(request),
        };
        (Reply::Done { ok }, None)
    }

    fn begin_reading(&mut self, key: &str) -> Reply<'_> {
        let value = &mut *self.value;
        let length = config::read(key, |stored| {
            let stored = stored?;
            value.get_mut(..stored.len())?.copy_from_slice(stored);
            Some(stored.len())
        });
        match length {
            Some(length) => {
                (self.sent, self.length) = (0, length);
                self.next_part()
            }
            None => {
                info!("configuration has no key {key:?}");
                Reply::Done { ok: false }
            }
        }
    }

    fn next_part(&mut self) -> Reply<'_> {
        let start = self.sent;
        self.sent = (start + MAX_REPLY_DATA).min(self.length);
        Reply::ConfigRead { last: self.sent == self.length, data: &self.value[start..self.sent] }
    }

    fn identify(&mut self) -> Reply<'_> {
        let capabilities = capability::DRTIO | if debug::allowed() { capability::DEBUG } else { 0 };
        // The code of the management socket's reply is left out.
        match manage::identify(capabilities, self.value) {
            Some(length) => Reply::Identify { data: &self.value[1..length] },
            None => Reply::Done { ok: false },
        }
    }

    /// Takes more of an image; what the last part completes is checked now, and written after the answer.
    async fn flash(&mut self, last: bool, data: &[u8]) -> bool {
        let Some(image) = &mut self.image else { return false };
        image.update(data);
        if !last {
            return true;
        }
        match self.image.take() {
            Some(image) => image.finish().await,
            None => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Value,
    Names,
}

/// Something that comes in parts.
struct Parts {
    buffer: &'static mut [u8],
    length: usize,
    of: Of,
    since: Instant,
}

impl Parts {
    /// Takes the next part; gives the whole when it was the last. What is too long is forgotten.
    fn take(&mut self, of: Of, last: bool, data: &[u8]) -> Option<&[u8]> {
        if self.of != of || self.since.elapsed() > PARTS_WAIT {
            (self.of, self.length) = (of, 0);
        }
        self.since = Instant::now();
        let end = self.length + data.len();
        let Some(place) = self.buffer.get_mut(self.length..end) else {
            self.length = 0;
            return None;
        };
        place.copy_from_slice(data);
        self.length = if last { 0 } else { end };
        last.then(|| &self.buffer[..end])
    }
}
