"""The receiver of aux frames against its model, cycle by cycle: what the link layer may ever say, in any order."""

import random
import zlib
from collections.abc import Iterator

import pytest
from migen import Module

from corelog_gateware.drtio.aux_memory import FRAME_BYTES, RX_OFFSET, AuxMemory
from corelog_gateware.drtio.aux_receiver import AuxReceiver
from corelog_gateware.drtio.interface import LinkInterface
from support.drtio_model import AuxModel, Received, frame
from support.drtio_player import Player

QUIET = Received("idle", 0, True)
DOWN = Received("", 0, False)
BAD = Received("bad", 0, True)


@pytest.fixture
def receiver() -> Iterator[Player]:
    top, link = Module(), LinkInterface()
    top.submodules.memory = memory = AuxMemory()
    top.submodules.receiver = receiver = AuxReceiver(link, memory)
    top.comb += memory.bus.cyc.eq(memory.bus.stb)
    inputs = {
        "stb": link.aux_rx_stb, "data": link.aux_rx_data, "last": link.aux_rx_last, "error": link.aux_rx_error,
        "up": link.up, "release": receiver.release, "read": memory.bus.stb, "adr": memory.bus.adr,
    }
    names = ("present", "buffer", "length", "corrupt", "overflows")
    outputs = {name: getattr(receiver, name) for name in names} | {"read": memory.bus.dat_r}
    with Player(top, inputs, outputs, "drtio_aux_receiver") as player:
        yield player


def row(said: Received, release: bool = False) -> dict[str, int]:
    return {
        "stb": said.kind in ("aux", "last"), "last": said.kind == "last", "data": said.value,
        "error": said.kind == "bad" or not said.up, "up": said.up, "release": release, "read": 0,
    }


def words(content: bytes, last: bool = True) -> list[Received]:
    kinds = ["aux"] * (len(content) - last) + ["last"] * last
    return [Received(kind, byte, True) for kind, byte in zip(kinds, content, strict=True)]


def with_crc(content: bytes) -> bytes:
    """Right CRC, whatever the length."""
    return content + zlib.crc32(content).to_bytes(4, "little")


def some_frame(rng: random.Random) -> list[Received]:
    """What a link may make of a frame: mostly right ones, and everything else there is."""
    content = frame(rng.randbytes(rng.choice([1, 4, 5, 12, 60, 1012, 1013, 1020])))
    match rng.randrange(14):
        case 0:
            return words(with_crc(rng.randbytes(rng.choice([0, 1, 3, 5, 6, 7, 9, 1016, 1021]))))
        case 1:
            return words(with_crc(rng.randbytes(rng.choice([1028, 1036, 1044, 2044, 2052, 3068]))))
        case 2:
            wrong = bytearray(content)
            wrong[rng.randrange(len(wrong))] ^= 1 << rng.randrange(8)
            return words(bytes(wrong))
        case 3:
            damaged = words(content)
            for _ in range(rng.randrange(1, 4)):
                damaged.insert(rng.randrange(len(damaged) + 1), BAD)
            return damaged
        case 4:
            damaged = words(content)
            damaged[rng.randrange(len(damaged))] = rng.choice([BAD, DOWN])
            return damaged
        case 5:
            return [*words(content[: rng.randrange(len(content))], last=False), *[DOWN] * rng.randrange(1, 5)]
        case 6:
            return words(content[: rng.randrange(1, len(content))], last=bool(rng.randrange(2)))
        case 7:
            return words(rng.randbytes(1))
        case _:
            return words(content)


@pytest.mark.parametrize("seed", range(8))
def test_receiver_holds_and_counts_what_the_model_does_in_every_cycle(receiver: Player, seed: int) -> None:
    rng = random.Random(seed)
    gaps, releases = rng.choice([0, 0, 0.1, 0.6]), rng.choice([0.0005, 0.003, 0.02, 0.5])
    model = AuxModel()
    rows, expected = [], []
    for _ in range(300):
        for said in some_frame(rng):
            while True:
                quiet = rng.random() < gaps
                release = rng.random() < releases
                rows.append(row(QUIET if quiet else said, release))
                length = len(model.held[0]) if model.held else None
                expected.append((bool(model.held), length, model.corrupt, model.overflows))
                present = bool(model.held)
                model.link(QUIET if quiet else said)
                if release and present:
                    model.held.pop(0)
                if not quiet:
                    break
    for cycle, (shown, want) in enumerate(zip(receiver.play(rows), expected, strict=True)):
        length = shown["length"] if shown["present"] else None
        assert (shown["present"], length, shown["corrupt"], shown["overflows"]) == want, f"seed {seed}, cycle {cycle}"
    assert model.corrupt and (model.overflows or releases > 0.001)
    check_contents(receiver, model)


def check_contents(receiver: Player, model: AuxModel) -> None:
    """Reads and releases everything held."""
    receiver.play([row(QUIET)])
    while True:
        shown = receiver.play([row(QUIET)])[0]
        assert bool(shown["present"]) == bool(model.held)
        if not model.held:
            return
        want = model.held.pop(0)
        base = (RX_OFFSET + FRAME_BYTES * shown["buffer"]) // 4
        reads = [row for n in range(len(want) // 4) for row in ({"read": 1, "adr": base + n}, {})]
        dumped = b"".join(seen["read"].to_bytes(4, "little") for seen in receiver.play(reads)[1::2])
        assert dumped == want
        receiver.play([row(QUIET, release=True), row(QUIET)])


@pytest.mark.parametrize("seed", range(4))
def test_frames_held_are_never_overwritten_whatever_comes_after(receiver: Player, seed: int) -> None:
    rng = random.Random(seed)
    model = AuxModel()
    rows = []
    for _ in range(60):
        for said in some_frame(rng):
            rows.append(row(said))
            model.link(said)
    receiver.play(rows)
    assert len(model.held) == 8, f"seed {seed}"
    check_contents(receiver, model)


def test_frames_straight_after_each_other_are_all_kept(receiver: Player) -> None:
    model = AuxModel()
    rows = []
    for n in range(8):
        for said in words(frame(bytes([n]))):
            rows.append(row(said))
            model.link(said)
    shown = receiver.play([*rows, row(QUIET)])
    assert len(model.held) == 8 and (shown[-1]["corrupt"], shown[-1]["overflows"]) == (0, 0)
    check_contents(receiver, model)


def test_counters_stay_at_their_highest_value(receiver: Player) -> None:
    one = [row(said) for said in words(b"\x00")]
    for _ in range(4):
        receiver.play(one * 16384)
    assert receiver.play([row(QUIET)] * 2)[-1]["corrupt"] == 0xFFFF
