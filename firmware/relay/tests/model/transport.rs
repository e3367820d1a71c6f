//! A sender and a receiver over a bad link: every byte of a session arrives once, in order.

use corelog_log::MAX_FRAME_BYTES;
use corelog_relay::{Acked, Receiver, Say, Sender, WINDOW};

use super::channel::{Channel, Faults};
use crate::choices::Choices;

#[derive(Clone, Debug)]
enum Up {
    Data { session: u32, offset: u32, bytes: Vec<u8> },
    Unknown { session: u32 },
}

fn byte_of(session: u32, offset: u32) -> u8 {
    (offset.wrapping_mul(0x9e37_79b9) ^ session) as u8 ^ (offset >> 13) as u8
}

/// What there is to be said of a run.
pub struct Outcome {
    pub sessions: u32,
    /// Bytes delivered, time taken in us, frames that carried them.
    pub bytes: u64,
    pub time: u64,
    pub frames: usize,
}

/// Until `total` bytes have arrived, or the choices end. `hostile`: somebody else sends nonsense too.
pub fn run(choose: &mut impl Choices, faults: Faults, total: u64, hostile: bool) -> Outcome {
    let mut memory = vec![0; WINDOW];
    let mut sender = Sender::new(&mut memory);
    let mut receiver = Receiver::new();
    let (mut up, mut down) = (Channel::new(faults, 1000), Channel::new(faults, 1000));
    let (mut now, mut sessions, mut delivered, mut produced, mut expected) = (0, 0, 0u64, 0u32, 0u32);
    let (mut last_progress, mut said) = (0, 0);
    while delivered < total && !choose.exhausted() {
        now += 200;
        // The satellite.
        let session = said;
        sender.fill(|room| {
            assert!(room.len() >= MAX_FRAME_BYTES && room.len() <= WINDOW);
            let length = choose.below(room.len().min(2 * MAX_FRAME_BYTES) as u32 + 1) as usize;
            for byte in &mut room[..length] {
                *byte = byte_of(session, produced);
                produced = produced.wrapping_add(1);
            }
            length
        });
        assert!(sender.pending() <= WINDOW);
        let had = sender.has_segment(now);
        let segment = sender.segment(now);
        assert_eq!(segment.is_some(), had);
        if let Some(segment) = segment {
            assert!(!segment.bytes.is_empty());
            for (n, byte) in segment.bytes.iter().enumerate() {
                assert_eq!(*byte, byte_of(segment.session, segment.offset.wrapping_add(n as u32)));
            }
            let (session, offset, bytes) = (segment.session, segment.offset, segment.bytes.to_vec());
            up.send(now, Up::Data { session, offset, bytes }, choose);
            assert!(sender.deadline().is_some_and(|deadline| deadline > now && deadline <= now + 400_000));
        }
        while let Some(say) = down.receive(now) {
            match say {
                Say::Open { session } if sender.is_new(session) => {
                    sender.open(session);
                    (said, produced) = (session, 0);
                }
                Say::Open { .. } => {}
                Say::Ack { session, offset } => {
                    if sender.on_ack(session, offset, now) == Acked::Unknown {
                        up.send(now, Up::Unknown { session }, choose);
                    }
                }
            }
        }
        // The core device.
        while let Some(frame) = up.receive(now) {
            match frame {
                Up::Data { session, offset, bytes } => {
                    let fresh = receiver.accept(session, offset, &bytes, now);
                    for byte in fresh {
                        assert_eq!(*byte, byte_of(session, expected), "byte {expected}");
                        expected = expected.wrapping_add(1);
                    }
                    delivered += fresh.len() as u64;
                    if !fresh.is_empty() {
                        last_progress = now;
                    }
                }
                Up::Unknown { session } => receiver.on_unknown(session),
            }
        }
        let mut new_session = None;
        while let Some(say) = receiver.poll(now, || *new_session.insert(choose.below(u32::MAX))) {
            down.send(now, say, choose);
        }
        if new_session.is_some() {
            (sessions, expected) = (sessions + 1, 0);
        }
        assert!(receiver.deadline() > now);
        if hostile && choose.one_in(20) {
            let any = choose.below(u32::MAX);
            let near = expected.wrapping_add(choose.below(16384)).wrapping_sub(8192);
            match choose.below(5) {
                0 => drop(sender.on_ack(said, any, now)),
                1 => drop(sender.on_ack(said, near, now)),
                2 => assert_eq!(sender.on_ack(!said, any, now), Acked::Unknown),
                3 => receiver.on_unknown(any),
                _ => assert!(receiver.accept(!said, near, &[1, 2, 3], now).is_empty()),
            }
        }
        // A satellite that was reset knows no session.
        if hostile && choose.one_in(5000) {
            sender.close();
            assert!(sender.segment(now).is_none() && sender.deadline().is_none());
        }
        assert!(now - last_progress < 60_000_000, "nothing comes through any more");
    }
    Outcome { sessions, bytes: delivered, time: now, frames: up.carried }
}
