//! The end: a panic or an exception is written to the log, which survives, then the board starts anew.

use core::convert::Infallible;
use core::fmt::{self, Arguments, Write};
use core::panic::PanicInfo;

use corelog_board::{clock, identity, uart};
use corelog_log::Level;

use crate::logger;

const TARGET: &str = "panic";

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    match info.location() {
        Some(at) => die(format_args!("panic at {}:{}:{}: {}", at.file(), at.line(), at.column(), info.message())),
        None => die(format_args!("panic: {}", info.message())),
    }
}

/// A processor exception: the numbers of `mcause`, `mepc`, `mtval` and the return address.
pub fn exception(cause: usize, pc: usize, value: usize, ra: usize) -> ! {
    die(format_args!("exception {} ({cause}) at {pc:#010x}, value {value:#010x}, called from {ra:#010x}", name(cause)))
}

fn name(cause: usize) -> &'static str {
    match cause {
        0 => "instruction address misaligned",
        1 => "instruction access fault",
        2 => "illegal instruction",
        3 => "breakpoint",
        4 => "load address misaligned",
        5 => "load access fault",
        6 => "store address misaligned",
        7 => "store access fault",
        11 => "environment call",
        _ => "of unknown kind",
    }
}

/// How far the end has come. A panic within the end goes on with the next step, so that it cannot go round for ever.
static STEPS: core::sync::atomic::AtomicU8 = core::sync::atomic::AtomicU8::new(0);

fn die(text: Arguments) -> ! {
    use core::sync::atomic::Ordering::Relaxed;
    let step = STEPS.load(Relaxed);
    STEPS.store(step.saturating_add(1), Relaxed);
    match step {
        0 => logger::seize(|logs| -> Infallible {
            if let Some(logs) = logs {
                logs.ring.flush_repeats();
                logs.ring.write(clock::now(), Level::Error, TARGET, text);
                logs.ring.mark_panic();
            }
            say(text)
        }),
        1 => say(text),
        _ => identity::reset(),
    }
}

fn say(text: Arguments) -> ! {
    struct Uart;
    impl Write for Uart {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            uart::send_blocking(text.as_bytes());
            Ok(())
        }
    }
    // Nothing can be done about an error any more.
    let _ = writeln!(Uart, "\n{text}\nrestarting...");
    identity::reset()
}
