//! The store: one flash sector of appended records.
//!
//! ```text
//! u32 big-endian size of the record, itself included | key | 00 | value       and so on, to the end: ff ff ff ff
//! ```
//!
//! The last record of a key wins; an empty value removes the key. As flash can only be erased as a whole, records are
//! appended until there is no room, then the live ones are written anew ([`Compaction`]).

/// Bytes of a record besides key and value.
pub const OVERHEAD: usize = 5;
const ERASED: u32 = 0xFFFF_FFFF;

/// A record that makes no sense, so that nothing from it on can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damaged {
    /// Where in the store it begins.
    pub offset: usize,
}

/// One record of the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Key, without zero bytes.
    pub key: &'a [u8],
    /// Value, empty if the record removes the key.
    pub value: &'a [u8],
    /// Where in the store the record begins.
    pub offset: usize,
}

/// The records of `image` from its start to the end of the list or the first damage.
pub fn records(image: &[u8]) -> Records<'_> {
    Records { image, offset: 0, failed: false }
}

/// Iterator of [`records`].
pub struct Records<'a> {
    image: &'a [u8],
    offset: usize,
    failed: bool,
}

impl Records<'_> {
    /// Where the next record begins, or would.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.image.get(self.offset..)?;
        let size = u32::from_be_bytes(*rest.first_chunk::<4>()?);
        if size == ERASED || self.failed {
            return None;
        }
        let record = (|| {
            let body = rest.get(4..usize::try_from(size).ok()?)?;
            let nul = body.iter().position(|&byte| byte == 0)?;
            Some(Record { key: &body[..nul], value: &body[nul + 1..], offset: self.offset })
        })();
        match record {
            Some(record) => {
                self.offset += size as usize;
                Some(Ok(record))
            }
            None => {
                self.failed = true;
                Some(Err(Damaged { offset: self.offset }))
            }
        }
    }
}

/// The value of `key`, from the records before any damage. `None` if it was never set, or removed.
pub fn find<'a>(image: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let last = records(image).map_while(Result::ok).filter(|record| record.key == key).last()?;
    (!last.value.is_empty()).then_some(last.value)
}

/// Where the next record belongs; `Err` if the list ends in damage.
pub fn end(image: &[u8]) -> Result<usize, Damaged> {
    let mut list = records(image);
    for record in list.by_ref() {
        record?;
    }
    Ok(list.offset())
}

/// Whether `key` can be stored: not empty, no zero byte.
pub fn valid_key(key: &[u8]) -> bool {
    !key.is_empty() && !key.contains(&0)
}

/// Writes a record to the start of `out`; gives its size, or `None` if it does not fit or the key is not valid.
pub fn encode(key: &[u8], value: &[u8], out: &mut [u8]) -> Option<usize> {
    let size = OVERHEAD.checked_add(key.len())?.checked_add(value.len())?;
    let header = u32::try_from(size).ok().filter(|&size| size != ERASED && valid_key(key))?;
    let out = out.get_mut(..size)?;
    out[..4].copy_from_slice(&header.to_be_bytes());
    out[4..4 + key.len()].copy_from_slice(key);
    out[4 + key.len()] = 0;
    out[5 + key.len()..].copy_from_slice(value);
    Some(size)
}

/// Moves the live records of an image to its front, one record per step, so that a caller can do other things between.
#[derive(Default)]
pub struct Compaction {
    read: usize,
    written: usize,
}

impl Compaction {
    /// Handles the next record of `image` (the same at each step). `false` when all are done: damage ends the list.
    pub fn step(&mut self, image: &mut [u8]) -> bool {
        let Some(rest) = image.get(self.read..) else { return false };
        let Some(Ok(record)) = records(rest).next() else { return false };
        let size = OVERHEAD + record.key.len() + record.value.len();
        let (live, _) = image.split_at(self.written);
        let older = records(live).map_while(Result::ok).find(|older| older.key == record.key);
        let older = older.map(|older| older.offset..older.offset + OVERHEAD + older.key.len() + older.value.len());
        let keep = !record.value.is_empty();
        if let Some(older) = older {
            image.copy_within(older.end..self.written, older.start);
            self.written -= older.len();
        }
        if keep {
            image.copy_within(self.read..self.read + size, self.written);
            self.written += size;
        }
        self.read += size;
        true
    }

    /// Marks what lies behind the live records as erased; gives their size.
    pub fn finish(self, image: &mut [u8]) -> usize {
        if let Some(rest) = image.get_mut(self.written..) {
            rest.fill(0xFF);
        }
        self.written
    }
}
