"""Real-time packets: what they hold, and between their fields and the link's words (docs/drtio.md, section 3)."""

from functools import reduce
from operator import xor

from migen import Case, Cat, Constant, If, Module, Signal

from .interface import LinkInterface

# Of both directions; what comes back to an echo has no other use.
ECHO = 0
SET_TIME, WRITE, SPACE_REQUEST, READ_REQUEST = 1, 2, 3, 4
SPACE, READ_REPLY, READ_NO_EVENT = 1, 2, 3

WORD = 16
# {type: ((field, bits), ...)}, in words as they are sent. `number` comes back in the answer, so that a late answer to
# an earlier question is not taken for this one's.
TO_SATELLITE = {
    ECHO: (),
    SET_TIME: (("time", 64),),
    WRITE: (("time", 64), ("channel", 24), ("address", 8), ("extra", 16), ("data", 32)),
    SPACE_REQUEST: (("destination", 8), ("number", 8)),
    READ_REQUEST: (("channel", 24), ("number", 8), ("timeout", 64)),
}
FROM_SATELLITE = {
    ECHO: (),
    SPACE: (("number", 16), ("events", 16)),
    READ_REPLY: (("number", 16), ("time", 64), ("data", 32)),
    READ_NO_EVENT: (("status", 8), ("number", 8)),
}
# A write's data is one word, or, with extra = 1, two.
EXTRA_AT, EXTRA_MAX = 6, 1

_POLYNOMIAL, _INITIAL = 0x1021, 0xFFFF


def words_of(fields: tuple[tuple[str, int], ...]) -> int:
    """Words between start word and CRC; of a write, the most there can be."""
    return sum(bits for _, bits in fields) // WORD


def _advance(value: int, bits: int) -> int:
    """The CRC register after so many zero bits."""
    for _ in range(bits):
        value = (value << 1 ^ (_POLYNOMIAL if value >> (WORD - 1) else 0)) & (2**WORD - 1)
    return value


class Checksum(Module):
    """CRC-16 of a packet.

    start, kind  begin with the type (one of `kinds`)
    stb, data    go on with a word, low byte first
    value        of all until the cycle before
    """

    def __init__(self, kinds: list[int]) -> None:
        self.start = Signal()
        self.kind = Signal(8)
        self.stb = Signal()
        self.data = Signal(WORD)
        self.value = Signal(WORD)

        # # #

        mixed = Signal(WORD)
        columns = [_advance(1 << n, WORD) for n in range(WORD)]
        after = [reduce(xor, [mixed[n] for n in range(WORD) if columns[n] >> k & 1]) for k in range(WORD)]
        begun = {kind: self.value.eq(_advance(_INITIAL ^ kind << 8, 8)) for kind in kinds}
        self.comb += If(self.stb, mixed.eq(self.value ^ Cat(self.data[8:], self.data[:8])))
        self.sync += If(self.start, Case(self.kind, begun)).Elif(self.stb, self.value.eq(Cat(*after)))


class PacketSender(Module):
    """Sends packets for several sources; the first one added goes first.

    busy  a packet is under way

    A packet begun is sent without a gap; the next can begin in the cycle after its CRC.
    """

    def __init__(self, link: LinkInterface, packets: dict[int, tuple]) -> None:
        self.busy = Signal()
        self._link, self._packets = link, packets
        self._sources: list[tuple] = []

    def add(self, kind: int, stb: Signal, payload: object = None, words: object = None) -> Signal:
        """A source of packets of that type.

        stb      a packet is to be sent; to be held until the signal returned is high
        payload  its fields, one after the other, as they are in that cycle
        words    how many of its words are sent, if not all

        Returns a signal that is high in the cycle in which the start word goes to the link.
        """
        size = words_of(self._packets[kind])
        sent = Signal()
        self._sources.append((
            kind, stb, Constant(0, WORD) if payload is None else payload, size if words is None else words, sent,
        ))
        return sent

    def do_finalize(self) -> None:
        link = self._link
        size = max(map(words_of, self._packets.values()))
        rest = Signal(WORD * size)
        left = Signal(max=size + 1)
        checksum = Checksum(list(self._packets))
        self.submodules += checksum
        choice, take = None, None
        for kind, stb, payload, words, sent in self._sources:
            chosen = [sent.eq(1), checksum.start.eq(1), checksum.kind.eq(kind)]
            taken = [rest.eq(payload), left.eq(words), self.busy.eq(1)]
            choice = If(stb, *chosen) if choice is None else choice.Elif(stb, *chosen)
            take = If(stb, *taken) if take is None else take.Elif(stb, *taken)
        self.comb += [
            If(
                self.busy,
                link.rt_tx_stb.eq(1),
                If(left == 0, link.rt_tx_data.eq(checksum.value)).Else(
                    link.rt_tx_data.eq(rest[:WORD]), checksum.data.eq(rest[:WORD]), checksum.stb.eq(1),
                ),
            ).Else(
                choice,
                link.rt_tx_stb.eq(checksum.start),
                link.rt_tx_start.eq(checksum.start),
                link.rt_tx_data.eq(checksum.kind),
            ),
        ]
        self.sync += If(
            self.busy,
            rest.eq(rest[WORD:]),
            If(left == 0, self.busy.eq(0)).Else(left.eq(left - 1)),
        ).Else(take)


class PacketReceiver(Module):
    """Takes packets from the link and checks them.

    stb       a good packet; one cycle, the one after its CRC was on the link's rt_rx_data
    kind, fields[kind][name]   its type and fields, while stb is high
    corrupt   one cycle: a packet, or words after a packet, dropped because of its CRC or length
    unknown   one cycle: a packet dropped because of its type

    A write's `data` has 32 bits, whatever was sent of them.
    """

    def __init__(self, link: LinkInterface, packets: dict[int, tuple]) -> None:
        self.stb = Signal()
        self.kind = Signal(8)
        self.corrupt = Signal()
        self.unknown = Signal()
        size = max(map(words_of, packets.values()))
        payload = Signal(WORD * size)
        self.fields: dict[int, dict[str, object]] = {}
        for kind, fields in packets.items():
            at, places = 0, {}
            for name, bits in fields:
                places[name] = payload[at: at + bits]
                at += bits
            self.fields[kind] = places

        # # #

        self.submodules.checksum = checksum = Checksum(list(packets))
        receiving = Signal()
        # Words that belong to no packet: the first of them means that one lost its start, unless that is known already.
        counted = Signal(reset=1)
        at, left = Signal(max=size + 1), Signal(max=size + 1)
        word, begins = link.rt_rx_data, Signal()
        self.comb += [
            begins.eq(link.rt_rx_stb & link.rt_rx_start),
            If(
                link.rt_rx_stb,
                checksum.start.eq(link.rt_rx_start), checksum.kind.eq(word[:8]),
                checksum.stb.eq(1), checksum.data.eq(word),
            ),
        ]
        start = {
            kind: [receiving.eq(1), self.kind.eq(kind), left.eq(words_of(fields)), at.eq(0)]
            for kind, fields in packets.items()
        }
        store = Case(at, {n: payload[WORD * n: WORD * (n + 1)].eq(word) for n in range(size)})
        take = [store, at.eq(at + 1), left.eq(left - 1)]
        if packets is TO_SATELLITE:
            # The length of a write is known from its `extra`; what is not sent of the data is 0.
            take += [
                If(
                    (self.kind == WRITE) & (at == EXTRA_AT),
                    payload[-WORD:].eq(0),
                    left.eq(1 + word[0]),
                    If(word > EXTRA_MAX, self.corrupt.eq(1), receiving.eq(0), counted.eq(1)),
                )
            ]
        self.sync += [
            If(self.stb | self.corrupt | self.unknown, self.stb.eq(0), self.corrupt.eq(0), self.unknown.eq(0)),
            If(
                begins,
                If(receiving, self.corrupt.eq(1)),
                Case(word[:8], {
                    **start,
                    "default": [receiving.eq(0), counted.eq(1), self.unknown.eq(1)],
                }),
            ).Elif(
                link.rt_rx_stb,
                If(
                    receiving,
                    If(
                        left == 0,
                        receiving.eq(0),
                        If(word == checksum.value, self.stb.eq(1), counted.eq(0)).Else(
                            self.corrupt.eq(1), counted.eq(1)
                        ),
                    ).Else(*take),
                ).Elif(~counted, self.corrupt.eq(1), counted.eq(1)),
            ).Elif(receiving, self.corrupt.eq(1), receiving.eq(0), counted.eq(1)),
        ]
