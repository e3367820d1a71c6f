//! A satellite's log at the core device, kept for its subscribers.

use corelog_log::{Gone, Loss, Replica, TooSmall};
use corelog_proto::aux::LogCursor;
use corelog_proto::stream::{self, Clock, Frame};

use crate::assembler::Taken;
use crate::boots::{Boot, Boots, News};

/// Boots behind those two of which records are kept: how they ended is remembered for so many.
const ENDED: usize = 4;

/// What is known of a boot besides its records.
#[derive(Clone, Copy, Default)]
struct About {
    id: u64,
    panicked: bool,
    clock: Option<Clock>,
}

/// Boots are numbered from 0 in the order in which they come. Of the newest two the records are kept.
pub struct Relay<'a> {
    origin: u8,
    newest: Option<u32>,
    /// Boot n is at n modulo 2.
    kept: [(About, Replica<'a>); 2],
    /// Boot n is at n modulo [`ENDED`].
    ended: [Option<(About, Gone)>; ENDED],
    /// What comes now belongs to the newest boot.
    attached: bool,
    settled: bool,
    /// The newest boot's next record as the satellite told last.
    told_next: u64,
    news: News,
}

impl<'a> Relay<'a> {
    /// `one` and `other`: at least [`corelog_log::REPLICA_MIN_WORDS`] each.
    pub fn new(origin: u8, one: &'a mut [u32], other: &'a mut [u32]) -> Result<Relay<'a>, TooSmall> {
        let kept = [(About::default(), Replica::new(one)?), (About::default(), Replica::new(other)?)];
        let news = News { beats: 0, clocks: 0, heartbeat: None };
        Ok(Relay {
            origin,
            newest: None,
            kept,
            ended: [None; ENDED],
            attached: false,
            settled: false,
            told_next: 0,
            news,
        })
    }

    /// The satellite's destination.
    pub fn origin(&self) -> u8 {
        self.origin
    }

    /// From where the log has to come, for LogOpen. `None` before anything came.
    pub fn cursor(&self) -> Option<LogCursor> {
        let boot = self.boot(self.newest?)?;
        let place = boot.view.newest();
        Some(LogCursor { boot_id: boot.id, seq: place.seq(), retained: place.retained() })
    }

    /// Another session begins: nothing belongs to a boot before its frame comes.
    pub fn restart(&mut self) {
        self.attached = false;
    }

    /// Takes the next frame of the satellite's stream. Returns whether readers have something new.
    pub fn take(&mut self, frame: &Taken<'_>) -> bool {
        match frame {
            Taken::Record(record) => self.attached_replica().is_some_and(|replica| replica.append(record)),
            Taken::Frame(Frame::Boot(boot)) => self.take_boot(boot),
            Taken::Frame(Frame::Loss(loss)) => {
                let &stream::Loss { first, count, retained, exact, .. } = loss;
                let replica = self.attached_replica();
                replica.map(|replica| replica.append_loss(&Loss { first, count, retained, exact })).is_some()
            }
            Taken::Frame(Frame::Heartbeat(heartbeat)) if self.attached => {
                self.told_next = self.told_next.max(heartbeat.next_seq);
                self.news.heartbeat = Some((heartbeat.time, heartbeat.next_seq));
                self.news.beats = self.news.beats.wrapping_add(1);
                true
            }
            Taken::Frame(Frame::Clock(clock)) if self.attached => {
                if let Some((about, _)) = self.newest.and_then(|newest| self.kept.get_mut(newest as usize % 2)) {
                    about.clock = Some(*clock);
                    self.news.clocks = self.news.clocks.wrapping_add(1);
                }
                true
            }
            _ => false,
        }
    }

    fn attached_replica(&mut self) -> Option<&mut Replica<'a>> {
        let newest = self.newest.filter(|_| self.attached)?;
        self.kept.get_mut(newest as usize % 2).map(|(_, replica)| replica)
    }

    fn take_boot(&mut self, boot: &stream::Boot) -> bool {
        let retained = (boot.retained != u64::MAX).then_some(boot.retained);
        match self.number_of(boot.boot_id) {
            // What is left of an older boot than the newest is no news: it was ended here.
            Some(number) if Some(number) != self.newest => {
                self.attached = false;
                return false;
            }
            Some(_) => {
                self.attached = true;
                if let Some(replica) = self.attached_replica() {
                    replica.skip_to(boot.start_seq, retained);
                }
            }
            None => self.begin(boot.boot_id, boot.start_seq, retained),
        }
        self.settled = !boot.previous;
        self.told_next = self.told_next.max(boot.next_seq);
        if let Some((about, _)) = self.newest.and_then(|newest| self.kept.get_mut(newest as usize % 2)) {
            about.panicked |= boot.panicked;
        }
        true
    }

    /// Another boot follows the newest one.
    fn begin(&mut self, id: u64, start: u64, retained: Option<u64>) {
        let number = self.newest.map_or(0, |newest| newest.saturating_add(1));
        // Of the boot that ends nothing more comes: what the satellite told of and did not send is lost.
        self.attached = true;
        let told = self.told_next;
        if let Some(replica) = self.attached_replica() {
            replica.skip_to(told, None);
        }
        let Some((about, replica)) = self.kept.get_mut(number as usize % 2) else { return };
        if let Some(before) = number.checked_sub(2) {
            if let Some(place) = self.ended.get_mut(before as usize % ENDED) {
                *place = Some((*about, replica.gone()));
            }
        }
        *about = About { id, panicked: false, clock: None };
        replica.restart(number.saturating_add(1), start, retained);
        (self.newest, self.told_next, self.news.heartbeat) = (Some(number), start, None);
    }

    /// The newest of the known boots that has this id.
    fn number_of(&self, id: u64) -> Option<u32> {
        (self.first_known()..=self.newest?).rev().find(|&number| self.boot(number).is_some_and(|boot| boot.id == id))
    }
}

impl Boots for Relay<'_> {
    fn newest(&self) -> Option<u32> {
        self.newest
    }

    fn is_settled(&self) -> bool {
        self.settled
    }

    fn first_known(&self) -> u32 {
        self.newest.map_or(0, |newest| newest.saturating_sub(1 + ENDED as u32))
    }

    fn first_kept(&self) -> u32 {
        self.newest.map_or(0, |newest| newest.saturating_sub(1))
    }

    fn boot(&self, number: u32) -> Option<Boot<'_>> {
        let newest = self.newest.filter(|&newest| number <= newest)?;
        let (about, view) = match newest - number {
            0 | 1 => self.kept.get(number as usize % 2).map(|(about, replica)| (about, replica.view()))?,
            age if age as usize <= 1 + ENDED => {
                self.ended.get(number as usize % ENDED)?.as_ref().map(|(about, gone)| (about, gone.view()))?
            }
            _ => return None,
        };
        Some(Boot { id: about.id, panicked: about.panicked, clock: about.clock, view })
    }

    fn next_seq(&self) -> u64 {
        let here = self.newest.and_then(|newest| self.boot(newest)).map_or(0, |boot| boot.view.next_seq());
        here.max(self.told_next)
    }

    fn news(&self) -> News {
        self.news
    }
}
