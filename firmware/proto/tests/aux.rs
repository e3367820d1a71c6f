//! Aux frames and the packets inside calls against the shared vectors.

#[path = "../../testing/vectors.rs"]
mod vectors;

use corelog_proto::aux::call::{self, Reply, Request, What};
use corelog_proto::aux::{self, crc32, Error, Packet, Route};
use corelog_proto::mgmt::Debug;
use serde_json::{json, Value};
use vectors::{load, unhex};

fn entries(list: &str) -> Vec<Value> {
    vectors::entries(&load("aux.json"), list).clone()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The frame with its CRC, as the gateware sends it.
fn sent(packet: &Packet<'_>) -> Vec<u8> {
    let mut frame = [0xee; aux::MAX_FRAME + 8];
    let length = packet.encode(&mut frame).expect("room");
    let crc = crc32(&frame[..length - 4]).to_le_bytes();
    frame[length - 4..length].copy_from_slice(&crc);
    assert!(frame[length..].iter().all(|&byte| byte == 0xee), "wrote behind the frame");
    for short in 0..length {
        assert_eq!(packet.encode(&mut frame[..short].to_vec()), None);
    }
    frame[..length].to_vec()
}

fn described(packet: Packet<'_>) -> (&'static str, Value) {
    match packet {
        Packet::EchoRequest => ("EchoRequest", json!({})),
        Packet::EchoReply => ("EchoReply", json!({})),
        Packet::ResetRequest => ("ResetRequest", json!({})),
        Packet::ResetAck => ("ResetAck", json!({})),
        Packet::TscAck => ("TSCAck", json!({})),
        Packet::RoutingSetPath { destination, hops } => {
            ("RoutingSetPath", json!({"destination": destination, "hops": hex(hops)}))
        }
        Packet::RoutingSetRank { rank } => ("RoutingSetRank", json!({ "rank": rank })),
        Packet::RoutingAck => ("RoutingAck", json!({})),
        Packet::LogOpen { destination, session, cursor } => {
            let cursor = cursor.map(|c| json!({"boot_id": c.boot_id, "seq": c.seq, "retained": c.retained}));
            ("LogOpen", json!({"destination": destination, "session": session, "cursor": cursor}))
        }
        Packet::LogData { destination, session, offset, bytes } => {
            ("LogData", json!({"destination": destination, "session": session, "offset": offset, "bytes": hex(bytes)}))
        }
        Packet::LogAck { destination, session, offset } => {
            ("LogAck", json!({"destination": destination, "session": session, "offset": offset}))
        }
        Packet::LogUnknown { destination, session } => {
            ("LogUnknown", json!({"destination": destination, "session": session}))
        }
        Packet::Call { destination, number, packet } => {
            ("Call", json!({"destination": destination, "number": number, "packet": hex(packet)}))
        }
        Packet::CallReply { destination, number, packet } => {
            ("CallReply", json!({"destination": destination, "number": number, "packet": hex(packet)}))
        }
        Packet::Unreachable { destination, number, rank } => {
            ("Unreachable", json!({"destination": destination, "number": number, "rank": rank}))
        }
    }
}

#[test]
fn frames_decode_and_encode_byte_for_byte() {
    for entry in entries("frames") {
        let bytes = unhex(&entry["hex"]);
        let packet = Packet::decode(&bytes).unwrap_or_else(|error| panic!("{}: {error:?}", entry["name"]));
        let (name, fields) = described(packet);
        assert_eq!((json!(name), &fields), (entry["packet"].clone(), &entry["fields"]), "{}", entry["name"]);
        assert_eq!(hex(&sent(&packet)), hex(&bytes), "{}", entry["name"]);
        let route = match aux::route(&bytes) {
            Some(Route::Neighbour) => json!("neighbour"),
            Some(Route::Destination(destination)) => json!(["destination", destination]),
            Some(Route::Upstream(destination)) => json!(["upstream", destination]),
            None => json!(null),
        };
        assert_eq!(route, entry["route"], "{}", entry["name"]);
        // A frame whose end is missing is none. (Zeros of a longer padding are told by the length.)
        for length in 0..bytes.len() {
            assert!(Packet::decode(&bytes[..length]).is_err(), "{} cut to {length}", entry["name"]);
        }
    }
}

#[test]
fn crc_is_that_of_captured_frames() {
    for entry in entries("crc") {
        let (frame, fields) = (unhex(&entry["hex"]), unhex(&entry["fields_hex"]));
        let (covered, crc) = frame.split_at(frame.len() - 4);
        assert!(covered.starts_with(&fields) && covered[fields.len()..].iter().all(|&byte| byte == 0));
        assert_eq!(covered.len() - fields.len(), (12 - fields.len() % 8) % 8);
        assert_eq!(crc32(covered).to_le_bytes(), crc, "{}", entry["name"]);
    }
}

fn kind_of(error: Error) -> &'static str {
    match error {
        Error::BadLength { .. } => "length",
        Error::UnknownId(_) => "id",
        Error::BadValue { .. } => "value",
    }
}

#[test]
fn bad_frames_are_refused() {
    for entry in entries("bad_frames") {
        let bytes = unhex(&entry["hex"]);
        let error = Packet::decode(&bytes).expect_err(entry["name"].as_str().expect("name"));
        assert_eq!(kind_of(error), entry["error"], "{}", entry["name"]);
    }
}

#[test]
fn what_is_longer_than_a_frame_is_not_encoded() {
    let (mut out, long) = ([0; 2000], [0; 70_000]);
    let data = |bytes| Packet::LogData { destination: 1, session: 1, offset: 0, bytes };
    assert_eq!(data(&long[..aux::MAX_LOG_BYTES]).encode(&mut out), Some(1024));
    assert_eq!(data(&long[..aux::MAX_LOG_BYTES + 1]).encode(&mut out), None);
    assert_eq!(data(&long).encode(&mut out), None);
    let inner = |packet| Packet::Call { destination: 1, number: 1, packet };
    assert_eq!(inner(&long[..aux::MAX_CALL]).encode(&mut out), Some(1024));
    assert_eq!(inner(&long[..aux::MAX_CALL + 1]).encode(&mut out), None);
    let part = |data| Request { destination: 1, what: What::ConfigWrite { last: true, data } };
    assert_eq!(part(&long[..call::MAX_REQUEST_DATA]).encode(&mut out), Some(aux::MAX_CALL));
    assert_eq!(part(&long[..call::MAX_REQUEST_DATA + 1]).encode(&mut out), None);
    let part = |data| Reply::ConfigRead { last: true, data };
    assert_eq!(part(&long[..call::MAX_REPLY_DATA]).encode(&mut out), Some(aux::MAX_CALL));
    assert_eq!(part(&long[..call::MAX_REPLY_DATA + 1]).encode(&mut out), None);
}

fn request(request: Request<'_>) -> (&'static str, Value) {
    let destination = request.destination;
    let part = |last: bool, data: &[u8]| json!({"destination": destination, "last": last, "data": hex(data)});
    let plain = json!({ "destination": destination });
    match request.what {
        What::DestinationStatus => ("DestinationStatus", plain),
        What::ConfigRead { key } => ("ConfigRead", json!({"destination": destination, "key": key})),
        What::ConfigReadContinue => ("ConfigReadContinue", plain),
        What::ConfigWrite { last, data } => ("ConfigWrite", part(last, data)),
        What::ConfigRemove { key } => ("ConfigRemove", json!({"destination": destination, "key": key})),
        What::ConfigErase => ("ConfigErase", plain),
        What::Reboot => ("Reboot", plain),
        What::AllocatorDebug => ("AllocatorDebug", plain),
        What::Flash { length } => ("Flash", json!({"destination": destination, "length": length})),
        What::FlashAddData { last, data } => ("FlashAddData", part(last, data)),
        What::Identify => ("Identify", plain),
        What::Debug(Debug::Panic) => ("Debug", json!({"destination": destination, "debug": "panic"})),
        What::Debug(Debug::Flood { level, body_length, count, warn_every, interval }) => (
            "Debug",
            json!({"destination": destination, "debug": "flood", "level": level, "body_length": body_length,
                "count": count, "warn_every": warn_every, "interval": interval}),
        ),
        What::Debug(Debug::Measure { count }) => {
            ("Debug", json!({"destination": destination, "debug": "measure", "count": count}))
        }
        What::ChannelNames { last, data } => ("ChannelNames", part(last, data)),
        What::RtioReset => ("RtioReset", plain),
    }
}

fn reply(reply: Reply<'_>) -> (&'static str, Value) {
    match reply {
        Reply::DestinationDown => ("DestinationDown", json!({})),
        Reply::DestinationOk => ("DestinationOk", json!({})),
        Reply::ConfigRead { last, data } => ("ConfigRead", json!({"last": last, "data": hex(data)})),
        Reply::Done { ok } => ("Done", json!({ "ok": ok })),
        Reply::Identify { data } => ("Identify", json!({"data": hex(data)})),
    }
}

#[test]
fn calls_and_replies_decode_and_encode_byte_for_byte() {
    for entry in entries("calls") {
        let bytes = unhex(&entry["hex"]);
        let mut out = [0; aux::MAX_CALL];
        let ((name, fields), length) = if entry["kind"] == "request" {
            let packet = Request::decode(&bytes).unwrap_or_else(|error| panic!("{}: {error:?}", entry["name"]));
            (request(packet), packet.encode(&mut out).expect("room"))
        } else {
            let packet = Reply::decode(&bytes).unwrap_or_else(|error| panic!("{}: {error:?}", entry["name"]));
            (reply(packet), packet.encode(&mut out).expect("room"))
        };
        assert_eq!((json!(name), &fields), (entry["packet"].clone(), &entry["fields"]), "{}", entry["name"]);
        assert_eq!(hex(&out[..length]), hex(&bytes), "{}", entry["name"]);
        for length in 0..bytes.len() {
            let cut = &bytes[..length];
            assert!(Request::decode(cut).is_err() && Reply::decode(cut).is_err(), "{} cut", entry["name"]);
        }
    }
}

#[test]
fn bad_calls_and_replies_are_refused() {
    for entry in entries("bad_calls") {
        let bytes = unhex(&entry["hex"]);
        let error =
            if entry["kind"] == "request" { Request::decode(&bytes).err() } else { Reply::decode(&bytes).err() };
        assert_eq!(error.map(kind_of), entry["error"].as_str(), "{}", entry["name"]);
    }
}

#[test]
fn parts_of_a_config_write_are_a_key_and_a_value() {
    assert_eq!(call::config_write(b"\x02\0\0\0ip\x01\0\0\0x"), Some(("ip", &b"x"[..])));
    assert_eq!(call::config_write(b"\x02\0\0\0ip\0\0\0\0"), Some(("ip", &b""[..])));
    for bad in [&b""[..], b"\x02\0\0\0i", b"\x02\0\0\0ip\x02\0\0\0x", b"\x02\0\0\0ip\x01\0\0\0xy", b"\xff\xff\xff\xff"]
    {
        assert_eq!(call::config_write(bad), None, "{bad:?}");
    }
    assert_eq!(call::config_write(b"\x01\0\0\0\xff\0\0\0\0"), None, "the key is not UTF-8");
}
