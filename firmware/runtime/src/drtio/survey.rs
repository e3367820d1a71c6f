//! The survey: which destinations are up. One task each, so that a dead one delays nobody.

use core::cell::Cell;

use corelog_board::drtio;
use corelog_config::device_map::DeviceMap;
use corelog_device::record::{info, warn};
use corelog_device::{config, ports, routing};
use corelog_proto::aux::call::{Reply, What};
use critical_section::Mutex;
use embassy_futures::select::select;
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{with_timeout, Duration, Instant, Timer};

use super::call::Failure;
use super::{Destination, DESTINATION_TASKS};

/// How often a destination that is down is asked.
const ASK: Duration = Duration::from_millis(200);
/// A destination whose log is silent for this long is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(2);
/// Longest wait for the gateware's answer about buffer space: it gives up by itself after 1 ms.
const SPACE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy)]
struct State {
    up: bool,
    /// When its log said something last.
    heard: Instant,
    /// A call failed: it is asked at once.
    doubtful: bool,
    /// Its channels have other names than before.
    renamed: bool,
    /// Its boot since it came up, once known.
    boot_id: Option<u64>,
    rebooted: bool,
}

/// What is known of a destination's state.
pub struct Survey {
    state: Mutex<Cell<State>>,
    event: Signal<CriticalSectionRawMutex, ()>,
}

impl Survey {
    pub fn new() -> Survey {
        let state =
            State { up: false, heard: Instant::MIN, doubtful: false, renamed: false, boot_id: None, rebooted: false };
        Survey { state: Mutex::new(Cell::new(state)), event: Signal::new() }
    }

    fn get(&self) -> State {
        critical_section::with(|cs| self.state.borrow(cs).get())
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        critical_section::with(|cs| {
            let mut state = self.state.borrow(cs).get();
            change(&mut state);
            self.state.borrow(cs).set(state);
        });
    }

    pub fn is_up(&self) -> bool {
        self.get().up
    }

    /// Its log said something.
    pub fn heard(&self) {
        self.change(|state| state.heard = Instant::now());
    }

    /// Its log is that of this boot.
    pub fn boot(&self, boot_id: u64) {
        self.change(|state| {
            let before = state.boot_id.replace(boot_id);
            state.rebooted |= before.is_some_and(|before| before != boot_id);
        });
        if self.get().rebooted {
            self.event.signal(());
        }
    }

    /// A call to it failed.
    pub fn doubt(&self) {
        self.change(|state| state.doubtful = true);
        self.event.signal(());
    }

    /// The names of channels changed.
    pub fn renamed(&self) {
        self.change(|state| state.renamed = true);
        self.event.signal(());
    }
}

/// Tells the destinations when ports come or go.
#[embassy_executor::task]
pub async fn watch_ports() -> ! {
    let mut changes = ports::watch();
    loop {
        changes.changed().await;
        super::destinations().for_each(|destination| destination.survey.event.signal(()));
    }
}

/// Keeps watch over `destination` for ever.
#[embassy_executor::task(pool_size = DESTINATION_TASKS)]
pub async fn run(destination: &'static Destination) -> ! {
    loop {
        destination.until_up().await;
        destination.come_up().await;
        while destination.stays_up().await {}
        destination.go_down();
    }
}

impl Destination {
    async fn answers(&self) -> bool {
        let status = self.calls.call(What::DestinationStatus, |reply| match reply {
            Reply::DestinationOk => Some(true),
            Reply::DestinationDown => Some(false),
            _ => None,
        });
        match status.await {
            Ok(up) => up,
            // Somebody else's call is under way, and will tell.
            Err(Failure::Busy) => self.is_up(),
            Err(Failure::BadReply) => {
                warn!("[DEST#{}] communication failed ({})", self.number, Failure::BadReply);
                false
            }
            Err(_) => false,
        }
    }

    async fn until_up(&self) {
        loop {
            if !ports::is_up(self.port) {
                self.survey.event.wait().await;
            } else if self.answers().await {
                return;
            } else {
                let _ = with_timeout(ASK, self.survey.event.wait()).await;
            }
        }
    }

    async fn come_up(&self) {
        self.survey.change(|state| {
            *state = State {
                up: true,
                heard: Instant::now(),
                doubtful: false,
                renamed: true,
                boot_id: None,
                rebooted: false,
            };
        });
        self.log_event.signal(());
        info!("[DEST#{}] destination is up", self.number);
        drtio::set_hop(self.number, routing::hop(self.number));
        match self.space().await {
            Some(space) => info!("[DEST#{}] buffer space is {space}", self.number),
            None => warn!("[DEST#{}] does not tell its buffer space", self.number),
        }
    }

    /// How many events fit.
    async fn space(&self) -> Option<u32> {
        // One question at a time: ports have one register for the destination.
        static TURN: embassy_sync::mutex::Mutex<CriticalSectionRawMutex, ()> = embassy_sync::mutex::Mutex::new(());
        let _turn = TURN.lock().await;
        drtio::port::request_space(self.port, self.number);
        let answer = async {
            loop {
                match drtio::port::space(self.port) {
                    Some(space) => return space,
                    None => yield_now().await,
                }
            }
        };
        with_timeout(SPACE, answer).await.ok()
    }

    /// Waits for something to happen; false if that is the end.
    async fn stays_up(&self) -> bool {
        let state = self.survey.get();
        if state.rebooted {
            return false;
        }
        if state.renamed {
            self.survey.change(|state| state.renamed = false);
            return self.name_channels().await;
        }
        let silent = state.heard + SILENCE;
        if ports::is_up(self.port) && !state.doubtful && Instant::now() < silent {
            select(self.survey.event.wait(), Timer::at(silent)).await;
            return true;
        }
        self.survey.change(|state| {
            state.doubtful = false;
            state.heard = Instant::now();
        });
        self.answers().await
    }

    fn go_down(&self) {
        drtio::set_hop(self.number, routing::NOWHERE);
        self.survey.change(|state| state.up = false);
        self.log_event.signal(());
        info!("[DEST#{}] destination is down", self.number);
    }

    /// Tells the destination the names of its channels; false if it does not answer.
    async fn name_channels(&self) -> bool {
        let names = |offset, part: &mut [u8]| {
            config::read("device_map", |value| {
                value.and_then(DeviceMap::parse).unwrap_or(DeviceMap::EMPTY).part(self.number, offset, part)
            })
        };
        let told = async {
            let mut talk = self.talk().await?;
            talk.send_parts(|last, data| What::ChannelNames { last, data }, names).await
        };
        match told.await {
            Ok(true) => {}
            Ok(false) => warn!("[DEST#{}] refused the names of its channels", self.number),
            Err(Failure::Busy) => {
                // Another client's request is long: later.
                Timer::after(ASK).await;
                self.survey.renamed();
            }
            Err(failure) => {
                warn!("[DEST#{}] names of channels not told ({failure})", self.number);
                return false;
            }
        }
        true
    }
}

/// Resets the RTIO core of `destination` if it is up.
pub async fn reset_rtio(destination: Option<&Destination>) {
    let Some(destination) = destination.filter(|destination| destination.is_up()) else { return };
    match destination.calls.order(What::RtioReset).await {
        Ok(true) => {}
        Ok(false) => warn!("[DEST#{}] did not reset its RTIO core", destination.number),
        Err(failure) => {
            warn!("[DEST#{}] RTIO core not reset ({failure})", destination.number);
            destination.survey.doubt();
        }
    }
}
