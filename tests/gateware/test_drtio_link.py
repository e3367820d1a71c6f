"""The link layer against naive models: scrambler, words sent, words received, up and down."""

import binascii
import random
import zlib
from collections.abc import Iterator

import pytest
from migen import Module, Record

from corelog_gateware.drtio.interface import phy_layout
from corelog_gateware.drtio.link import LinkLayer
from corelog_gateware.drtio.scrambler import Scrambler
from support.drtio_model import AUX, AUX_LAST, IDLE, START, BitScrambler, LinkModel, Plain, Received, Word, encode
from support.drtio_player import Player

RX = {"rx_d", "rx_k", "rx_bad", "rx_up"}
USER = {"rt_tx_stb", "rt_tx_start", "rt_tx_data", "aux_tx_stb", "aux_tx_data", "aux_tx_last", "enable"}


@pytest.fixture(scope="module")
def scramblers() -> Iterator[Player]:
    top = Module()
    top.submodules.scrambler, top.submodules.descrambler = out, back = Scrambler(), Scrambler(descramble=True)
    top.comb += [back.i.eq(out.o), back.k.eq(out.k), back.ce.eq(out.ce)]
    with Player(top, {"i": out.i, "k": out.k, "ce": out.ce}, {"o": out.o, "back": back.o}, "drtio_scrambler") as player:
        yield player


@pytest.fixture
def link() -> Iterator[Player]:
    top, phy = Module(), Record(phy_layout())
    top.submodules.link = link = LinkLayer(phy)
    inputs = {name: getattr(phy, name) for name in sorted(RX)} | {name: getattr(link, name) for name in sorted(USER)}
    outputs = {name: getattr(phy, name) for name in ("tx_d", "tx_k", "tx_enable")} | {
        name: signal for name, signal in vars(link).items() if name in {
            "rt_rx_stb", "rt_rx_start", "rt_rx_data", "aux_tx_ack", "aux_rx_stb", "aux_rx_data", "aux_rx_last",
            "aux_rx_error", "up", "symbol_error",
        }
    }
    with Player(top, inputs, outputs, "drtio_link") as player:
        yield player


def words_of(rng: random.Random, count: int) -> list[Plain]:
    """Legal traffic: idle words, aux bytes, packets of up to 300 words."""
    words: list[Plain] = []
    while len(words) < count:
        choice = rng.randrange(6)
        if choice == 0:
            words += [Plain(IDLE, 0)] * rng.randrange(1, 40)
        elif choice < 5:
            words.append(Plain(rng.choice([AUX, AUX, AUX_LAST]), rng.getrandbits(8)))
        else:
            data = [Plain(None, rng.getrandbits(16)) for _ in range(rng.choice([0, 1, 2, 5, 12, 300]))]
            words += [Plain(START, rng.getrandbits(8)), *data]
    return words


def show(received: dict[str, int]) -> Received:
    """What the outputs of a cycle say, as the model puts it; several things at once would not be one word."""
    assert received["rt_rx_stb"] + received["aux_rx_stb"] + received["symbol_error"] <= 1
    assert received["aux_rx_error"] == (received["symbol_error"] or not received["up"])
    kind, value = "", 0
    if received["rt_rx_stb"]:
        kind, value = "start" if received["rt_rx_start"] else "data", received["rt_rx_data"]
    elif received["aux_rx_stb"]:
        kind, value = "last" if received["aux_rx_last"] else "aux", received["aux_rx_data"]
    elif received["symbol_error"]:
        kind = "bad"
    return Received(kind, value, bool(received["up"]))


def receive(link: Player, words: list[Word | None]) -> list[Received]:
    """Plays words into the receiver; what it says of each, which must be what the model says."""
    model, expected = LinkModel(), []
    for word in words:
        said = model.word(word)
        expected.append(said._replace(kind="") if said.kind == "idle" else said)
    rows = [
        {"rx_up": 0} if word is None else {"rx_up": 1, "rx_d": word.d, "rx_k": word.k, "rx_bad": word.bad}
        for word in words
    ]
    shown = [show(row) for row in link.play([*rows, {}])[1:]]
    for number, (seen, want) in enumerate(zip(shown, expected, strict=True)):
        assert seen == want, f"word {number}: {words[number]}"
    return shown


@pytest.mark.parametrize("seed", range(3))
def test_scrambler_of_mixed_widths_does_what_bits_one_by_one_do_and_is_undone(scramblers: Player, seed: int) -> None:
    rng = random.Random(seed)
    # Words outside the sequence (ce low) in between change nothing. The player's program goes on from test to test.
    scramblers.play([{"ce": 1, "k": 0, "i": 0}] * 2)
    rows = [{"i": rng.getrandbits(16), "k": rng.getrandbits(1), "ce": rng.randrange(8) > 0} for _ in range(5000)]
    shown = scramblers.play(rows)
    model = None
    sent: list[int] = []
    for row, seen in zip(rows, shown, strict=True):
        if model is None and len(sent) >= 23:
            model = BitScrambler(sent[-23:])
        if model is not None and row["ce"]:
            assert seen["o"] == model.word(row["i"], row["k"]), f"seed {seed}"
        assert seen["back"] == row["i"]
        if row["ce"]:
            bits = [seen["o"] >> n & 1 for n in range(16)]
            sent += bits[8:] if row["k"] else bits
    assert model is not None


@pytest.mark.parametrize("content", range(1, 9))
def test_damage_to_one_byte_never_passes_the_crc_of_packet_or_frame(content: int) -> None:
    rng = random.Random(content)
    data = rng.randbytes(content)
    packet = data + binascii.crc_hqx(data, 0xFFFF).to_bytes(2, "little")
    frame = data + zlib.crc32(data).to_bytes(4, "little")
    for sent, crc_bytes, crc in (packet, 2, lambda got: binascii.crc_hqx(got, 0xFFFF)), (frame, 4, zlib.crc32):
        scrambled = BitScrambler().bytes(sent, descramble=False)
        assert BitScrambler().bytes(scrambled, descramble=True) == sent
        for place in range(len(sent)):
            for damage in range(1, 256):
                wrong = bytearray(scrambled)
                wrong[place] ^= damage
                got = BitScrambler().bytes(wrong, descramble=True)
                assert crc(got[:-crc_bytes]) != int.from_bytes(got[-crc_bytes:], "little")


def test_scrambled_idle_words_are_not_constant(link: Player) -> None:
    shown = link.play([{"enable": 1}] * 1000)[1:]
    assert len({row["tx_d"] for row in shown}) > 200
    assert {row["tx_d"] & 0xFF for row in shown} == {IDLE}


@pytest.mark.parametrize("seed", range(4))
def test_real_time_words_go_out_one_cycle_later_and_aux_bytes_fill_the_rest(link: Player, seed: int) -> None:
    rng = random.Random(seed)
    packet: list[tuple[int, int]] = []
    rows, expected = [], []
    busy_rt, busy_aux = [(1, 9), (9, 9), (0, 9), (3, 3)][seed]
    for _ in range(5000):
        if not packet and rng.randrange(10) < busy_rt:
            packet = [(1, rng.getrandbits(16))] + [(0, rng.getrandbits(16)) for _ in range(rng.randrange(14))]
        row = {"enable": 1, "aux_tx_stb": int(rng.randrange(10) < busy_aux), "aux_tx_data": rng.getrandbits(8),
               "aux_tx_last": rng.getrandbits(1), "rt_tx_stb": int(bool(packet))}
        word = Plain(IDLE, 0)
        if packet:
            start, value = packet.pop(0)
            row |= {"rt_tx_start": start, "rt_tx_data": value}
            word = Plain(START, value & 0xFF) if start else Plain(None, value)
        elif row["aux_tx_stb"]:
            word = Plain(AUX_LAST if row["aux_tx_last"] else AUX, row["aux_tx_data"])
        rows.append(row)
        expected.append(word)
    shown = link.play([*rows, {}])
    assert all(seen["tx_enable"] for seen in shown[1:])
    for row, seen in zip(rows, shown[:-1], strict=True):
        assert seen["aux_tx_ack"] == (row["aux_tx_stb"] and not row["rt_tx_stb"])
    sent = [Word(seen["tx_d"], seen["tx_k"]) for seen in shown[1:]]
    assert sent == encode(expected), f"seed {seed}"


def test_disabled_transmitter_changes_nothing_and_takes_bytes_all_the_same(link: Player) -> None:
    link.play([{"enable": 1}] * 100)
    before, *shown = link.play([{"enable": 0}, *({"aux_tx_stb": 1, "rt_tx_data": n} for n in range(1, 50))])
    assert before["tx_enable"] == 1
    assert {(row["tx_d"], row["tx_k"], row["tx_enable"]) for row in shown} == {(shown[0]["tx_d"], 1, 0)}
    assert all(row["aux_tx_ack"] for row in shown)
    assert all(not row["aux_tx_ack"] for row in link.play([{"rt_tx_stb": 1}] * 5))


@pytest.mark.parametrize("seed", range(3))
def test_clean_link_delivers_every_word_in_the_next_cycle(link: Player, seed: int) -> None:
    rng = random.Random(seed)
    plain = [Plain(IDLE, 0)] * 100 + words_of(rng, 5000)
    shown = receive(link, list(encode(plain)))
    kinds = {IDLE: "", AUX: "aux", AUX_LAST: "last", START: "start", None: "data"}
    assert [(said.kind, said.value) for said in shown[100:]] == [
        (kinds[word.symbol], word.value) for word in plain[100:]
    ], f"seed {seed}"


@pytest.mark.parametrize("good", [0, 1, 62, 63, 64, 65])
def test_link_is_up_after_64_good_words_in_a_row(link: Player, good: int) -> None:
    words: list[Word | None] = [None] * 3 + list(encode([Plain(IDLE, 0)] * 300))
    words[10 + good] = Word(0, 0, bad=True)
    said = receive(link, words)
    # Three words after a bad one are wrong at most: the descrambler has lost 8 bits.
    up_at = [n for n, word in enumerate(said) if word.up]
    if good >= 63 - 7:
        assert up_at[0] == 3 + 63
    else:
        assert 10 + good + 64 <= up_at[0] <= 10 + good + 64 + 3


@pytest.mark.parametrize("seed", range(3))
def test_packet_or_frame_under_way_when_the_link_comes_up_is_not_taken_for_a_new_one(link: Player, seed: int) -> None:
    rng = random.Random(seed)
    words = words_of(rng, 400)
    said = receive(link, list(encode(words)))
    up = [n for n, word in enumerate(said) if word.up]
    assert up and words[up[0]] == Plain(IDLE, 0), f"seed {seed}"


@pytest.mark.parametrize(("bad", "stays"), [(63, True), (64, False)])
@pytest.mark.parametrize("spread", [1, 4])
def test_link_is_down_when_a_quarter_of_256_words_was_bad(link: Player, bad: int, stays: bool, spread: int) -> None:
    words: list[Word | None] = list(encode([Plain(IDLE, 0)] * 1000))
    # Words that cannot come, with the right D byte: the descrambler goes on undisturbed.
    for n in range(bad):
        word = words[200 + spread * n]
        assert word is not None
        words[200 + spread * n] = word._replace(d=word.d & 0xFF00 | 0x1C)
    said = receive(link, words)
    assert said[199].up
    assert all(word.up for word in said[199:]) is stays
    assert sum(word.kind == "bad" for word in said) == bad
    assert said[-1].up


def test_bad_words_just_too_rare_for_the_window_never_take_the_link_down(link: Player) -> None:
    words: list[Word | None] = list(encode([Plain(IDLE, 0)] * 3000))
    for n in range(200, 3000):
        word = words[n]
        assert word is not None
        # 63 in each window of 256, in one row: two windows' share within fewer than 256 words.
        if (n - 200) % 256 in {0, *range(194, 256)}:
            words[n] = word._replace(k=3)
    said = receive(link, words)
    assert all(word.up for word in said[100:])


def test_lost_lock_is_down_at_once_and_words_without_lock_mean_nothing(link: Player) -> None:
    words: list[Word | None] = list(encode([Plain(IDLE, 0)] * 400))
    words[200] = None
    said = receive(link, words)
    assert said[199].up and not said[200].up
    assert not any(word.kind for word in said)
    assert not any(word.up for word in said[200:264]) and said[280].up


@pytest.mark.parametrize("word", [
    Word(0x0000, 0, bad=True), Word(0x001C, 1), Word(0x00BC, 3), Word(0x00BC, 2), Word(0x1234, 0), Word(0x7C7C, 3),
])
def test_each_word_that_is_none_is_one_symbol_error_and_breaks_a_packet_off(link: Player, word: Word) -> None:
    words: list[Word | None] = list(encode([Plain(IDLE, 0)] * 100 + [Plain(START, 2)] + [Plain(None, 7)] * 4))
    broken = word if word.k else Word(word.d, 3, bad=True)
    shown = receive(link, [*words[:103], broken, *words[103:105]])
    # Whatever follows the break is no packet word any more.
    assert [said.kind for said in shown[100:]] == ["start", "data", "data", "bad", "bad", "bad"]


@pytest.mark.parametrize("seed", range(6))
def test_receiver_says_what_the_model_says_of_damaged_traffic(link: Player, seed: int) -> None:
    rng = random.Random(seed)
    rate = [0.3, 0.1, 0.05, 0.01, 0.001, 0.0001][seed]
    words: list[Word | None] = []
    for word in encode([Plain(IDLE, 0)] * 200 + words_of(rng, 20000)):
        if rng.random() < rate:
            match rng.randrange(6):
                case 0:
                    word = word._replace(bad=True)
                case 1:
                    word = word._replace(d=word.d ^ 1 << rng.randrange(16))
                case 2:
                    word = word._replace(k=word.k ^ rng.randrange(1, 4))
                case 3:
                    word = Word(rng.choice([IDLE, AUX, AUX_LAST, START]) | rng.getrandbits(8) << 8, 1)
                case 4:
                    words += [None] * rng.randrange(1, 3)
                case _:
                    continue
        words.append(word)
    said = receive(link, words)
    # At the highest rates the link never comes up.
    if rate <= 0.05:
        assert any(word.kind == "bad" for word in said), f"seed {seed}"
    if rate <= 0.001:
        assert sum(word.up for word in said) > len(said) / 2
