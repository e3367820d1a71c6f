"""The RTIO core in a program that plays scripts, and a naive model of what it must do.

Script, one command per line (times are relative to the base set by B; mu, coarse cycles where said so):
  B n                    base = now + n coarse cycles
  S ch time addr data    submit and wait until done; prints `s status now` (coarse)
  s ch time addr data    strobe a submission only;  o  prints as S
  W t / N n              run until coarse time t / for n cycles
  P n / p                pop a report in every cycle with chance n/256 / in one cycle
  L                      prints `l collisions busies sequences`, the lost counters
  R / H                  pulse of core reset / PHY reset
  X v                    spread on or off
  Y ch n                 the channel is busy for n cycles after each strobe
  Z ch length bits       the channel is busy at coarse time t if bit (t % length) is set; length 0: off
  I ch t data fine       an input event at coarse time t (as the PHY strobes it)
  Q ch timeout           read and wait; prints `i status data time now` (now in coarse cycles)
  q ch timeout           start a read only;  i  prints as Q
  V seed / T / C         seed of the random pops / prints `t` / prints `c cycles`
Whenever they happen: `o ch t data addr fine`, an execution (t: coarse), and `e kind ch time`, a popped report.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from migen import Module, Signal

from corelog_gateware.rtio import Channel, InputInterface, OutputInterface, RTIOCore
from support import verilated

COLLISION, BUSY, SEQUENCE = 1, 2, 3
CHANNELS = 16
# Signals of the CRI that the one who uses it drives.
CRI_DRIVEN = ("chan_sel", "o_stb", "o_address", "o_timestamp", "o_data", "i_stb", "i_timeout", "space_stb")


class Top(Module):
    """RTIOCore with the channels' interfaces as ports, gathered into words of 32 bits per channel."""

    def __init__(self, channels: Sequence[Channel], **parameters: int) -> None:
        self.submodules.core = core = RTIOCore(channels, **parameters)
        ports = {
            "core_reset": core.reset, "phy_reset": core.reset_phy, "spread": core.sed_spread_enable,
            "pop": core.errors.pop, "present": core.errors.present, "kind": core.errors.kind,
            "channel": core.errors.channel, "timestamp": core.errors.timestamp,
            **{f"lost{kind}": value for kind, value in core.errors.lost.items()},
        }
        drives = {"core_reset", "phy_reset", "spread", "pop"}
        self.ports: set[Signal] = set()
        for name, inner in ports.items():
            outer = Signal(len(inner), name_override=name)
            self.comb += inner.eq(outer) if name in drives else outer.eq(inner)
            self.ports.add(outer)
        for name, *_ in core.cri.layout:
            inner = getattr(core.cri, name)
            # 32-bit data ports whatever the channels' widths, so that the driver need not know.
            outer = Signal(32 if name in ("o_data", "i_data") else len(inner), name_override=f"cri_{name}")
            self.comb += inner.eq(outer) if name in CRI_DRIVEN else outer.eq(inner)
            self.ports.add(outer)

        out_stb, busy, in_stb = (Signal(CHANNELS, name_override=n) for n in ("out_stb", "busy", "in_stb"))
        out_events, in_events = (Signal(32 * CHANNELS, name_override=n) for n in ("out_events", "in_events"))
        self.ports |= {out_stb, busy, in_stb, out_events, in_events}
        for n, channel in enumerate(channels):
            at = 32 * n
            if channel.output is not None:
                output = channel.output
                self.comb += [out_stb[n].eq(output.stb), out_events[at: at + 16].eq(output.data)]
                if output.address is not None:
                    self.comb += out_events[at + 16: at + 24].eq(output.address)
                if output.fine is not None:
                    self.comb += out_events[at + 24: at + 27].eq(output.fine)
                if output.busy is not None:
                    self.comb += output.busy.eq(busy[n])
            if channel.input is not None:
                self.comb += [channel.input.stb.eq(in_stb[n]), channel.input.data.eq(in_events[at: at + 16])]
                if channel.input.fine is not None:
                    self.comb += channel.input.fine.eq(in_events[at + 16: at + 19])


def output(name: str, replace: bool, busy: bool = True, delay: int = 0) -> Channel:
    """An output channel with everything the core offers."""
    return Channel(name, output=OutputInterface(16, 8, 3, busy), replace=replace, delay=delay)


@dataclass(frozen=True)
class Config:
    """A core under test: replacement flag of each output channel and the core's sizes."""

    replace: tuple[bool, ...]
    lanes: int = 8
    depth: int = 16
    reports: int = 128
    staging: int = 16
    inputs: int = 0
    input_depth: int = 4
    input_delay: int = 0
    delays: tuple[int, ...] = ()


MIXED = (True, True, False, False)
# Every one costs a compilation, so the tests share them. Deep enough lanes never fill in a test of 16 coarse cycles.
EIGHT = Config(MIXED)
EIGHT_FEW_REPORTS = Config(MIXED, reports=3, staging=2)
FIVE = Config(MIXED, lanes=5, depth=17, delays=(0, 5, 1, 9))
FOUR = Config(MIXED, lanes=4, depth=2)
THREE = Config(MIXED, lanes=3, depth=31, reports=2, staging=5)
TWO = Config(MIXED, lanes=2, depth=3, inputs=2, input_delay=3)
TWO_SHALLOW = Config(MIXED, lanes=2, depth=1, inputs=1, input_depth=1)
ONE = Config(MIXED, lanes=1, depth=16, inputs=1, input_depth=3)
CORES = (EIGHT, EIGHT_FEW_REPORTS, FIVE, FOUR, THREE, TWO, TWO_SHALLOW, ONE)


@cache
def core(config: Config) -> Path:
    """Program of that core; input channels follow the outputs."""
    delays = config.delays or (0,) * len(config.replace)
    channels = [
        output(f"out{n}", replace, delay=delay)
        for n, (replace, delay) in enumerate(zip(config.replace, delays, strict=True))
    ]
    channels += [
        Channel(f"in{n}", input=InputInterface(16, 3, config.input_delay)) for n in range(config.inputs)
    ]
    top = Top(
        channels,
        lane_count=config.lanes,
        lane_depth=config.depth,
        report_depth=config.reports,
        report_staging=config.staging,
        input_depth=config.input_depth,
    )
    return verilated.build(top, top.ports, Path(__file__).parent / "rtio_driver.cpp", f"rtio{config.lanes}")


class Event(NamedTuple):
    """An output event; time in mu relative to the base."""

    channel: int
    time: int
    address: int
    data: int


class Report(NamedTuple):
    kind: int
    channel: int
    time: int


class Execution(NamedTuple):
    channel: int
    coarse: int
    data: int
    address: int
    fine: int


@dataclass
class Result:
    """What happened in a stretch of a script, in order."""

    executions: list[Execution] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    lost: tuple[int, ...] = ()
    reads: list[tuple[int, ...]] = field(default_factory=list)
    cycles: int = 0

    def sorted(self) -> "Expected":
        return Expected(sorted(self.executions), sorted(self.reports))


def play(program: Path, lines: Iterable[str], timeout: float = 90.0) -> list[Result]:
    """Results of a script, split at its T commands."""
    results, now = [], Result()
    text = "\n".join([*lines, "T", ""])
    for line in verilated.run(program, text, timeout).splitlines():
        code, *words = line.split()
        values = tuple(map(int, words))
        if code == "o":
            now.executions.append(Execution(*values))
        elif code == "e":
            now.reports.append(Report(*values))
        elif code == "s":
            now.statuses.append(values[0])
            now.times.append(values[1])
        elif code == "l":
            now.lost = values
        elif code == "i":
            now.reads.append(values)
        elif code == "c":
            now.cycles = values[0]
        elif code == "t":
            results.append(now)
            now = Result()
        else:
            raise ValueError(f"the driver printed {line!r}")
    return results


def submit(event: Event) -> str:
    return f"S {event.channel} {event.time} {event.address} {event.data}"


@dataclass
class LaneModel:
    """Which lane takes an event: the first, in cyclic order from the current one, whose last coarse time is earlier."""

    lanes: int
    last: list[int] = field(init=False)
    current: int = 0

    def __post_init__(self) -> None:
        self.last = [-(10**18)] * self.lanes

    def take(self, coarse: int) -> bool:
        for step in range(self.lanes):
            lane = (self.current + step) % self.lanes
            if self.last[lane] < coarse:
                self.last[lane] = coarse
                self.current = lane
                return True
        return False


def resolve(events: Sequence[Event], replace: Sequence[bool]) -> tuple[list[Event], list[Report]]:
    """Executed events, and collisions, of events in submission order, taken one by one."""
    executed: dict[tuple[int, int], Event] = {}
    reports = []
    for event in events:
        place = (event.channel, event.time >> 3)
        first = executed.get(place)
        if first is None or (replace[event.channel] and (first.time, first.address) == (event.time, event.address)):
            executed[place] = event
        else:
            reports.append(Report(COLLISION, event.channel, event.time))
    return list(executed.values()), reports


@dataclass
class Expected:
    executions: list[Execution]
    reports: list[Report]


def expect(
    events: Sequence[Event], config: Config, statuses: Sequence[int] = (), busy: "Busy | None" = None
) -> Expected:
    """What a core must do with events submitted in this order, from lanes that are all free.

    statuses  what the core answered; an event it refused (underflow) is left out, but must have found a lane
    busy      which executions find their channel busy
    """
    lanes = LaneModel(config.lanes)
    delays = config.delays or (0,) * len(config.replace)
    accepted, reports = [], []
    for event, status in zip(events, statuses or [0] * len(events), strict=True):
        if status != 0:
            continue
        if lanes.take((event.time >> 3) + delays[event.channel]):
            accepted.append(event)
        else:
            reports.append(Report(SEQUENCE, event.channel, event.time))
    executed, collisions = resolve(accepted, config.replace)
    executions = []
    for event in sorted(executed, key=lambda event: event.time >> 3):
        done = Execution(
            event.channel, (event.time >> 3) + delays[event.channel], event.data, event.address, event.time & 7
        )
        if busy is not None and busy.refuses(done):
            reports.append(Report(BUSY, event.channel, event.time))
        else:
            executions.append(done)
    return Expected(sorted(executions), sorted(reports + collisions))


class Busy:
    """Channels' busy patterns: per channel (length, bits) as for command Z, or cycles after a strobe as for Y."""

    def __init__(self, patterns: dict[int, tuple[int, int]], after: dict[int, int]) -> None:
        self.patterns = patterns
        self.after = after
        self.free_from: dict[int, int] = {}

    def script(self) -> list[str]:
        return [f"Z {n} {length} {bits}" for n, (length, bits) in self.patterns.items()] + [
            f"Y {n} {cycles}" for n, cycles in self.after.items()
        ]

    def refuses(self, execution: Execution) -> bool:
        """Executions of a channel must be asked about in the order of their times."""
        strobe = execution.coarse - 1
        length, bits = self.patterns.get(execution.channel, (1, 0))
        if (bits >> (strobe % length)) & 1 or strobe < self.free_from.get(execution.channel, strobe):
            return True
        self.free_from[execution.channel] = strobe + 1 + self.after.get(execution.channel, 0)
        return False
