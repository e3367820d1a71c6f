//! Formatting of a record's text straight into the ring's memory, cut at a length, never beyond it.

use core::fmt;

use crate::record::{HEADER_WORDS, MAX_BODY, MAX_TARGET};

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
    pub fn frame_words(&self) -> usize {
        HEADER_WORDS + (self.target_len + self.body_len).div_ceil(4)
    }
}

struct Writer<'a> {
    room: &'a mut [u8],
    used: usize,
    truncated: bool,
}

impl Writer<'_> {
    #[inline]
    fn push(&mut self, text: &str) -> fmt::Result {
        let bytes = text.as_bytes();
        let end = self.used + bytes.len();
        match self.room.get_mut(self.used..end) {
            Some(place) => {
                copy(place, bytes);
                self.used = end;
                Ok(())
            }
            None => self.push_cut(text),
        }
    }

    /// The error ends the formatting there: what is cut off shall not cost anything either.
    #[cold]
    fn push_cut(&mut self, text: &str) -> fmt::Result {
        self.truncated = true;
        let (text, _) = split_at_char(text, self.room.len() - self.used);
        if let Some(place) = self.room.get_mut(self.used..self.used + text.len()) {
            place.copy_from_slice(text.as_bytes());
            self.used += text.len();
        }
        Err(fmt::Error)
    }

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

/// Short pieces, as numbers are, do not repay memcpy's preparations.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    if from.len() >= 16 {
        to.copy_from_slice(from);
    } else {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
}

/// The longest start of `text` of at most `length` bytes that is whole characters, and whether it is all of it.
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

/// Writes target, message and detail behind the header in `window` (at least a header long and four words more).
pub(crate) fn compose(
    window: &mut [u32],
    target: &str,
    message: fmt::Arguments<'_>,
    detail: Option<fmt::Arguments<'_>>,
) -> Text {
    let Some((_, text)) = window.split_first_chunk_mut::<HEADER_WORDS>() else {
        return Text { target_len: 0, message_len: 0, body_len: 0, truncated: true };
    };
    let room: &mut [u8] = bytemuck::cast_slice_mut(text);
    let (target, whole) = split_at_char(target, MAX_TARGET.min(room.len() / 2));
    let target_len = target.len();
    let (head, room) = room.split_at_mut(target_len);
    copy(head, target.as_bytes());
    let limit = room.len().min(MAX_BODY);
    let mut writer = Writer { room: &mut room[..limit], used: 0, truncated: false };
    writer.format(message);
    let message_len = writer.used;
    if let Some(detail) = detail {
        if !writer.truncated {
            writer.format(detail);
        }
    }
    let (body_len, truncated) = (writer.used, writer.truncated || !whole);
    // Zeros up to the next word.
    let used = target_len + body_len;
    if used % 4 != 0 {
        if let Some(last) = text.get_mut(used / 4) {
            *last &= (1 << (used % 4 * 8)) - 1;
        }
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
