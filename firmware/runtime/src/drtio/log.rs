//! Logs of satellites: bytes that come become records for subscribers here.

use corelog_board::drtio::Link;
use corelog_board::{clock, identity, memory, Exclusive};
use corelog_device::aux::{self, Frame};
use corelog_device::logger;
use corelog_device::record::warn;
use corelog_proto::aux::Packet;
use corelog_proto::stream;
use corelog_relay::{Assembler, Receiver, Relay, Say, Taken};
use embassy_futures::select::select;
use embassy_time::{Instant, Timer};
use heapless::Vec;

use super::{Destination, DESTINATION_TASKS, MOST};

/// Words that are kept of a boot of a satellite; of two boots they are.
const BLOCK: usize = 32 * 1024;

/// The satellite's end of a log.
struct Line {
    receiver: Receiver,
    assembler: Assembler,
    /// Where ClearLog was asked for last: number of the boot, and of the record.
    cleared: Option<(u32, u64)>,
}

struct Logs {
    relays: Vec<Relay<'static>, MOST>,
    lines: Vec<Line, MOST>,
}

/// In the order of the destinations.
static LOGS: Exclusive<Logs> = Exclusive::new(Logs { relays: Vec::new(), lines: Vec::new() });

fn with<R>(f: impl FnOnce(&mut Logs) -> R) -> R {
    LOGS.with(f).expect("logs of satellites are used by tasks only")
}

/// Lets `f` see the logs of all destinations.
#[inline]
pub fn relays<R>(f: impl FnOnce(&[Relay<'static>]) -> R) -> R {
    match MOST {
        0 => f(&[]),
        _ => with(|logs| f(&logs.relays)),
    }
}

/// Makes room for the log of another destination.
///
/// # Panics
/// If there is no memory, or there are too many: called at start, so the first boot shows.
pub fn add(number: u8) {
    let (one, other) = (memory::take_words(BLOCK), memory::take_words(BLOCK));
    let relay = Relay::new(number, one, other).unwrap_or_else(|_| panic!("memory of a relay"));
    let line = Line { receiver: Receiver::new(), assembler: Assembler::new(), cleared: None };
    let added = with(|logs| logs.relays.push(relay).is_ok() && logs.lines.push(line).is_ok());
    assert!(added, "more relays than destinations");
}

/// Hides what there is of a destination's log from later readers of the log as text. Nothing is taken from anybody.
pub fn clear(index: usize) {
    use corelog_relay::Boots;
    with(|logs| {
        if let (Some(relay), Some(line)) = (logs.relays.get(index), logs.lines.get_mut(index)) {
            let newest = relay.newest().and_then(|number| Some((number, relay.boot(number)?.view.next_seq())));
            line.cleared = newest.or(line.cleared);
        }
    });
}

/// The boot and first record after the last [`clear`].
pub fn cleared(index: usize) -> Option<(u32, u64)> {
    with(|logs| logs.lines.get(index)?.cleared)
}

impl Destination {
    /// Takes a LogData.
    pub fn take_log(&self, session: u32, offset: u32, bytes: &[u8]) {
        let line = |logs: &mut Logs| {
            logs.lines.get_mut(self.index).map(|line| line.receiver.accept(session, offset, bytes, clock::now()))
        };
        let Some(mut fresh) = with(line) else { return };
        if !fresh.is_empty() {
            self.survey.heard();
        }
        let mut news = false;
        // One after the other, so that interrupts are held off by one only.
        while let Some(new) = with(|logs| self.take_frame(logs, &mut fresh)) {
            news |= new;
        }
        if news {
            logger::wake_clients();
        }
        self.log_event.signal(());
    }

    /// Takes the next frame of the satellite's stream, if it is whole; says whether that is news for readers.
    fn take_frame(&self, logs: &mut Logs, bytes: &mut &[u8]) -> Option<bool> {
        let (relay, line) = (logs.relays.get_mut(self.index)?, logs.lines.get_mut(self.index)?);
        match line.assembler.next(bytes) {
            Ok(Some(taken)) => {
                if let Taken::Frame(stream::Frame::Boot(stream::Boot { previous: false, boot_id, .. })) = taken {
                    self.survey.boot(boot_id);
                }
                Some(relay.take(&taken))
            }
            Ok(None) => None,
            Err(_) => {
                warn!("[DEST#{}] its log makes no sense, asked for anew", self.number);
                line.receiver.close();
                None
            }
        }
    }

    /// Takes a LogUnknown.
    pub fn log_unknown(&self, session: u32) {
        with(|logs| logs.lines.get_mut(self.index).map(|line| line.receiver.on_unknown(session)));
        self.log_event.signal(());
    }

    /// What is to be sent now because of the log.
    fn log_packet(&self, logs: &mut Logs) -> Option<Packet<'static>> {
        let (relay, line) = (logs.relays.get_mut(self.index)?, logs.lines.get_mut(self.index)?);
        let mut new = false;
        let say = line.receiver.poll(clock::now(), || {
            new = true;
            identity::entropy()
        })?;
        if new {
            line.assembler.reset();
            relay.restart();
        }
        let destination = self.number;
        Some(match say {
            Say::Open { session } => Packet::LogOpen { destination, session, cursor: relay.cursor() },
            Say::Ack { session, offset } => Packet::LogAck { destination, session, offset },
        })
    }
}

/// Asks for the log of `destination`, and acknowledges it, for ever.
#[embassy_executor::task(pool_size = DESTINATION_TASKS)]
pub async fn run(destination: &'static Destination) -> ! {
    let mut frame = Frame::new();
    loop {
        if !destination.is_up() {
            with(|logs| logs.lines.get_mut(destination.index).map(|line| line.receiver.close()));
            destination.log_event.wait().await;
            continue;
        }
        if let Some(packet) = with(|logs| destination.log_packet(logs)) {
            frame.set(&packet);
            // One that is not sent now is like one that is lost.
            aux::send(Link::Port(destination.port), &frame).await;
            continue;
        }
        let deadline = with(|logs| logs.lines.get(destination.index).map_or(u64::MAX, |line| line.receiver.deadline()));
        select(destination.log_event.wait(), Timer::at(Instant::from_micros(deadline))).await;
    }
}
