//! A million random operations and more, compared with the naive model.

mod model;

use model::{boots, Choices};

struct Random {
    state: u64,
    left: u64,
}

impl Choices for Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.left = self.left.saturating_sub(1);
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((((z ^ z >> 31) >> 32) * u64::from(limit)) >> 32) as u32
    }

    fn exhausted(&self) -> bool {
        self.left == 0
    }
}

/// `CORELOG_SEED` repeats a run; `CORELOG_OPERATIONS` changes its length (default 10^6, in debug builds 10^5).
#[test]
fn ring_agrees_with_the_model_over_a_million_random_operations() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect(name));
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let seed = number("CORELOG_SEED").unwrap_or(time.as_nanos() as u64 >> 10);
    let wanted = number("CORELOG_OPERATIONS").unwrap_or(if cfg!(debug_assertions) { 100_000 } else { 1_000_000 });
    println!("CORELOG_SEED={seed}");
    let (mut operations, mut board) = (0, 0);
    while operations < wanted {
        // Some hundred thousand choices per board, so that a failing one is quickly run again.
        let mut random = Random { state: seed.wrapping_add(board), left: 300_000 };
        operations += boots(&mut random) as u64;
        board += 1;
    }
    println!("{operations} operations on {board} boards");
}
