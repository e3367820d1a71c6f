//! Which board this firmware is for.

/// A kind of board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// In Verilator: no chips beside the FPGA.
    Simulated,
    /// Sinara's, of this hardware revision: 10, 11, 20.
    Kasli { revision: u32 },
    /// Xilinx's KC705.
    Kc705,
}

/// This one.
#[cfg(has_kasli)]
pub const KIND: Kind = Kind::Kasli { revision: crate::csr::BOARD_KASLI };
/// This one.
#[cfg(has_kc705)]
pub const KIND: Kind = Kind::Kc705;
/// This one.
#[cfg(not(any(has_kasli, has_kc705)))]
pub const KIND: Kind = Kind::Simulated;
