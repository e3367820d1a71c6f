//! What management requests do on every board, however they came.

use core::fmt::Write;

use corelog_board::{clock, identity, memory};
use corelog_proto::mgmt::Identity;

use crate::record::{error, warn};
use crate::{config, logger, program, start};

/// Writes a configuration value, an empty one removes it; what it sets takes effect where it can at once. False, with
/// the reason in the log, if it is refused.
pub async fn config_write(key: &str, value: &[u8]) -> bool {
    // Checked before it is stored: a bad level would otherwise stay bad at every boot.
    if logger::is_level_key(key.as_bytes()) && !value.is_empty() && logger::parse_level(value).is_none() {
        warn!("configuration key {key} is OFF, ERROR, WARN, INFO, DEBUG or TRACE; what was sent is refused");
        return false;
    }
    let result = config::write(key.as_bytes(), value).await;
    if logger::is_level_key(key.as_bytes()) {
        logger::configure();
    }
    told(result)
}

/// Removes every key of the configuration. False, with the reason in the log, if that failed.
pub async fn config_erase() -> bool {
    let result = config::erase().await;
    logger::configure();
    told(result)
}

fn told(result: Result<(), config::Error>) -> bool {
    if let Err(reason) = result {
        error!("configuration not changed: {}", reason.text());
    }
    result.is_ok()
}

/// Writes the reply to Identify into `reply`; gives its length, `None` if there is no room for it.
pub fn identify(capabilities: u32, reply: &mut [u8]) -> Option<usize> {
    let mut ident = [0; 128];
    let identity = Identity {
        board_id: identity::board_id(),
        boot_id: start::current_boot_id(),
        uptime: clock::now(),
        capabilities,
        gateware: identity::gateware(&mut ident),
        firmware: program::FIRMWARE,
    };
    identity.encode(reply)
}

/// Describes the use of memory on the UART only. There is no heap, so this is all of it.
pub fn dump_memory() {
    struct Direct;
    impl Write for Direct {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            corelog_board::uart::send_blocking(text.as_bytes());
            Ok(())
        }
    }
    let usage = memory::usage();
    // The UART cannot fail.
    let _ = writeln!(
        Direct,
        "memory: image {} bytes, stack {} bytes ({} or more never used), buffers {} of {} bytes, no heap",
        usage.image, usage.stack, usage.stack_untouched, usage.arena_used, usage.arena
    );
}
