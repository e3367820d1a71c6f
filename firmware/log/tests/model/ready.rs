//! Records that lie ready, as the firmware's macros make them.

use corelog_log::{fixed_words, Fixed, Level};

macro_rules! ready {
    ($($level:ident $target:literal $text:literal),+) => {
        &[$({
            static RECORD: Fixed<[u32; fixed_words($target, $text)]> = Fixed::new(Level::$level, $target, $text);
            &RECORD
        }),+]
    };
}

/// With and without text. Some are too long for small rings.
pub const READY: &[&Fixed<[u32]>] = ready![
    Info "runtime" "ready",
    Info "runtime" "Ready",
    Info "runtime" "",
    Debug "runtime::rtio" "a text that takes some words more than the others",
    Warn "runtime::rtio" "a text that takes some words more than the others",
    Error "runtime::rtio" "",
    Error "k" "\u{1f600}",
    Trace "\u{b5}" "0123456789a0123456789b0123456789c0123456789d0123456789e0123456789f0123456789g0123456789h0123456789"
];
