//! Another board's records with gaps, repetitions and evictions: what readers are told is true, and exact where it can
//! be.

#[path = "../../testing/choices.rs"]
mod choices;

use choices::{Choices, Random};
use corelog_log::{Cursor, Item, Level, Loss, Replica, Ring, View, REPLICA_MIN_WORDS};

/// Level of each record that the other board wrote.
struct Truth(Vec<Level>);

impl Truth {
    fn retained_in(&self, first: u64, end: u64) -> u64 {
        self.0[first as usize..end as usize].iter().filter(|level| level.is_retained()).count() as u64
    }

    /// Reads on from a cursor to the end. `known`: its count is right, and all losses so far were declared exactly.
    fn read(&self, view: View<'_>, cursor: &mut Cursor, known: bool) {
        let mut at = cursor.seq();
        loop {
            match view.read(cursor) {
                Item::Record(record) => {
                    assert_eq!((record.seq(), record.level()), (at, self.0[at as usize]));
                    assert_eq!(record.body(), format!("record {at}").as_bytes());
                    at += 1;
                }
                Item::Loss(loss) => {
                    assert_eq!(loss.first, at);
                    at += loss.count;
                    let truth = self.retained_in(loss.first, at);
                    match loss.exact {
                        true => assert_eq!(loss.retained, truth, "{loss:?}"),
                        false => assert!(!known && loss.retained >= truth && loss.retained <= loss.count, "{loss:?}"),
                    }
                }
                Item::End => break,
            }
            if let Some(retained) = cursor.retained() {
                assert_eq!(retained, self.retained_in(0, at));
            }
        }
        assert_eq!(at, view.next_seq());
    }
}

/// `exact`: every gap is declared exactly; `silent`: none is.
fn run(random: &mut Random, exact: bool, silent: bool) {
    let (mut written, mut memory) = (vec![0; 8192], vec![7; REPLICA_MIN_WORDS]);
    let mut ring = Ring::new(&mut written, 1, 1).expect("large enough");
    let (mut replica, mut truth) = (Replica::new(&mut memory).expect("large enough"), Truth(vec![]));
    let start = random.below_u64(100);
    let write = |truth: &mut Truth, ring: &mut Ring<'_>, random: &mut Random| {
        let level = Level::ALL[random.below_u64(5) as usize];
        ring.write(0, level, "test", format_args!("record {}", ring.next_seq()));
        truth.0.push(level);
    };
    for _ in 0..start {
        write(&mut truth, &mut ring, random);
    }
    let known = exact || random.below_u64(2) == 0;
    replica.restart(5, start, known.then(|| truth.retained_in(0, start)));
    let (mut follower, mut sleeper) = (replica.view().oldest(), Cursor::new(start, Some(truth.retained_in(0, start))));
    for _ in 0..2000 {
        let next = replica.view().next_seq();
        let before = Cursor::new(ring.next_seq().saturating_sub(1 + random.below_u64(30)), None);
        match random.below_u64(20) {
            // A gap of some records: declared exactly, at most so many, or not at all; or behind one not declared.
            0 if !silent => {
                let undeclared = if exact { 0 } else { random.below_u64(3) };
                for _ in 0..=undeclared + random.below_u64(40) {
                    write(&mut truth, &mut ring, random);
                }
                let first = next + undeclared;
                let count = ring.next_seq() - first;
                let retained = truth.retained_in(first, ring.next_seq());
                match random.below_u64(3) {
                    0 if !exact => {
                        let retained = (retained + random.below_u64(3)).min(count);
                        replica.append_loss(&Loss { first, count, retained, exact: false });
                    }
                    1 if !exact => replica.skip_to(ring.next_seq(), None),
                    _ => replica.append_loss(&Loss { first, count, retained, exact: true }),
                }
            }
            // What was here before comes again.
            1 => {
                let mut cursor = before;
                if let Item::Record(record) = ring.read(&mut cursor) {
                    if record.seq() < next {
                        assert!(!replica.append(&record));
                    }
                }
                let first = next.saturating_sub(random.below_u64(20)).max(start);
                let retained = truth.retained_in(first, next);
                replica.append_loss(&Loss { first, count: next - first, retained, exact: true });
                assert_eq!(replica.view().next_seq(), next);
            }
            2 => truth.read(replica.view(), &mut follower, exact),
            3 if random.below_u64(20) == 0 => truth.read(replica.view(), &mut sleeper, exact),
            4 => {
                let mut anywhere = Cursor::new(random.below_u64(next + 1), None);
                truth.read(replica.view(), &mut anywhere, false);
            }
            5 => {
                let mut gone = Cursor::new(start, Some(truth.retained_in(0, start)));
                truth.read(replica.gone().view(), &mut gone, exact);
            }
            _ => {
                if !exact && random.below_u64(10) == 0 {
                    write(&mut truth, &mut ring, random); // and never comes here
                }
                write(&mut truth, &mut ring, random);
                let mut cursor = Cursor::new(ring.next_seq() - 1, None);
                let Item::Record(record) = ring.read(&mut cursor) else { panic!("just written") };
                assert!(replica.append(&record));
                assert_eq!(replica.view().newest().retained(), Some(truth.retained_in(0, ring.next_seq())));
            }
        }
    }
    truth.read(replica.view(), &mut follower, exact);
    truth.read(replica.view(), &mut sleeper, exact);
}

/// `CORELOG_SEED` repeats a run.
#[test]
fn replica_tells_the_truth_about_gaps_and_evictions_and_all_of_it_if_it_was_told() {
    let mut random = Random::new();
    for round in 0..18 {
        run(&mut random, round % 3 == 0, round % 3 == 1);
    }
}
