//! What readers see, compared with the model.

use corelog_log::{Cursor, Item, Level, Loss, View, LOSS_FRAME_BYTES};

use super::Model;
use crate::choices::Choices;

/// Numbers of the kept records, from a cursor without memory.
pub fn kept(view: View<'_>) -> Vec<u64> {
    let (mut cursor, mut kept) = (Cursor::new(0, None), vec![]);
    loop {
        match view.read(&mut cursor) {
            Item::Record(record) => kept.push(record.seq()),
            Item::Loss(_) => {}
            Item::End => return kept,
        }
    }
}

impl Model {
    /// Of each lane the newest records are kept, without a gap, and as many as have room.
    pub fn check_kept(&self, kept: &[u64]) {
        for (retained, length) in [(false, self.sizes.normal), (true, self.sizes.retained)] {
            let lane: Vec<_> = self.entries.iter().filter(|entry| entry.level.is_retained() == retained).collect();
            let kept: Vec<_> = kept
                .iter()
                .copied()
                .filter(|&seq| self.entries[seq as usize].level.is_retained() == retained)
                .collect();
            let newest: Vec<_> = lane[lane.len() - kept.len()..].iter().map(|entry| entry.seq).collect();
            assert_eq!(kept, newest, "not the newest of the lane");
            let words: usize = kept.iter().map(|&seq| self.entries[seq as usize].words()).sum();
            assert!(words <= length);
            // Up to one and a half windows are kept free, less than one is left over at the lane's end, and whole
            // records go.
            assert!(kept.len() == lane.len() || 2 * words + 7 * self.sizes.window > 2 * length, "{words} of {length}");
        }
    }

    /// Reads once; everything told must be true, and be what a reader without memory is told.
    pub fn read(&self, view: View<'_>, cursor: &mut Cursor, honest: bool) -> bool {
        let (first, known) = (cursor.seq(), cursor.retained().is_some() && honest);
        let item = view.read(cursor);
        let fresh = view.read(&mut Cursor::new(first, None));
        if first > self.next_seq() {
            assert!(matches!((item, fresh), (Item::End, Item::End)));
            assert_eq!(cursor.seq(), self.next_seq());
        }
        let more = match (item, fresh) {
            (Item::Record(record), Item::Record(same)) => {
                assert_eq!(record.words(), same.words());
                assert_eq!(record.seq(), first);
                self.entries[first as usize].check(&record);
                assert_eq!(cursor.seq(), first + 1);
                true
            }
            (Item::Loss(loss), Item::Loss(same)) => {
                assert_eq!((loss.first, loss.count), (same.first, same.count));
                if honest {
                    self.check_loss(&loss, first, known);
                }
                self.check_loss(&same, first, false);
                assert_eq!(cursor.seq(), first + loss.count);
                true
            }
            (Item::End, Item::End) => false,
            (item, fresh) => panic!("{item:?}, but without memory {fresh:?}"),
        };
        assert_eq!(cursor.retained(), Some(self.retained_before(cursor.seq())));
        more
    }

    pub fn check_loss(&self, loss: &Loss, first: u64, known: bool) {
        assert_eq!(loss.first, first);
        assert!(loss.count > 0 && loss.first + loss.count <= self.next_seq());
        let retained = self.retained_in(first, first + loss.count);
        if loss.exact {
            assert_eq!(loss.retained, retained);
        } else {
            assert!(!known, "the cursor knew the count");
            assert!(loss.retained >= retained && loss.retained <= loss.count, "{loss:?}, in truth {retained}");
        }
    }

    /// Fills a buffer of random size and compares it with what single reads give.
    pub fn fill(&self, view: View<'_>, cursor: &mut Cursor, choose: &mut impl Choices) {
        let min_level = choose.one_of(Level::ALL);
        let most = choose.one_of([8, 400, 4000]);
        let size = choose.below(most);
        let (mut out, mut single) = (vec![0xee; size as usize], *cursor);
        let fill = view.fill(cursor, min_level, &mut out);
        let mut expected = vec![];
        while single.seq() != cursor.seq() {
            match view.read(&mut single) {
                Item::Record(record) if record.level() <= min_level => expected.extend_from_slice(record.bytes()),
                Item::Record(_) => {}
                Item::Loss(loss) if min_level.is_retained() && loss.exact && loss.retained == 0 => {}
                Item::Loss(loss) => expected.extend_from_slice(&loss.frame()),
                Item::End => break,
            }
        }
        assert_eq!(single.seq(), cursor.seq(), "fill stopped within a loss");
        assert!(single.retained().is_none() || single.retained() == cursor.retained());
        assert_eq!(out[..fill.bytes], expected);
        assert!(out[fill.bytes..].iter().all(|&byte| byte == 0xee), "wrote behind what it told");
        assert_eq!(fill.more, view.has_more(cursor));
        if fill.more && view.has_more(cursor) {
            let room = out.len() - fill.bytes;
            let fits = match view.read(&mut single) {
                Item::Record(record) if record.level() <= min_level => record.bytes().len() <= room,
                Item::Loss(_) => LOSS_FRAME_BYTES <= room,
                _ => false, // passed over because of its level: the number of these is bounded
            };
            assert!(!fits, "stopped with room for the next frame");
        }
    }
}
