//! A naive model of the ring: every record ever written in a Vec, and what the ring may say about it.
//!
//! The model does not know how the ring uses its memory. What is kept is asked from the ring with a cursor that
//! remembers nothing, and must be, of each lane, the newest records and enough of them; every other reader must then
//! see exactly that. Driven by a [`Choices`]: random numbers in the tests, the fuzzer's bytes in `firmware/fuzz`.

mod epoch;
mod reading;
mod ready;

pub use epoch::boots;

use std::fmt;

use self::ready::READY;
use crate::choices::Choices;
use corelog_log::{
    Level, Record, Ring, Written, HEADER_BYTES, MAX_BODY, MAX_FRAME_BYTES, MAX_TARGET, REPEAT_WINDOW_US,
};

/// What a record must look like to a reader.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub seq: u64,
    pub time: u64,
    pub level: Level,
    pub retained: u64,
    pub repeat: u32,
    pub target: String,
    pub message_len: usize,
    pub body: String,
    pub truncated: bool,
}

impl Entry {
    pub fn check(&self, record: &Record<'_>) {
        assert!(Record::parse(record.words()).is_ok(), "checksum or lengths of {record:?}");
        let seen = Entry {
            seq: record.seq(),
            time: record.time(),
            level: record.level(),
            retained: self.retained,
            repeat: record.repeat(),
            target: String::from_utf8(record.target().into()).expect("target is UTF-8"),
            message_len: self.message_len,
            body: String::from_utf8(record.body().into()).expect("body is UTF-8"),
            truncated: record.truncated(),
        };
        assert_eq!(&seen, self);
        assert_eq!(record.retained(), self.retained as u32);
        assert_eq!((record.origin(), record.encoding()), (0, 0));
    }

    pub fn words(&self) -> usize {
        (HEADER_BYTES + self.target.len() + self.body.len()).div_ceil(4)
    }
}

/// How the ring divides its memory, by the rules its documentation gives.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub window: usize,
    pub normal: usize,
    pub retained: usize,
}

impl Sizes {
    pub fn of(words: usize) -> Sizes {
        let retained = (words - 18) / 4;
        let window = (MAX_FRAME_BYTES / 4).min(retained / 4);
        Sizes { window, normal: words - 18 - retained - window, retained }
    }
}

pub struct Model {
    pub sizes: Sizes,
    pub entries: Vec<Entry>,
    pub pending: Option<Entry>,
    pub pending_since: Option<u64>,
    pub time: u64,
    /// The newest of all writes, with which the next is compared.
    last: Option<Entry>,
}

/// A text given to the formatter in pieces, after which the formatting may fail.
struct Pieces<'a> {
    pieces: &'a [&'a str],
    fails: bool,
}

impl fmt::Display for Pieces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.pieces {
            f.write_str(piece)?;
        }
        if self.fails {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

const TARGETS: [&str; 6] = ["runtime", "runtime::rtio_mgt", "runtime::rtio", "", "k", "µ"];
const CHARACTERS: [&str; 5] = ["a", "0123456789", "µ", "€", "\u{1f600}"];

fn cut(text: &str, length: usize) -> &str {
    let mut end = length.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl Model {
    pub fn new(words: usize) -> Model {
        let sizes = Sizes::of(words);
        Model { sizes, entries: vec![], pending: None, pending_since: None, time: 0, last: None }
    }

    pub fn next_seq(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Errors and warnings among the records numbered `first` up to, not including, `end`.
    pub fn retained_in(&self, first: u64, end: u64) -> u64 {
        self.retained_before(end) - self.retained_before(first)
    }

    pub fn retained_before(&self, seq: u64) -> u64 {
        match self.entries.get(seq as usize) {
            Some(entry) => entry.retained,
            None => self.entries.last().map_or(0, |last| last.retained + u64::from(last.level.is_retained())),
        }
    }

    fn publish_pending(&mut self) {
        self.entries.extend(self.pending.take());
        self.pending_since = None;
    }

    pub fn flush(&mut self, ring: &mut Ring<'_>) {
        assert_eq!(ring.flush_repeats(), self.pending.is_some());
        self.publish_pending();
    }

    /// A record that lies ready, or begins with one.
    fn write_ready(&mut self, ring: &mut Ring<'_>, choose: &mut impl Choices) {
        let record = READY[choose.below(READY.len() as u32) as usize];
        let (time, mut text) = (self.time, record.text().to_owned());
        let written = match choose.below(3) {
            0 => {
                let number = choose.below(3);
                text = format!("number {number}");
                ring.write_formatted(time, record, format_args!("number {number}"))
            }
            _ => ring.write_fixed(time, record),
        };
        assert_eq!(written, self.expect(record.level(), record.target(), &text, "", false));
    }

    /// One random write, often a repetition, to ring and model.
    pub fn write(&mut self, ring: &mut Ring<'_>, choose: &mut impl Choices) {
        self.time += u64::from(choose.below(1000)) << choose.below(20);
        if choose.below(4) == 0 {
            return self.write_ready(ring, choose);
        }
        let (mut level, mut target) = (choose.one_of(Level::ALL), String::new());
        let mut message = String::new();
        match (&self.last, choose.below(8)) {
            (Some(last), 0..=2) => {
                (level, target) = (last.level, last.target.clone());
                message = last.body[..last.message_len].into();
                if choose.below(8) == 0 {
                    message.push('!');
                }
            }
            _ => {
                target.push_str(choose.one_of(TARGETS));
                if choose.below(50) == 0 {
                    target = target.repeat(60);
                }
                let most = choose.one_of([4, 40, 40, 100, 300, 3000]);
                let length = choose.below(most);
                for _ in 0..length {
                    message.push_str(choose.one_of(CHARACTERS));
                }
            }
        }
        let detail = choose.one_of(["", ", 0x12345678 mu", ", \u{1f600}"]);
        let fails = choose.below(40) == 0;
        let at = cut(&message, choose.below(message.len() as u32 + 1) as usize).len();
        let (pieces, time) = ([&message[..at], &message[at..]], self.time);
        let shown = Pieces { pieces: &pieces, fails };
        let written = if detail.is_empty() {
            ring.write(time, level, &target, format_args!("{shown}"))
        } else {
            ring.write_with_detail(time, level, &target, format_args!("{shown}"), format_args!("{}", detail))
        };
        assert_eq!(written, self.expect(level, &target, &message, detail, fails));
    }

    /// Notes a write, and gives what the ring should say of it.
    fn expect(&mut self, level: Level, target: &str, message: &str, detail: &str, fails: bool) -> Written {
        let room = self.sizes.window * 4 - HEADER_BYTES;
        let kept_target = cut(target, MAX_TARGET.min(room / 2));
        let limit = (room - kept_target.len()).min(MAX_BODY);
        let kept_message = cut(message, limit);
        let message_cut = kept_message.len() < message.len() || fails;
        let detail = if message_cut { "" } else { detail };
        let kept_detail = cut(detail, limit - kept_message.len());
        let truncated = message_cut || kept_detail.len() < detail.len() || kept_target.len() < target.len();
        let mut entry = Entry {
            seq: 0,
            time: self.time,
            level,
            retained: 0,
            repeat: 0,
            target: kept_target.into(),
            message_len: kept_message.len(),
            body: format!("{kept_message}{kept_detail}"),
            truncated,
        };
        let equal = |last: &Entry| {
            let same =
                (last.level, &last.target[..], &last.body[..last.message_len]) == (level, kept_target, kept_message);
            let soon = self.pending.is_some() || self.time - last.time < REPEAT_WINDOW_US;
            same && soon && !last.truncated && !truncated
        };
        if self.last.as_ref().is_some_and(equal) {
            entry.repeat = self.pending.as_ref().map_or(0, |pending| pending.repeat) + 1;
            self.pending_since.get_or_insert(self.time);
            entry.seq = self.next_seq();
            entry.retained = self.retained_before(entry.seq);
            self.pending = Some(entry.clone());
            self.last = Some(entry);
            return Written::Repeat;
        }
        self.publish_pending();
        entry.seq = self.next_seq();
        entry.retained = self.retained_before(entry.seq);
        self.last = Some(entry.clone());
        self.entries.push(entry);
        Written::Record
    }

    /// A write whose formatting was given up because its text was cut.
    pub fn note_cut(&mut self, level: Level, target: &str, message: &str, written: Written) {
        assert_eq!(written, self.expect(level, target, message, "", true));
    }

    /// The ring published the pending record before a write that was then interrupted.
    pub fn flush_unseen(&mut self) {
        assert!(self.pending.is_some());
        self.publish_pending();
    }
}
