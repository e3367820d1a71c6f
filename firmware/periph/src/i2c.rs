//! I2C by hand: the board offers two open-drain lines. No chip here stretches the clock, and there is one master.

/// The two lines of a bus. A line that is set free is pulled high, unless a chip holds it low.
pub trait Lines {
    /// Sets the clock free, or pulls it low.
    fn set_clock(&mut self, free: bool);
    /// Sets the data line free, or pulls it low.
    fn set_data(&mut self, free: bool);
    /// Whether the data line is high.
    fn data(&mut self) -> bool;
    /// Waits for half a period of the clock: 5 us at least.
    fn pause(&mut self);
}

/// What can go wrong on a bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The data line stays low.
    Stuck,
    /// The chip with this address does not acknowledge.
    NoAnswer(u8),
}

/// A switch on the way to a chip: its address, and a bit for every channel that it shall connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Switch {
    /// Of a PCA9548.
    pub address: u8,
    /// What is written to it.
    pub channels: u8,
}

/// A bus as its master drives it.
pub struct Bus<L> {
    lines: L,
}

impl<L: Lines> Bus<L> {
    /// Takes over the lines, and frees them: a chip that a reset cut off in the midst of a byte is led to its end.
    pub fn new(mut lines: L) -> Bus<L> {
        lines.set_data(true);
        lines.set_clock(true);
        lines.pause();
        let mut bus = Bus { lines };
        // Nine pulses end whatever a chip was sending; a start and a stop whatever it was receiving.
        for _ in 0..9 {
            if bus.lines.data() {
                break;
            }
            bus.pulse();
        }
        bus.start();
        bus.stop();
        bus
    }

    /// Writes `bytes` to the chip with this address (7 bits).
    pub fn write(&mut self, address: u8, bytes: &[u8]) -> Result<(), Error> {
        self.idle()?;
        self.start();
        let done = self.send_all(address, bytes);
        self.stop();
        done
    }

    /// Reads from the chip's `register` on.
    pub fn read(&mut self, address: u8, register: u8, into: &mut [u8]) -> Result<(), Error> {
        self.idle()?;
        self.start();
        let done = self.send_all(address, &[register]).and_then(|()| {
            self.start();
            self.send(address << 1 | 1).then_some(()).ok_or(Error::NoAnswer(address))
        });
        if done.is_ok() {
            let last = into.len().saturating_sub(1);
            for (i, byte) in into.iter_mut().enumerate() {
                *byte = self.receive(i < last);
            }
        }
        self.stop();
        done
    }

    /// Connects the way that leads through these switches, and no other.
    pub fn connect(&mut self, way: &[Switch]) -> Result<(), Error> {
        way.iter().try_for_each(|switch| self.write(switch.address, &[switch.channels]))
    }

    fn send_all(&mut self, address: u8, bytes: &[u8]) -> Result<(), Error> {
        let mut all = [address << 1].into_iter().chain(bytes.iter().copied());
        all.all(|byte| self.send(byte)).then_some(()).ok_or(Error::NoAnswer(address))
    }

    /// Whether nobody holds the data line, while the clock is free.
    fn idle(&mut self) -> Result<(), Error> {
        self.lines.data().then_some(()).ok_or(Error::Stuck)
    }

    /// From a free or a held clock, for the first start or another one: ends with both lines low.
    fn start(&mut self) {
        self.lines.set_data(true);
        self.lines.pause();
        self.lines.set_clock(true);
        self.lines.pause();
        self.lines.set_data(false);
        self.lines.pause();
        self.lines.set_clock(false);
        self.lines.pause();
    }

    /// Ends with both lines free.
    fn stop(&mut self) {
        self.lines.set_data(false);
        self.lines.pause();
        self.lines.set_clock(true);
        self.lines.pause();
        self.lines.set_data(true);
        self.lines.pause();
    }

    /// Whether the byte was acknowledged.
    fn send(&mut self, byte: u8) -> bool {
        for bit in (0..8).rev() {
            self.lines.set_data(byte >> bit & 1 != 0);
            self.pulse();
        }
        self.lines.set_data(true);
        !self.pulse()
    }

    fn receive(&mut self, acknowledge: bool) -> u8 {
        self.lines.set_data(true);
        let byte = (0..8).fold(0, |byte, _| byte << 1 | u8::from(self.pulse()));
        self.lines.set_data(!acknowledge);
        self.pulse();
        byte
    }

    /// A pulse of the clock; gives the data line in it.
    fn pulse(&mut self) -> bool {
        self.lines.set_clock(false);
        self.lines.pause();
        self.lines.set_clock(true);
        self.lines.pause();
        let data = self.lines.data();
        self.lines.set_clock(false);
        self.lines.pause();
        data
    }
}
