"""Aux frames over a whole link: two controllers, two link layers, damage and real-time words in between."""

import random
from collections.abc import Iterator

import pytest

from corelog_gateware.drtio.aux_memory import FRAME_BYTES, RX_OFFSET
from support.drtio_model import frame
from support.drtio_pair import DELAY, Pair

# docs/drtio.md, section 4; CRCs computed elsewhere.
KNOWN = [
    "00 00 00 00 1c df 44 21", "01 00 00 00 79 b8 f8 99", "20 03 00 00 7b ce 30 83", "24 02 01 00 5a 02 8b 14",
    "d0 01 01 00 f3 3d c9 1f", "dd 01 02 00 68 69 00 00 00 00 00 00 a8 4f 9d 61", "df 01 00 00 e4 1c b1 5e",
]
LONGEST = FRAME_BYTES - 4


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair() as pair:
        pair.connect()
        yield pair


def settle(pair: Pair, cycles: int = FRAME_BYTES + 4 * DELAY) -> None:
    pair.player.play([{}], idle=cycles)


def counters(pair: Pair, side: int) -> tuple[int, int]:
    return pair.sides[side].read("rx_corrupt"), pair.sides[side].read("rx_overflows")


@pytest.mark.parametrize("text", KNOWN)
def test_crc_put_in_is_the_known_one(pair: Pair, text: str) -> None:
    want = bytes.fromhex(text)
    pair.sides[0].send(want[:-4] + b"\xaa\x55\xff\x00")
    settle(pair)
    assert pair.sides[1].receive() == want
    assert pair.sides[1].receive() is None
    assert counters(pair, 1) == (0, 0)


@pytest.mark.parametrize("content", [1, 4, 5, 11, 12, 13, 500, 1004, 1005, 1012, 1013, LONGEST])
def test_frame_of_any_size_arrives_as_it_was_sent_both_ways(pair: Pair, content: int) -> None:
    rng = random.Random(content)
    there, back = frame(rng.randbytes(content)), frame(rng.randbytes(content))
    pair.sides[0].send(there)
    pair.sides[1].send(back)
    settle(pair)
    assert pair.sides[1].receive() == there
    assert pair.sides[0].receive() == back


@pytest.mark.parametrize("length", [0, 1, 4, 12, 1016 + 4, 1023, 1032, 2040, 2047])
def test_length_that_no_frame_has_sends_nothing_and_hangs_nothing(pair: Pair, length: int) -> None:
    side = pair.sides[0]
    side.write("tx_length", length)
    side.write("tx", 1)
    assert side.read("tx") == 0
    settle(pair)
    assert pair.sides[1].read("rx_present") == 0
    assert counters(pair, 1) == (0, 0)
    side.send(frame(b"\x00"))
    settle(pair)
    assert pair.sides[1].receive() == frame(b"\x00")


def test_start_while_busy_is_ignored_and_events_follow_the_states(pair: Pair) -> None:
    sender, receiver = pair.sides
    rx, tx = 1, 2
    assert receiver.read("ev_status") == tx
    sender.write("ev_enable", tx)
    receiver.write("ev_enable", rx)
    longest = frame(bytes(range(255)) * 4)
    sender.send(longest)
    assert sender.read("tx") == 1 and sender.read("ev_status") == 0
    sender.write("tx_length", 8)
    sender.write("tx", 1)
    assert not pair.play([{}])[0]["0.irq"]
    settle(pair)
    shown = pair.play([{}])[0]
    assert sender.read("tx") == 0 and shown["0.irq"] and shown["1.irq"]
    assert receiver.read("ev_status") == rx | tx
    assert receiver.receive() == longest
    assert receiver.read("ev_status") == tx and not pair.play([{}])[0]["1.irq"]
    assert receiver.receive() is None and counters(pair, 1) == (0, 0)


def test_eight_frames_wait_in_order_and_more_are_overflows_until_one_is_released(pair: Pair) -> None:
    sender, receiver = pair.sides
    frames = [frame(bytes([n]) * (n * 80 + 1)) for n in range(13)]
    for number in (*range(8), 8, 9):
        sender.send(frames[number])
        settle(pair)
    assert counters(pair, 1) == (0, 2)
    assert [receiver.receive() for _ in range(3)] == frames[:3]
    for number in (10, 11, 12):
        sender.send(frames[number])
        settle(pair)
    assert [receiver.receive() for _ in range(8)] == [*frames[3:8], *frames[10:13]]
    assert receiver.receive() is None
    receiver.write("rx_present", 1)
    assert receiver.read("rx_present") == 0
    assert counters(pair, 1) == (0, 2)


def test_buffers_are_words_of_their_own_and_receive_buffers_cannot_be_written(pair: Pair) -> None:
    side = pair.sides[0]
    rng = random.Random(5)
    content = rng.randbytes(FRAME_BYTES)
    side.load(0, content)
    before = side.dump(RX_OFFSET, 8 * FRAME_BYTES)
    side.load(RX_OFFSET, rng.randbytes(FRAME_BYTES))
    assert side.dump(0, FRAME_BYTES) == content
    assert side.dump(RX_OFFSET, 8 * FRAME_BYTES) == before


@pytest.mark.parametrize("enabled", [0, 1])
def test_sending_ends_also_when_the_link_is_down(pair: Pair, enabled: int) -> None:
    pair.play([{"0.enable": enabled, "0.cut": 1, "1.cut": 1}])
    settle(pair)
    pair.sides[0].send(frame(bytes(LONGEST)))
    settle(pair)
    assert pair.sides[0].read("tx") == 0
    pair.play([{"0.enable": 1, "0.cut": 0, "1.cut": 0}])
    settle(pair)
    assert pair.sides[1].receive() is None
    pair.sides[0].send(frame(b"\x02"))
    settle(pair)
    assert pair.sides[1].receive() == frame(b"\x02")


def test_frame_broken_off_by_the_links_loss_is_counted_and_its_buffer_is_free(pair: Pair) -> None:
    sender, receiver = pair.sides
    for round_ in range(10):
        sender.send(frame(bytes(LONGEST)))
        pair.play([{}] * 300 + [{"0.cut": 1}] + [{}] * 1000 + [{"0.cut": 0}] + [{}] * 200)
        assert receiver.receive() is None
        assert counters(pair, 1) == (round_ + 1, 0)
    for number in range(8):
        sender.send(frame(bytes([number])))
        settle(pair)
    assert [receiver.receive() for _ in range(8)] == [frame(bytes([n])) for n in range(8)]


def packets(rng: random.Random, cycles: int, busy: float) -> list[tuple[int, int, int]]:
    """Real-time words (stb, start, data) for so many cycles and a bit."""
    rows: list[tuple[int, int, int]] = []
    while len(rows) < cycles:
        if rng.random() < busy:
            rows.append((1, 1, rng.getrandbits(8)))
            rows += [(1, 0, rng.getrandbits(16)) for _ in range(rng.randrange(14))]
        else:
            rows += [(0, 0, 0)] * rng.choice([1, 1, 2, 7])
    return rows


@pytest.mark.parametrize(("seed", "busy"), [(0, 0.02), (1, 0.2), (2, 0.5), (3, 0.8)])
def test_real_time_words_preempt_aux_bytes_anywhere_and_both_arrive_whole(
        pair: Pair, seed: int, busy: float) -> None:
    rng = random.Random(seed)
    for _ in range(6):
        sent = frame(rng.randbytes(rng.choice([1, 4, 5, 100, 1012, LONGEST])))
        pair.sides[0].send(sent)
        cycles = 0
        words: list[tuple[int, int]] = []
        arrived: list[tuple[int, int, int]] = []
        while pair.sides[0].read("tx"):
            traffic = packets(rng, 400, busy)
            shown = pair.play(
                [{"0.rt_tx_stb": stb, "0.rt_tx_start": start, "0.rt_tx_data": data} for stb, start, data in traffic]
                + [{"0.rt_tx_stb": 0}] + [{}] * (DELAY + 2)
            )
            words += [(start, data) for stb, start, data in traffic if stb]
            rows = [(row["1.rt_rx_stb"], row["1.rt_rx_start"], row["1.rt_rx_data"]) for row in shown]
            # Latency is constant: what was given in cycle c arrives in c + DELAY + 2.
            assert [bool(row[0]) for row in rows[DELAY + 2 :][: len(traffic)]] == [bool(row[0]) for row in traffic]
            arrived += [row for row in rows if row[0]]
            cycles += len(traffic)
            assert cycles < 40 * FRAME_BYTES, "the frame does not get through"
        settle(pair, 4 * DELAY)
        assert [row[1:] for row in arrived] == words, f"seed {seed}"
        assert pair.sides[1].receive() == sent, f"seed {seed}"
    assert counters(pair, 1) == (0, 0)


@pytest.mark.parametrize(("seed", "rate"), [(0, 0.02), (1, 0.005), (2, 0.001), (3, 0.0003), (4, 0.0001)])
def test_over_a_damaging_link_frames_arrive_whole_in_order_or_are_counted(pair: Pair, seed: int, rate: float) -> None:
    rng = random.Random(seed)
    sender, receiver = pair.sides
    sent, received = [], []
    for number in range(60):
        sent.append(frame(number.to_bytes(2, "little") + rng.randbytes(rng.choice([2, 20, 200, 1018]))))
        sender.send(sent[-1])
        rows: list[dict[str, int]] = []
        for _ in range(len(sent[-1]) + 60):
            row = {"0.xor_d": 0, "0.xor_k": 0, "0.bad": 0}
            if rng.random() < rate:
                match rng.randrange(3):
                    case 0:
                        row["0.bad"] = 1
                    case 1:
                        row["0.xor_k"] = rng.randrange(1, 4)
                    case _:
                        row["0.xor_d"] = rng.randrange(1, 256) << 8 * rng.randrange(2)
            rows.append(row)
        pair.play([*rows, {"0.xor_d": 0, "0.xor_k": 0, "0.bad": 0}])
        if rng.randrange(4) == 0:
            settle(pair, 200)  # long enough to come up again
        while (content := receiver.receive()) is not None:
            received.append(content)
    corrupt, overflows = counters(pair, 1)
    order = [sent.index(content) for content in received]
    assert order == sorted(set(order)), f"seed {seed}"
    missing = len(sent) - len(received)
    assert overflows == 0 and (corrupt > 0) == (missing > 0), f"seed {seed}: {missing} missing, {corrupt} counted"
    assert received or rate >= 0.02
