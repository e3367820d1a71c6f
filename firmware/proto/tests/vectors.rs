//! Every message against the shared vectors, also when it arrives in pieces.

#[path = "../../testing/vectors.rs"]
mod vectors;

use corelog_proto::mgmt::{self, Debug, Limits, Request, Subscribe};
use corelog_proto::session::{self, Bad, Check, Op, Program};
use corelog_proto::{stream, Parsed};
use serde_json::{json, Value};
use vectors::{bytes, entries, load, unhex};

const LIMITS: Limits = Limits { value: 65536, image: 16 << 20 };
const WAIT: i64 = 960_000_000;

/// Gives a parser every beginning of `bytes`: it must ask for more, and never for more than there will be.
fn whole<'a, T, E: std::fmt::Debug>(bytes: &'a [u8], parse: impl Fn(&'a [u8]) -> Result<Parsed<T>, E>) -> (T, usize) {
    for length in 0..=bytes.len() {
        match parse(&bytes[..length]).expect("valid") {
            Parsed::Item(item, used) => {
                assert_eq!(used, length, "complete, but not told so");
                return (item, used);
            }
            Parsed::Needs(needs) => assert!(needs > length && needs <= bytes.len(), "{needs} of {}", bytes.len()),
        }
    }
    panic!("never complete");
}

fn subscribe(request: Subscribe<'_>) -> Value {
    let from = match request.from {
        mgmt::From::Now => "now",
        mgmt::From::Oldest => "oldest",
        mgmt::From::Cursors => "cursors",
    };
    let cursors: Vec<Value> = request
        .cursors()
        .map(|c| json!({"origin": c.origin, "boot_id": c.boot_id, "seq": c.seq, "retained": c.retained}))
        .collect();
    json!({"from": from, "min_level": request.min_level, "cursors": cursors})
}

fn described(request: Request<'_>) -> (&'static str, Value) {
    match request {
        Request::GetLog => ("GetLog", json!({})),
        Request::ClearLog => ("ClearLog", json!({})),
        Request::Reboot => ("Reboot", json!({})),
        Request::PullLog => ("PullLog", json!({})),
        Request::DebugAllocator => ("DebugAllocator", json!({})),
        Request::Flash { length } => ("Flash", json!({"length": length})),
        Request::ConfigRead { key } => ("ConfigRead", json!({"key": key})),
        Request::ConfigWrite { key, length } => ("ConfigWrite", json!({"key": key, "length": length})),
        Request::ConfigRemove { key } => ("ConfigRemove", json!({"key": key})),
        Request::ConfigErase => ("ConfigErase", json!({})),
        Request::Identify => ("Identify", json!({})),
        Request::Subscribe(request) => ("Subscribe", subscribe(request)),
        Request::Debug(Debug::Panic) => ("DebugPanic", json!({})),
        Request::Debug(Debug::Flood { level, body_length, count, warn_every, interval }) => (
            "DebugFlood",
            json!({"level": level, "body_length": body_length, "count": count, "warn_every": warn_every,
                "interval": interval}),
        ),
        Request::Debug(Debug::Measure { count }) => ("DebugMeasure", json!({"count": count})),
        Request::Malformed(why) => ("Malformed", json!(why)),
    }
}

#[test]
fn management_requests_parse_in_pieces() {
    let file = load("mgmt.json");
    for entry in entries(&file, "requests") {
        let bytes = bytes(entry);
        let announced = entry["announced"].as_u64().expect("announced") as usize;
        let bytes = &bytes[..bytes.len() - announced];
        let (request, _) = whole(bytes, |received| mgmt::request(received, &LIMITS));
        if let Request::Subscribe(request) = request {
            let wanted: Vec<u64> = entry["fields"]["origins"]
                .as_array()
                .expect("origins")
                .iter()
                .map(|o| o.as_u64().expect("u8"))
                .collect();
            for origin in 0..=255u8 {
                assert_eq!(request.wants(origin), wanted.is_empty() || wanted.contains(&origin.into()));
                assert_eq!(request.cursor(origin), request.cursors().find(|cursor| cursor.origin == origin));
            }
        }
        let (name, mut fields) = described(request);
        if let Some(origins) = entry["fields"].get("origins") {
            fields["origins"] = origins.clone();
        }
        assert_eq!(
            (name, &fields),
            (entry["request"].as_str().expect("request"), &entry["fields"]),
            "{}",
            entry["name"]
        );
    }
}

#[test]
fn malformed_management_requests_are_taken_whole() {
    let file = load("mgmt.json");
    for entry in entries(&file, "malformed_requests") {
        let bytes = bytes(entry);
        let (request, _) = whole(&bytes, |received| mgmt::request(received, &LIMITS));
        assert!(matches!(request, Request::Malformed(_)), "{}: {request:?}", entry["name"]);
    }
}

#[test]
fn bad_management_requests_are_errors() {
    let file = load("mgmt.json");
    for entry in entries(&file, "bad_requests") {
        let error = mgmt::request(&bytes(entry), &LIMITS).expect_err(entry["name"].as_str().expect("name"));
        let (name, fields) = match error {
            mgmt::Error::BadMagic => ("BadMagic", json!({})),
            mgmt::Error::UnknownCode(code) => ("UnknownCode", json!({"code": code})),
            mgmt::Error::TooLong { field, length, .. } => ("TooLong", json!({"field": field, "length": length})),
            mgmt::Error::BadUtf8 => ("BadUtf8", json!({})),
        };
        assert_eq!((name, &fields), (entry["error"].as_str().expect("error"), &entry["fields"]), "{}", entry["name"]);
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn handshakes_parse_in_pieces_and_bad_ones_fail_at_the_first_wrong_byte() {
    let file = load("mgmt.json");
    for entry in entries(&file, "handshakes") {
        let (destination, _) = whole(&bytes(entry), mgmt::handshake);
        assert_eq!(u64::from(destination), entry["destination"]);
        assert_eq!(unhex(&entry["reply"]), [mgmt::ENDIANNESS]);
    }
    for entry in entries(&file, "bad_handshakes") {
        assert_eq!(mgmt::handshake(&bytes(entry)), Err(mgmt::Error::BadMagic), "{}", entry["name"]);
    }
    let file = load("session.json");
    for entry in entries(&file, "handshakes") {
        whole(&bytes(entry), session::handshake);
        assert_eq!(unhex(&entry["reply"]), [session::ENDIANNESS]);
    }
    for entry in entries(&file, "bad_handshakes") {
        assert_eq!(session::handshake(&bytes(entry)), Err(session::Error::BadMagic), "{}", entry["name"]);
    }
}

#[test]
fn management_replies_encode() {
    let file = load("mgmt.json");
    let number = |entry: &Value, field: &str| entry["fields"][field].as_u64().expect("number");
    for entry in entries(&file, "replies") {
        let encoded = match entry["reply"].as_str().expect("reply") {
            "Success" => vec![mgmt::SUCCESS],
            "RebootImminent" => vec![mgmt::REBOOT_IMMINENT],
            "Error" => vec![mgmt::ERROR],
            "LogContent" => {
                let text = entry["fields"]["text"].as_str().expect("text");
                [&mgmt::log_content(text.len() as u32)[..], text.as_bytes()].concat()
            }
            "ConfigData" => {
                let value = unhex(&entry["fields"]["value"]);
                [&mgmt::config_data(value.len() as u32)[..], &value].concat()
            }
            "Identify" => {
                let identity = mgmt::Identity {
                    board_id: number(entry, "board_id"),
                    boot_id: number(entry, "boot_id"),
                    uptime: number(entry, "uptime"),
                    capabilities: number(entry, "capabilities") as u32,
                    gateware: entry["fields"]["gateware"].as_str().expect("gateware"),
                    firmware: entry["fields"]["firmware"].as_str().expect("firmware"),
                };
                let mut out = vec![0; bytes(entry).len()];
                assert_eq!(identity.encode(&mut out[1..]), None, "does not fit");
                assert_eq!(identity.encode(&mut out), Some(bytes(entry).len()));
                out
            }
            "Unavailable" => continue, // never sent by us
            other => panic!("{other}"),
        };
        assert_eq!(encoded, bytes(entry), "{}", entry["name"]);
    }
}

#[test]
fn capability_bits_are_in_order() {
    use mgmt::capability::{DEBUG, DRTIO, SESSION, SUBSCRIBE};
    assert_eq!([SUBSCRIBE, DEBUG, SESSION, DRTIO], [1, 2, 4, 8]);
}

fn frame_value(frame: stream::Frame<'_>) -> (Value, Option<Vec<u8>>) {
    use stream::Frame;
    match frame {
        Frame::Header(h) => (
            json!({"kind": "header", "version": stream::VERSION, "unknown_boot": h.unknown_boot,
                "cursor_ahead": h.cursor_ahead, "boot_id": h.boot_id, "time": h.time, "oldest_seq": h.oldest_seq,
                "next_seq": h.next_seq}),
            Some(h.encode().to_vec()),
        ),
        Frame::Loss(l) => (
            json!({"kind": "loss", "origin": l.origin, "exact": l.exact, "first": l.first, "count": l.count,
                "retained": l.retained}),
            Some(l.encode().to_vec()),
        ),
        Frame::Boot(b) => {
            let mut value = json!({"kind": "boot", "origin": b.origin, "previous": b.previous, "panicked": b.panicked,
                "boot_id": b.boot_id, "oldest_seq": b.oldest_seq, "next_seq": b.next_seq, "start_seq": b.start_seq,
                "retained": b.retained});
            if b.unknown_boot {
                value["unknown_boot"] = true.into(); // the oldest vectors do not know this flag
            }
            (value, Some(b.encode().to_vec()))
        }
        Frame::Heartbeat(h) => (
            json!({"kind": "heartbeat", "origin": h.origin, "time": h.time, "next_seq": h.next_seq}),
            Some(h.encode().to_vec()),
        ),
        Frame::Clock(c) => (
            json!({"kind": "clock", "origin": c.origin, "uncertainty": c.uncertainty, "time": c.time,
                "counter": c.counter, "unit_fs": c.unit_fs}),
            Some(c.encode().to_vec()),
        ),
        Frame::Record(bytes) => (json!({"kind": "record"}), Some(bytes.to_vec())),
        Frame::Unknown(number) => (json!({"kind": "unknown", "number": number}), None),
    }
}

#[test]
fn stream_frames_parse_in_pieces_and_encode() {
    let file = load("stream.json");
    for entry in entries(&file, "frames") {
        let bytes = bytes(entry);
        let (frame, _) = whole(&bytes, stream::frame);
        let (value, encoded) = frame_value(frame);
        for (field, value) in value.as_object().expect("object") {
            assert_eq!(value, &entry[field], "{}: {field}", entry["name"]);
        }
        if let Some(encoded) = encoded {
            assert_eq!(encoded, bytes, "{}", entry["name"]);
        }
    }
}

#[test]
fn streams_parse_frame_by_frame() {
    for entry in entries(&load("stream.json"), "streams") {
        let bytes = bytes(entry);
        let (mut at, mut kinds) = (0, vec![]);
        while at < bytes.len() {
            match stream::frame(&bytes[at..]).expect("valid") {
                Parsed::Item(frame, used) => {
                    kinds.push(frame_value(frame).0["kind"].clone());
                    at += used;
                }
                Parsed::Needs(_) => panic!("{}: cut", entry["name"]),
            }
        }
        assert_eq!(Value::from(kinds), entry["kinds"], "{}", entry["name"]);
    }
}

#[test]
fn origin_is_set_in_records_and_losses_of_a_stream() {
    for entry in entries(&load("stream.json"), "streams") {
        let mut frames = bytes(entry);
        stream::set_origin(&mut frames, 7);
        let mut at = 0;
        while let Ok(Parsed::Item(frame, used)) = stream::frame(&frames[at..]) {
            match frame {
                stream::Frame::Record(bytes) => assert_eq!(bytes[32], 7),
                stream::Frame::Loss(loss) => assert_eq!(loss.origin, 7),
                _ => {}
            }
            at += used;
        }
        assert_eq!(at, frames.len());
        stream::set_origin(&mut frames, 0);
        assert_eq!(frames, bytes(entry), "{}: changed something else", entry["name"]);
    }
    stream::set_origin(&mut [1, 3, 0, 0, 2], 7);
    stream::set_origin(&mut [1, 3, 255, 255, 2], 7);
}

#[test]
fn frames_of_wrong_length_are_errors() {
    for bytes in [
        [1, 3, 36, 0],
        [2, 0, 28, 0],
        [3, 0, 40, 0],
        [4, 0, 32, 0],
        [5, 0, 28, 0],
        [0x41, 1, 0, 0],
        [9, 0, 3, 0],
        [9, 0, 7, 0],
    ] {
        assert!(stream::frame(&bytes).is_err(), "{bytes:?}");
    }
}

fn op_value(op: Op) -> Value {
    match op {
        Op::Reset { slack } => json!(["Reset", slack]),
        Op::BreakRealtime { slack } => json!(["BreakRealtime", slack]),
        Op::At(time) => json!(["At", time]),
        Op::Delay(duration) => json!(["Delay", duration]),
        Op::Output { target, data } => json!(["Output", target, data]),
        Op::Input { channel, duration } => json!(["Input", channel, duration]),
        Op::Count { channel, duration } => json!(["Count", channel, duration]),
        Op::Now => json!(["Now"]),
        Op::Counter => json!(["Counter"]),
    }
}

#[test]
fn programs_are_checked_and_iterated() {
    for entry in entries(&load("session.json"), "programs") {
        let code = bytes(entry);
        // The longest Input of the vectors reaches 2^40 mu ahead.
        let program = Program::check(&code, 1 << 40, 7).unwrap_or_else(|error| panic!("{}: {error}", entry["name"]));
        let (mut check, mut steps) = (Check::new(&code, 1 << 40, 7), 1);
        while check.step(1).expect("sound").is_none() {
            steps += 1;
        }
        assert_eq!(steps, program.ops().count().max(1), "one operation at a time");
        assert_eq!(u64::from(program.results()), entry["results"]);
        assert_eq!(Value::from(program.ops().map(op_value).collect::<Vec<_>>()), entry["ops"], "{}", entry["name"]);
    }
}

#[test]
fn bad_programs_are_refused_with_the_operation_at_fault() {
    for entry in entries(&load("session.json"), "bad_programs") {
        let code = bytes(entry);
        let error = Program::check(&code, WAIT, 100).expect_err(entry["name"].as_str().expect("name"));
        let reason = match error.reason {
            Bad::Operation(_) => "operation",
            Bad::Cut => "cut",
            Bad::Wait { .. } => "wait",
            Bad::Results { .. } => "results",
        };
        assert_eq!((json!(error.index), json!(reason)), (entry["index"].clone(), entry["reason"].clone()));
        assert!(error.to_string().starts_with(&format!("operation {}: ", error.index)));
    }
    let error = Program::check(&[8, 8, 8], WAIT, 2).expect_err("too many results");
    assert_eq!((error.index, error.reason), (2, Bad::Results { limit: 2 }));
}

#[test]
fn session_requests_parse_in_pieces() {
    let file = load("session.json");
    for entry in entries(&file, "requests") {
        let bytes = bytes(entry);
        let announced = entry["announced"].as_u64().expect("announced") as usize;
        let (request, _) = whole(&bytes[..bytes.len() - announced], |received| session::request(received, 65536));
        let expected = match entry["request"].as_str().expect("request") {
            "Hello" => session::Request::Hello,
            _ => session::Request::Run { length: announced as u32 },
        };
        assert_eq!(request, expected, "{}", entry["name"]);
    }
    for entry in entries(&file, "bad_requests") {
        let error = session::request(&bytes(entry), 65536).expect_err(entry["name"].as_str().expect("name"));
        let name = match error {
            session::Error::BadMagic => "BadMagic",
            session::Error::UnknownCode(_) => "UnknownCode",
            session::Error::Reserved => "Reserved",
            session::Error::TooLong { .. } => "TooLong",
            session::Error::NotEmpty { .. } => "NotEmpty",
        };
        assert_eq!(name, entry["error"].as_str().expect("error"), "{}", entry["name"]);
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn session_replies_encode() {
    let file = load("session.json");
    for entry in entries(&file, "replies") {
        let number = |field: &str| entry["fields"][field].as_u64().expect("number");
        let encoded = match entry["reply"].as_str().expect("reply") {
            "Hello" => session::Hello {
                mu_per_coarse: number("mu_per_coarse") as u32,
                machine_unit_fs: number("machine_unit_fs"),
                channels: number("channels") as u32,
                longest_program: number("longest_program") as u32,
                counter: number("counter"),
            }
            .encode()
            .to_vec(),
            "Done" => {
                let results: Vec<u64> =
                    entry["fields"]["results"].as_array().expect("results").iter().filter_map(Value::as_u64).collect();
                let done = session::Done {
                    cursor: number("cursor"),
                    counter: number("counter"),
                    async_errors: number("async_errors") as u32,
                    results: results.len() as u32,
                };
                let results: Vec<u8> = results.iter().flat_map(|result| result.to_le_bytes()).collect();
                [&done.encode()[..], &results].concat()
            }
            "Exception" => session::Exception {
                kind: match number("kind") {
                    1 => session::ExceptionKind::Underflow,
                    2 => session::ExceptionKind::Overflow,
                    _ => session::ExceptionKind::Unreachable,
                },
                channel: number("channel") as u32,
                timestamp: number("timestamp"),
                slack: entry["fields"]["slack"].as_i64().expect("slack"),
                index: number("index") as u32,
            }
            .encode()
            .to_vec(),
            "Error" => {
                let text = entry["fields"]["text"].as_str().expect("text");
                [&session::error(text.len() as u32)[..], text.as_bytes()].concat()
            }
            other => panic!("{other}"),
        };
        assert_eq!(encoded, bytes(entry), "{}", entry["name"]);
    }
}
