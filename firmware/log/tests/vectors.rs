//! The record frame, the loss frame and the text form against the shared vectors.

#[path = "../../testing/vectors.rs"]
mod vectors;

use corelog_log::text::{write_line, write_loss_line};
use corelog_log::{checksum, Cursor, Invalid, Item, Level, Loss, Record, Ring, Written};
use serde_json::Value;
use vectors::{bytes, entries, load};

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().expect("whole words"))).collect()
}

fn records(file: &Value) -> Vec<Value> {
    entries(file, "frames").iter().filter(|frame| frame["kind"] == "record").cloned().collect()
}

#[test]
fn record_frames_parse_to_their_fields() {
    for entry in records(&load("stream.json")) {
        let words = words(&bytes(&entry));
        let record = Record::parse(&words).unwrap_or_else(|error| panic!("{}: {error:?}", entry["name"]));
        assert_eq!(u64::from(checksum(&words)), entry["checksum"], "{}", entry["name"]);
        assert_eq!(record.bytes(), bytes(&entry));
        assert_eq!(record.level() as u64, entry["level"]);
        assert_eq!(record.seq(), entry["seq"]);
        assert_eq!(record.time(), entry["time"]);
        assert_eq!(u64::from(record.retained()), entry["retained"]);
        assert_eq!(u64::from(record.repeat()), entry["repeat"]);
        assert_eq!(u64::from(record.origin()), entry["origin"]);
        assert_eq!(u64::from(record.encoding()), entry["encoding"]);
        assert_eq!(record.truncated(), entry["truncated"]);
        assert_eq!(record.target(), entry["target"].as_str().expect("target").as_bytes());
        assert_eq!(record.body(), entry["body"].as_str().expect("body").as_bytes());
    }
}

#[test]
fn damaged_record_frames_are_refused() {
    for entry in entries(&load("stream.json"), "damaged_records") {
        let expected = match entry["why"].as_str().expect("why") {
            "short" => Invalid::Short,
            "malformed" => Invalid::Malformed,
            "checksum" => Invalid::Checksum,
            other => panic!("{other}"),
        };
        assert_eq!(Record::parse(&words(&bytes(entry))).err(), Some(expected), "{}", entry["name"]);
    }
}

/// Brings a ring to where its next record has the number and the count of errors that the vector has.
fn written(entry: &Value) -> Option<Vec<u8>> {
    let (seq, retained) = (entry["seq"].as_u64()?, entry["retained"].as_u64()?);
    let level = Level::from_u8(entry["level"].as_u64()? as u8)?;
    let (target, body) = (entry["target"].as_str()?, entry["body"].as_str()?);
    let local = entry["origin"] == 0 && entry["encoding"] == 0 && seq < 1000;
    if !local {
        return None;
    }
    let repeats = entry["repeat"].as_u64()?;
    let mut memory = vec![0; 8192];
    let mut ring = Ring::new(&mut memory, 1, 1).expect("large enough");
    let before = seq - u64::from(repeats != 0);
    let retained = retained - u64::from(repeats != 0 && level.is_retained());
    for n in 0..before {
        let level = if n < retained { Level::Warn } else { Level::Info };
        ring.write(n, level, "fill", format_args!("{n}"));
    }
    // A truncated vector is what is left of a longer text.
    let longer = if entry["truncated"] == true { "x" } else { "" };
    for _ in 0..=repeats {
        ring.write(entry["time"].as_u64()?, level, target, format_args!("{body}{longer}"));
    }
    ring.flush_repeats();
    match ring.read(&mut Cursor::new(seq, None)) {
        Item::Record(record) => Some(record.bytes().to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ring_writes_the_frames_of_the_vectors() {
    let frames = load("stream.json");
    let mut compared = 0;
    for entry in records(&frames) {
        if let Some(frame) = written(&entry) {
            assert_eq!(frame, bytes(&entry), "{}", entry["name"]);
            compared += 1;
        }
    }
    assert!(compared >= 10, "only {compared} compared");
}

fn loss(entry: &Value) -> Loss {
    let number = |field: &str| entry[field].as_u64().expect("number");
    let exact = entry["exact"].as_bool().expect("exact");
    Loss { first: number("first"), count: number("count"), retained: number("retained"), exact }
}

#[test]
fn loss_frames_are_as_in_the_vectors() {
    let frames = load("stream.json");
    let losses: Vec<_> =
        entries(&frames, "frames").iter().filter(|frame| frame["kind"] == "loss" && frame["origin"] == 0).collect();
    assert!(!losses.is_empty());
    for entry in losses {
        assert_eq!(loss(entry).frame().to_vec(), bytes(entry), "{}", entry["name"]);
    }
}

#[test]
fn text_lines_are_as_in_the_vectors() {
    let file = load("log_text.json");
    for entry in entries(&file, "lines") {
        let words = words(&bytes(entry));
        let record = Record::parse(&words).unwrap_or_else(|error| panic!("{}: {error:?}", entry["name"]));
        let mut line = String::new();
        write_line(&mut line, entry["mark"].as_str().expect("mark"), &record).expect("a String takes everything");
        assert_eq!(line, entry["text"].as_str().expect("text"), "{}", entry["name"]);
    }
    for entry in entries(&file, "loss_lines") {
        let mut line = String::new();
        let time = entry["time"].as_u64().expect("time");
        write_loss_line(&mut line, entry["mark"].as_str().expect("mark"), time, &loss(entry)).expect("a String");
        assert_eq!(line, entry["text"].as_str().expect("text"), "{}", entry["name"]);
    }
}

#[test]
fn level_numbers_and_names_agree() {
    for level in Level::ALL {
        assert_eq!(Level::from_u8(level as u8), Some(level));
        assert!(!level.name().is_empty());
    }
    assert_eq!((Level::from_u8(0), Level::from_u8(6)), (None, None));
    let mut memory = vec![0; 2000];
    let mut ring = Ring::new(&mut memory, 1, 1).expect("large enough");
    assert_eq!(ring.write(0, Level::Info, "t", format_args!("m")), Written::Record);
}
