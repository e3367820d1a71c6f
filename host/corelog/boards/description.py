"""A board and its cards, read from a system description (JSON), and the RTIO channels that follow from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from corelog.boards import peripherals, schema
from corelog.boards.peripherals import Pads, PeripheralError

SCHEMA: schema.Schema = json.loads(Path(__file__).with_name("schema.json").read_text())

# kind of a channel -> what its name begins with; a counter has the name of its input, and `_counter`
_PREFIXES = {"output": "ttl", "inout": "ttl", "led": "led"}

Numbers = Mapping[str, "count[int]"]
"""For each beginning of a name, the numbers to come."""

# target -> revision -> number of user LEDs that are RTIO channels of a standalone board
LEDS = {"kasli": {"v1.0": 1, "v1.1": 2, "v2.0": 2}, "kc705": {"": 2}}


class DescriptionError(Exception):
    """A description is wrong; `str()` is one line."""


@dataclass(frozen=True, slots=True)
class Channel:
    """An RTIO channel. `number` and `name` (ttl0, ttl0_counter, led0, ...) are on its board; kind: `output`, `inout`
    (the direction is set by experiments), `led` (an output) or `counter` (of the edges of the `inout` with its pads).
    """

    number: int
    name: str
    kind: str
    pads: Pads


@dataclass(frozen=True, slots=True)
class Description:
    """A board. `base`: standalone, master or satellite; `hw_rev`: empty where a board has none."""

    target: str
    variant: str
    hw_rev: str
    base: str
    core_addr: str
    rtio_frequency: float
    sed_lanes: int
    channels: tuple[Channel, ...]

    @property
    def cpu_target(self) -> str:
        """The CPU, in the words of ARTIQ's compiler."""
        return "rv32ima" if self.target == "kasli" and self.hw_rev in ("v1.0", "v1.1") else "rv32g"

    @property
    def vadj(self) -> float:
        """V, supply of a KC705's FMC connectors and of what shares their banks; 2.5 on a new board."""
        return max((peripherals.VADJ[channel.pads.standard] for channel in self.channels if channel.pads.standard),
                   default=2.5)  # fmt: skip

    def __str__(self) -> str:
        return f"{' '.join(filter(None, (self.target, self.hw_rev)))}, {self.base}, variant {self.variant}"


def load(path: str | Path) -> Description:
    """The description in a file. Raises DescriptionError, which names the file."""
    try:
        return parse(Path(path).read_text())
    except DescriptionError as exc:
        raise DescriptionError(f"{path}: {exc}") from None
    except OSError as exc:
        raise DescriptionError(f"{path}: {exc.strerror}") from exc
    except UnicodeDecodeError:
        raise DescriptionError(f"{path} is not text") from None


def parse(text: str) -> Description:
    """The description in a JSON text. Raises DescriptionError with all that is wrong."""
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as exc:
        raise DescriptionError(f"line {exc.lineno}: {exc.msg}") from None
    except (RecursionError, ValueError) as exc:  # ValueError: a number of thousands of digits
        raise DescriptionError(f"it cannot be read: {exc}") from None
    if found := schema.problems(SCHEMA, value):
        raise DescriptionError("; ".join(found))
    given = schema.with_defaults(SCHEMA, value)
    base, hw_rev = _base(given), given.get("hw_rev", "")
    revisions = LEDS[given["target"]]
    if hw_rev not in revisions:
        choices = " or ".join(revisions)
        raise DescriptionError(f"hw_rev of a {given['target']} must be {choices}" if choices
                               else f"a {given['target']} has no hw_rev")  # fmt: skip
    return Description(
        target=given["target"],
        variant=given["variant"],
        hw_rev=hw_rev,
        base=base,
        core_addr=given["core_addr"],
        rtio_frequency=float(given["rtio_frequency"]),
        sed_lanes=given["sed_lanes"],
        channels=_channels(given["target"], revisions[hw_rev] if base == "standalone" else 0, given["peripherals"]),
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise DescriptionError(f"{name} is given twice in an object")
        found[name] = value
    return found


def _base(given: dict[str, Any]) -> str:
    roles = {given[name] for name in ("base", "drtio_role") if name in given}
    if not roles:
        raise DescriptionError("the file lacks base")
    if len(roles) > 1:
        raise DescriptionError("base and drtio_role contradict each other")
    return str(roles.pop())


def _channels(target: str, leds: int, given: list[dict[str, Any]]) -> tuple[Channel, ...]:
    """In the order of the peripherals, then the LEDs: the gateware numbers them in this order."""
    found: list[tuple[str, Pads]] = []
    users: dict[str, int] = {}
    voltages: dict[float, int] = {}
    for n, peripheral in enumerate(given):
        try:
            card = peripherals.card(target, peripheral)
        except PeripheralError as exc:
            raise DescriptionError(f"peripherals[{n}]{exc}") from None
        for place in card.places:
            if place in users:
                raise DescriptionError(f"peripherals[{n}] is at {place}, as peripherals[{users[place]}] is")
            users[place] = n
        for _, pads in card.channels:
            if pads.standard:
                voltages.setdefault(peripherals.VADJ[pads.standard], n)
        found += card.channels
    if len(voltages) > 1:
        needs = " and ".join(f"peripherals[{n}] needs VADJ at {voltage} V" for voltage, n in voltages.items())
        raise DescriptionError(f"{needs}, but the FMC connectors have one supply: change io_standard of one")
    found += [("led", Pads("user_led", i)) for i in range(leds)]
    named = zip(names(found, new_numbers()), found, strict=True)
    return tuple(Channel(number, name, *where) for number, (name, where) in enumerate(named))


def new_numbers() -> Numbers:
    """For `names`, from 0."""
    return {prefix: count() for prefix in _PREFIXES.values()}


def names(channels: Iterable[tuple[str, Pads]], numbers: Numbers) -> list[str]:
    """Names of a board's channels, given by kind and pads; `numbers` count on from board to board."""
    found: list[str] = []
    inputs: dict[Pads, str] = {}
    for kind, pads in channels:
        if kind == "counter":
            found.append(f"{inputs[pads]}_counter")
        else:
            prefix = _PREFIXES[kind]
            found.append(f"{prefix}{next(numbers[prefix])}")
            inputs[pads] = found[-1]
    return found
