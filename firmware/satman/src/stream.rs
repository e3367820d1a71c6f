//! This board's log on its way upstream.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use corelog_board::drtio::Link;
use corelog_board::{clock, memory};
use corelog_device::aux::{self, Frame};
use corelog_device::logger::{self, Logs, ReaderId};
use corelog_device::time_axis;
use corelog_log::MAX_FRAME_BYTES;
use corelog_proto::aux::{LogCursor, Packet};
use corelog_relay::{Acked, Own, Sender, Stream, WINDOW};
use embassy_futures::select::{select, select3, Either3};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Instant, Timer};

/// Most bytes copied out of the ring at a time: as long as that takes, no interrupt is served.
const PART: usize = MAX_FRAME_BYTES;
const READER: ReaderId = ReaderId::client(0);

/// What the core device says about the log.
pub enum Said {
    Open { destination: u8, session: u32, cursor: Option<LogCursor> },
    Ack { destination: u8, session: u32, offset: u32 },
}

/// What was said and not yet heard. What finds no room here is said again.
static SAID: Channel<CriticalSectionRawMutex, Said, 8> = Channel::new();

/// Whether the core device has all there is.
static UP_TO_DATE: AtomicBool = AtomicBool::new(false);

pub fn is_up_to_date() -> bool {
    UP_TO_DATE.load(Relaxed)
}

pub fn say(said: Said) {
    // As above.
    let _ = SAID.try_send(said);
}

/// Sends the log for ever, as far as the core device wants it.
#[embassy_executor::task]
pub async fn run() -> ! {
    let mut service =
        Service { sender: Sender::new(memory::take(WINDOW)), stream: None, destination: 0, frame: Frame::new() };
    loop {
        let said = service.wait().await;
        if let Some(said) = said {
            service.hear(said).await;
        }
        while let Ok(said) = SAID.try_receive() {
            service.hear(said).await;
        }
        service.fill();
        service.send().await;
    }
}

fn own(logs: &Logs) -> Own<'_> {
    Own::new(&logs.ring, logs.previous.as_ref(), time_axis::now())
}

struct Service {
    sender: Sender<'static>,
    stream: Option<Stream<0>>,
    destination: u8,
    frame: Frame,
}

impl Service {
    /// Waits until there is something to do.
    async fn wait(&mut self) -> Option<Said> {
        let deadline = self.sender.deadline();
        let more = self.stream.as_ref().is_none_or(|stream| logger::read(|logs| stream.ready(&own(logs), &[])));
        UP_TO_DATE.store(!more && self.sender.pending() == 0, Relaxed);
        // Records wait where they are while there is no room: what comes next then is an acknowledgement, or its time.
        let room = self.sender.is_open() && WINDOW - self.sender.pending() >= 2 * MAX_FRAME_BYTES;
        let news = async {
            match &self.stream {
                Some(stream) if room => {
                    let beat = Timer::at(Instant::from_micros(Stream::<0>::deadline(clock::now())));
                    let news = logger::news(READER, |logs| stream.ready(&own(logs), &[]));
                    select(news, beat).await;
                }
                _ => core::future::pending().await,
            }
        };
        let timeout = async {
            match deadline {
                Some(deadline) => Timer::at(Instant::from_micros(deadline)).await,
                None => core::future::pending().await,
            }
        };
        match select3(SAID.receive(), news, timeout).await {
            Either3::First(said) => Some(said),
            _ => None,
        }
    }

    async fn hear(&mut self, said: Said) {
        match said {
            Said::Open { destination, session, cursor } => {
                if self.sender.is_new(session) || self.destination != destination {
                    self.sender.open(session);
                    self.destination = destination;
                    self.stream = Some(logger::read(|logs| Stream::upstream(destination, cursor, &own(logs))));
                }
            }
            Said::Ack { destination, session, offset } => {
                if self.sender.on_ack(session, offset, clock::now()) == Acked::Unknown {
                    self.frame.set(&Packet::LogUnknown { destination, session });
                    aux::send(Link::Uplink, &self.frame).await;
                }
            }
        }
    }

    fn fill(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        self.sender.fill(|room| {
            let length = room.len().min(PART);
            logger::read(|logs| stream.fill(&own(logs), &[], &mut room[..length]).bytes)
        });
    }

    /// Sends what may be sent now, until the core device says something.
    async fn send(&mut self) {
        while let Some(segment) = self.sender.segment(clock::now()) {
            let (session, offset, bytes) = (segment.session, segment.offset, segment.bytes);
            self.frame.set(&Packet::LogData { destination: self.destination, session, offset, bytes });
            aux::send(Link::Uplink, &self.frame).await;
            if !SAID.is_empty() {
                return;
            }
        }
    }
}
