//! Seeded decisions; `CORELOG_SEED` repeats a run.

#![allow(dead_code, reason = "each test program uses some of it")]

use crate::model::Choices;

pub struct Random {
    state: u64,
    pub left: u64,
}

impl Random {
    pub fn new() -> Random {
        let given = std::env::var("CORELOG_SEED").ok().map(|seed| seed.parse().expect("CORELOG_SEED"));
        let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let seed = given.unwrap_or(time.as_nanos() as u64 >> 10);
        println!("CORELOG_SEED={seed}");
        Random { state: seed, left: u64::MAX }
    }
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
