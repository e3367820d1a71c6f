//! A million random operations and more, compared with the naive model.

#[path = "../../testing/choices.rs"]
mod choices;
mod model;

use choices::{seed, Random};
use model::boots;

/// `CORELOG_SEED` repeats a run; `CORELOG_OPERATIONS` changes its length (default 10^6, in debug builds 10^5).
#[test]
fn ring_agrees_with_the_model_over_a_million_random_operations() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect(name));
    let wanted = number("CORELOG_OPERATIONS").unwrap_or(if cfg!(debug_assertions) { 100_000 } else { 1_000_000 });
    let seed = seed();
    let (mut operations, mut board) = (0, 0);
    while operations < wanted {
        // Some hundred thousand choices per board, so that a failing one is quickly run again.
        let mut random = Random::from(seed.wrapping_add(board), 300_000);
        operations += boots(&mut random) as u64;
        board += 1;
    }
    println!("{operations} operations on {board} boards");
}
