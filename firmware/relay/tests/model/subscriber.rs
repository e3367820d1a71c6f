//! A subscriber that keeps the books: per origin and boot, records delivered and records declared lost.

use std::collections::BTreeMap;

use corelog_log::{Level, Record, MAX_FRAME_BYTES};
use corelog_proto::mgmt::{self, Limits, Request, Subscribe};
use corelog_proto::stream::{frame, Frame};
use corelog_proto::Parsed;
use corelog_relay::{Own, Relay, Stream};

use crate::choices::Choices;

pub const RELAYS: usize = 4;

/// What a boot of an origin produced: the level of each record, whose text is [`text`].
#[derive(Default, Clone)]
pub struct Produced {
    pub levels: Vec<Level>,
}

impl Produced {
    pub fn retained_in(&self, first: u64, end: u64) -> u64 {
        self.levels[first as usize..end as usize].iter().filter(|level| level.is_retained()).count() as u64
    }
}

/// Text of a record: never that of the one before, so that none counts as a repetition.
pub fn text(boot_id: u64, seq: u64) -> String {
    format!("{boot_id} {seq} {}", "x".repeat((seq * 7919 % 90) as usize))
}

/// All that was ever produced, by origin and boot.
pub type World = BTreeMap<(u8, u64), Produced>;

/// A subscriber's place in a boot of an origin.
#[derive(Clone, Debug)]
pub struct Place {
    pub boot_id: u64,
    pub seq: u64,
    pub retained: Option<u64>,
    pub start: u64,
    pub panicked: bool,
}

pub struct Subscriber {
    stream: Option<Stream<RELAYS>>,
    /// Boots in the order in which they came; the last is the one being read.
    pub places: BTreeMap<u8, Vec<Place>>,
    /// The next boot frame of the origin is the first of this connection.
    fresh: BTreeMap<u8, bool>,
    /// So is the boot it reads, and it came to it as a newcomer.
    late: BTreeMap<u8, bool>,
    pub delivered: u64,
    pub lost: u64,
    pub clocks: u64,
    pub heartbeats: u64,
    from: u8,
}

impl Subscriber {
    pub fn new(from: u8) -> Subscriber {
        let (places, fresh, late) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Subscriber { stream: None, places, fresh, late, delivered: 0, lost: 0, clocks: 0, heartbeats: 0, from }
    }

    pub fn disconnect(&mut self) {
        self.stream = None;
    }

    /// The Subscribe request: at the cursors, if there are any.
    fn request(&self) -> Vec<u8> {
        let cursors: Vec<_> =
            self.places.iter().filter_map(|(origin, places)| Some((*origin, places.last()?))).collect();
        let from = if cursors.is_empty() { self.from } else { 2 };
        let mut request = vec![0x41, from, 5, 0, cursors.len() as u8, 0, 0, 0];
        for (origin, place) in cursors {
            request.extend([origin, 0, 0, 0, 0, 0, 0, 0]);
            for field in [place.boot_id, place.seq, place.retained.unwrap_or(u64::MAX)] {
                request.extend(field.to_le_bytes());
            }
        }
        request
    }

    /// Lets some frames come, and checks them.
    pub fn read(&mut self, own: &Own<'_>, relays: &[Relay<'_>], world: &World, choose: &mut impl Choices) -> bool {
        if self.stream.is_none() {
            let bytes = self.request();
            let limits = Limits { value: 0, image: 0 };
            let Ok(Parsed::Item(Request::Subscribe(request), _)) = mgmt::request(&bytes, &limits) else {
                panic!("the request is sound");
            };
            let request: Subscribe<'_> = request;
            self.stream = Some(Stream::subscribe(&request, own, relays));
            self.fresh = (0..=255).map(|origin| (origin, true)).collect();
        }
        let Some(stream) = &mut self.stream else { return false };
        let size = if choose.one_in(8) { choose.below(200) } else { MAX_FRAME_BYTES as u32 + choose.below(3000) };
        let mut out = vec![0xee; size as usize];
        let ready = stream.ready(own, relays);
        let fill = stream.fill(own, relays, &mut out);
        assert!(fill.bytes == 0 || ready, "wrote, but was not ready");
        assert!(fill.bytes > 0 || !ready || size < MAX_FRAME_BYTES as u32, "was ready, but wrote nothing");
        assert!(out[fill.bytes..].iter().all(|&byte| byte == 0xee), "wrote behind what it told");
        let mut at = 0;
        while at < fill.bytes {
            match frame(&out[at..fill.bytes]) {
                Ok(Parsed::Item(frame, used)) => {
                    self.take(frame, world);
                    at += used;
                }
                other => panic!("{other:?}"),
            }
        }
        fill.bytes > 0
    }

    fn take(&mut self, frame: Frame<'_>, world: &World) {
        match frame {
            Frame::Header(_) => {}
            Frame::Boot(boot) => {
                let places = self.places.entry(boot.origin).or_default();
                let fresh = std::mem::replace(self.fresh.entry(boot.origin).or_default(), false);
                let produced = &world[&(boot.origin, boot.boot_id)];
                assert!(boot.next_seq <= produced.levels.len() as u64);
                if boot.retained != u64::MAX {
                    assert_eq!(boot.retained, produced.retained_in(0, boot.start_seq), "{boot:?}");
                }
                if let Some(place) = places.last_mut().filter(|place| place.boot_id == boot.boot_id) {
                    assert_eq!(place.seq, boot.start_seq, "{boot:?}");
                    assert!(!boot.unknown_boot);
                    place.panicked |= boot.panicked;
                    return;
                }
                assert!(places.last().is_none_or(|last| last.boot_id < boot.boot_id), "boots in their order: {boot:?}");
                // Who was there misses nothing of what follows, unless it was told that its boot is not known. Who
                // comes anew may come late to two boots: the previous one and the one under way.
                let newcomer = places.is_empty() || boot.unknown_boot;
                let late = std::mem::replace(self.late.entry(boot.origin).or_default(), newcomer && fresh);
                assert!(newcomer || late || boot.start_seq == 0, "{boot:?} {places:?}");
                assert!(!boot.unknown_boot || !places.is_empty());
                places.push(Place {
                    boot_id: boot.boot_id,
                    seq: boot.start_seq,
                    retained: (boot.retained != u64::MAX).then_some(boot.retained),
                    start: boot.start_seq,
                    panicked: boot.panicked,
                });
            }
            Frame::Record(bytes) => {
                let words: Vec<u32> = bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
                let record = Record::parse(&words).expect("sound");
                let place = self.places.get_mut(&record.origin()).and_then(|places| places.last_mut()).expect("a boot");
                let produced = &world[&(record.origin(), place.boot_id)];
                assert_eq!(record.seq(), place.seq, "of origin {}", record.origin());
                assert_eq!(record.level(), produced.levels[record.seq() as usize]);
                assert_eq!(record.body(), text(place.boot_id, record.seq()).as_bytes());
                let before = produced.retained_in(0, record.seq());
                assert_eq!(u64::from(record.retained()), before);
                place.seq += 1;
                place.retained = Some(before + u64::from(record.level().is_retained()));
                self.delivered += 1;
            }
            Frame::Loss(loss) => {
                let place = self.places.get_mut(&loss.origin).and_then(|places| places.last_mut()).expect("a boot");
                let produced = &world[&(loss.origin, place.boot_id)];
                assert_eq!(loss.first, place.seq);
                let end = loss.first + loss.count;
                assert!(loss.count > 0 && end <= produced.levels.len() as u64, "{loss:?}");
                let truth = produced.retained_in(loss.first, end);
                match loss.exact {
                    true => assert_eq!(loss.retained, truth, "{loss:?}"),
                    false => {
                        assert!(loss.retained >= truth && loss.retained <= loss.count, "{loss:?}, in truth {truth}")
                    }
                }
                place.retained = place.retained.filter(|_| loss.exact).map(|before| before + truth);
                place.seq = end;
                self.lost += loss.count;
            }
            Frame::Heartbeat(_) => self.heartbeats += 1,
            Frame::Clock(_) => self.clocks += 1,
            Frame::Unknown(kind) => panic!("unknown kind {kind}"),
        }
    }
}
