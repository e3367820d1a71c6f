//! Calls: requests to a satellite, sent again until it answers or there is no hope.

use core::cell::{Cell, RefCell};
use core::fmt;

use corelog_board::drtio::Link;
use corelog_board::identity;
use corelog_device::aux::{self, Frame};
use corelog_device::ports;
use corelog_proto::aux::call::{Reply, Request, What};
use corelog_proto::aux::{Packet, MAX_CALL};
use critical_section::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::semaphore::{FairSemaphore, Semaphore};
use embassy_sync::signal::Signal;
use embassy_time::{with_timeout, Duration};

/// How long a satellite has for its answer before it is asked again, and how often it is.
const REPEAT: Duration = Duration::from_millis(60);
const REPEATS: u32 = 5;
/// The same for what erases or programs flash memory: 5 s in all.
const SLOW_REPEATS: u32 = 83;
/// Longest wait for the calls of others.
const TURN: Duration = Duration::from_millis(250);
/// Most tasks that wait for their turn.
const WAITERS: usize = 20;

/// Why there is no reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The routing table has no way to it, or it is not among those that are served.
    NoRoute,
    /// The link to it is down, here or at a satellite before it.
    Down,
    NoAnswer,
    /// Others keep it at work.
    Busy,
    /// What it answered is not an answer to what was asked.
    BadReply,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::NoRoute => "there is no way to it in the routing table",
            Failure::Down => "destination is down",
            Failure::NoAnswer => "no answer",
            Failure::Busy => "others keep it busy",
            Failure::BadReply => "its answer makes no sense",
        })
    }
}

/// What is known of the answer to the call under way.
enum Answer {
    /// Of this number, expected.
    Awaited(u16),
    /// Came, this many bytes.
    Reply(usize),
    Unreachable,
    None,
}

/// The calls to one destination: one at a time.
pub struct Calls {
    destination: u8,
    port: usize,
    turn: FairSemaphore<CriticalSectionRawMutex, WAITERS>,
    number: Mutex<Cell<u16>>,
    /// Belongs to who has the turn.
    request: embassy_sync::mutex::Mutex<CriticalSectionRawMutex, Frame>,
    answer: Mutex<RefCell<(Answer, [u8; MAX_CALL])>>,
    answered: Signal<CriticalSectionRawMutex, ()>,
}

impl Calls {
    pub fn new(destination: u8, port: usize) -> Calls {
        Calls {
            destination,
            port,
            turn: FairSemaphore::new(1),
            // A satellite may remember a number from before this boot.
            number: Mutex::new(Cell::new(identity::entropy() as u16)),
            request: embassy_sync::mutex::Mutex::new(Frame::new()),
            answer: Mutex::new(RefCell::new((Answer::None, [0; MAX_CALL]))),
            answered: Signal::new(),
        }
    }

    /// Asks the destination; `take` sees the reply, `None` if it is not one to this question.
    pub async fn call<R>(&self, what: What<'_>, take: impl FnOnce(Reply<'_>) -> Option<R>) -> Result<R, Failure> {
        let turn = with_timeout(TURN, self.turn.acquire(1)).await;
        let (Ok(Ok(_turn)), Ok(mut frame)) = (turn, self.request.try_lock()) else { return Err(Failure::Busy) };
        let number = critical_section::with(|cs| {
            let number = self.number.borrow(cs).get().wrapping_add(1);
            self.number.borrow(cs).set(number);
            self.answer.borrow_ref_mut(cs).0 = Answer::Awaited(number);
            number
        });
        self.answered.reset();
        put(&mut frame, &Request { destination: self.destination, what }, number);
        let repeats = if is_slow(&what) { SLOW_REPEATS } else { REPEATS };
        for _ in 0..=repeats {
            if !ports::is_up(self.port) {
                return Err(Failure::Down);
            }
            // One that is not sent now is sent the next time.
            aux::send(Link::Port(self.port), &frame).await;
            if with_timeout(REPEAT, self.answered.wait()).await.is_ok() {
                return self.taken(take);
            }
        }
        Err(Failure::NoAnswer)
    }

    fn taken<R>(&self, take: impl FnOnce(Reply<'_>) -> Option<R>) -> Result<R, Failure> {
        critical_section::with(|cs| {
            let mut answer = self.answer.borrow_ref_mut(cs);
            let (answer, bytes) = &mut *answer;
            match core::mem::replace(answer, Answer::None) {
                Answer::Reply(length) => Reply::decode(&bytes[..length]).ok().and_then(take).ok_or(Failure::BadReply),
                Answer::Unreachable => Err(Failure::Down),
                Answer::Awaited(_) | Answer::None => Err(Failure::NoAnswer),
            }
        })
    }

    /// Asks the destination to do something; whether it did.
    pub async fn order(&self, what: What<'_>) -> Result<bool, Failure> {
        self.call(what, |reply| match reply {
            Reply::Done { ok } => Some(ok),
            _ => None,
        })
        .await
    }

    /// Takes a reply that came. One that nobody waits for came twice, or too late.
    pub fn reply(&self, number: u16, packet: &[u8]) {
        self.settle(number, |bytes| match bytes.get_mut(..packet.len()) {
            Some(room) => {
                room.copy_from_slice(packet);
                Answer::Reply(packet.len())
            }
            None => Answer::Reply(0), // not reached: a frame has no more; it would be no reply
        });
    }

    /// A board on the way cannot pass the call on.
    pub fn unreachable(&self, number: u16) {
        self.settle(number, |_| Answer::Unreachable);
    }

    fn settle(&self, number: u16, answer: impl FnOnce(&mut [u8; MAX_CALL]) -> Answer) {
        let settled = critical_section::with(|cs| {
            let mut place = self.answer.borrow_ref_mut(cs);
            let awaited = matches!(place.0, Answer::Awaited(awaited) if awaited == number);
            if awaited {
                place.0 = answer(&mut place.1);
            }
            awaited
        });
        if settled {
            self.answered.signal(());
        }
    }
}

/// Whether a satellite may take long for it.
fn is_slow(what: &What<'_>) -> bool {
    matches!(
        what,
        What::ConfigWrite { last: true, .. }
            | What::ConfigRemove { .. }
            | What::ConfigErase
            | What::FlashAddData { last: true, .. }
    )
}

/// Puts a call in `frame`. One that is too long, which its parts' limits exclude, is never sent.
fn put(frame: &mut Frame, request: &Request<'_>, number: u16) {
    let mut packet = [0; MAX_CALL];
    let length = request.encode(&mut packet).unwrap_or(0);
    frame.set(&Packet::Call { destination: request.destination, number, packet: &packet[..length] });
}
