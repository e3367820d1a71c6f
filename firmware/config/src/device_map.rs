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
        let mut entries = self.entries();
        entries.find(|&(number, _)| number == channel).and_then(|(_, name)| core::str::from_utf8(name).ok())
    }

    fn entries(&self) -> impl Iterator<Item = (u32, &'a [u8])> {
        let mut rest = self.entries;
        core::iter::from_fn(move || {
            let (channel, name, after) = entry(rest)?;
            rest = after;
            Some((channel, name))
        })
    }

    /// Copies to `out` the bytes from `offset` on of the value that has the entries of `destination` only. Gives how
    /// many, and whether more follow.
    pub fn part(&self, destination: u8, offset: usize, out: &mut [u8]) -> (usize, bool) {
        let entries = || self.entries().filter(|(channel, _)| channel >> 16 == destination.into());
        let mut part = Part { skip: offset, out, used: 0, more: false };
        part.put(&(entries().count() as u32).to_le_bytes());
        for (channel, name) in entries() {
            part.put(&channel.to_le_bytes());
            part.put(&(name.len() as u32).to_le_bytes());
            part.put(name);
        }
        (part.used, part.more)
    }
}

/// What goes to `out` after the first `skip` bytes.
struct Part<'a> {
    skip: usize,
    out: &'a mut [u8],
    used: usize,
    more: bool,
}

impl Part<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let (skipped, bytes) = bytes.split_at(self.skip.min(bytes.len()));
        self.skip -= skipped.len();
        let room = &mut self.out[self.used..];
        let (now, later) = bytes.split_at(room.len().min(bytes.len()));
        room[..now.len()].copy_from_slice(now);
        self.used += now.len();
        self.more |= !later.is_empty();
    }
}

fn entry(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (channel, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (name, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((u32::from_le_bytes(*channel), name, rest))
}
