//! Boots of one board, one after the other: a ring, its readers, a reset, what the next boot finds.

use std::panic::{catch_unwind, AssertUnwindSafe};

use corelog_log::{open, Cursor, Item, Level, Recovered, Ring, View, MIN_WORDS};

use super::reading::kept;
use super::Model;
use crate::choices::Choices;

/// A board's boots until the choices end; gives the number of operations.
pub fn boots(choose: &mut impl Choices) -> usize {
    let most = choose.one_of([40, 1000, 9000]);
    let size = MIN_WORDS as u32 + choose.below(most);
    let mut blocks = [0, 1].map(|_| (0..size).map(|_| choose.below(u32::MAX)).collect::<Vec<u32>>());
    let (mut previous, mut operations, mut boot_id) = (None::<Boot>, 0, 1);
    while !choose.exhausted() {
        let [one, other] = &mut blocks;
        let (mut ring, recovered) = open(one, other, boot_id).expect("large enough");
        assert_eq!((ring.boot_id(), ring.next_seq()), (boot_id, 0));
        assert_eq!(recovered.is_some(), previous.is_some());
        if let (Some(recovered), Some(previous)) = (recovered, &previous) {
            previous.check(&recovered);
        }
        let mut boot = Boot { boot_id, panicked: false, kept: vec![], model: Model::new(size as usize) };
        operations += boot.run(&mut ring, choose);
        previous = Some(boot);
        boot_id += 1;
        let [one, other] = &mut blocks;
        if choose.below(3) == 0 {
            let current = if Recovered::new(one).is_some_and(|r| r.boot_id() == boot_id - 1) { one } else { other };
            previous.as_ref().expect("just set").check_damaged(current, choose);
        }
    }
    operations
}

struct Boot {
    boot_id: u64,
    panicked: bool,
    kept: Vec<u64>,
    model: Model,
}

struct Reader {
    cursor: Cursor,
    honest: bool,
}

impl Boot {
    fn run(&mut self, ring: &mut Ring<'_>, choose: &mut impl Choices) -> usize {
        let mut readers: Vec<Reader> =
            (0..4).map(|_| Reader { cursor: Cursor::new(0, Some(0)), honest: true }).collect();
        let length = choose.below(4000) as usize;
        let mut operations = 0;
        while operations < length && !choose.exhausted() {
            operations += 1;
            let reader = &mut readers[choose.below(4) as usize];
            match choose.below(16) {
                0..=8 => self.model.write(ring, choose),
                9..=11 => {
                    for _ in 0..choose.below(20) {
                        if !self.model.read(ring.view(), &mut reader.cursor, reader.honest) {
                            break;
                        }
                        reader.honest = true;
                    }
                }
                12 if reader.honest => self.model.fill(ring.view(), &mut reader.cursor, choose),
                12 => {}
                13 => *reader = self.placed(ring, choose),
                14 => self.model.flush(ring),
                _ if choose.below(8) == 0 => interrupted_write(ring, self.model.time, &mut self.model, choose),
                _ => {}
            }
            assert_eq!(ring.next_seq(), self.model.next_seq());
            assert_eq!(ring.pending_since(), self.model.pending_since);
            if operations % 64 == 0 {
                self.model.check_kept(&kept(ring.view()));
            }
        }
        if choose.below(2) == 0 {
            ring.mark_panic();
            self.panicked = true;
        }
        self.kept = kept(ring.view());
        self.model.check_kept(&self.kept);
        if let Some(pending) = self.model.pending.take() {
            // A reset finds it as if it had been published.
            self.kept.push(pending.seq);
            self.model.entries.push(pending);
        }
        operations
    }

    /// A reader somewhere else, perhaps where no cursor should be.
    fn placed(&self, ring: &Ring<'_>, choose: &mut impl Choices) -> Reader {
        let next = self.model.next_seq();
        let any = u64::from(choose.below(u32::MAX)) << 32 | u64::from(choose.below(u32::MAX));
        let seq = match choose.below(8) {
            0 => return Reader { cursor: ring.oldest(), honest: true },
            1 => return Reader { cursor: ring.newest(), honest: true },
            2 => 0,
            3 => u64::MAX,
            4 => any,
            _ => any % (next + 2),
        };
        let honest = choose.below(3) != 0;
        let retained = match choose.below(2) {
            _ if !honest => Some(any >> choose.below(64)),
            0 if seq <= next => Some(self.model.retained_before(seq)),
            _ => None,
        };
        let cursor = Cursor::new(seq, retained);
        assert_eq!(ring.view().is_ahead(&cursor), seq > next);
        if let (true, Some(told)) = (honest, ring.view().retained_at(&cursor)) {
            assert_eq!(told, self.model.retained_before(seq.min(next)));
        }
        Reader { cursor, honest }
    }

    /// What the next boot found: all that was kept, byte for byte.
    fn check(&self, found: &Recovered<'_>) {
        assert_eq!((found.boot_id(), found.ended_in_panic()), (self.boot_id, self.panicked));
        assert_eq!(found.next_seq(), self.model.next_seq());
        assert_eq!(kept(found.view()), self.kept);
        for (start, known) in [(0, true), (0, false), (self.model.next_seq() / 2, false)] {
            let retained = known.then(|| self.model.retained_before(start));
            let mut cursor = Cursor::new(start, retained);
            while self.model.read(found.view(), &mut cursor, true) {}
        }
    }

    /// Turns bits and overwrites words: what is still found must be true.
    fn check_damaged(&self, sound: &[u32], choose: &mut impl Choices) {
        let mut memory = sound.to_vec();
        let size = memory.len() as u32;
        // Often in the control block, where it hurts most.
        let most = choose.one_of([18, size]);
        for _ in 0..1 + choose.below(4) {
            memory[choose.below(most) as usize] ^= 1 << choose.below(32);
        }
        if choose.below(3) == 0 {
            // A place in a lane that is none of the right ones.
            memory[12 + choose.below(6) as usize] = choose.below(size);
        }
        if choose.below(2) == 0 {
            let start = choose.below(size) as usize;
            let end = (start + choose.below(300) as usize).min(memory.len());
            memory[start..end].fill_with(|| choose.below(u32::MAX));
        }
        let Some(found) = Recovered::new(&memory) else { return };
        assert!(found.next_seq() <= self.model.next_seq() + u64::from(size) / 10);
        self.check_contents(found.view());
    }

    fn check_contents(&self, view: View<'_>) {
        let (mut cursor, mut seen) = (Cursor::new(0, Some(0)), 0);
        loop {
            match view.read(&mut cursor) {
                Item::Record(record) => {
                    self.model.entries[record.seq() as usize].check(&record);
                    assert_eq!(record.seq(), seen);
                    seen += 1;
                }
                Item::Loss(loss) => {
                    assert_eq!(loss.first, seen);
                    seen += loss.count;
                }
                Item::End => break,
            }
        }
        assert_eq!(seen, view.next_seq());
    }
}

/// Something whose formatting panics half-way, as code that is being interrupted by a reset or a panic.
struct Panics<'a>(&'a str);

impl std::fmt::Display for Panics<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)?;
        std::panic::resume_unwind(Box::new("interrupted"))
    }
}

/// The unfinished record was never part of the log. A repeat record may have been published to make way for it.
fn interrupted_write(ring: &mut Ring<'_>, time: u64, model: &mut Model, choose: &mut impl Choices) {
    let (level, text) = (choose.one_of(Level::ALL), "x".repeat(choose.below(1500) as usize));
    let write = AssertUnwindSafe(|| ring.write(time, level, "runtime", format_args!("{}", Panics(&text))));
    let before = model.next_seq();
    let outcome = catch_unwind(write);
    if let Ok(written) = outcome {
        // The text was cut before the formatting came to the panic.
        model.note_cut(level, "runtime", &text, written);
    } else if ring.next_seq() != before {
        model.flush_unseen();
    }
}
