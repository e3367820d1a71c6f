"""Common RTIO interface (CRI): what a front end (CPU, later DMA or DRTIO) sees of an RTIO core.

Output, one event at a time:
  chan_sel, o_address, o_timestamp, o_data are taken in the cycle in which o_stb is high.
  From the next cycle o_status shows
    bit 0 wait         the submission is in progress (lane search, or the lane is full); do not submit
    bit 1 underflow    the last event was refused: too late (also if its lane stayed full until it was too late)
    bit 2 unreachable  the last event was refused: there is no such output channel
    bit 3 ignored      o_stb came while wait was set: that event was dropped (a fault of the front end)
  Bits 1 to 3 describe submissions since the last accepted o_stb, which clears them.
  An event that no lane can take is a sequence error: it is dropped and reported by the error queue, not here.

Input, one read at a time:
  chan_sel and i_timeout (absolute, mu) are taken in the cycle in which i_stb is high. From the next cycle i_status
  shows
    bit 0 no event     nothing arrived until the timeout (also the state before the first read and after a reset)
    bit 1 overflow     events of this channel were lost since the last report of this kind; nothing was taken out
    bit 2 wait         the read is in progress; an i_stb now gives it up (with an event it has just taken) and begins
                       the new one
    bit 3 unreachable  there is no such input channel
  With i_status all zero, i_data and i_timestamp (mu) hold the oldest event of the channel.

Buffer space, one question at a time:
  chan_sel, of which only the destination matters, is taken in the cycle in which space_stb is high. From the next cycle
  space_wait is high until `space` holds the answer: how many events surely fit, whatever lanes they take, after all
  events whose submission was over before; SPACE_UNREACHABLE: there is no such destination. A space_stb while
  space_wait is high begins anew.

The three are independent of each other. chan_sel is destination << 16 | channel; an RTIO core ignores the destination's
part of its questions about space and has no channels but those of destination 0 (drtio/routing.py takes it off).

counter is the time of this very cycle in mu. Times are 64 bit mu; 8 mu are a coarse cycle, which is one clock cycle.
"""

from migen import Constant
from migen.genlib.record import DIR_M_TO_S, DIR_S_TO_M, Record

O_WAIT, O_UNDERFLOW, O_UNREACHABLE, O_IGNORED = 1, 2, 4, 8
I_NO_EVENT, I_OVERFLOW, I_WAIT, I_UNREACHABLE = 1, 2, 4, 8

SPACE_BITS = 16
SPACE_UNREACHABLE = 0xFFFF

FINE_BITS = 3
COARSE_BITS = 64 - FINE_BITS
ADDRESS_BITS = 8
CHAN_SEL_BITS = 24


def unconnected_cri() -> "CRI":
    """A CRI with nothing behind it: everything is unreachable."""
    cri = CRI()
    cri.o_status.reset = Constant(O_UNREACHABLE)
    cri.i_status.reset = Constant(I_UNREACHABLE)
    cri.space.reset = Constant(SPACE_UNREACHABLE)
    return cri


class CRI(Record):
    """Signals of the common RTIO interface.

    o_data_width, i_data_width: bits of the widest output and input channel.
    """

    def __init__(self, o_data_width: int = 32, i_data_width: int = 32, name: str = "cri") -> None:
        Record.__init__(
            self,
            [
                ("chan_sel", CHAN_SEL_BITS, DIR_M_TO_S),
                ("o_stb", 1, DIR_M_TO_S),
                ("o_address", ADDRESS_BITS, DIR_M_TO_S),
                ("o_timestamp", 64, DIR_M_TO_S),
                ("o_data", o_data_width, DIR_M_TO_S),
                ("o_status", 4, DIR_S_TO_M),
                ("i_stb", 1, DIR_M_TO_S),
                ("i_timeout", 64, DIR_M_TO_S),
                ("i_data", i_data_width, DIR_S_TO_M),
                ("i_timestamp", 64, DIR_S_TO_M),
                ("i_status", 4, DIR_S_TO_M),
                ("space_stb", 1, DIR_M_TO_S),
                ("space_wait", 1, DIR_S_TO_M),
                ("space", SPACE_BITS, DIR_S_TO_M),
                ("counter", 64, DIR_S_TO_M),
            ],
            name=name,
        )
