//! The writer's side of the ring.

use core::fmt;
use core::sync::atomic::{compiler_fence, Ordering};

use crate::compose::{compose, same_start, Text};
use crate::control;
use crate::reader::{Cursor, Fill, Item, State, View};
use crate::record::{Header, HEADER_WORDS, MAX_FRAME_WORDS};
use crate::Level;

/// Smallest memory for a ring, in words. Records longer than a quarter of the smaller lane are cut, so that 16 Ki words
/// and more make sense.
pub const MIN_WORDS: usize = control::WORDS + 256 + 16;

/// The memory given for a ring has fewer than [`MIN_WORDS`] words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was appended and has this number.
    Record(u64),
    /// It equals the one before it and was counted; [`Ring::flush_repeats`] or the next different record publishes it.
    Repeat,
}

pub(crate) const NORMAL: usize = 0;
pub(crate) const RETAINED: usize = 1;

/// How the words behind the control block are divided.
#[derive(Clone, Copy)]
pub(crate) struct Division {
    pub window: usize,
    pub retained: usize,
}

impl Division {
    pub fn of(words: usize) -> Option<Division> {
        if words < MIN_WORDS || u32::try_from(words).is_err() {
            return None;
        }
        let retained = (words - control::WORDS) / 4;
        Some(Division { window: MAX_FRAME_WORDS.min(retained / 4), retained })
    }
}

/// The newest record written, with which the next one is compared.
#[derive(Clone, Copy)]
struct Last {
    level: Level,
    pos: usize,
    text: Text,
}

/// A repeat record at its lane's head that has no successor yet and may still change.
#[derive(Clone, Copy)]
struct Pending {
    words: usize,
    repeat: u32,
    /// Time of the first repetition it stands for.
    since: u64,
}

/// The log of this boot. One writer; any number of readers, each with its own [`Cursor`].
pub struct Ring<'a> {
    control: &'a mut control::Block,
    scratch: &'a mut [u32],
    lanes: [&'a mut [u32]; 2],
    state: State,
    window: usize,
    boot_id: u64,
    last: Option<Last>,
    pending: Option<Pending>,
}

impl<'a> Ring<'a> {
    /// Starts an empty ring in `memory` and erases what was in it, so that no later boot takes an older one's records
    /// for this one's. `generation` must not be 0.
    pub fn new(memory: &'a mut [u32], boot_id: u64, generation: u32) -> Result<Ring<'a>, TooSmall> {
        let size = memory.len();
        let division = Division::of(size).ok_or(TooSmall)?;
        memory.fill(0);
        let (control, rest) = memory.split_first_chunk_mut().ok_or(TooSmall)?;
        let (retained, rest) = rest.split_at_mut(division.retained);
        let (scratch, normal) = rest.split_at_mut(division.window);
        control::start(control, size, boot_id, generation);
        let state = State { generation, ..State::default() };
        let lanes = [normal, retained];
        Ok(Ring { control, scratch, lanes, state, window: division.window, boot_id, last: None, pending: None })
    }

    /// Writes one record. Never waits, never allocates; the oldest records of the lane make room.
    pub fn write(&mut self, time: u64, level: Level, target: &str, message: fmt::Arguments<'_>) -> Written {
        self.append(time, level, target, message, None)
    }

    /// Like [`Ring::write`], with a detail behind the message that is ignored when repetitions are told, as the time of
    /// an RTIO event in a storm of equal errors. The detail of the last repetition is the one that stands.
    pub fn write_with_detail(
        &mut self,
        time: u64,
        level: Level,
        target: &str,
        message: fmt::Arguments<'_>,
        detail: fmt::Arguments<'_>,
    ) -> Written {
        self.append(time, level, target, message, Some(detail))
    }

    fn append(
        &mut self,
        time: u64,
        level: Level,
        target: &str,
        message: fmt::Arguments<'_>,
        detail: Option<fmt::Arguments<'_>>,
    ) -> Written {
        if self.pending.is_some() {
            if self.last.is_some_and(|last| last.level == level && last.text.target_len == target.len()) {
                return self.append_after_repeat(time, level, target, message, detail);
            }
            self.flush_repeats();
        }
        let lane = lane_of(level);
        self.reserve(lane);
        let pos = self.state.lanes[lane].head;
        let Some(window) = self.lanes[lane].get_mut(pos..pos + self.window) else {
            return Written::Record(self.state.next_seq); // not reached: reserve made the window
        };
        let text = compose(window, target, message, detail);
        if self.repeats_last(level, lane, pos, text) {
            self.provide(time, level, text, Pending { words: text.frame_words(), repeat: 1, since: time });
            return Written::Repeat;
        }
        self.publish(time, level, pos, text)
    }

    /// There is a repeat record at the lane's head: the new one is made beside the lanes, and only then compared.
    fn append_after_repeat(
        &mut self,
        time: u64,
        level: Level,
        target: &str,
        message: fmt::Arguments<'_>,
        detail: Option<fmt::Arguments<'_>>,
    ) -> Written {
        let lane = lane_of(level);
        let text = compose(self.scratch, target, message, detail);
        let words = text.frame_words();
        let head = self.state.lanes[lane].head;
        if let (Some(last), Some(pending)) = (self.last, self.pending) {
            if let (Some(old), true) = (self.lanes[lane].get(last.pos..), comparable(&last, level, &text)) {
                if same_start(self.scratch, old, text.target_len + text.message_len) {
                    self.copy_scratch(lane, head, words);
                    let repeat = pending.repeat.saturating_add(1);
                    self.provide(time, level, text, Pending { words, repeat, ..pending });
                    return Written::Repeat;
                }
            }
        }
        self.flush_repeats();
        self.reserve(lane);
        let pos = self.state.lanes[lane].head;
        self.copy_scratch(lane, pos, words);
        self.publish(time, level, pos, text)
    }

    fn copy_scratch(&mut self, lane: usize, pos: usize, words: usize) {
        if let (Some(to), Some(from)) = (self.lanes[lane].get_mut(pos..pos + words), self.scratch.get(..words)) {
            to.copy_from_slice(from);
        }
    }

    #[inline]
    fn reserve(&mut self, lane: usize) {
        let place = &mut self.state.lanes[lane];
        let before = (place.tail, place.wrap);
        place.reserve(self.lanes[lane], self.window, self.state.next_seq);
        if before != (place.tail, place.wrap) {
            // Before what was there is overwritten, nobody may look for it any more.
            control::set_lane(self.control, lane, place);
            compiler_fence(Ordering::SeqCst);
        }
    }

    #[inline]
    fn repeats_last(&self, level: Level, lane: usize, pos: usize, text: Text) -> bool {
        let Some(last) = self.last.filter(|last| comparable(last, level, &text)) else {
            return false;
        };
        let memory = &self.lanes[lane];
        match (memory.get(pos..), memory.get(last.pos..)) {
            (Some(new), Some(old)) => same_start(new, old, text.target_len + text.message_len),
            _ => false,
        }
    }

    /// Completes the record at the head of its lane, all but counting it.
    #[inline]
    fn seal(&mut self, time: u64, level: Level, pos: usize, text: Text, repeat: u32) {
        let words = text.frame_words();
        let frame = self.lanes[lane_of(level)].get_mut(pos..pos + words);
        if let Some((header, body)) = frame.and_then(|frame| frame.split_first_chunk_mut::<HEADER_WORDS>()) {
            let header_fields = Header {
                level,
                words,
                seq: self.state.next_seq,
                time,
                retained: self.state.retained as u32,
                repeat,
                target_len: text.target_len,
                body_len: text.body_len,
                truncated: text.truncated,
            };
            header_fields.write(header, body);
        }
        self.last = Some(Last { level, pos, text });
        compiler_fence(Ordering::SeqCst);
    }

    #[inline]
    fn publish(&mut self, time: u64, level: Level, pos: usize, text: Text) -> Written {
        self.seal(time, level, pos, text, 0);
        self.count(level, text.frame_words())
    }

    /// Takes the complete record of `words` at the head of its lane into the log.
    #[inline]
    fn count(&mut self, level: Level, words: usize) -> Written {
        let (lane, seq) = (lane_of(level), self.state.next_seq);
        self.state.lanes[lane].head += words;
        self.state.next_seq = seq.wrapping_add(1);
        if level.is_retained() {
            self.state.retained += 1;
        }
        control::set_lane(self.control, lane, &self.state.lanes[lane]);
        control::set_counts(self.control, self.state.next_seq, self.state.retained);
        Written::Record(seq)
    }

    /// Keeps the record at the head of its lane as one that may still change. Complete with the number it will have, so
    /// that a reset does not lose it.
    fn provide(&mut self, time: u64, level: Level, text: Text, pending: Pending) {
        self.pending = Some(pending);
        self.seal(time, level, self.state.lanes[lane_of(level)].head, text, pending.repeat);
        control::set_pending(self.control, Some(lane_of(level)));
    }

    /// Time of the first repetition that no published record stands for yet. Whoever runs the ring calls
    /// [`Ring::flush_repeats`] some 100 ms after it.
    pub fn pending_since(&self) -> Option<u64> {
        self.pending.map(|pending| pending.since)
    }

    /// Publishes the pending repeat record, if there is one, and says whether there was.
    pub fn flush_repeats(&mut self) -> bool {
        let (Some(pending), Some(last)) = (self.pending.take(), self.last) else {
            return false;
        };
        self.count(last.level, pending.words);
        control::set_pending(self.control, None);
        true
    }

    /// Tells the next boot that this one ended in a panic.
    pub fn mark_panic(&mut self) {
        control::set_panicked(self.control);
    }

    pub fn boot_id(&self) -> u64 {
        self.boot_id
    }

    pub fn generation(&self) -> u32 {
        self.state.generation
    }

    /// Number of the next record, which is how many were produced so far.
    pub fn next_seq(&self) -> u64 {
        self.state.next_seq
    }

    /// The readers' side.
    #[inline]
    pub fn view(&self) -> View<'_> {
        View { state: &self.state, lanes: [self.lanes[0], self.lanes[1]] }
    }

    /// See [`View::read`].
    pub fn read(&self, cursor: &mut Cursor) -> Item<'_> {
        self.view().read(cursor)
    }

    /// See [`View::fill`].
    pub fn fill(&self, cursor: &mut Cursor, min_level: Level, out: &mut [u8]) -> Fill {
        self.view().fill(cursor, min_level, out)
    }

    /// See [`View::oldest`].
    pub fn oldest(&self) -> Cursor {
        self.view().oldest()
    }

    /// See [`View::newest`].
    pub fn newest(&self) -> Cursor {
        self.view().newest()
    }
}

#[inline]
fn lane_of(level: Level) -> usize {
    if level.is_retained() {
        RETAINED
    } else {
        NORMAL
    }
}

/// Whether the texts can be told equal at all; what was cut off might differ.
#[inline]
fn comparable(last: &Last, level: Level, text: &Text) -> bool {
    last.level == level
        && last.text.message_len == text.message_len
        && last.text.target_len == text.target_len
        && !last.text.truncated
        && !text.truncated
}
