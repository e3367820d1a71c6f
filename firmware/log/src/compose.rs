//! Formatting of a record's text straight into the ring's memory, cut at a length, never beyond it.

use core::fmt;

use crate::fixed::Fixed;
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

    /// What a record has to be besides equal text to repeat another, and whether it is [`DETAILED`]: [`may_repeat`].
    #[inline]
    pub const fn key(&self, level: Level) -> u32 {
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

/// A record's message as it comes.
#[derive(Clone, Copy)]
pub(crate) enum Message<'a> {
    Plain(&'a str),
    Formatted(fmt::Arguments<'a>),
}

impl<'a> Message<'a> {
    #[inline]
    pub fn of(message: fmt::Arguments<'a>) -> Message<'a> {
        match message.as_str() {
            Some(text) => Message::Plain(text),
            None => Message::Formatted(message),
        }
    }
}

/// A record's target as it comes.
pub(crate) trait Target: Copy {
    /// Writes it to the start of `room`; gives its length in bytes and whether that is all of it.
    fn put(self, room: &mut [u32]) -> (usize, bool);
}

impl Target for &str {
    #[inline]
    fn put(self, room: &mut [u32]) -> (usize, bool) {
        let longest = MAX_TARGET.min(room.len() * 2);
        let (target, whole) = if self.len() <= longest { (self, true) } else { split_at_char(self, longest) };
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(room);
        if let Some(place) = bytes.get_mut(..target.len()) {
            place.copy_from_slice(target.as_bytes());
        }
        (target.len(), whole)
    }
}

impl Target for &Fixed<[u32]> {
    #[inline(always)]
    fn put(self, room: &mut [u32]) -> (usize, bool) {
        let half = room.len() / 2;
        match room.get_mut(..self.words.len()) {
            Some(place) if place.len() <= half => {
                place.copy_from_slice(&self.words);
                (self.target().len(), true)
            }
            _ => self.target().put(room),
        }
    }
}

/// Writes pieces of text one behind the other.
struct Writer<'a> {
    /// What may still be written to.
    room: &'a mut [u8],
    truncated: bool,
}

/// Pieces below this length are not worth a call of memcpy.
const SHORT: usize = 16;

impl Writer<'_> {
    /// The error ends the formatting there: what is cut off shall not cost anything either.
    #[cold]
    #[inline(never)]
    fn push_cut(&mut self, text: &str) -> fmt::Result {
        self.truncated = true;
        let (text, _) = split_at_char(text, self.room.len());
        let _ = self.push_long(text);
        Err(fmt::Error)
    }

    #[cold]
    #[inline(never)]
    fn add_detail(&mut self, detail: fmt::Arguments<'_>) {
        if !self.truncated {
            self.format(Message::of(detail));
        }
    }

    /// A long piece, for which there is room.
    #[inline(never)]
    fn push_long(&mut self, text: &str) -> fmt::Result {
        let room = core::mem::take(&mut self.room);
        if let Some((place, rest)) = room.split_at_mut_checked(text.len()) {
            self.room = rest;
            place.copy_from_slice(text.as_bytes());
        }
        Ok(())
    }

    #[inline]
    fn format(&mut self, message: Message<'_>) {
        // An error is either the end of the room, already marked, or a Display's own, whose text is then incomplete.
        let done = match message {
            Message::Plain(text) => fmt::Write::write_str(self, text),
            Message::Formatted(args) => fmt::write(self, args),
        };
        self.truncated |= done.is_err();
    }
}

/// Copies a short piece; both slices are of the same length.
#[inline(always)]
fn put(mut to: &mut [u8], mut from: &[u8]) {
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
    #[inline(never)]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > self.room.len() {
            return self.push_cut(text);
        }
        if text.len() >= SHORT {
            return self.push_long(text);
        }
        let room = core::mem::take(&mut self.room);
        if let Some((place, rest)) = room.split_at_mut_checked(text.len()) {
            self.room = rest;
            put(place, text.as_bytes());
        }
        Ok(())
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
    target: impl Target,
    message: Message<'_>,
    detail: Option<fmt::Arguments<'_>>,
) -> Text {
    let size = room.len() * 4;
    let (target_len, whole) = target.put(room);
    let limit = size.min(target_len + MAX_BODY);
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(room);
    let mut writer = Writer { room: bytes.get_mut(target_len..limit).unwrap_or(&mut []), truncated: false };
    writer.format(message);
    let message_len = limit - writer.room.len() - target_len;
    if let Some(detail) = detail {
        writer.add_detail(detail);
    }
    let (used, truncated) = (limit - writer.room.len(), writer.truncated || !whole);
    pad(room, used);
    Text { target_len, message_len, body_len: used - target_len, truncated }
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
