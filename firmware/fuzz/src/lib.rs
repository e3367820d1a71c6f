//! Fuzz targets of the firmware's pure crates. Each takes bytes and panics if a promise is broken.

#[path = "../../testing/choices.rs"]
mod choices;
mod configuration;
#[path = "../../periph/tests/model/hostile.rs"]
mod hostile;
#[path = "../../log/tests/model/mod.rs"]
mod model;
mod parsers;
mod recovery;
#[path = "../../relay/tests/model/mod.rs"]
mod relay_model;
mod relaying;

pub use configuration::configuration;
pub use parsers::{aux_frame, management, session, stream};
pub use recovery::recover;
pub use relaying::{log_transport, relay_stream, relay_tree};

use choices::Choices;

/// The fuzzer's bytes as decisions; zeros when they are used up.
struct Bytes<'a>(&'a [u8]);

impl Choices for Bytes<'_> {
    fn below(&mut self, limit: u32) -> u32 {
        // As few bytes as the choice needs, so that the fuzzer's changes stay local.
        let length = match limit {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken.iter().rev().fold(0u32, |value, &byte| value << 8 | u32::from(byte)) % limit
    }

    fn exhausted(&self) -> bool {
        self.0.is_empty()
    }
}

/// A flash image through check and writing. First byte even: the rest is the image. Odd: the rest says how to make one.
pub fn flash_image(data: &[u8]) {
    match data.split_first() {
        Some((kind, rest)) if kind % 2 == 0 => hostile::bytes(rest, corelog_periph::role::Role::CoreDevice),
        Some((_, rest)) => hostile::made(&mut Bytes(rest)),
        None => false,
    };
}

/// Operations on rings, boot after boot, against the naive model.
pub fn ring(data: &[u8]) {
    if !data.is_empty() {
        model::boots(&mut Bytes(data));
    }
}
