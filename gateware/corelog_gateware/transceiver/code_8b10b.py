"""The 8b/10b code as tables, made from those of LiteX's encoder. A symbol's bit 0 goes over the line first."""

from dataclasses import dataclass

from litex.soc.cores import code_8b10b as litex
from migen import Signal

SYMBOLS = 1 << 10
K_SYMBOLS = [litex.K(28, y) for y in range(8)] + [litex.K(x, 7) for x in (23, 27, 29, 30)]


def encode(d: int, k: bool, disparity: bool) -> tuple[int, bool]:
    """Symbol of byte ``d`` when the running disparity is positive (1) or negative (0), and the disparity after it."""
    x, y = d & 31, d >> 5
    if k and x == 28:
        six, unbalanced, flip = 0b110000, True, True
    else:
        six, unbalanced = litex.table_5b6b[x], bool(litex.table_5b6b_unbalanced[x])
        flip = bool(litex.table_5b6b_flip[x])
    if flip and not disparity:
        six ^= 0b111111
    disparity ^= unbalanced
    # Dx.7 has another code where the usual one would make five equal bits in a row; K.7 always has that one.
    if y == 7 and (k or x in ((11, 13, 14) if disparity else (17, 18, 20))):
        four, unbalanced = (0b1000 if disparity else 0b0111), True
    else:
        four, unbalanced = litex.table_3b4b[y], bool(litex.table_3b4b_unbalanced[y])
        if (k or litex.table_3b4b_flip[y]) and not disparity:
            four ^= 0b1111
    code = six << 4 | four
    return int(f"{code:010b}"[::-1], 2), disparity ^ unbalanced


@dataclass(frozen=True)
class Symbol:
    """What a symbol means: ``d``, ``k``; ``minus``, ``plus``: it is valid after negative, positive disparity; ``up``,
    ``down``: it has more ones, more zeros, so that the disparity after it is positive, negative."""

    d: int = 0
    k: bool = False
    minus: bool = False
    plus: bool = False
    up: bool = False
    down: bool = False


WIDTH = 13


def pack(symbol: Symbol) -> int:
    flags = (symbol.k, symbol.minus, symbol.plus, symbol.up, symbol.down)
    return symbol.d | sum(flag << 8 + n for n, flag in enumerate(flags))


def unpack(entry: Signal) -> tuple[Signal, ...]:
    """``d``, ``k``, ``minus``, ``plus``, ``up``, ``down`` of a packed symbol."""
    return entry[:8], *(entry[8 + n] for n in range(5))


def table() -> list[Symbol]:
    """Every symbol, valid or not."""
    valid: dict[int, Symbol] = {}
    for k, bytes_ in ((False, range(256)), (True, K_SYMBOLS)):
        for d in bytes_:
            for disparity in (False, True):
                code, _ = encode(d, k, disparity)
                before = valid.get(code, Symbol(d, k))
                if (before.d, before.k) != (d, k):
                    raise ValueError(f"symbol {code:010b} has two meanings")
                valid[code] = Symbol(d, k, before.minus or not disparity, before.plus or disparity)
    symbols = []
    for code in range(SYMBOLS):
        ones, symbol = code.bit_count(), valid.get(code, Symbol())
        symbols.append(Symbol(symbol.d, symbol.k, symbol.minus, symbol.plus, ones > 5, ones < 5))
    return symbols
