use std::fmt::Debug;

use corelog_log::Record;
use corelog_proto::aux::call::{self, Reply, Request};
use corelog_proto::aux::{self, Packet};
use corelog_proto::mgmt::{self, Limits};
use corelog_proto::session::{self, Op, Program};
use corelog_proto::stream::{self, Frame};
use corelog_proto::Parsed;

/// Parses the start of `data`; what comes in pieces must give the same as what comes at once.
fn parse<'a, T, E>(data: &'a [u8], parser: impl Fn(&'a [u8]) -> Result<Parsed<T>, E>) -> Option<(T, usize)>
where
    T: PartialEq + Debug,
    E: PartialEq + Debug,
{
    let whole = parser(data);
    let mut length = 0;
    // No more rounds than the parser asks for.
    let pieces = loop {
        match parser(&data[..length]) {
            Ok(Parsed::Needs(needs)) => {
                assert!(needs > length, "asks for what it has");
                if needs > data.len() {
                    break parser(data); // wrong bytes may be told before the rest has come
                }
                length = needs;
            }
            other => break other,
        }
    };
    match (whole, pieces) {
        (Ok(Parsed::Item(item, used)), Ok(Parsed::Item(same, same_used))) => {
            assert_eq!((&item, used), (&same, same_used));
            assert!(used <= data.len());
            Some((item, used))
        }
        (Ok(Parsed::Needs(a)), Ok(Parsed::Needs(b))) => {
            assert!(a > data.len() && b > data.len());
            None
        }
        (Err(error), Err(same)) => {
            assert_eq!(error, same);
            None
        }
        (whole, pieces) => panic!("{whole:?}, but in pieces {pieces:?}"),
    }
}

/// A management connection: handshake, then requests with the fields they announce.
pub fn management(data: &[u8]) {
    let limits = Limits { value: 300, image: 1000 };
    let mut at = parse(data, mgmt::handshake).map_or(0, |(_, used)| used);
    while let Some((request, used)) = data.get(at..).and_then(|rest| parse(rest, |rest| mgmt::request(rest, &limits))) {
        at += used;
        match request {
            mgmt::Request::ConfigWrite { key, length } => {
                assert!(key.len() <= mgmt::MAX_KEY && length <= limits.value);
                at += length as usize;
            }
            mgmt::Request::Flash { length } => {
                assert!(length <= limits.image);
                at += length as usize;
            }
            mgmt::Request::Subscribe(request) => {
                assert!((1..=5).contains(&request.min_level));
                assert!(used <= mgmt::MAX_REQUEST);
                for cursor in request.cursors() {
                    assert_eq!(request.cursor(cursor.origin).map(|first| first.origin), Some(cursor.origin));
                }
            }
            _ => {}
        }
    }
}

/// A session connection, and all the bytes as a program.
pub fn session(data: &[u8]) {
    let mut at = parse(data, session::handshake).map_or(0, |(_, used)| used);
    while let Some((request, used)) = data.get(at..).and_then(|rest| parse(rest, |rest| session::request(rest, 500))) {
        at += used;
        if let session::Request::Run { length } = request {
            at += length as usize;
        }
    }
    match Program::check(data, 1_000_000, 40) {
        Ok(program) => {
            let results: u32 = program.ops().map(|op| op.results()).sum();
            assert_eq!(results, program.results());
            assert!(results <= 40);
            let allowed =
                |op| !matches!(op, Op::Input { duration, .. } | Op::Count { duration, .. } if duration > 1_000_000);
            assert!(program.ops().all(allowed));
            // The shortest operation is a byte, the longest 13.
            assert!(program.ops().count() <= data.len() && program.ops().count() * 13 >= data.len());
        }
        Err(error) => assert!((error.index as usize) < data.len()),
    }
}

/// A subscription's stream, with the records in it.
pub fn stream(data: &[u8]) {
    let mut at = 0;
    while let Some((frame, used)) = parse(&data[at..], stream::frame) {
        let bytes = &data[at..at + used];
        at += used;
        match frame {
            Frame::Record(record) => {
                assert_eq!(record, bytes);
                let words: Vec<u32> =
                    record.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
                if let Ok(record) = Record::parse(&words) {
                    assert_eq!(record.bytes(), bytes);
                    assert!(40 + record.target().len() + record.body().len() <= bytes.len());
                }
            }
            // Flags of later versions are not kept.
            Frame::Loss(loss) => assert_eq!(loss.encode()[8..], bytes[8..]),
            Frame::Boot(boot) => assert_eq!(boot.encode()[8..], bytes[8..]),
            Frame::Heartbeat(heartbeat) => assert_eq!(heartbeat.encode()[8..], bytes[8..]),
            Frame::Clock(clock) => assert_eq!(clock.encode(), bytes),
            Frame::Header(header) => assert_eq!(header.encode()[8..], bytes[8..]),
            Frame::Unknown(_) => {}
        }
    }
}

/// An aux frame, and its fields as a call and as a reply.
pub fn aux_frame(data: &[u8]) {
    let mut out = [0; aux::MAX_FRAME];
    if let Ok(packet) = Packet::decode(data) {
        assert!(aux::route(data).is_some());
        let length = packet.encode(&mut out).expect("a packet received can be sent");
        assert_eq!(length, data.len());
        assert_eq!(Packet::decode(&out[..length]), Ok(packet));
    }
    if let Ok(request) = Request::decode(data) {
        let length = request.encode(&mut out).expect("a request received can be sent");
        assert_eq!(Request::decode(&out[..length]), Ok(request));
    }
    if let Ok(reply) = Reply::decode(data) {
        let length = reply.encode(&mut out).expect("a reply received can be sent");
        assert_eq!(out[..length], *data);
    }
    if let Some((key, value)) = call::config_write(data) {
        assert_eq!(key.len() + value.len() + 8, data.len());
    }
}
