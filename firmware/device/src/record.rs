//! The firmware's own log macros. They look like those of the `log` crate, by which other crates' records come, and
//! cost less: nothing is put together on the stack, and a text without arguments lies ready as it goes into the ring.

#[doc(hidden)]
pub use {corelog_log, log};

/// Writes a record of this module with a constant level, or of whatever target and level.
#[macro_export]
macro_rules! record {
    ($level:expr, target: $target:expr, $($format:tt)+) => {
        if $level <= $crate::record::log::max_level() {
            $crate::logger::write_to($level, $target, format_args!($($format)+))
        }
    };
    ($level:expr, $text:literal $($arguments:tt)*) => {
        if $level <= $crate::record::log::max_level() {
            use $crate::record::corelog_log::{fixed_words, is_fixed, Fixed};
            const FIXED: bool = is_fixed($crate::target!(), $text);
            // What has something to format begins with its target only.
            const TEXT: &str = if FIXED { $text } else { "" };
            static RECORD: Fixed<[u32; fixed_words($crate::target!(), TEXT)]> =
                Fixed::new($crate::logger::kept($level), $crate::target!(), TEXT);
            if FIXED {
                $crate::logger::write_fixed($level, &RECORD)
            } else {
                $crate::logger::write($level, &RECORD, format_args!($text $($arguments)*))
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! record_error {
    ($($record:tt)+) => { $crate::record!($crate::record::log::Level::Error, $($record)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! record_warn {
    ($($record:tt)+) => { $crate::record!($crate::record::log::Level::Warn, $($record)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! record_info {
    ($($record:tt)+) => { $crate::record!($crate::record::log::Level::Info, $($record)+) };
}

pub use crate::{record, record_error as error, record_info as info, record_warn as warn};
