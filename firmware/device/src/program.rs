//! Which program this is, and the targets of its records.

use corelog_periph::role::Role;

/// The program's name: where the targets of all its records begin.
pub const NAME: &str = if cfg!(feature = "satellite") { "satman" } else { "runtime" };
/// What the program calls itself when it starts.
pub const TITLE: &str = if cfg!(feature = "satellite") { "ARTIQ satellite manager" } else { "ARTIQ runtime" };
/// What board it makes of a board.
pub const ROLE: Role = if cfg!(feature = "satellite") { Role::Satellite } else { Role::CoreDevice };
/// What its records call a downstream port.
pub const PORT: &str = if cfg!(feature = "satellite") { "REP" } else { "LINK" };
/// The firmware's identity, as Identify and the log give it.
pub const FIRMWARE: &str = match cfg!(feature = "satellite") {
    true => concat!(env!("CORELOG_VERSION"), ";satman"),
    false => concat!(env!("CORELOG_VERSION"), ";runtime"),
};

/// The name of this crate in module paths; in targets the program's stands for it, as it is the program that speaks.
const CRATE: &[u8] = env!("CARGO_CRATE_NAME").as_bytes();

const fn is_shared(path: &[u8]) -> bool {
    let mut i = 0;
    while i < CRATE.len() {
        if i == path.len() || path[i] != CRATE[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[doc(hidden)]
pub const fn target_length(path: &str) -> usize {
    match is_shared(path.as_bytes()) {
        true => path.len() - CRATE.len() + NAME.len(),
        false => path.len(),
    }
}

#[doc(hidden)]
pub const fn target_bytes<const N: usize>(path: &str) -> [u8; N] {
    let path = path.as_bytes();
    let (mut bytes, mut i) = ([0; N], 0);
    while i < N {
        bytes[i] = match is_shared(path) {
            true if i < NAME.len() => NAME.as_bytes()[i],
            true => path[i - NAME.len() + CRATE.len()],
            false => path[i],
        };
        i += 1;
    }
    bytes
}

#[doc(hidden)]
pub const fn as_text(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("names of modules are text"),
    }
}

/// The target of records of the module it stands in, known when it is compiled: the module's path, that of a shared
/// module under the program's name.
#[macro_export]
macro_rules! target {
    () => {{
        const LENGTH: usize = $crate::program::target_length(module_path!());
        const BYTES: [u8; LENGTH] = $crate::program::target_bytes(module_path!());
        const TARGET: &str = $crate::program::as_text(&BYTES);
        TARGET
    }};
}
