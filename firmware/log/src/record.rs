//! The record frame of docs/wire.md: the one place in the firmware that knows its layout.

use core::fmt;

use crate::Level;

/// Frame kind of a record on a stream.
pub const RECORD_KIND: u8 = 1;
pub const HEADER_BYTES: usize = 40;
pub const HEADER_WORDS: usize = HEADER_BYTES / 4;
/// Longest target and body, bytes. Longer ones are cut and the record is marked truncated.
pub const MAX_TARGET: usize = 255;
pub const MAX_BODY: usize = 1024;
pub const MAX_FRAME_WORDS: usize = HEADER_WORDS + (MAX_TARGET + MAX_BODY).div_ceil(4);
/// Longest frame of a record: no buffer for whole frames should be smaller.
pub const MAX_FRAME_BYTES: usize = 4 * MAX_FRAME_WORDS;

pub(crate) const ENCODING_TEXT: u8 = 0;
const FLAG_TRUNCATED: u32 = 1 << 24;
const ORIGIN_MASK: u32 = 0xff;

/// Sums of the frame's words (two words per step keep the CPU's load delay slots busy).
#[inline]
pub(crate) fn sum_words(mut a: u32, mut b: u32, words: &[u32]) -> (u32, u32) {
    let (fours, rest) = words.as_chunks::<4>();
    for &[w, x, y, z] in fours {
        a = a.wrapping_add(w);
        b = b.wrapping_add(a);
        a = a.wrapping_add(x);
        b = b.wrapping_add(a);
        a = a.wrapping_add(y);
        b = b.wrapping_add(a);
        a = a.wrapping_add(z);
        b = b.wrapping_add(a);
    }
    for &w in rest {
        a = a.wrapping_add(w);
        b = b.wrapping_add(a);
    }
    (a, b)
}

/// Checksum of a whole record frame given as words (docs/wire.md): the checksum word is left out, the origin is zero.
pub fn checksum(frame: &[u32]) -> u32 {
    let Some((header, text)) = frame.split_first_chunk::<HEADER_WORDS>() else {
        return 0;
    };
    checksum_parts(header, text)
}

#[inline]
pub(crate) fn checksum_parts(header: &[u32; HEADER_WORDS], text: &[u32]) -> u32 {
    checksum_with(header, text.len(), sum_words(0, 0, text))
}

/// The checksum from the header and the sums over the `words` of text behind it.
#[inline]
pub(crate) fn checksum_with(header: &[u32; HEADER_WORDS], words: usize, (text_a, text_b): (u32, u32)) -> u32 {
    let [kind, _, seq, seq_high, time, time_high, retained, repeat, sizes, body] = *header;
    let (mut a, mut b) = (kind, kind);
    for w in [seq, seq_high, time, time_high, retained, repeat, sizes & !ORIGIN_MASK, body] {
        a = a.wrapping_add(w);
        b = b.wrapping_add(a);
    }
    // What was summed up before the text counts once more with each of its words.
    let b = b.wrapping_add(a.wrapping_mul(words as u32)).wrapping_add(text_b);
    let a = a.wrapping_add(text_a);
    b ^ a.rotate_left(16)
}

/// The header's first word.
#[inline]
pub(crate) const fn kind_word(level: Level, words: usize) -> u32 {
    RECORD_KIND as u32 | (level as u32) << 8 | (words as u32) << 18
}

/// The header's word with origin, encoding, target length and flags.
#[inline]
pub(crate) const fn sizes_word(target_len: usize, truncated: bool) -> u32 {
    let flags = if truncated { FLAG_TRUNCATED } else { 0 };
    (ENCODING_TEXT as u32) << 8 | (target_len as u32) << 16 | flags
}

/// What stands in a record's header besides its checksum.
pub(crate) struct Header {
    pub level: Level,
    pub words: usize,
    pub seq: u64,
    pub time: u64,
    pub retained: u32,
    pub repeat: u32,
    pub target_len: usize,
    pub body_len: usize,
    pub truncated: bool,
}

impl Header {
    /// Writes the header in front of text of which `sums` are the [`sum_words`], checksum included.
    #[inline(always)]
    pub fn write(&self, header: &mut [u32; HEADER_WORDS], sums: (u32, u32)) {
        *header = [
            kind_word(self.level, self.words),
            0,
            self.seq as u32,
            (self.seq >> 32) as u32,
            self.time as u32,
            (self.time >> 32) as u32,
            self.retained,
            self.repeat,
            sizes_word(self.target_len, self.truncated),
            self.body_len as u32,
        ];
        header[1] = checksum_with(header, self.words - HEADER_WORDS, sums);
    }
}

/// Length in words that a frame's first word announces, if it is a record's and at least a header long.
#[inline]
pub(crate) fn frame_words(first: u32) -> Option<usize> {
    let words = (first >> 18) as usize;
    (first & 0x0003_00ff == u32::from(RECORD_KIND) && words >= HEADER_WORDS).then_some(words)
}

#[inline]
pub(crate) fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Why words are not a record frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Fewer words than the frame's length says, or than a header.
    Short,
    /// Kind, level or lengths contradict each other.
    Malformed,
    Checksum,
}

/// View of one whole record frame. Field values are what stands in it; made by the ring, or checked by
/// [`Record::parse`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    header: &'a [u32; HEADER_WORDS],
    frame: &'a [u32],
}

impl<'a> Record<'a> {
    /// A frame whose length was just taken from its first word; `None` when it is shorter than a header.
    pub(crate) fn trusted(frame: &'a [u32]) -> Option<Record<'a>> {
        Some(Record { header: frame.first_chunk()?, frame })
    }

    /// The record frame at the start of `words`, all of it checked. Never panics, whatever the words.
    pub fn parse(words: &'a [u32]) -> Result<Record<'a>, Invalid> {
        let first = *words.first().ok_or(Invalid::Short)?;
        let length = frame_words(first).ok_or(Invalid::Malformed)?;
        let frame = words.get(..length).ok_or(Invalid::Short)?;
        let record = Record::trusted(frame).ok_or(Invalid::Short)?;
        let text = record.target_len() + record.body_len();
        let fits = HEADER_WORDS + text.div_ceil(4) == length && record.header[9] >> 16 == 0;
        if !fits || record.body_len() > MAX_BODY || Level::from_u8((first >> 8) as u8).is_none() {
            return Err(Invalid::Malformed);
        }
        if checksum_parts(record.header, &frame[HEADER_WORDS..]) != record.header[1] {
            return Err(Invalid::Checksum);
        }
        Ok(record)
    }

    pub fn words(&self) -> &'a [u32] {
        self.frame
    }

    /// The frame as it goes out on the wire.
    pub fn bytes(&self) -> &'a [u8] {
        bytemuck::cast_slice(self.frame)
    }

    #[inline]
    pub fn level(&self) -> Level {
        Level::from_u8((self.header[0] >> 8) as u8).unwrap_or(Level::Error)
    }

    #[inline]
    pub fn seq(&self) -> u64 {
        join(self.header[2], self.header[3])
    }

    /// Microseconds since the boot of the record's origin.
    pub fn time(&self) -> u64 {
        join(self.header[4], self.header[5])
    }

    /// Errors and warnings before this record in its boot, modulo 2^32.
    #[inline]
    pub fn retained(&self) -> u32 {
        self.header[6]
    }

    /// 0: an ordinary record; n: stands for n further ones equal to the one before it.
    pub fn repeat(&self) -> u32 {
        self.header[7]
    }

    pub fn origin(&self) -> u8 {
        self.header[8] as u8
    }

    pub fn encoding(&self) -> u8 {
        (self.header[8] >> 8) as u8
    }

    pub fn truncated(&self) -> bool {
        self.header[8] & FLAG_TRUNCATED != 0
    }

    fn target_len(&self) -> usize {
        (self.header[8] >> 16 & 0xff) as usize
    }

    fn body_len(&self) -> usize {
        (self.header[9] & 0xffff) as usize
    }

    fn part(&self, start: usize, length: usize) -> &'a [u8] {
        self.bytes().get(start..start + length).unwrap_or(&[])
    }

    /// Module path that wrote the record; UTF-8 unless the record comes from damaged or foreign memory.
    pub fn target(&self) -> &'a [u8] {
        self.part(HEADER_BYTES, self.target_len())
    }

    /// The message; UTF-8 when `encoding` is 0 and the record was written by a [`crate::Ring`].
    pub fn body(&self) -> &'a [u8] {
        self.part(HEADER_BYTES + self.target_len(), self.body_len())
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} {:?} x{}: ", self.seq(), self.level(), self.repeat())?;
        crate::text::write_line(f, "", self)?;
        f.write_str(")")
    }
}
