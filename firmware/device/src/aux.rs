//! Aux frames: sending them, one task after the other on each link, and receiving them.
//!
//! A frame may get lost on its way: whoever needs an answer asks again.

use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use core::task::{Context, Poll};

use bytemuck::{cast_slice, cast_slice_mut};
use corelog_board::drtio::{Link, FRAME_WORDS, PORTS, UPLINK};
use corelog_proto::aux::Packet;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::semaphore::{FairSemaphore, Semaphore};
use embassy_time::{with_timeout, Duration};

use crate::irq;

/// Links of this board: its ports, then its uplink.
pub const LINKS: usize = PORTS + UPLINK as usize;
/// Most tasks that wait for a link at a time.
const WAITERS: usize = 12;
/// Longest wait for a link's transmit buffer: many frames of others go out in that time.
const PATIENCE: Duration = Duration::from_millis(100);

/// The link of this number, see [`LINKS`].
pub fn link(index: usize) -> Link {
    match (0..PORTS).contains(&index) {
        true => Link::Port(index),
        false => Link::Uplink,
    }
}

/// What the service knows about a link. Only tasks change it.
struct State {
    /// Whose turn it is to send: tasks have it in the order in which they asked for it.
    turn: FairSemaphore<CriticalSectionRawMutex, WAITERS>,
    /// Which events are listened for: a frame came; the transmit buffer is free.
    received: AtomicBool,
    sent: AtomicBool,
    /// Frames that did not get to the transmit buffer in time, and ones received that nobody knows here, since reset.
    unsent: AtomicU32,
    unexpected: AtomicU32,
}

static STATES: [State; LINKS] = [const {
    State {
        turn: FairSemaphore::new(1),
        received: AtomicBool::new(false),
        sent: AtomicBool::new(false),
        unsent: AtomicU32::new(0),
        unexpected: AtomicU32::new(0),
    }
}; LINKS];

fn state(link: Link) -> Option<&'static State> {
    STATES.get(match link {
        Link::Port(port) => Some(port).filter(|port| (0..PORTS).contains(port))?,
        Link::Uplink => PORTS,
    })
}

impl State {
    fn listen(&self, link: Link) {
        link.listen(self.received.load(Relaxed), self.sent.load(Relaxed));
    }
}

/// A frame, with room for the longest; its bytes lie in words, as they go to and from the gateware.
pub struct Frame {
    words: [u32; FRAME_WORDS],
    length: usize,
}

impl Frame {
    pub const fn new() -> Frame {
        Frame { words: [0; FRAME_WORDS], length: 0 }
    }

    /// A frame with `packet` in it. One that does not fit makes an empty frame, which is never sent.
    pub fn of(packet: &Packet) -> Frame {
        let mut frame = Frame::new();
        frame.set(packet);
        frame
    }

    /// Puts `packet` in the frame.
    pub fn set(&mut self, packet: &Packet) {
        self.length = packet.encode(cast_slice_mut(&mut self.words)).unwrap_or(0);
    }

    /// The frame's bytes, those of the CRC at the end.
    pub fn bytes(&self) -> &[u8] {
        &cast_slice(&self.words)[..self.length]
    }

    /// What is in the frame; `None` if it is no packet.
    pub fn packet(&self) -> Option<Packet<'_>> {
        Packet::decode(self.bytes()).ok()
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::new()
    }
}

/// Sends a frame after those of tasks that came before. False if it could not be sent: the link is down, or did not
/// come to it in time. That it was sent does not mean that it arrives.
pub async fn send(link: Link, frame: &Frame) -> bool {
    let Some(state) = state(link).filter(|_| link.rx_up()) else { return false };
    let sent = async {
        let _turn = state.turn.acquire(1).await.ok()?;
        poll_fn(|cx| free(link, state, cx)).await;
        link.send(&frame.words, frame.length);
        Some(())
    };
    let sent = matches!(with_timeout(PATIENCE, sent).await, Ok(Some(())));
    if !sent {
        count(&state.unsent);
        // Whoever is next listens again.
        if state.sent.swap_relaxed(false) {
            state.listen(link);
        }
    }
    sent
}

/// Ready when the transmit buffer is free.
fn free(link: Link, state: &State, cx: &mut Context) -> Poll<()> {
    if link.sending() {
        if let Some(line) = link.interrupt() {
            irq::register_other(line, cx.waker());
        }
        state.sent.store(true, Relaxed);
        state.listen(link);
        return Poll::Pending;
    }
    if state.sent.swap_relaxed(false) {
        state.listen(link);
    }
    Poll::Ready(())
}

/// Waits for a frame of the link. One task at a time may do so.
pub async fn receive(link: Link, frame: &mut Frame) {
    let Some(state) = state(link) else { return core::future::pending().await };
    poll_fn(|cx| {
        let here = link.received();
        if here {
            frame.length = link.receive(&mut frame.words);
        } else if let Some(line) = link.interrupt() {
            irq::register(line, cx.waker());
        }
        // A frame that lies there while its task is busy must not keep the processor from sleeping.
        if state.received.swap_relaxed(!here) == here {
            state.listen(link);
        }
        if here {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await
}

/// Counts a frame that was received and makes no sense here.
pub fn unexpected(link: Link) {
    if let Some(state) = state(link) {
        count(&state.unexpected);
    }
}

/// Frames that were not sent in time, and unexpected ones, since reset.
pub fn counts(link: Link) -> (u32, u32) {
    state(link).map_or((0, 0), |state| (state.unsent.load(Relaxed), state.unexpected.load(Relaxed)))
}

fn count(counter: &AtomicU32) {
    counter.store(counter.load(Relaxed).saturating_add(1), Relaxed);
}

/// Atomics of this processor have no exchange; tasks do not interrupt each other.
trait SwapRelaxed {
    fn swap_relaxed(&self, value: bool) -> bool;
}

impl SwapRelaxed for AtomicBool {
    fn swap_relaxed(&self, value: bool) -> bool {
        let before = self.load(Relaxed);
        self.store(value, Relaxed);
        before
    }
}
