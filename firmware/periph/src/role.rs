//! Which program a firmware image holds, by what the program says when it starts.

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

/// Looks for titles in bytes that go by in pieces; a title across pieces is found if they overlap by [`OVERLAP`].
#[derive(Clone, Copy, Default, Debug)]
pub struct Search {
    runtime: bool,
    satman: bool,
}

/// Bytes of the longest title but one.
pub const OVERLAP: usize = SATMAN.len() - 1;

impl Search {
    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        // All titles begin alike: what is looked at nearly always is one byte.
        for start in (0..bytes.len()).filter(|&start| bytes[start] == !RUNTIME[0]) {
            let rest = &bytes[start..];
            self.runtime |= begins(rest, &RUNTIME);
            self.satman |= begins(rest, &SATMAN);
        }
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
