//! A flash image that goes by in pieces is checked: it ends with the CRC-32 (IEEE 802.3, as zlib's) of what stands
//! before.

use crate::record::error;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut value = i as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 != 0 { 0xEDB8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[i] = value;
        i += 1;
    }
    table
};

/// An image on its way.
pub struct Image {
    length: usize,
    /// Bytes still to come, and of these the ones before the checksum.
    missing: usize,
    body: usize,
    crc: u32,
    sum: u32,
}

impl Image {
    /// An image of `length` bytes.
    pub fn new(length: usize) -> Image {
        Image { length, body: length.saturating_sub(4), crc: !0, sum: 0, missing: length }
    }

    /// Takes the next bytes; what comes beyond the length counts for nothing.
    pub fn update(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(self.missing)];
        self.missing -= bytes.len();
        let (body, sum) = bytes.split_at(bytes.len().min(self.body));
        self.body -= body.len();
        for &byte in body {
            self.crc = TABLE[usize::from(self.crc as u8 ^ byte)] ^ (self.crc >> 8);
        }
        for &byte in sum {
            self.sum = self.sum >> 8 | u32::from(byte) << 24;
        }
    }

    /// Whether the image was put in its place; the log says why not. The
    /// simulated boards have no flash memory.
    pub fn finish(self) -> bool {
        let (length, crc) = (self.length, !self.crc);
        if length < 4 {
            error!("flash image refused: {length} bytes are too short for its checksum");
        } else if self.missing > 0 {
            error!("flash image refused: {} of its {length} bytes did not come", self.missing);
        } else if self.sum != crc {
            error!("flash image refused: its checksum is {crc:#010x}, but it says {:#010x}", self.sum);
        } else {
            error!("flash image is sound, but this board has no flash memory for it");
        }
        false
    }
}
