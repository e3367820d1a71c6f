"""Which way an event, a read or a question about space goes: to the board's own core or through one of its ports."""

from collections.abc import Sequence

from migen import Case, If, Memory, Module, Mux, Signal
from migen.fhdl.specials import READ_FIRST

from ..rtio.cri import CRI, I_UNREACHABLE, I_WAIT, O_UNREACHABLE, O_WAIT, SPACE_UNREACHABLE
from ..rtio.csr_bus import AutoCSR, CSRStorage
from .interface import DESTINATIONS

UNREACHABLE = 0xFF


class Routing(Module, AutoCSR):
    """CRI switch by destination, and registers of the CSR module `drtio_routing`.

    core   CRI of the board's own core: hop 0. It sees channels without their destination.
    ports  CRIs of the board's ports: hops from 1
    root   True at the core device, which has destination 0 itself

    cri    for the one front end: what is done here is done a cycle later where it belongs. Without a hop, or with one
           that leads nowhere, the answer is "unreachable".

    destination, hop   registers: writing `hop` sets the hop of the destination; 0xff: none. Another hop counts for what
                       comes afterwards.
    """

    def __init__(self, core: CRI, ports: Sequence[CRI], root: bool = False) -> None:
        self.cri = cri = CRI(name="routing")
        self.destination = CSRStorage(8)
        self.hop = CSRStorage(8)

        # # #

        table = Memory(8, DESTINATIONS)
        read = table.get_port(mode=READ_FIRST)
        write = table.get_port(write_capable=True, mode=READ_FIRST)
        self.specials += table, read, write
        # A reset of the logic does not reset a memory: that takes 256 cycles more, in which all is unreachable.
        clearing, at = Signal(reset=1), Signal(8)
        hop = Signal(8)
        self.comb += [
            hop.eq(Mux(clearing, UNREACHABLE, read.dat_r)),
            read.adr.eq(cri.chan_sel[16:]),
            write.adr.eq(self.destination.storage),
            write.dat_w.eq(self.hop.storage),
            If(
                clearing,
                write.we.eq(1),
                write.adr.eq(at),
                write.dat_w.eq(UNREACHABLE),
                *([If(at == 0, write.dat_w.eq(0))] if root else []),
            ),
        ]
        set_hop = Signal()
        self.comb += If(set_hop, write.we.eq(1))
        self.sync += [
            set_hop.eq(self.hop.re),
            If(clearing, at.eq(at + 1), If(at == DESTINATIONS - 1, clearing.eq(0))),
        ]

        # The strobes one cycle later, with what belongs to them, for all slaves; then only their answers matter.
        chan_sel = Signal.like(cri.chan_sel)
        address, timestamp, data = (Signal.like(s) for s in (cri.o_address, cri.o_timestamp, cri.o_data))
        timeout = Signal.like(cri.i_timeout)
        output, input_, space = Signal(), Signal(), Signal()
        output_hop, input_hop, space_hop = Signal(8), Signal(8), Signal(8)
        anything = Signal()
        self.comb += anything.eq(cri.o_stb | cri.i_stb | cri.space_stb)
        self.sync += If(
            anything | output | input_ | space,
            output.eq(cri.o_stb), input_.eq(cri.i_stb), space.eq(cri.space_stb),
            If(anything, chan_sel.eq(cri.chan_sel)),
            If(cri.o_stb, address.eq(cri.o_address), timestamp.eq(cri.o_timestamp), data.eq(cri.o_data)),
            If(cri.i_stb, timeout.eq(cri.i_timeout)),
            If(output, output_hop.eq(hop)),
            If(input_, input_hop.eq(hop)),
            If(space, space_hop.eq(hop)),
        )
        slaves = dict(enumerate([core, *ports]))
        for n, slave in slaves.items():
            self.comb += [
                slave.chan_sel.eq(chan_sel[:16] if n == 0 else chan_sel),
                slave.o_address.eq(address),
                slave.o_timestamp.eq(timestamp),
                slave.o_data.eq(data),
                slave.i_timeout.eq(timeout),
                slave.o_stb.eq(output & (hop == n)),
                slave.i_stb.eq(input_ & (hop == n)),
                slave.space_stb.eq(space & (hop == n)),
            ]
        self.comb += [
            cri.counter.eq(core.counter),
            If(output, cri.o_status.eq(O_WAIT)).Else(
                Case(output_hop, {
                    **{n: cri.o_status.eq(slave.o_status) for n, slave in slaves.items()},
                    "default": cri.o_status.eq(O_UNREACHABLE),
                })
            ),
            Case(input_hop, {
                **{
                    n: [
                        cri.i_status.eq(slave.i_status), cri.i_data.eq(slave.i_data),
                        cri.i_timestamp.eq(slave.i_timestamp),
                    ]
                    for n, slave in slaves.items()
                },
                "default": cri.i_status.eq(I_UNREACHABLE),
            }),
            If(input_, cri.i_status.eq(I_WAIT)),
            Case(space_hop, {
                **{n: [cri.space_wait.eq(slave.space_wait), cri.space.eq(slave.space)] for n, slave in slaves.items()},
                "default": cri.space.eq(SPACE_UNREACHABLE),
            }),
            If(space, cri.space_wait.eq(1)),
        ]
