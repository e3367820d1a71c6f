//! A core device, a satellite that is reset again and again, a bad link between them, subscribers of any speed.

use corelog_log::{open, Level, Recovered, Ring, MIN_WORDS, REPLICA_MIN_WORDS};
use corelog_proto::aux::LogCursor;
use corelog_proto::stream::Clock;
use corelog_relay::{Acked, Assembler, Now, Own, Receiver, Relay, Say, Sender, Stream, WINDOW};

use super::channel::{Channel, Faults};
use super::subscriber::{text, Subscriber, World};
use crate::choices::Choices;

const DESTINATION: u8 = 3;
const CORE: u64 = 1000;

#[derive(Clone, Debug)]
enum Up {
    Data { session: u32, offset: u32, bytes: Vec<u8> },
    Unknown { session: u32 },
}

#[derive(Clone, Debug)]
enum Down {
    Open { session: u32, cursor: Option<LogCursor> },
    Ack { session: u32, offset: u32 },
}

fn write(ring: &mut Ring<'_>, origin: u8, time: u64, world: &mut World, choose: &mut impl Choices) {
    let level = Level::ALL[choose.below(5) as usize];
    let seq = ring.next_seq();
    ring.write(time, level, "model", format_args!("{}", text(ring.boot_id(), seq)));
    let produced = world.entry((origin, ring.boot_id())).or_default();
    assert_eq!(produced.levels.len() as u64, seq);
    produced.levels.push(level);
}

fn now(time: u64) -> Now {
    let clock = Clock { origin: 0, uncertainty: 1, time, counter: time * 1000, unit_fs: 1_000_000 };
    Now { time, clock: (time > 100_000).then_some(clock), synchronisations: (time / 3_000_000) as u32 }
}

/// The core device: everything that a restart of it loses.
struct Core {
    ring: Ring<'static>,
    relays: Vec<Relay<'static>>,
    receiver: Receiver,
    assembler: Assembler,
}

fn memory(words: usize) -> &'static mut [u32] {
    // Some kilobytes per restart, given back at the end of the test program.
    Box::leak(vec![0; words].into_boxed_slice())
}

impl Core {
    fn new(boot_id: u64, world: &mut World) -> Core {
        world.entry((0, boot_id)).or_default();
        let ring = Ring::new(memory(MIN_WORDS + 2000), boot_id, 1).expect("large enough");
        let relay = Relay::new(DESTINATION, memory(REPLICA_MIN_WORDS), memory(REPLICA_MIN_WORDS));
        let relays = vec![relay.expect("large enough")];
        Core { ring, relays, receiver: Receiver::new(), assembler: Assembler::new() }
    }

    fn receive(&mut self, frame: Up, time: u64) {
        match frame {
            Up::Data { session, offset, bytes } => {
                let mut fresh = self.receiver.accept(session, offset, &bytes, time);
                while let Some(taken) = self.assembler.next(&mut fresh).expect("a stream") {
                    self.relays[0].take(&taken);
                }
            }
            Up::Unknown { session } => self.receiver.on_unknown(session),
        }
    }

    fn send(&mut self, time: u64, down: &mut Channel<Down>, choose: &mut impl Choices) {
        let mut new = false;
        while let Some(say) = self.receiver.poll(time, || {
            new = true;
            choose.below(u32::MAX)
        }) {
            if std::mem::take(&mut new) {
                self.assembler.reset();
                self.relays[0].restart();
            }
            let frame = match say {
                Say::Open { session } => Down::Open { session, cursor: self.relays[0].cursor() },
                Say::Ack { session, offset } => Down::Ack { session, offset },
            };
            down.send(time, frame, choose);
        }
    }
}

/// The satellite's part of the log's transport; a reset loses it.
struct Uplink<'a> {
    sender: Sender<'a>,
    stream: Option<Stream<0>>,
}

impl Uplink<'_> {
    fn run(&mut self, own: &Own<'_>, time: u64, up: &mut Channel<Up>, choose: &mut impl Choices) {
        if let Some(stream) = &mut self.stream {
            self.sender.fill(|room| stream.fill(own, &[], room).bytes);
        }
        for _ in 0..choose.below(3) {
            let Some(segment) = self.sender.segment(time) else { break };
            let (session, offset, bytes) = (segment.session, segment.offset, segment.bytes.to_vec());
            up.send(time, Up::Data { session, offset, bytes }, choose);
        }
    }

    fn receive(&mut self, frame: Down, own: &Own<'_>, time: u64, up: &mut Channel<Up>, choose: &mut impl Choices) {
        match frame {
            Down::Open { session, cursor } if self.sender.is_new(session) => {
                self.stream = Some(Stream::upstream(DESTINATION, cursor, own));
                self.sender.open(session);
            }
            Down::Open { .. } => {}
            Down::Ack { session, offset } => {
                if self.sender.on_ack(session, offset, time) == Acked::Unknown {
                    up.send(time, Up::Unknown { session }, choose);
                }
            }
        }
    }
}

/// What one run came to.
#[derive(Debug, Default)]
pub struct Outcome {
    pub delivered: u64,
    pub lost: u64,
    pub boots: u64,
    pub core_restarts: u64,
}

/// `boots` boots of the satellite, or until the choices end.
pub fn run(choose: &mut impl Choices, boots: u64, faults: Faults) -> Outcome {
    let mut world = World::new();
    let mut blocks = [0, 1].map(|_| vec![0; MIN_WORDS + 1500 + choose.below(6000) as usize]);
    let mut core = Core::new(CORE, &mut world);
    let mut subscribers: Vec<Subscriber> = (0..4).map(|n| Subscriber::new(n % 2)).collect();
    let (mut up, mut down) = (Channel::new(faults, 500), Channel::new(faults, 500));
    let mut outcome = Outcome::default();
    // Boots of the satellite that the core device heard of while they lasted.
    let mut reached = vec![];
    let mut time = 0;
    for boot_id in 1..=boots {
        if choose.exhausted() {
            break;
        }
        let [one, other] = &mut blocks;
        let (mut ring, previous) = open(one, other, boot_id).expect("large enough");
        let previous: Option<Recovered<'_>> = previous;
        world.entry((DESTINATION, boot_id)).or_default();
        let mut buffer = vec![0; WINDOW];
        let mut uplink = Uplink { sender: Sender::new(&mut buffer), stream: None };
        let (started, last) = (time, boot_id == boots);
        let lasts = [20_000, 300_000, 3_000_000][choose.below(3) as usize];
        let flood = choose.below(30);
        let mut quiet_since = time;
        loop {
            time += 1000;
            let quiet = time > started + lasts;
            if !quiet || choose.exhausted() {
                quiet_since = time;
            }
            // The last boot lasts until everything has come through.
            if (quiet && !last) || time > quiet_since + 10_000_000 || choose.exhausted() {
                break;
            }
            if !quiet {
                for _ in 0..choose.below(flood + 1) {
                    write(&mut ring, DESTINATION, time - started, &mut world, choose);
                }
                for _ in 0..choose.below(3) {
                    write(&mut core.ring, 0, time, &mut world, choose);
                }
                if choose.one_in(700) {
                    up.cut = !up.cut;
                }
                if choose.one_in(3000) {
                    outcome.core_restarts += 1;
                    core = Core::new(CORE + outcome.core_restarts, &mut world);
                    reached.clear();
                    subscribers.iter_mut().for_each(Subscriber::disconnect);
                }
            } else {
                up.cut = false;
            }
            down.cut = up.cut;
            let own = Own::new(&ring, previous.as_ref(), now(time - started));
            uplink.run(&own, time, &mut up, choose);
            while let Some(frame) = down.receive(time) {
                uplink.receive(frame, &own, time, &mut up, choose);
            }
            while let Some(frame) = up.receive(time) {
                core.receive(frame, time);
            }
            core.send(time, &mut down, choose);
            if core.relays[0].cursor().is_some_and(|cursor| cursor.boot_id == boot_id) && !reached.contains(&boot_id) {
                reached.push(boot_id);
            }
            let own = Own::new(&core.ring, None, now(time));
            for (n, subscriber) in subscribers.iter_mut().enumerate() {
                // One is fast, the others are more and more slow.
                if quiet && last || choose.one_in(1 + 40 * n as u32) {
                    subscriber.read(&own, &core.relays, &world, choose);
                }
                if !quiet && choose.one_in(4000) {
                    subscriber.disconnect();
                }
            }
        }
        if choose.one_in(2) {
            ring.mark_panic();
        }
        outcome.boots += 1;
    }
    if !choose.exhausted() {
        check_ends(&subscribers, &world, &reached, boots);
    }
    for subscriber in &subscribers {
        outcome.delivered += subscriber.delivered;
        outcome.lost += subscriber.lost;
    }
    outcome
}

/// Everything produced was delivered or declared lost.
fn check_ends(subscribers: &[Subscriber], world: &World, reached: &[u64], last: u64) {
    for subscriber in subscribers {
        for (&origin, places) in &subscriber.places {
            let newest = places.last().expect("a boot");
            let all = world[&(origin, newest.boot_id)].levels.len() as u64;
            assert_eq!(newest.seq, all, "origin {origin}, boot {}", newest.boot_id);
            if origin == DESTINATION {
                assert_eq!(newest.boot_id, last);
                for place in places {
                    // The core device heard of it and of the one that followed it, and so of its end.
                    if reached.contains(&place.boot_id) && reached.contains(&(place.boot_id + 1)) {
                        assert_eq!(place.seq, world[&(origin, place.boot_id)].levels.len() as u64, "{place:?}");
                    }
                }
            }
        }
        assert!(subscriber.places.contains_key(&DESTINATION) && subscriber.places.contains_key(&0));
        assert!(subscriber.clocks > 0 && subscriber.heartbeats > 0);
    }
}
