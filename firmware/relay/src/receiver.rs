//! The core device's end of a satellite's log: asks for it, takes its bytes in order, acknowledges them.

use corelog_proto::aux::MAX_LOG_BYTES;

/// How often a session is asked for until its first byte comes.
const OPEN_AGAIN_US: u64 = 100_000;
/// After how long a silence another session is opened. A satellite that lives sends a heartbeat at least every second.
const SILENCE_US: u64 = 2_000_000;

/// What to send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// LogOpen, with the cursor that the log has come to ([`crate::Relay::cursor`]).
    Open { session: u32 },
    /// LogAck.
    Ack { session: u32, offset: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A session has to be chosen.
    Closed,
    /// LogOpen is due at `again`.
    Opening { again: u64 },
    /// Bytes have come, the last before `silent`.
    Open { silent: u64 },
}

/// Bytes of one satellite's log, in order and each once.
pub struct Receiver {
    phase: Phase,
    session: u32,
    /// Offset of the next byte.
    next: u32,
    acks: u8,
}

impl Default for Receiver {
    fn default() -> Receiver {
        Receiver::new()
    }
}

impl Receiver {
    pub const fn new() -> Receiver {
        Receiver { phase: Phase::Closed, session: 0, next: 0, acks: 0 }
    }

    /// Gives up the session, for instance because its bytes make no sense: [`Receiver::poll`] opens another.
    pub fn close(&mut self) {
        (self.phase, self.acks) = (Phase::Closed, 0);
    }

    /// What to send at time `now`; call until `None`. `random` makes the number of a new session; when it is asked for,
    /// the next bytes are those of a new stream ([`crate::Assembler::reset`], [`crate::Relay::restart`]).
    pub fn poll(&mut self, now: u64, random: impl FnOnce() -> u32) -> Option<Say> {
        match self.phase {
            Phase::Open { silent } if now < silent => {
                self.acks = self.acks.checked_sub(1)?;
                return Some(Say::Ack { session: self.session, offset: self.next });
            }
            Phase::Opening { again } if now < again => return None,
            Phase::Opening { .. } => {}
            Phase::Open { .. } | Phase::Closed => {
                // Never the one before, whatever the chance.
                let session = random();
                self.session = if session == self.session { !session } else { session };
                (self.next, self.acks) = (0, 0);
            }
        }
        self.phase = Phase::Opening { again: now.saturating_add(OPEN_AGAIN_US) };
        Some(Say::Open { session: self.session })
    }

    /// When [`Receiver::poll`] has something to say even if nothing comes.
    pub fn deadline(&self) -> u64 {
        match self.phase {
            Phase::Closed => 0,
            Phase::Open { .. } if self.acks > 0 => 0,
            Phase::Opening { again: time } | Phase::Open { silent: time } => time,
        }
    }

    /// Takes a LogData; gives those of its bytes that come next.
    pub fn accept<'b>(&mut self, session: u32, offset: u32, bytes: &'b [u8], now: u64) -> &'b [u8] {
        if session != self.session || self.phase == Phase::Closed || bytes.len() > MAX_LOG_BYTES {
            return &[];
        }
        let known = self.next.wrapping_sub(offset);
        let fresh = if known > i32::MAX as u32 { None } else { bytes.get(known as usize..) };
        if matches!(self.phase, Phase::Opening { .. }) && fresh.is_none_or(|fresh| fresh.is_empty()) {
            return &[]; // not the first byte yet: it is asked for again
        }
        match fresh {
            // Something before them is missing: the sender shall hear it as often as it happens. If that goes on, only
            // another session helps.
            None if known > i32::MAX as u32 => {
                self.acks = self.acks.saturating_add(1);
                return &[];
            }
            // All of them are here: an acknowledgement was lost, or they were sent twice. The last of those tells.
            None => {}
            Some([]) => self.acks = self.acks.max(1),
            Some(fresh) => {
                self.next = self.next.wrapping_add(fresh.len() as u32);
                self.acks = 1;
            }
        }
        self.phase = Phase::Open { silent: now.saturating_add(SILENCE_US) };
        fresh.unwrap_or_default()
    }

    /// Takes a LogUnknown; another session is opened if it is about this one.
    pub fn on_unknown(&mut self, session: u32) {
        if session == self.session && self.phase != Phase::Closed {
            self.close();
        }
    }
}
