//! The text form of the log (what PullLog, GetLog and the UART carry), made when it is read.

use core::fmt::{self, Write};

use crate::{Level, Loss, Record};

/// Writes `[     0.000123s]  INFO(runtime): message` and a line feed. `mark` goes before the message, for instance
/// `[previous boot] `. Bytes that are not UTF-8 become U+FFFD. Only `out` can fail.
pub fn write_line(out: &mut dyn Write, mark: &str, record: &Record<'_>) -> fmt::Result {
    start(out, record.time(), record.level())?;
    lossy(out, record.target())?;
    out.write_str("): ")?;
    out.write_str(mark)?;
    if record.encoding() == 0 {
        lossy(out, record.body())?;
    } else {
        write!(out, "record of unknown encoding {}", record.encoding())?;
    }
    if record.truncated() {
        out.write_str("... (truncated)")?;
    }
    match record.repeat() {
        0 => {}
        1 => out.write_str(" (repeated once)")?,
        n => write!(out, " (repeated {n} times)")?,
    }
    out.write_str("\n")
}

/// Writes the line that stands for lost records. `time`: of the next kept record, or of now, in us since boot.
pub fn write_loss_line(out: &mut dyn Write, mark: &str, time: u64, loss: &Loss) -> fmt::Result {
    start(out, time, Level::Warn)?;
    let most = if loss.exact { "" } else { "at most " };
    writeln!(out, "corelog): {mark}{} records lost ({most}{} errors or warnings)", loss.count, loss.retained)
}

fn start(out: &mut dyn Write, time: u64, level: Level) -> fmt::Result {
    write!(out, "[{:6}.{:06}s] {:>5}(", time / 1_000_000, time % 1_000_000, level.name())
}

fn lossy(out: &mut dyn Write, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        out.write_str(chunk.valid())?;
        if !chunk.invalid().is_empty() {
            out.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    Ok(())
}
