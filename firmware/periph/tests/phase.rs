//! The place of a recovered clock, against a model of two clocks with jitter.

mod model;

use corelog_periph::phase::{Next, Search};
use model::random::Random;

const CYCLE: u32 = 448;

/// Reads the phase of a clock shifted to `position` 16 times, with jitter to both sides.
fn read(random: &mut Random, position: u32, jitter: u32) -> Option<u8> {
    let mut once = || {
        let noise = random.below(2 * jitter as usize + 1) as u32;
        ((position + CYCLE + noise - jitter) / CYCLE % 8) as u8
    };
    let first = once();
    (1..16).all(|_| once() == first).then_some(first)
}

#[test]
fn from_any_start_and_with_any_jitter_it_ends_in_the_middle_between_two_edges() {
    let mut random = Random::new();
    for start in (0..8 * CYCLE).step_by(7) {
        let jitter = random.below(40) as u32;
        let (mut search, mut position) = (Search::new(CYCLE), start);
        let end = loop {
            match search.read(read(&mut random, position, jitter)) {
                Next::Shift => position += 1,
                end => break end,
            }
            assert!(position - start < 3 * CYCLE);
        };
        assert_eq!(end, Next::Done, "from {start}");
        let off = (position % CYCLE).abs_diff(CYCLE / 2);
        assert!(off <= jitter + 2, "from {start} with jitter {jitter}: {off} steps off the middle");
    }
}

#[test]
fn clock_that_does_not_move_or_never_keeps_still_has_no_edge() {
    for phase in [Some(3), None] {
        let mut search = Search::new(CYCLE);
        let shifts = (0..10_000).take_while(|_| search.read(phase) == Next::Shift).count();
        assert_eq!(search.read(phase), Next::NoEdge);
        assert!(shifts < 2 * CYCLE as usize);
    }
}
