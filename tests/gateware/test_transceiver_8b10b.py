"""The 8b/10b decoder against the code as the standard prints it."""

import random
from collections.abc import Generator, Iterable
from typing import Any

import pytest
from migen import run_simulation

from corelog_gateware.transceiver.code_8b10b import K_SYMBOLS, encode, table
from corelog_gateware.transceiver.decoder import Decoder

Steps = Generator[Any, Any, Any]

# abcdei and fghj as IEEE 802.3 table 36-1 has them for negative running disparity; the others follow from the rules.
CODES = (
    "100111 011101 101101 110001 110101 101001 011001 111000 111001 100101 010101 110100 001101 101100 011100 010111 "
    "011011 100011 010011 110010 001011 101010 011010 111010 110011 100110 010110 110110 001110 101110 011110 101011 "
    "1011 1001 0101 1100 1101 1010 0110 1110 1011 0110 1010 1100 1101 0101 1001 0111"
)
TABLE = CODES.split()
SIX, FOUR, K_FOUR = TABLE[:32], TABLE[32:40], TABLE[40:]
K28 = "001111"
KS = [28 | y << 5 for y in range(8)] + [x | 7 << 5 for x in (23, 27, 29, 30)]


def ones(bits: str) -> int:
    return bits.count("1")


def naive_encode(d: int, k: bool, disparity: int) -> tuple[str, int]:
    """Symbol as bits in the order of the line, and disparity (-1, 1) after it."""
    x, y = d & 31, d >> 5

    def choose(bits: str, before: int, always: bool = False) -> tuple[str, int]:
        unbalanced = ones(bits) * 2 != len(bits)
        if before > 0 and (unbalanced or always or bits in ("111000", "1100")):
            bits = bits.translate({48: "1", 49: "0"})
        return bits, -before if unbalanced else before

    six, middle = choose(K28 if k and x == 28 else SIX[x], disparity)
    if k:
        four, after = choose(K_FOUR[y], middle, always=True)
    elif y == 7 and x in ((17, 18, 20) if middle < 0 else (11, 13, 14)):
        four, after = choose("0111", middle)
    else:
        four, after = choose(FOUR[y], middle)
    return six + four, after


def symbol(bits: str) -> int:
    return int(bits[::-1], 2)


def test_every_byte_and_k_symbol_has_the_standards_code_after_either_disparity() -> None:
    assert sorted(K_SYMBOLS) == sorted(KS)
    for k, bytes_ in ((False, range(256)), (True, KS)):
        for d in bytes_:
            for disparity in (-1, 1):
                bits, after = naive_encode(d, k, disparity)
                assert encode(d, k, disparity > 0) == (symbol(bits), after > 0), (d, k, disparity)
                assert ones(bits) in (4, 5, 6) and after == disparity + 2 * (ones(bits) - 5)


def test_the_table_knows_exactly_the_valid_symbols() -> None:
    valid = {}
    for k, bytes_ in ((False, range(256)), (True, KS)):
        for d in bytes_:
            for disparity in (-1, 1):
                valid[symbol(naive_encode(d, k, disparity)[0]), disparity] = d, k
    for code, entry in enumerate(table()):
        for disparity, is_valid in ((-1, entry.minus), (1, entry.plus)):
            assert is_valid == ((code, disparity) in valid)
            if is_valid:
                assert valid[code, disparity] == (entry.d, entry.k)


def decode(words: Iterable[int]) -> list[tuple[int, int, int]]:
    """(d, k, bad) of each word, from the decoder."""
    dut, found = Decoder(), []
    given = list(words)

    def steps() -> Steps:
        for n in range(len(given) + 2):
            yield dut.symbols.eq(given[n] if n < len(given) else 0)
            yield
            if n >= 2:
                found.append(((yield dut.d), (yield dut.k), (yield dut.bad)))

    run_simulation(dut, steps())
    return found


class Sender:
    def __init__(self) -> None:
        self.disparity = -1

    def word(self, d: int, k: int) -> int:
        bits = ""
        for n in range(2):
            symbols, self.disparity = naive_encode(d >> 8 * n & 0xFF, bool(k >> n & 1), self.disparity)
            bits += symbols
        return symbol(bits)


def random_word(rng: random.Random) -> tuple[int, int]:
    k = rng.choice([0, 0, 0, 1, 2, 3])
    pick = [rng.choice(KS) if k >> n & 1 else rng.randrange(256) for n in range(2)]
    return pick[0] | pick[1] << 8, k


def test_random_words_come_out_as_they_went_in() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng, sender = random.Random(seed), Sender()
    words = [random_word(rng) for _ in range(2000)]
    assert decode(sender.word(d, k) for d, k in words) == [(d, k, 0) for d, k in words]


def test_every_symbol_after_either_disparity_is_judged_as_the_table_says() -> None:
    neutral = {disparity: symbol(naive_encode(0x4A, False, disparity)[0]) for disparity in (-1, 1)}  # D10.2 keeps it
    up, down = (symbol(naive_encode(0xBC, True, disparity)[0]) for disparity in (-1, 1))
    words, expected = [], []
    for code, entry in enumerate(table()):
        for disparity, lead in ((1, up), (-1, down)):
            # Two words that leave the disparity wanted, whatever came before; then the symbol.
            words += [neutral[1] | lead << 10, neutral[disparity] | code << 10]
            expected.append((disparity, entry))
    for (disparity, entry), (d, k, bad) in zip(expected, decode(words)[1::2], strict=True):
        valid = entry.plus if disparity > 0 else entry.minus
        assert bad == (not valid)
        if valid:
            assert (d >> 8, k >> 1) == (entry.d, entry.k)


@pytest.mark.parametrize("trial", range(3))
def test_a_flipped_bit_is_found(trial: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng, sender = random.Random(seed), Sender()
    count, every = 3000, 50
    words = [sender.word(*random_word(rng)) for _ in range(count)]
    flipped = list(range(20, count - every, every))
    for n in flipped:
        words[n] ^= 1 << rng.randrange(20)
    found = [bad for _, _, bad in decode(words)]
    for n in flipped:
        assert any(found[n : n + every]), f"the flip in word {n} was not seen"
        assert not any(found[n + every // 2 : n + every]), "errors long after a flip"
    assert not any(found[: flipped[0]])
