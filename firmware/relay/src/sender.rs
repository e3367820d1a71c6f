//! The board whose log it is: keeps what the core device has not acknowledged, and sends it again.

use corelog_log::MAX_FRAME_BYTES;
use corelog_proto::aux::MAX_LOG_BYTES;

/// Most bytes under way, and the sensible size of a sender's memory.
pub const WINDOW: usize = 6 * 1024;
/// After how long without an acknowledgement everything unacknowledged is sent again: twice what one took last, from
/// this to [`LAST_TIMEOUT_US`], and doubled while none comes. A core device that is busy takes long, and what it gets
/// again keeps it busier.
pub const FIRST_TIMEOUT_US: u64 = 50_000;
const LAST_TIMEOUT_US: u64 = 400_000;
/// So many equal acknowledgements after the first say that something was lost. (One alone may be the answer to
/// something sent twice.)
const REPEATS: u8 = 2;

/// Bytes to be sent in a LogData.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    pub session: u32,
    pub offset: u32,
    pub bytes: &'a [u8],
}

/// What to make of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acked {
    /// There may be room, or something to be sent again.
    Known,
    /// Of no session of this sender: answer with LogUnknown.
    Unknown,
}

/// Bytes of a stream from the first not acknowledged to the last filled in, in memory that goes round: they lie in
/// `start..wrap` followed by `0..end`, or with `wrap` 0 in `start..end`. What is filled in at a time is never split.
pub struct Sender<'a> {
    memory: &'a mut [u8],
    start: usize,
    end: usize,
    wrap: usize,
    session: Option<u32>,
    /// Offset of `start` in the stream.
    acked: u32,
    /// How many bytes from `start` on were sent.
    sent: usize,
    /// How many were ever sent: not acknowledged yet, but may be.
    most_sent: usize,
    repeats: u8,
    /// It went back because of repeated acknowledgements, and nothing was acknowledged since.
    went_back: bool,
    timeout: u64,
    /// A segment that was sent once: the offset behind it, and when. Its acknowledgement tells how long one takes.
    timed: Option<(u32, u64)>,
    /// When to go back; only while something sent is not acknowledged.
    deadline: u64,
}

impl<'a> Sender<'a> {
    /// `memory` of [`WINDOW`] bytes; no more are used, and fewer than the longest frame carry nothing.
    pub fn new(memory: &'a mut [u8]) -> Sender<'a> {
        let size = memory.len().min(WINDOW);
        let memory = memory.get_mut(..size).unwrap_or_default();
        let (timeout, deadline) = (FIRST_TIMEOUT_US, 0);
        let (start, end, wrap, acked, sent, most_sent) = (0, 0, 0, 0, 0, 0);
        let (session, repeats, went_back, timed) = (None, 0, false, None);
        Sender {
            memory,
            start,
            end,
            wrap,
            session,
            acked,
            sent,
            most_sent,
            repeats,
            went_back,
            timeout,
            timed,
            deadline,
        }
    }

    /// Whether a LogOpen of this session opens it. If not, it is open already.
    pub fn is_new(&self, session: u32) -> bool {
        self.session != Some(session)
    }

    /// Begins a stream at offset 0. What is still there of another is forgotten: its cursor is the core device's.
    pub fn open(&mut self, session: u32) {
        self.close();
        self.session = Some(session);
    }

    /// Sends nothing any more until the next [`Sender::open`].
    pub fn close(&mut self) {
        (self.start, self.end, self.wrap, self.session) = (0, 0, 0, None);
        (self.acked, self.sent, self.most_sent) = (0, 0, 0);
        (self.repeats, self.went_back, self.timeout, self.timed) = (0, false, FIRST_TIMEOUT_US, None);
    }

    pub fn is_open(&self) -> bool {
        self.session.is_some()
    }

    /// Bytes filled in and not acknowledged.
    pub fn pending(&self) -> usize {
        match self.wrap {
            0 => self.end - self.start,
            wrap => wrap - self.start + self.end,
        }
    }

    /// Lets `write` fill the free memory with the next bytes of the stream and tell how many, as long as there is room
    /// for the longest frame and it fills in something. Nothing while no session is open.
    pub fn fill(&mut self, mut write: impl FnMut(&mut [u8]) -> usize) {
        while self.is_open() {
            if self.wrap == 0 && self.memory.len() - self.end < MAX_FRAME_BYTES && self.start >= MAX_FRAME_BYTES {
                (self.wrap, self.end) = (self.end, 0);
            }
            let limit = if self.wrap == 0 { self.memory.len() } else { self.start };
            let Some(room) = self.memory.get_mut(self.end..limit).filter(|room| room.len() >= MAX_FRAME_BYTES) else {
                return;
            };
            let length = room.len();
            match write(room).min(length) {
                0 => return,
                written => self.end += written,
            }
        }
    }

    /// The next bytes to be sent at time `now`, which count as sent. `None` if there is nothing before the next
    /// [`Sender::deadline`].
    pub fn segment(&mut self, now: u64) -> Option<Segment<'_>> {
        let session = self.session?;
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.sent = 0;
            (self.repeats, self.went_back, self.timed) = (0, false, None);
            self.timeout = (self.timeout * 2).min(LAST_TIMEOUT_US);
            self.deadline = now.saturating_add(self.timeout);
        }
        let pending = self.pending();
        let upper = if self.wrap == 0 { pending } else { self.wrap - self.start };
        let (from, left) = match self.sent {
            sent if sent < upper => (self.start + sent, upper - sent),
            sent => (sent - upper, pending - sent),
        };
        let length = left.min(MAX_LOG_BYTES);
        if length == 0 {
            return None;
        }
        if self.most_sent == 0 {
            self.deadline = now.saturating_add(self.timeout);
        }
        let offset = self.acked.wrapping_add(self.sent as u32);
        if self.timed.is_none() && self.sent >= self.most_sent {
            self.timed = Some((offset.wrapping_add(length as u32), now));
        }
        self.sent += length;
        self.most_sent = self.most_sent.max(self.sent);
        let bytes = self.memory.get(from..from + length)?;
        Some(Segment { session, offset, bytes })
    }

    /// Whether [`Sender::segment`] has something at this time.
    pub fn has_segment(&self, now: u64) -> bool {
        self.sent < self.pending() || self.deadline().is_some_and(|deadline| now >= deadline)
    }

    /// When [`Sender::segment`] has something again even if nothing comes.
    pub fn deadline(&self) -> Option<u64> {
        (self.most_sent > 0).then_some(self.deadline)
    }

    /// Takes a LogAck.
    pub fn on_ack(&mut self, session: u32, offset: u32, now: u64) -> Acked {
        if self.session != Some(session) {
            return Acked::Unknown;
        }
        let more = offset.wrapping_sub(self.acked) as usize;
        if more == 0 && self.most_sent > 0 {
            self.repeats = self.repeats.saturating_add(1);
            if self.repeats >= REPEATS && !self.went_back {
                (self.sent, self.went_back, self.timed) = (0, true, None);
                self.deadline = now.saturating_add(self.timeout);
            }
        } else if more > 0 && more <= self.most_sent {
            self.release(more);
            (self.repeats, self.went_back) = (0, false);
            if let Some((_, at)) = self.timed.filter(|(end, _)| self.acked.wrapping_sub(*end) as i32 >= 0) {
                self.timed = None;
                self.timeout = (2 * now.saturating_sub(at)).clamp(FIRST_TIMEOUT_US, LAST_TIMEOUT_US);
            }
            self.deadline = now.saturating_add(self.timeout);
        }
        Acked::Known
    }

    /// Forgets the first `length` bytes, of which there are as many.
    fn release(&mut self, length: usize) {
        self.acked = self.acked.wrapping_add(length as u32);
        (self.sent, self.most_sent) = (self.sent.saturating_sub(length), self.most_sent - length);
        self.start += length;
        if self.wrap != 0 && self.start >= self.wrap {
            (self.start, self.wrap) = (self.start - self.wrap, 0);
        }
        if self.wrap == 0 && self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }
}
