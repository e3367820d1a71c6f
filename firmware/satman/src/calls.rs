//! Calls of the core device: each is done once, however often it is asked for, and answered whenever it is.

use core::cell::RefCell;

use corelog_board::drtio::Link;
use corelog_device::aux::{self, Frame};
use corelog_proto::aux::{Packet, MAX_CALL};
use critical_section::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;

use crate::perform::{Performer, Then};

/// A call, and what became of it.
struct Call {
    destination: u8,
    number: u16,
    state: State,
    length: usize,
    /// The packet, and later the reply.
    bytes: [u8; MAX_CALL],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// There was no call since the uplink came up.
    None,
    Asked,
    UnderWay,
    Answered,
}

/// The last call.
static LAST: Mutex<RefCell<Call>> =
    Mutex::new(RefCell::new(Call { destination: 0, number: 0, state: State::None, length: 0, bytes: [0; MAX_CALL] }));
static ASKED: Signal<CriticalSectionRawMutex, ()> = Signal::new();

/// A call has come, perhaps not for the first time.
pub async fn called(destination: u8, number: u16, packet: &[u8]) {
    let again = critical_section::with(|cs| {
        let mut last = LAST.borrow_ref_mut(cs);
        if last.state != State::None && (last.destination, last.number) == (destination, number) {
            return last.state == State::Answered;
        }
        let Some(place) = last.bytes.get_mut(..packet.len()) else { return false };
        place.copy_from_slice(packet);
        (last.destination, last.number, last.length, last.state) = (destination, number, packet.len(), State::Asked);
        ASKED.signal(());
        false
    });
    if again {
        answer().await;
    }
}

/// Sends the last call's reply.
async fn answer() {
    let frame = critical_section::with(|cs| {
        let last = LAST.borrow_ref(cs);
        let packet = &last.bytes[..last.length];
        Frame::of(&Packet::CallReply { destination: last.destination, number: last.number, packet })
    });
    aux::send(Link::Uplink, &frame).await;
}

/// Forgets the last call: whoever calls next may count anew.
pub fn forget() {
    critical_section::with(|cs| LAST.borrow_ref_mut(cs).state = State::None);
}

/// Does calls for ever.
#[embassy_executor::task]
pub async fn run() -> ! {
    let mut performer = Performer::new();
    let mut packet = [0; MAX_CALL];
    let mut reply = [0; MAX_CALL];
    loop {
        ASKED.wait().await;
        let (number, length) = critical_section::with(|cs| {
            let mut last = LAST.borrow_ref_mut(cs);
            packet[..last.length].copy_from_slice(&last.bytes[..last.length]);
            last.state = State::UnderWay;
            (last.number, last.length)
        });
        let (replied, then) = performer.perform(&packet[..length], &mut reply).await;
        let still_wanted = critical_section::with(|cs| {
            let mut last = LAST.borrow_ref_mut(cs);
            let still_wanted = (last.number, last.state) == (number, State::UnderWay);
            if still_wanted {
                last.bytes[..replied].copy_from_slice(&reply[..replied]);
                (last.length, last.state) = (replied, State::Answered);
            }
            still_wanted
        });
        if still_wanted {
            answer().await;
        }
        if let Some(then) = then {
            // The reply may get lost: there is time to ask for it again.
            Then::pause().await;
            then.happen();
        }
    }
}
