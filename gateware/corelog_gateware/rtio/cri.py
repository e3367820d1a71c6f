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
    bit 2 wait         the read is in progress; an i_stb now is ignored
    bit 3 unreachable  there is no such input channel
  With i_status all zero, i_data and i_timestamp (mu) hold the oldest event of the channel.

counter is the time of this very cycle in mu. Times are 64 bit mu; 8 mu are a coarse cycle, which is one clock cycle.
"""

from migen.genlib.record import DIR_M_TO_S, DIR_S_TO_M, Record

O_WAIT, O_UNDERFLOW, O_UNREACHABLE, O_IGNORED = 1, 2, 4, 8
I_NO_EVENT, I_OVERFLOW, I_WAIT, I_UNREACHABLE = 1, 2, 4, 8

FINE_BITS = 3
COARSE_BITS = 64 - FINE_BITS
ADDRESS_BITS = 8
CHAN_SEL_BITS = 24


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
                ("counter", 64, DIR_S_TO_M),
            ],
            name=name,
        )
