//! The firmware's own log macros. They look like those of the `log` crate, by which other crates' records come, and
//! cost less: nothing is put together on the stack, and a text without arguments lies ready as it goes into the ring.

/// Writes a record of this module with a constant level, or of whatever target and level.
macro_rules! record {
    ($level:expr, target: $target:expr, $($format:tt)+) => {
        if $level <= log::max_level() {
            $crate::logger::write_to($level, $target, format_args!($($format)+))
        }
    };
    ($level:expr, $text:literal $($arguments:tt)*) => {
        if $level <= log::max_level() {
            use corelog_log::{fixed_words, is_fixed, Fixed};
            const FIXED: bool = is_fixed(module_path!(), $text);
            // What has something to format begins with its target only.
            const TEXT: &str = if FIXED { $text } else { "" };
            static RECORD: Fixed<[u32; fixed_words(module_path!(), TEXT)]> =
                Fixed::new($crate::logger::kept($level), module_path!(), TEXT);
            if FIXED {
                $crate::logger::write_fixed($level, &RECORD)
            } else {
                $crate::logger::write($level, &RECORD, format_args!($text $($arguments)*))
            }
        }
    };
}

macro_rules! error {
    ($($record:tt)+) => { $crate::record::record!(log::Level::Error, $($record)+) };
}

macro_rules! warn_ {
    ($($record:tt)+) => { $crate::record::record!(log::Level::Warn, $($record)+) };
}

macro_rules! info {
    ($($record:tt)+) => { $crate::record::record!(log::Level::Info, $($record)+) };
}

pub(crate) use {error, info, record, warn_ as warn};
