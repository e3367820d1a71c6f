"""The aux buffers as the CPU sees them: the one place of the DRTIO cores that names a bus."""

from litex.soc.interconnect import wishbone
from migen import If, Memory, Module, Signal
from migen.fhdl.specials import READ_FIRST

FRAME_BYTES = 1024
RX_BUFFERS = 8
RX_OFFSET = 8192
REGION_BYTES = 2 * RX_OFFSET


class AuxMemory(Module):
    """A transmit buffer and eight receive buffers between the CPU and the gateware.

    bus    Wishbone slave, 32 bits, word addresses, REGION_BYTES: transmit buffer at 0 (again every FRAME_BYTES up to
           RX_OFFSET), receive buffers from RX_OFFSET on, which it cannot write. Words only (`sel` is ignored);
           acknowledged one cycle later.

    tx_adr, tx_data         word (256 of them) of the transmit buffer, on tx_data one cycle after tx_adr
    rx_adr, rx_data, rx_we  writes a word (8 x 256 of them) of the receive buffers
    """

    def __init__(self) -> None:
        self.bus = bus = wishbone.Interface(data_width=32, address_width=32, addressing="word")
        self.tx_adr = Signal(max=FRAME_BYTES // 4)
        self.tx_data = Signal(32)
        self.rx_adr = Signal(max=RX_BUFFERS * FRAME_BYTES // 4)
        self.rx_data = Signal(32)
        self.rx_we = Signal()

        # # #

        tx = Memory(32, FRAME_BYTES // 4)
        rx = Memory(32, RX_BUFFERS * FRAME_BYTES // 4)
        tx_cpu = tx.get_port(write_capable=True, mode=READ_FIRST, has_re=True)
        tx_out = tx.get_port(mode=READ_FIRST)
        rx_cpu = rx.get_port(mode=READ_FIRST, has_re=True)
        rx_in = rx.get_port(write_capable=True, mode=READ_FIRST)
        self.specials += tx, rx, tx_cpu, tx_out, rx_cpu, rx_in

        begin, in_rx = Signal(), Signal()
        self.comb += [
            begin.eq(bus.cyc & bus.stb & ~bus.ack),
            in_rx.eq(bus.adr[(RX_OFFSET // 4).bit_length() - 1]),
            tx_cpu.adr.eq(bus.adr),
            tx_cpu.dat_w.eq(bus.dat_w),
            tx_cpu.we.eq(begin & bus.we & ~in_rx),
            tx_cpu.re.eq(begin),
            rx_cpu.adr.eq(bus.adr),
            rx_cpu.re.eq(begin),
            If(in_rx, bus.dat_r.eq(rx_cpu.dat_r)).Else(bus.dat_r.eq(tx_cpu.dat_r)),
            tx_out.adr.eq(self.tx_adr),
            self.tx_data.eq(tx_out.dat_r),
            rx_in.adr.eq(self.rx_adr),
            rx_in.dat_w.eq(self.rx_data),
            rx_in.we.eq(self.rx_we),
        ]
        self.sync += bus.ack.eq(begin)
