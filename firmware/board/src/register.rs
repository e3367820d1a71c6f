//! Access to the registers of the gateware by address.
//!
//! Private to this crate: its modules pass addresses out of [`crate::csr`] only, which is what makes this safe.

/// The 32-bit register at `address`.
#[inline(always)]
pub fn read(address: usize) -> u32 {
    // SAFETY: an address of `csr` is a register of this board: aligned, always mapped, no memory of Rust's.
    unsafe { (address as *const u32).read_volatile() }
}

/// Writes the 32-bit register at `address`.
#[inline(always)]
pub fn write(address: usize, value: u32) {
    // SAFETY: as for `read`; no register of this board gives the gateware a pointer into memory.
    unsafe { (address as *mut u32).write_volatile(value) }
}

/// The 64-bit register at `address`: the high word is at the lower address. Not atomic.
#[inline(always)]
pub fn read64(address: usize) -> u64 {
    u64::from(read(address)) << 32 | u64::from(read(address + 4))
}

/// Writes the 64-bit register at `address`, the high word first.
#[cfg(has_rtio_cpu)]
#[inline(always)]
pub fn write64(address: usize, value: u64) {
    write(address, (value >> 32) as u32);
    write(address + 4, value as u32);
}
