"""Real-time packets between fields and words of the link, against a model written from the contract alone."""

import random
from collections.abc import Generator

import drtio_rt_model as model
import pytest
from migen import Cat, Module, Signal, passive, run_simulation

from corelog_gateware.drtio import packets
from corelog_gateware.drtio.interface import LinkInterface

Process = Generator


def test_the_checksum_is_the_well_known_one() -> None:
    assert model.crc16(b"123456789") == 0x29B1


class Sender(Module):
    """A sender with one source per type; fields are in one wide signal."""

    def __init__(self, table: dict[int, tuple]) -> None:
        self.link = LinkInterface()
        self.submodules.sender = sender = packets.PacketSender(self.link, table)
        self.payloads, self.wants, self.sent, self.counts = {}, {}, {}, {}
        for kind, fields in table.items():
            payload = self.payloads[kind] = Signal(max(1, sum(bits for _, bits in fields)))
            want = self.wants[kind] = Signal()
            count = self.counts[kind] = Signal(5)
            words = count if table is packets.TO_SATELLITE and kind == packets.WRITE else None
            self.sent[kind] = sender.add(kind, want, Cat(payload), words)


@pytest.mark.parametrize("to_satellite", [True, False])
def test_packets_sent_are_those_of_the_model_first_source_first_and_without_gaps(to_satellite: bool) -> None:
    table = packets.TO_SATELLITE if to_satellite else packets.FROM_SATELLITE
    rng = random.Random(to_satellite)
    top = Sender(table)
    expected: list[model.Word] = []
    sent: list[model.Word] = []

    @passive
    def record() -> Process:
        while True:
            if (yield top.link.rt_tx_stb):
                start = bool((yield top.link.rt_tx_start))
                sent.append((start, (yield top.link.rt_tx_data) & (0xFF if start else 0xFFFF)))
            else:
                sent.append(None)
            yield

    def process() -> Process:
        for _ in range(60):
            chosen = sorted(rng.sample(sorted(table), rng.randrange(1, len(table) + 1)))
            for kind in chosen:
                values = [rng.getrandbits(bits) for _, bits in table[kind]]
                if to_satellite and kind == packets.WRITE:
                    time, channel, address, _, data = values
                    if rng.randrange(2):
                        data &= 0xFFFF
                    expected.extend(model.packet(kind, time, channel, address, data))
                    extra = int(data > 0xFFFF)
                    values = [time, channel, address, extra, data]
                    yield top.counts[kind].eq(8 + extra)
                else:
                    expected.extend(model.packet(kind, *values, to_satellite=to_satellite))
                payload, at = 0, 0
                for value, (_, bits) in zip(values, table[kind], strict=True):
                    payload, at = payload | value << at, at + bits
                yield top.payloads[kind].eq(payload)
                yield top.wants[kind].eq(1)
            yield
            for kind in chosen:
                while not (yield top.sent[kind]):
                    yield
                yield top.wants[kind].eq(0)
                yield
            for _ in range(20):
                yield
            expected.append(None)

    run_simulation(top, [process(), record()])
    # Idle words between the rounds are one here.
    runs = [word for n, word in enumerate(sent) if word is not None or (n > 0 and sent[n - 1] is not None)]
    assert runs == expected


class Receiver(Module):
    def __init__(self) -> None:
        self.link = LinkInterface()
        self.submodules.receiver = packets.PacketReceiver(self.link, packets.TO_SATELLITE)


def hear(stream: list[model.Word]) -> tuple[list[tuple[int, bytes]], int, int]:
    """What the receiver makes of the words."""
    top = Receiver()
    receiver, link = top.receiver, top.link
    good: list[tuple[int, bytes]] = []
    counts = {"corrupt": 0, "unknown": 0}

    def process() -> Process:
        for word in [*stream, None, None, None]:
            start, data = word if word is not None else (False, 0)
            yield link.rt_rx_stb.eq(word is not None)
            yield link.rt_rx_start.eq(start)
            if word is not None:
                yield link.rt_rx_data.eq(data)
            yield
            for name in counts:
                counts[name] += yield getattr(receiver, name)
            if (yield receiver.stb):
                kind = yield receiver.kind
                values = []
                for name, field in receiver.fields[kind].items():
                    bits = dict(packets.TO_SATELLITE[kind])[name]
                    value = yield field
                    values.append(value.to_bytes(bits // 8, "little"))
                good.append((kind, b"".join(values)))

    run_simulation(top, process())
    return good, counts["corrupt"], counts["unknown"]


def whole(heard: tuple[list[tuple[int, bytes]], int, int]) -> tuple[list[tuple[int, bytes]], int, int]:
    """The model's packets as the receiver shows them: a write's data is always there in full."""
    good, corrupt, unknown = heard
    return [(kind, payload.ljust(18, b"\0") if kind == model.WRITE else payload) for kind, payload in good], \
        corrupt, unknown


def some_packet(rng: random.Random) -> list[model.Word]:
    kind = rng.randrange(5)
    if kind == model.WRITE:
        data = rng.getrandbits(rng.choice((1, 16, 32)))
        return model.packet(kind, rng.getrandbits(64), rng.getrandbits(24), rng.getrandbits(8), data)
    return model.packet(kind, *(rng.getrandbits(8 * size) for size in model.TO_SATELLITE[kind]))


def test_packets_received_straight_after_each_other_or_not_are_those_sent() -> None:
    rng = random.Random(1)
    stream: list[model.Word] = []
    for _ in range(300):
        stream += some_packet(rng) + [None] * rng.choice((0, 0, 1, 5))
    heard = hear(stream)
    assert heard == whole(model.receive(stream))
    assert len(heard[0]) == 300
    assert heard[1:] == (0, 0)


def damage(stream: list[model.Word], rng: random.Random, chance: float) -> list[model.Word]:
    """The stream with words changed, made starts or none, left out and put in."""
    damaged: list[model.Word] = []
    for word in stream:
        if rng.random() < chance:
            start, data = word or (False, 0)
            how = rng.randrange(6)
            if how == 0:
                damaged.append(None)
            elif how == 1:
                damaged.append((start, data ^ 1 << rng.randrange(8 if start else 16)))
            elif how == 2:
                damaged.append((True, rng.randrange(256)))
            elif how == 3:
                damaged.append((True, rng.randrange(5)))
            elif how == 4:
                damaged += [word, (False, rng.getrandbits(16))]
        else:
            damaged.append(word)
    # The link layer passes no words on that follow a break.
    heard: list[model.Word] = []
    for word in damaged:
        orphan = word is not None and not word[0] and (not heard or heard[-1] is None)
        heard.append(None if orphan else word)
    return heard


@pytest.mark.parametrize("chance", [0.01, 0.1, 0.5])
def test_damaged_streams_give_the_packets_and_counts_of_the_model_and_nothing_that_was_not_sent(
    chance: float,
) -> None:
    seed = round(1000 * chance)
    print(f"seed {seed}")
    rng = random.Random(seed)
    stream: list[model.Word] = []
    for _ in range(400):
        stream += some_packet(rng) + [None] * rng.choice((0, 0, 1, 5))
    sent = set(model.receive(stream)[0])
    damaged = damage(stream, rng, chance)
    heard = hear(damaged)
    assert heard == whole(model.receive(damaged))
    assert {packet for packet in heard[0] if packet[0] != model.ECHO} <= set(whole((list(sent), 0, 0))[0])
    assert heard[1] > 0
    assert heard[2] > 0


def test_every_wrong_length_is_one_corrupt_packet_and_the_next_one_is_heard() -> None:
    good = model.packet(model.WRITE, 1, 2, 3, 0x12345)
    after = model.packet(model.SET_TIME, 5)
    for cut in range(1, len(good)):
        assert hear(good[:cut] + after) == ([(model.SET_TIME, (5).to_bytes(8, "little"))], 1, 0)
        assert hear([*good[:cut], None, *after]) == ([(model.SET_TIME, (5).to_bytes(8, "little"))], 1, 0)
    # What is straight behind a good packet has lost its start.
    heard = hear([*good, (False, 1), (False, 2), *after])
    assert [kind for kind, _ in heard[0]] == [model.WRITE, model.SET_TIME]
    assert heard[1:] == (1, 0)
    # More data than there is room for.
    long = model.words(model.WRITE, bytes(12) + (2).to_bytes(2, "little") + bytes(6))
    assert hear(long + after)[1:] == (1, 0)
