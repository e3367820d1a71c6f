//! Little-endian fields in byte slices.

/// Takes fields from the front of received bytes.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    used: usize,
}

/// More bytes are needed: at least so many in all.
pub(crate) struct Needs(pub usize);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, used: 0 }
    }

    pub fn used(&self) -> usize {
        self.used
    }

    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Needs> {
        let end = self.used.saturating_add(length);
        let field = self.bytes.get(self.used..end).ok_or(Needs(end))?;
        self.used = end;
        Ok(field)
    }

    /// A field behind its length, a u16.
    pub fn field(&mut self) -> Result<&'a [u8], Needs> {
        let length = self.u16()?;
        self.take(length.into())
    }

    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Needs> {
        let end = self.used.saturating_add(N);
        let field = self.bytes.get(self.used..end).and_then(|field| field.first_chunk()).ok_or(Needs(end))?;
        self.used = end;
        Ok(field)
    }

    pub fn u8(&mut self) -> Result<u8, Needs> {
        self.array().copied().map(u8::from_le_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, Needs> {
        self.array().copied().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Needs> {
        self.array().copied().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Needs> {
        self.array().copied().map(u64::from_le_bytes)
    }

    pub fn i64(&mut self) -> Result<i64, Needs> {
        self.array().copied().map(i64::from_le_bytes)
    }
}

/// Fills a frame or packet, field by field.
pub(crate) trait Put: Sized {
    fn put(self, field: &[u8]) -> Self;

    fn u8(self, value: u8) -> Self {
        self.put(&[value])
    }

    fn u16(self, value: u16) -> Self {
        self.put(&value.to_le_bytes())
    }

    fn u32(self, value: u32) -> Self {
        self.put(&value.to_le_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.put(&value.to_le_bytes())
    }

    fn i64(self, value: i64) -> Self {
        self.put(&value.to_le_bytes())
    }
}

/// A frame of known size, field by field. What would not fit is left out, which the tests of each frame rule out.
pub struct Frame<const N: usize> {
    bytes: [u8; N],
    used: usize,
}

impl<const N: usize> Default for Frame<N> {
    fn default() -> Self {
        Frame { bytes: [0; N], used: 0 }
    }
}

impl<const N: usize> Put for Frame<N> {
    fn put(mut self, field: &[u8]) -> Self {
        if let Some(place) = self.bytes.get_mut(self.used..self.used + field.len()) {
            place.copy_from_slice(field);
        }
        self.used += field.len();
        self
    }
}

impl<const N: usize> Frame<N> {
    pub fn done(self) -> [u8; N] {
        debug_assert_eq!(self.used, N);
        self.bytes
    }
}

/// A packet of any size in the caller's memory.
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    used: usize,
}

impl<'a> Writer<'a> {
    pub fn new(out: &'a mut [u8]) -> Writer<'a> {
        Writer { out, used: 0 }
    }

    /// `None` if one of the fields did not fit.
    pub fn used(&self) -> Option<usize> {
        (self.used <= self.out.len()).then_some(self.used)
    }

    /// Its length, a u16, and a field.
    pub fn field(self, field: &[u8]) -> Self {
        match u16::try_from(field.len()) {
            Ok(length) => self.u16(length).put(field),
            Err(_) => Writer { used: usize::MAX, ..self },
        }
    }
}

impl Put for Writer<'_> {
    fn put(mut self, field: &[u8]) -> Self {
        let end = self.used.saturating_add(field.len());
        match self.out.get_mut(self.used..end) {
            Some(place) => {
                place.copy_from_slice(field);
                self.used = end;
            }
            None => self.used = usize::MAX, // so that nothing behind it fits either
        }
        self
    }
}
