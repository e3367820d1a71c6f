//! Channel names: the value of `device_map`.
//!
//! ```text
//! u32 count, then per entry: u32 channel (destination << 16 | channel of the destination), u32 length, UTF-8 name
//! ```
//! All little endian.

/// A checked `device_map` value.
#[derive(Clone, Copy, Debug)]
pub struct DeviceMap<'a> {
    entries: &'a [u8],
}

impl<'a> DeviceMap<'a> {
    /// A map without names.
    pub const EMPTY: DeviceMap<'static> = DeviceMap { entries: &[] };

    /// Checks `value` whole; `None` unless it is exactly `count` well-formed entries.
    pub fn parse(value: &'a [u8]) -> Option<DeviceMap<'a>> {
        let (count, entries) = value.split_first_chunk::<4>()?;
        let count = u32::from_le_bytes(*count);
        let mut rest = entries;
        for _ in 0..count {
            let (_, name, after) = entry(rest)?;
            core::str::from_utf8(name).ok()?;
            rest = after;
        }
        rest.is_empty().then_some(DeviceMap { entries })
    }

    /// The map of a value that [`DeviceMap::parse`] accepted before. With other values names may be missing.
    pub fn checked(value: &'a [u8]) -> DeviceMap<'a> {
        DeviceMap { entries: value.get(4..).unwrap_or(&[]) }
    }

    /// The name of `channel`; the first entry wins.
    pub fn name(&self, channel: u32) -> Option<&'a str> {
        let mut rest = self.entries;
        while let Some((number, name, after)) = entry(rest) {
            if number == channel {
                return core::str::from_utf8(name).ok();
            }
            rest = after;
        }
        None
    }
}

fn entry(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (channel, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (name, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((u32::from_le_bytes(*channel), name, rest))
}
