//! Time since reset, counted in hardware, and one alarm.

use critical_section::CriticalSection;

use crate::csr;
use crate::register::{read, write};

/// Interrupt line that is high once the alarm's time has come, until the alarm is set anew.
pub const INTERRUPT: u32 = csr::UPTIME_INTERRUPT;

/// Microseconds since reset.
#[inline]
pub fn now() -> u64 {
    critical_section::with(now_in)
}

/// As [`now`], within a critical section.
#[inline]
pub fn now_in(_section: CriticalSection<'_>) -> u64 {
    // Reading the low word latches the high word.
    let lo = read(csr::UPTIME_LO_ADDR);
    u64::from(read(csr::UPTIME_HI_ADDR)) << 32 | u64::from(lo)
}

/// Arms the alarm for `at` (us since reset; all ones: never).
pub fn set_alarm(at: u64) {
    write(csr::UPTIME_ALARM_HI_ADDR, (at >> 32) as u32);
    write(csr::UPTIME_ALARM_LO_ADDR, at as u32);
}

/// Lets the alarm raise its interrupt line.
pub fn enable_interrupt() {
    set_alarm(u64::MAX);
    write(csr::UPTIME_EV_ENABLE_ADDR, 1);
}
