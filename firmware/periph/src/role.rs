//! Which program a firmware image holds, and for which gateware, by what the program says when it starts.

/// The firmware of a core device, or of a satellite.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// `runtime`
    CoreDevice,
    /// `satman`
    Satellite,
}

impl Role {
    /// The file that this program comes in.
    pub fn file(self) -> &'static str {
        match self {
            Role::CoreDevice => "runtime.fbi",
            Role::Satellite => "satman.fbi",
        }
    }
}

const RUNTIME: [u8; 13] = complement(b"ARTIQ runtime");
const SATMAN: [u8; 23] = complement(b"ARTIQ satellite manager");
/// Stands before the number of the registers that the program was compiled for.
const MADE_FOR: [u8; 19] = complement(b"made for registers ");
const DIGITS: usize = 8;

/// Each byte's complement, so that no program contains the titles of all only because it looks for them.
const fn complement<const N: usize>(text: &[u8; N]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut i = 0;
    while i < N {
        bytes[i] = !text[i];
        i += 1;
    }
    bytes
}

/// Looks for these texts in bytes that go by in pieces; one across pieces is found if they overlap by [`OVERLAP`].
#[derive(Clone, Copy, Default, Debug)]
pub struct Search {
    runtime: bool,
    satman: bool,
    registers: Option<u32>,
}

/// Bytes of the longest text but one.
pub const OVERLAP: usize = MADE_FOR.len() + DIGITS - 1;

impl Search {
    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        // All titles begin alike: what is looked at nearly always is one byte.
        for start in (0..bytes.len()).filter(|&start| bytes[start] == !RUNTIME[0]) {
            let rest = &bytes[start..];
            self.runtime |= begins(rest, &RUNTIME);
            self.satman |= begins(rest, &SATMAN);
        }
        for start in (0..bytes.len()).filter(|&start| bytes[start] == !MADE_FOR[0]) {
            let rest = &bytes[start..];
            if begins(rest, &MADE_FOR) {
                self.registers = self.registers.or(number(&rest[MADE_FOR.len()..]));
            }
        }
    }

    /// The registers that the program was compiled for, by the number of their map, if it says so.
    pub fn registers(self) -> Option<u32> {
        self.registers
    }

    /// The role, if the bytes hold the title of one program.
    pub fn role(self) -> Option<Role> {
        match (self.runtime, self.satman) {
            (true, false) => Some(Role::CoreDevice),
            (false, true) => Some(Role::Satellite),
            _ => None,
        }
    }
}

fn begins(bytes: &[u8], title: &[u8]) -> bool {
    bytes.len() >= title.len() && bytes.iter().zip(title).all(|(&byte, &inverted)| byte == !inverted)
}

fn number(bytes: &[u8]) -> Option<u32> {
    let digits = core::str::from_utf8(bytes.get(..DIGITS)?).ok()?;
    u32::from_str_radix(digits, 16).ok()
}
