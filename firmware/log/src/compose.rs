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

    /// What a record has to be besides equal text to repeat another, and whether it is [`DETAILED`]; see [`may_repeat`].
    #[inline]
    pub fn key(&self, level: Level) -> u32 {
        if self.truncated {
            return 0; // what was cut off might differ
        }
        let detailed = if self.message_len < self.body_len { DETAILED } else { 0 };
        level as u32 | detailed | (self.target_len as u32) << 8 | (self.message_len as u32) << 16
    }
}

/// In a [`Text::key`]: there is a detail, which is not compared.
pub(crate) const DETAILED: u32 = 0x80;

/// Whether records with these keys repeat each other if their texts do.
#[inline]
pub(crate) fn may_repeat(one: u32, other: u32) -> bool {
    (one ^ other) & !DETAILED == 0 && one != 0
}

/// Writes pieces of text one behind the other.
struct Writer<'a> {
    room: &'a mut [u32],
    /// Bytes written, and how many may be.
    used: usize,
    limit: usize,
    truncated: bool,
}

/// Pieces below this length are not worth a call of memcpy.
const SHORT: usize = 12;

impl Writer<'_> {
    #[inline]
    fn push(&mut self, text: &str) -> fmt::Result {
        if text.len() > self.limit - self.used {
            return self.push_cut(text);
        }
        self.append(text.as_bytes());
        Ok(())
    }

    /// The error ends the formatting there: what is cut off shall not cost anything either.
    #[cold]
    fn push_cut(&mut self, text: &str) -> fmt::Result {
        self.truncated = true;
        let (text, _) = split_at_char(text, self.limit - self.used);
        self.append(text.as_bytes());
        Err(fmt::Error)
    }

    #[cold]
    fn add_detail(&mut self, detail: fmt::Arguments<'_>) {
        if !self.truncated {
            self.format(detail);
        }
    }

    /// Not inlined: the processor's instruction cache is small.
    #[inline(never)]
    fn append(&mut self, bytes: &[u8]) {
        let room: &mut [u8] = bytemuck::cast_slice_mut(self.room);
        let end = self.used + bytes.len();
        if let Some(room) = room.get_mut(self.used..end) {
            put(room, bytes);
            self.used = end;
        }
    }

    #[inline(always)]
    fn format(&mut self, args: fmt::Arguments<'_>) {
        // An error is either the end of the room, already marked, or a Display's own, whose text is then incomplete.
        let done = match args.as_str() {
            Some(text) => self.push(text),
            None => fmt::write(self, args),
        };
        self.truncated |= done.is_err();
    }
}

/// Copies one piece; both slices are of the same length.
#[inline(always)]
fn put(mut to: &mut [u8], mut from: &[u8]) {
    if from.len() >= SHORT && from.len() == to.len() {
        return to.copy_from_slice(from);
    }
    // No loop, because the compiler would make it a memcpy, which prepares itself longer than this takes.
    copy::<8>(&mut to, &mut from);
    copy::<4>(&mut to, &mut from);
    copy::<2>(&mut to, &mut from);
    copy::<1>(&mut to, &mut from);
}

/// Copies the next `N` bytes if there are as many.
#[inline(always)]
fn copy<const N: usize>(to: &mut &mut [u8], from: &mut &[u8]) {
    if let Some((bytes, behind)) = from.split_first_chunk::<N>() {
        if let Some((place, room)) = core::mem::take(to).split_first_chunk_mut::<N>() {
            *place = *bytes;
            *to = room;
        }
        *from = behind;
    }
}

impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text)
    }
}

/// The longest start of `text` of at most `length` bytes that is whole characters, and whether it is all of it.
#[cold]
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
#[inline(always)]
pub(crate) fn compose(
    room: &mut [u32],
    target: &str,
    message: fmt::Arguments<'_>,
    detail: Option<fmt::Arguments<'_>>,
) -> Text {
    if let (Some(text), None) = (message.as_str(), detail) {
        // Short of every limit: cut nowhere, nothing to format.
        if target.len() + text.len() <= MAX_TARGET.min(room.len()) {
            return compose_text(room, target, text);
        }
    }
    compose_formatted(room, target, message, detail)
}

#[inline(never)]
fn compose_formatted(
    room: &mut [u32],
    target: &str,
    message: fmt::Arguments<'_>,
    detail: Option<fmt::Arguments<'_>>,
) -> Text {
    let size = room.len() * 4;
    let longest = MAX_TARGET.min(size / 2);
    let (target, whole) = if target.len() <= longest { (target, true) } else { split_at_char(target, longest) };
    let target_len = target.len();
    let limit = size.min(target_len + MAX_BODY);
    let mut writer = Writer { room, used: 0, limit, truncated: false };
    writer.append(target.as_bytes());
    writer.format(message);
    let message_len = writer.used - target_len;
    if let Some(detail) = detail {
        writer.add_detail(detail);
    }
    let (used, truncated) = (writer.used, writer.truncated || !whole);
    pad(writer.room, used);
    Text { target_len, message_len, body_len: used - target_len, truncated }
}

/// The frequent case without arguments, target and message known to fit.
#[inline(always)]
fn compose_text(room: &mut [u32], target: &str, message: &str) -> Text {
    let (target_len, message_len) = (target.len(), message.len());
    let mut writer = Writer { room, used: 0, limit: target_len + message_len, truncated: false };
    writer.append(target.as_bytes());
    writer.append(message.as_bytes());
    pad(writer.room, target_len + message_len);
    Text { target_len, message_len, body_len: message_len, truncated: false }
}

/// Zeros up to the next word; all of it if the text ends with a word, which is no harm.
#[inline]
fn pad(room: &mut [u32], used: usize) {
    if let Some(last) = room.get_mut(used / 4) {
        *last &= (1 << (used % 4 * 8)) - 1;
    }
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
