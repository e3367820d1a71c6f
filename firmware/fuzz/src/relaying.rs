use corelog_log::{Ring, MAX_FRAME_BYTES};
use corelog_proto::mgmt::{self, Limits, Request};
use corelog_proto::stream::{frame, Frame};
use corelog_proto::Parsed;
use corelog_relay::{Assembler, Now, Own, Receiver, Relay, Sender, Stream, WINDOW};

use crate::choices::Choices;
use crate::relay_model::channel::Faults;
use crate::relay_model::{transport, tree};
use crate::Bytes;

fn faults(choose: &mut Bytes<'_>) -> Faults {
    let mut chance = || choose.below(300);
    Faults { lost: chance(), doubled: chance(), reordered: chance() }
}

/// A log's bytes over a link, with nonsense sent from elsewhere, against the model; and sender and receiver alone,
/// given any calls.
pub fn log_transport(data: &[u8]) {
    let mut choose = Bytes(data);
    let faults = faults(&mut choose);
    transport::run(&mut choose, faults, u64::MAX, true);
    let (mut memory, mut now) = (vec![0; WINDOW], 0);
    let (mut sender, mut receiver) = (Sender::new(&mut memory), Receiver::new());
    for call in data.chunks_exact(6) {
        let (number, session) = (u32::from_le_bytes([call[1], call[2], call[3], call[4]]), u32::from(call[5] % 2));
        match call[0] % 8 {
            0 => sender.open(session),
            1 => sender.fill(|room| room.len().min(usize::from(call[1]) * 8)),
            2 => now += u64::from(number % 1_000_000),
            3 => drop(sender.on_ack(session, number % 8192, now)),
            4 => drop(sender.on_ack(session, number, now)),
            5 => drop(receiver.poll(now, || session)),
            6 => assert!(receiver.accept(session, number % 8, &data[..data.len().min(1008)], now).len() <= 1008),
            _ => receiver.on_unknown(session),
        }
        assert!(sender.pending() <= WINDOW);
        if let Some(segment) = sender.segment(now) {
            assert!(!segment.bytes.is_empty() && segment.bytes.len() <= 1008);
        }
    }
}

/// Satellite, bad link, core device and subscribers against the model.
pub fn relay_tree(data: &[u8]) {
    let mut choose = Bytes(data);
    let faults = faults(&mut choose);
    tree::run(&mut choose, 4, faults);
}

/// Gives the records in a stream the checksums they should have, so that what else is wrong with them is seen.
fn with_checksums(data: &[u8]) -> Vec<u8> {
    let (mut all, mut at) = (data.to_vec(), 0);
    while let Some(Ok(Parsed::Item(frame, used))) = all.get(at..).map(frame) {
        if matches!(frame, Frame::Record(_)) {
            let words: Vec<u32> =
                all[at..at + used].chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
            all[at + 4..at + 8].copy_from_slice(&corelog_log::checksum(&words).to_le_bytes());
        }
        at += used;
    }
    all
}

/// Well-formed frames of a satellite that lies about everything in them.
fn lies(choose: &mut Bytes<'_>) -> Vec<u8> {
    let mut all = vec![];
    while !choose.exhausted() {
        let mut number = || match choose.below(16) {
            0 => u64::MAX - u64::from(choose.below(3)),
            1 => u64::from(choose.below(u32::MAX)) << choose.below(32),
            _ => u64::from(choose.below(50)),
        };
        let fields = [number(), number(), number(), number(), number()];
        let (kind, length, first) = match choose.below(8) {
            0 => (3, 48, choose.below(4)),
            1 => (2, 32, choose.below(2)),
            2 => (4, 24, 0),
            3 => (5, 32, 0),
            _ => (1, 40, 0),
        };
        let mut frame =
            [&[kind, 1 + (first as u8 | fields[0] as u8) % 5, length, 0][..], &first.to_le_bytes()].concat();
        frame.extend_from_slice(fields.map(u64::to_le_bytes).as_flattened());
        frame.truncate(length.into());
        if kind == 1 {
            frame[32..40].fill(0);
        } else if kind == 3 {
            frame[8..16].copy_from_slice(&(fields[0] % 4).to_le_bytes());
        }
        all.extend(frame);
    }
    all
}

/// Any bytes as a satellite's stream: a relay takes them, and its readers get sound frames that come to an end.
///
/// First byte even: the rest are the bytes; odd: the rest are what well-formed frames say.
pub fn relay_stream(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let data = if kind % 2 == 0 { with_checksums(rest) } else { with_checksums(&lies(&mut Bytes(rest))) };
    let mut blocks = [0, 1].map(|_| vec![0; corelog_log::REPLICA_MIN_WORDS]);
    let [one, other] = &mut blocks;
    let mut relays = [Relay::new(3, one, other).expect("large enough")];
    let mut memory = vec![0; corelog_log::MIN_WORDS];
    let ring = Ring::new(&mut memory, 1, 1).expect("large enough");
    let own = Own::new(&ring, None, Now { time: 0, clock: None, synchronisations: 0 });
    let Ok(Parsed::Item(Request::Subscribe(all), _)) =
        mgmt::request(&[0x41, 1, 5, 0, 0, 0, 0, 0], &Limits { value: 0, image: 0 })
    else {
        panic!("a sound request");
    };
    let mut readers = [(); 2].map(|()| (Stream::<1>::subscribe(&all, &own, &relays), None));
    let (mut assembler, mut bytes, mut turn) = (Assembler::new(), &data[..], 0);
    while !bytes.is_empty() {
        match assembler.next(&mut bytes) {
            Ok(Some(taken)) => drop(relays[0].take(&taken)),
            Ok(None) => {}
            Err(_) => {
                assembler.reset();
                relays[0].restart();
            }
        }
        // One reads at once, the other now and then.
        turn += 1;
        let reading = if turn % 16 == 0 || bytes.is_empty() { 2 } else { 1 };
        for (stream, place) in &mut readers[..reading] {
            read_all(stream, place, &own, &relays);
        }
    }
}

/// Reads to the end; numbers of the boot being read follow each other.
fn read_all(stream: &mut Stream<1>, place: &mut Option<u64>, own: &Own<'_>, relays: &[Relay<'_>]) {
    let mut out = [0; 2 * MAX_FRAME_BYTES];
    for _ in 0..1000 {
        let fill = stream.fill(own, relays, &mut out);
        let mut at = 0;
        while at < fill.bytes {
            let Ok(Parsed::Item(frame, used)) = frame(&out[at..fill.bytes]) else { panic!("no frame") };
            match frame {
                Frame::Boot(boot) if boot.origin == 3 => *place = Some(boot.start_seq),
                Frame::Loss(loss) => {
                    assert!(loss.origin == 3 && loss.retained <= loss.count && loss.count > 0);
                    assert_eq!(*place, Some(loss.first));
                    *place = Some(loss.first + loss.count);
                }
                Frame::Record(bytes) => {
                    let seq = u64::from_le_bytes(bytes[8..16].try_into().expect("8 bytes"));
                    assert_eq!((bytes[32], *place), (3, Some(seq)));
                    *place = Some(seq + 1);
                }
                _ => {}
            }
            at += used;
        }
        if !fill.more {
            assert!(!stream.ready(own, relays));
            return;
        }
    }
    panic!("never comes to an end");
}
