//! Records whose text is known when the program is compiled: the text lies ready in words, with its sums.

use crate::compose::Text;
use crate::record::{kind_word, sizes_word, HEADER_WORDS, MAX_TARGET};
use crate::Level;

/// Longest target and text together of a [`Fixed`], bytes: short of every limit of a record.
const LONGEST: usize = MAX_TARGET;

/// A record ready to be written, all but its number and time: `static R: Fixed<[u32; fixed_words(TARGET, TEXT)]> =
/// Fixed::new(level, TARGET, TEXT)`, and [`crate::Ring::write_fixed`] with `&R`.
pub struct Fixed<W: ?Sized> {
    pub(crate) level: Level,
    pub(crate) key: u32,
    /// Words 0 and 8 of the header; word 9 is `body_len`.
    pub(crate) kind: u32,
    pub(crate) sizes: u32,
    pub(crate) body_len: u32,
    pub(crate) sums: (u32, u32),
    target: &'static str,
    text: &'static str,
    pub(crate) words: W,
}

/// Whether a format string has nothing to format and is short enough for a [`Fixed`].
pub const fn is_fixed(target: &str, format: &str) -> bool {
    let bytes = format.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == b'{' || bytes[i] == b'}' {
            return false;
        }
        i += 1;
    }
    target.len() + bytes.len() <= LONGEST
}

/// Words that target and text take.
pub const fn fixed_words(target: &str, text: &str) -> usize {
    (target.len() + text.len()).div_ceil(4)
}

impl<const N: usize> Fixed<[u32; N]> {
    /// # Panics
    /// If `N` is not [`fixed_words`] of the texts: for a `static`, when it is compiled.
    pub const fn new(level: Level, target: &'static str, text: &'static str) -> Self {
        assert!(N == fixed_words(target, text), "N is fixed_words(target, text)");
        let (mut words, mut i) = ([0; N], 0);
        while i < target.len() + text.len() {
            let byte = if i < target.len() { target.as_bytes()[i] } else { text.as_bytes()[i - target.len()] };
            words[i / 4] |= (byte as u32) << (i % 4 * 8);
            i += 1;
        }
        let (mut sums, mut i): ((u32, u32), _) = ((0, 0), 0);
        while i < N {
            sums.0 = sums.0.wrapping_add(words[i]);
            sums.1 = sums.1.wrapping_add(sums.0);
            i += 1;
        }
        let whole = Text { target_len: target.len(), message_len: text.len(), body_len: text.len(), truncated: false };
        Fixed {
            level,
            key: whole.key(level),
            kind: kind_word(level, HEADER_WORDS + N),
            sizes: sizes_word(target.len(), false),
            body_len: text.len() as u32,
            sums,
            target,
            text,
            words,
        }
    }
}

impl Fixed<[u32]> {
    pub fn level(&self) -> Level {
        self.level
    }

    pub fn target(&self) -> &'static str {
        self.target
    }

    pub fn text(&self) -> &'static str {
        self.text
    }
}
