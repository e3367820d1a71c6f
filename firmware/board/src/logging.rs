//! Hooks of the `log` facade that are unsafe on a processor without compare-and-swap.

use log::{LevelFilter, Log, SetLoggerError};

/// Makes `logger` the one behind the `log` macros; an error if there is one already.
pub fn install(logger: &'static dyn Log) -> Result<(), SetLoggerError> {
    // SAFETY: nothing else runs at the same time: one processor, and no interrupt handler.
    critical_section::with(|_| unsafe { log::set_logger_racy(logger) })
}

/// Sets the level above which the `log` macros do nothing.
pub fn set_max_level(level: LevelFilter) {
    // SAFETY: as above.
    critical_section::with(|_| unsafe { log::set_max_level_racy(level) });
}
