//! The value of `rtio_clock`: what the RTIO clock of 125 MHz is made of.

/// The source of the RTIO clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RtioClock {
    /// The board's crystal.
    Internal,
    /// A clock of this many MHz at the external input, through the PLL.
    External(u32),
    /// A clock of 125 MHz at the external input, as it is.
    Bypass,
}

/// Parses the value of `rtio_clock`. What would give another frequency than 125 MHz is none.
pub fn rtio_clock(value: &[u8]) -> Option<RtioClock> {
    Some(match value.trim_ascii() {
        b"int_125" | b"i" => RtioClock::Internal,
        b"ext0_synth0_10to125" => RtioClock::External(10),
        b"ext0_synth0_80to125" => RtioClock::External(80),
        b"ext0_synth0_100to125" => RtioClock::External(100),
        b"ext0_synth0_125to125" => RtioClock::External(125),
        b"ext0_bypass" | b"ext0_bypass_125" | b"e" => RtioClock::Bypass,
        _ => return None,
    })
}
