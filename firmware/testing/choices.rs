//! Where the decisions of a test run come from. Included by path into the test programs of the pure crates.

#![allow(dead_code, reason = "each test program uses some of it")]

pub trait Choices {
    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: u32) -> u32;

    /// Whether to stop.
    fn exhausted(&self) -> bool;

    /// As `below`; of wide numbers that stay small.
    fn below_u64(&mut self, limit: u64) -> u64 {
        self.below(u32::try_from(limit).expect("a small limit")).into()
    }

    fn one_in(&mut self, of: u32) -> bool {
        self.below(of) == 0
    }

    fn one_of<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        of[self.below(N as u32) as usize]
    }
}

/// Seeded decisions.
#[derive(Clone)]
pub struct Random {
    state: u64,
    left: u64,
}

impl Random {
    /// Prints its seed; `CORELOG_SEED` repeats a run.
    pub fn new() -> Random {
        Random::from(seed(), u64::MAX)
    }

    /// Exhausted after `choices`.
    pub fn from(seed: u64, choices: u64) -> Random {
        Random { state: seed, left: choices }
    }
}

/// From `CORELOG_SEED`, else another in each run; printed.
pub fn seed() -> u64 {
    let given = std::env::var("CORELOG_SEED").ok().map(|seed| seed.parse().expect("CORELOG_SEED"));
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let seed = given.unwrap_or(time.as_nanos() as u64 >> 10);
    println!("CORELOG_SEED={seed}");
    seed
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
