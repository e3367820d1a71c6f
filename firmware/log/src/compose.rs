//! Formatting of a record's text straight into the ring's memory, cut at a length, never beyond it.

use core::fmt;

use crate::record::{HEADER_WORDS, MAX_BODY, MAX_TARGET};
use crate::Level;

/// What was written behind a record's header; the last word is padded with zeros.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    pub target_len: usize,
    /// Part of the body that tells repetitions, the rest being detail.
    pub message_len: usize,
    pub body_len: usize,
    pub truncated: bool,
}

impl Text {
    /// Words of the whole frame.
    #[inline]
    pub fn frame_words(&self) -> usize {
        HEADER_WORDS + (self.target_len + self.body_len).div_ceil(4)
    }

    /// Equal for records that may repeat each other, never 0 for these: what a record has to be besides equal text.
    #[inline]
    pub fn key(&self, level: Level) -> u32 {
        if self.truncated {
            return 0; // what was cut off might differ
        }
        level as u32 | (self.target_len as u32) << 8 | (self.message_len as u32) << 16
    }
}

/// Puts bytes together to words: memory is written once per word, at no alignment of the text's pieces.
struct Writer<'a> {
    room: &'a mut [u32],
    /// Whole words written, and what comes next: the low `bits` of `word`, the others being zero.
    whole: usize,
    word: u32,
    bits: u32,
    /// Bytes that may be written.
    limit: usize,
    truncated: bool,
}

impl Writer<'_> {
    #[inline]
    fn used(&self) -> usize {
        self.whole * 4 + (self.bits / 8) as usize
    }

    #[inline]
    fn push(&mut self, text: &str) -> fmt::Result {
        if text.len() > self.limit - self.used() {
            return self.push_cut(text);
        }
        self.append(text.as_bytes());
        Ok(())
    }

    /// The error ends the formatting there: what is cut off shall not cost anything either.
    #[cold]
    fn push_cut(&mut self, text: &str) -> fmt::Result {
        self.truncated = true;
        let (text, _) = split_at_char(text, self.limit - self.used());
        self.append(text.as_bytes());
        Err(fmt::Error)
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        let (head, words, tail) = bytemuck::pod_align_to::<u8, u32>(bytes);
        self.few(head);
        let Some(room) = self.room.get_mut(self.whole..self.whole + words.len()) else {
            return; // not reached: the caller has compared the length with the limit
        };
        if self.bits == 0 {
            for (to, &word) in room.iter_mut().zip(words) {
                *to = word;
            }
        } else {
            let (mut before, left, right) = (self.word, self.bits, 32 - self.bits);
            for (to, &word) in room.iter_mut().zip(words) {
                *to = before | word << left;
                before = word >> right;
            }
            self.word = before;
        }
        self.whole += words.len();
        self.few(tail);
    }

    /// The up to three bytes before or behind the words of a piece.
    #[inline]
    fn few(&mut self, bytes: &[u8]) {
        let value = match *bytes {
            [] => return,
            [a] => u32::from(a),
            [a, b] => u32::from(a) | u32::from(b) << 8,
            [a, b, c, ..] => u32::from(a) | u32::from(b) << 8 | u32::from(c) << 16,
        };
        let bits = self.bits + 8 * bytes.len() as u32;
        self.word |= value << self.bits;
        if bits >= 32 {
            self.flush();
            // A shift by 32 is one by 0, and then there is nothing left: at most 24 bits were added.
            self.word = value >> (32 - self.bits);
        }
        self.bits = bits & 31;
    }

    #[inline]
    fn flush(&mut self) {
        if let Some(to) = self.room.get_mut(self.whole) {
            *to = self.word;
        }
        self.whole += 1;
    }

    #[inline]
    fn format(&mut self, args: fmt::Arguments<'_>) {
        // An error is either the end of the room, already marked, or a Display's own, whose text is then incomplete.
        let done = match args.as_str() {
            Some(text) => self.push(text),
            None => fmt::write(self, args),
        };
        self.truncated |= done.is_err();
    }
}

impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text)
    }
}

/// The longest start of `text` of at most `length` bytes that is whole characters, and whether it is all of it.
#[inline]
fn split_at_char(text: &str, length: usize) -> (&str, bool) {
    if text.len() <= length {
        return (text, true);
    }
    let mut end = length;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (&text[..end], false)
}

/// Writes target, message and detail to `room`, the memory behind a header, from its start.
#[inline]
pub(crate) fn compose(
    room: &mut [u32],
    target: &str,
    message: fmt::Arguments<'_>,
    detail: Option<fmt::Arguments<'_>>,
) -> Text {
    let size = room.len() * 4;
    let (target, whole) = split_at_char(target, MAX_TARGET.min(size / 2));
    let target_len = target.len();
    let limit = size.min(target_len + MAX_BODY);
    let mut writer = Writer { room, whole: 0, word: 0, bits: 0, limit, truncated: false };
    writer.append(target.as_bytes());
    writer.format(message);
    let message_len = writer.used() - target_len;
    if let Some(detail) = detail {
        if !writer.truncated {
            writer.format(detail);
        }
    }
    let body_len = writer.used() - target_len;
    let truncated = writer.truncated || !whole;
    if writer.bits != 0 {
        writer.flush();
    }
    Text { target_len, message_len, body_len, truncated }
}

/// Whether two texts, each behind a header, start with the same `length` bytes.
pub(crate) fn same_start(one: &[u32], other: &[u32], length: usize) -> bool {
    let whole = HEADER_WORDS + length / 4;
    let (Some((one, one_rest)), Some((other, other_rest))) =
        (one.split_at_checked(whole), other.split_at_checked(whole))
    else {
        return false;
    };
    // From the end: it is there that one record differs from the next.
    let tail_equal = match length % 4 {
        0 => true,
        rest => match (one_rest.first(), other_rest.first()) {
            (Some(one), Some(other)) => (one ^ other) & ((1 << (rest * 8)) - 1) == 0,
            _ => false,
        },
    };
    tail_equal && one.iter().zip(other).skip(HEADER_WORDS).rev().all(|(one, other)| one == other)
}
