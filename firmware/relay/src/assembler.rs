//! Whole frames out of the bytes of a stream as they come.

use corelog_log::{Invalid, Record, MAX_FRAME_BYTES};
use corelog_proto::stream::{self, Frame};
use corelog_proto::Parsed;

/// A whole frame of a log's stream.
#[derive(Clone, Copy, Debug)]
pub enum Taken<'a> {
    Record(Record<'a>),
    /// Any other frame.
    Frame(Frame<'a>),
    /// A record that does not check. The next one's number tells that it is missing.
    Damaged(Invalid),
}

/// What comes is no stream: the session makes no sense any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadStream;

/// Holds the frame that has begun. Words, because records are looked at as such.
pub struct Assembler {
    words: [u32; MAX_FRAME_BYTES / 4],
    used: usize,
    /// The frame in `words` was given out.
    given: bool,
}

impl Default for Assembler {
    fn default() -> Assembler {
        Assembler::new()
    }
}

impl Assembler {
    pub const fn new() -> Assembler {
        Assembler { words: [0; MAX_FRAME_BYTES / 4], used: 0, given: false }
    }

    /// Expects the start of a stream.
    pub fn reset(&mut self) {
        (self.used, self.given) = (0, false);
    }

    /// Takes from `bytes` what belongs to the next frame; gives the frame once it is whole, `None` when all are taken.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Taken<'_>>, BadStream> {
        if self.given {
            self.reset();
        }
        let mut wanted = 4;
        loop {
            self.take(bytes, wanted);
            if self.used < wanted {
                return Ok(None);
            }
            let all: &[u8] = bytemuck::cast_slice(&self.words);
            match stream::frame(all.get(..self.used).unwrap_or_default()) {
                Ok(Parsed::Needs(needs)) if needs > wanted && needs <= MAX_FRAME_BYTES => wanted = needs,
                Ok(Parsed::Item(..)) => break,
                Ok(Parsed::Needs(_)) | Err(_) => return Err(BadStream),
            }
        }
        self.given = true;
        let words = self.words.get(..self.used / 4).unwrap_or_default();
        Ok(match stream::frame(bytemuck::cast_slice(words)) {
            Ok(Parsed::Item(Frame::Record(_), _)) => {
                Some(Record::parse(words).map_or_else(Taken::Damaged, Taken::Record))
            }
            Ok(Parsed::Item(frame, _)) => Some(Taken::Frame(frame)),
            _ => None, // not reached: it was just parsed
        })
    }

    fn take(&mut self, bytes: &mut &[u8], wanted: usize) {
        let length = wanted.saturating_sub(self.used).min(bytes.len());
        let (taken, rest) = bytes.split_at(length);
        let all: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
        if let Some(place) = all.get_mut(self.used..self.used + length) {
            place.copy_from_slice(taken);
            (self.used, *bytes) = (self.used + length, rest);
        }
    }
}
