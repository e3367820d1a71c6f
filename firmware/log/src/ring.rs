//! The writer's side of the ring.

use core::fmt;
use core::sync::atomic::{compiler_fence, Ordering};

use crate::compose::{compose, may_repeat, same_start, Message, Target, Text, DETAILED};
use crate::control;
use crate::fixed::Fixed;
use crate::reader::{Cursor, Fill, Item, State, View};
use crate::record::{checksum_with, sum_words, Header, HEADER_WORDS, MAX_FRAME_WORDS};
use crate::Level;

/// Smallest memory for a ring, in words. Records longer than a quarter of the smaller lane are cut, so that 16 Ki words
/// and more make sense.
pub const MIN_WORDS: usize = control::WORDS + 256 + 16;

/// A record equal to the one before it is counted instead of appended only this many us after it: a storm is one record
/// and counts, while an error that comes again later is seen at once.
pub const REPEAT_WINDOW_US: u64 = 100_000;

/// The memory given for a ring has fewer than [`MIN_WORDS`] words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was appended; its number is [`Ring::next_seq`] less one.
    Record,
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
    /// [`Text::key`], 0 if nothing can repeat it.
    key: u32,
    /// First of the text's [`sum_words`].
    sum: u32,
    pos: usize,
}

impl Last {
    /// Whether a record with this key and sum can repeat this one: its text has to be compared.
    #[inline]
    fn may_equal(&self, key: u32, sum: u32) -> bool {
        // Whole texts differ if their sums do; with details the start has to be looked at.
        may_repeat(key, self.key) && (sum == self.sum || (key | self.key) & DETAILED != 0)
    }
}

/// Whether `time` is less than `window` us after the time of the record that begins `frame`.
fn within(window: u64, frame: &[u32], time: u64) -> bool {
    matches!(*frame, [_, _, _, _, low, high, ..] if time.wrapping_sub(u64::from(high) << 32 | u64::from(low)) < window)
}

/// A repeat record at its lane's head that has no successor yet and may still change.
#[derive(Clone, Copy)]
struct Pending {
    level: Level,
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
    last: Last,
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
        let (lanes, last) = ([normal, retained], Last { key: 0, sum: 0, pos: 0 });
        Ok(Ring { control, scratch, lanes, state, window: division.window, boot_id, last, pending: None })
    }

    /// Writes one record. Never waits, never allocates; the oldest records of the lane make room.
    pub fn write(&mut self, time: u64, level: Level, target: &str, message: fmt::Arguments<'_>) -> Written {
        self.append_apart(time, level, target, Message::of(message), None)
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
        self.append_apart(time, level, target, Message::of(message), Some(detail))
    }

    /// Like [`Ring::write`], of a record that lies ready: the cheapest way.
    #[inline]
    pub fn write_fixed(&mut self, time: u64, record: &Fixed<[u32]>) -> Written {
        let (lane, window) = (lane_of(record.level), self.window);
        let place = &self.state.lanes[lane];
        let pos = place.head;
        let has_room = place.has_room(self.lanes[lane].len(), window);
        let frame = self.lanes[lane].get_mut(pos..pos + window).and_then(|frame| frame.split_first_chunk_mut());
        let repeats = self.last.may_equal(record.key, record.sums.0);
        let (Some((header, room)), true, false) = (frame, has_room && self.pending.is_none(), repeats) else {
            return self.write_fixed_with_care(time, record);
        };
        // In half of the room no target has to be cut.
        let half = room.len() / 2;
        let Some(room) = room.get_mut(..record.words.len()).filter(|room| room.len() <= half) else {
            return self.write_fixed_with_care(time, record);
        };
        copy_words(room, &record.words);
        let (seq, retained) = (self.state.next_seq, self.state.retained as u32);
        *header = [
            record.kind,
            0,
            seq as u32,
            (seq >> 32) as u32,
            time as u32,
            (time >> 32) as u32,
            retained,
            0,
            record.sizes,
            record.body_len,
        ];
        header[1] = checksum_with(header, record.words.len(), record.sums);
        self.last = Last { key: record.key, sum: record.sums.0, pos };
        self.count(record.level, HEADER_WORDS + record.words.len());
        Written::Record
    }

    #[cold]
    #[inline(never)]
    fn write_fixed_with_care(&mut self, time: u64, record: &Fixed<[u32]>) -> Written {
        self.append_apart(time, record.level, record.target(), Message::Plain(record.text()), None)
    }

    /// Like [`Ring::write`], with the level and the target of `start`, a record without text that lies ready.
    #[inline]
    pub fn write_formatted(&mut self, time: u64, start: &Fixed<[u32]>, message: fmt::Arguments<'_>) -> Written {
        self.append(time, start.level, start, Message::Formatted(message), None)
    }

    #[inline(never)]
    fn append_apart(
        &mut self,
        time: u64,
        level: Level,
        target: &str,
        message: Message<'_>,
        detail: Option<fmt::Arguments<'_>>,
    ) -> Written {
        self.append(time, level, target, message, detail)
    }

    #[inline(always)]
    fn append(
        &mut self,
        time: u64,
        level: Level,
        target: impl Target,
        message: Message<'_>,
        detail: Option<fmt::Arguments<'_>>,
    ) -> Written {
        if let Some(pending) = self.pending {
            if pending.level == level {
                return self.append_after_repeat(time, pending, target, message, detail);
            }
            self.flush_repeats();
        }
        let lane = lane_of(level);
        let place = &mut self.state.lanes[lane];
        if place.reserve(self.lanes[lane], self.window, self.state.next_seq) {
            // Before what was there is overwritten, nobody may look for it any more.
            control::set_lane(self.control, lane, place);
            compiler_fence(Ordering::SeqCst);
        }
        let pos = place.head;
        let Some(frame) = self.lanes[lane].get_mut(pos..pos + self.window) else {
            return Written::Repeat; // not reached: that window was just reserved
        };
        let Some((header, room)) = frame.split_first_chunk_mut::<HEADER_WORDS>() else {
            return Written::Repeat; // not reached: the window is longer
        };
        let text = compose(room, target, message, detail);
        let (words, key) = (text.frame_words(), text.key(level));
        let sums = sum_words(0, 0, room.get(..words - HEADER_WORDS).unwrap_or(&[]));
        if self.last.may_equal(key, sums.0) {
            return self.append_compared(time, level, text, sums);
        }
        let (seq, retained) = (self.state.next_seq, self.state.retained as u32);
        seal(header, &Sealed { time, level, seq, retained, repeat: 0 }, text, sums);
        self.last = Last { key, sum: sums.0, pos };
        self.count(level, words);
        Written::Record
    }

    /// The text at the lane's head may be the last record's.
    #[cold]
    #[inline(never)]
    fn append_compared(&mut self, time: u64, level: Level, text: Text, sums: (u32, u32)) -> Written {
        let lane = lane_of(level);
        let pos = self.state.lanes[lane].head;
        let memory = &self.lanes[lane];
        if let (Some(new), Some(old)) = (memory.get(pos..), memory.get(self.last.pos..)) {
            if within(REPEAT_WINDOW_US, old, time) && same_start(new, old, text.target_len + text.message_len) {
                return self.provide(time, level, text, sums, 1, time);
            }
        }
        self.seal_head(time, level, text, sums, 0);
        self.count(level, text.frame_words());
        Written::Record
    }

    /// There is a repeat record at the lane's head: the new one is made beside the lanes, and only then compared.
    #[cold]
    #[inline(never)]
    fn append_after_repeat(
        &mut self,
        time: u64,
        pending: Pending,
        target: impl Target,
        message: Message<'_>,
        detail: Option<fmt::Arguments<'_>>,
    ) -> Written {
        let (level, lane) = (pending.level, lane_of(pending.level));
        let Some((_, room)) = self.scratch.split_first_chunk_mut::<HEADER_WORDS>() else {
            return Written::Repeat; // not reached: it is as long as a window
        };
        let text = compose(room, target, message, detail);
        let (words, key) = (text.frame_words(), text.key(level));
        let sums = sum_words(0, 0, room.get(..words - HEADER_WORDS).unwrap_or(&[]));
        if may_repeat(key, self.last.key) {
            let old = self.lanes[lane].get(self.last.pos..).unwrap_or(&[]);
            let repeat = pending.repeat.saturating_add(1);
            if words == pending.words && same_start(self.scratch, old, (words - HEADER_WORDS) * 4) {
                return self.provide(time, level, text, sums, repeat, pending.since);
            }
            if same_start(self.scratch, old, text.target_len + text.message_len) {
                self.copy_scratch(lane, words);
                return self.provide(time, level, text, sums, repeat, pending.since);
            }
        }
        self.flush_repeats();
        let place = &mut self.state.lanes[lane];
        place.reserve(self.lanes[lane], self.window, self.state.next_seq);
        control::set_lane(self.control, lane, place);
        compiler_fence(Ordering::SeqCst);
        self.copy_scratch(lane, words);
        self.seal_head(time, level, text, sums, 0);
        self.count(level, words);
        Written::Record
    }

    fn copy_scratch(&mut self, lane: usize, words: usize) {
        let pos = self.state.lanes[lane].head;
        if let (Some(to), Some(from)) = (self.lanes[lane].get_mut(pos..pos + words), self.scratch.get(..words)) {
            to.copy_from_slice(from);
        }
    }

    /// Completes the record at the head of its lane, whose text has these sums, all but counting it.
    fn seal_head(&mut self, time: u64, level: Level, text: Text, sums: (u32, u32), repeat: u32) {
        let (lane, seq, retained) = (lane_of(level), self.state.next_seq, self.state.retained as u32);
        let pos = self.state.lanes[lane].head;
        let frame = self.lanes[lane].get_mut(pos..pos + text.frame_words());
        if let Some((header, _)) = frame.and_then(|frame| frame.split_first_chunk_mut()) {
            seal(header, &Sealed { time, level, seq, retained, repeat }, text, sums);
            self.last = Last { key: text.key(level), sum: sums.0, pos };
        }
    }

    /// Takes the complete record of `words` at the head of its lane into the log.
    #[inline]
    fn count(&mut self, level: Level, words: usize) {
        compiler_fence(Ordering::SeqCst);
        let lane = lane_of(level);
        self.state.lanes[lane].head += words;
        self.state.next_seq = self.state.next_seq.wrapping_add(1);
        control::set_head(self.control, lane, self.state.lanes[lane].head);
        control::set_next_seq(self.control, self.state.next_seq);
        if level.is_retained() {
            self.state.retained += 1;
            control::set_retained(self.control, self.state.retained);
        }
    }

    /// Keeps the record at the head of its lane as one that may still change. Complete with the number it will have, so
    /// that a reset does not lose it.
    #[cold]
    fn provide(&mut self, time: u64, level: Level, text: Text, sums: (u32, u32), repeat: u32, since: u64) -> Written {
        self.seal_head(time, level, text, sums, repeat);
        self.pending = Some(Pending { level, words: text.frame_words(), repeat, since });
        Written::Repeat
    }

    /// Time of the first repetition that no published record stands for yet. Whoever runs the ring calls
    /// [`Ring::flush_repeats`] some 100 ms after it.
    pub fn pending_since(&self) -> Option<u64> {
        self.pending.map(|pending| pending.since)
    }

    /// Publishes the pending repeat record, if there is one, and says whether there was.
    #[inline(never)]
    pub fn flush_repeats(&mut self) -> bool {
        let Some(pending) = self.pending.take() else {
            return false;
        };
        self.count(pending.level, pending.words);
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

/// Copies by words; both are of the same length.
#[inline(always)]
fn copy_words(to: &mut [u32], from: &[u32]) {
    let ((to, to_rest), (from, from_rest)) = (to.as_chunks_mut::<4>(), from.as_chunks::<4>());
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    for (to, from) in to_rest.iter_mut().zip(from_rest) {
        *to = *from;
    }
}

#[inline]
pub(crate) fn lane_of(level: Level) -> usize {
    if level.is_retained() {
        RETAINED
    } else {
        NORMAL
    }
}

/// What a header says besides the text's sizes.
struct Sealed {
    time: u64,
    level: Level,
    seq: u64,
    retained: u32,
    repeat: u32,
}

/// Writes the header in front of text that has these sums.
#[inline(always)]
fn seal(header: &mut [u32; HEADER_WORDS], sealed: &Sealed, text: Text, sums: (u32, u32)) {
    let Sealed { time, level, seq, retained, repeat } = *sealed;
    let words = text.frame_words();
    let (target_len, body_len, truncated) = (text.target_len, text.body_len, text.truncated);
    Header { level, words, seq, time, retained, repeat, target_len, body_len, truncated }.write(header, sums);
}
