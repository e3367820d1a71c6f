"""A tree of boards in one program: a core device, satellites in a chain behind it, one more beside; and its commands.

Board 0 is the core device (destination 0). Board n is destination n. Links: 0 - 1 - 2 - 3 in a chain (ports 0), and
4 at port 1 of the core device. End 2k of link k is the upper one.

Each board has channels 0: a TTL output at pad<n>; 1: a TTL input at the same pad; 2: an output of 32 bits data, 8
address, 3 fine, seen as event<n>, a strobe with event<n>_data, _address, _fine one cycle before its time.

The program takes commands, one per line, and answers where said so:
  s port value / p port value     set / set for a cycle, then 0
  n cycles / g port               run / print
  u port mask value limit         run until port & mask = value; prints the cycles that took, or -1
  w strobe port ...               in every cycle in which strobe is high, note `cycle strobe values`
  e                               prints what was noted since the last e, and a line with a dot
  l end latency                   an end of a link receives; ends in the order in which they are attached: 0, 1, ...
  c end cut / x end chance        nothing comes in / a word is damaged with chance / 2^32
  d end / v seed / t              prints damaged words / seed of the damage / prints the cycle
"""

import subprocess
import tempfile
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from migen import Module, Record, Signal
from rtio_bench import CRI_DRIVEN

from corelog_gateware.drtio.interface import phy_layout
from corelog_gateware.drtio.link import LinkLayer
from corelog_gateware.drtio.port import TIME_CONSTANT, Port
from corelog_gateware.drtio.routing import Routing
from corelog_gateware.drtio.uplink import Uplink
from corelog_gateware.rtio import Channel, OutputInterface, RTIOCore
from corelog_gateware.rtio.csr_bus import CSR, CSRStorage
from corelog_gateware.rtio.phy import ttl
from support import verilated

CLK_FREQ = 2_000_000
LANES, DEPTH = 8, 24  # deeper than the uplinks' queues, so that a board could be overrun
LATENCY = 64
# (upper board, its port, lower board) of every link.
LINKS = ((0, 0, 1), (1, 0, 2), (2, 0, 3), (0, 1, 4))
BOARDS = 5
WAIT, UNDERFLOW, UNREACHABLE, IGNORED = 1, 2, 4, 8
NO_EVENT, OVERFLOW, READ_WAIT, READ_UNREACHABLE = 1, 2, 4, 8


class Tree(Module):
    """The boards; everything the tests touch is a port of up to 64 bits."""

    def __init__(self) -> None:
        self.ports: dict[str, Signal] = {}
        self._tables = []
        phys = []
        for n in range(2 * len(LINKS)):
            phy = Record(phy_layout())
            phys.append(phy)
            for name, *_ in phy_layout():
                self.port(f"phy{n}_{name}", getattr(phy, name), driven=name.startswith("rx"))
        for board in range(BOARDS):
            self.add_board(board, phys)

    def port(self, name: str, inner: Signal, driven: bool = False) -> None:
        outer = Signal(len(inner), name_override=name)
        self.comb += inner.eq(outer) if driven else outer.eq(inner)
        self.ports[name] = outer

    def registers(self, name: str, module: Any) -> None:
        for csr in module.get_csrs():
            register = f"{name}_{csr.name}"
            if isinstance(csr, CSRStorage):
                self.port(register, csr.storage, driven=True)
                self.port(f"{register}_re", csr.re, driven=True)
            elif isinstance(csr, CSR):
                self.port(f"{register}_re", csr.re, driven=True)
                self.comb += csr.r.eq(1)
                self.port(register, csr.w)
            else:
                self.port(register, csr.status)

    def add_link(self, end: int, phys: list[Record]) -> LinkLayer:
        """The link layer at an end; while aux<end> is high it sends aux bytes wherever there is room."""
        link = LinkLayer(phys[end])
        self.submodules += link
        self.port(f"aux{end}", link.aux_tx_stb, driven=True)
        self.comb += link.aux_tx_data.eq(0x5A)
        return link

    def add_board(self, n: int, phys: list[Record]) -> None:
        pad, event = Signal(), OutputInterface(32, 8, 3)
        output, loop = ttl.Output(pad), ttl.Input(pad)
        self.submodules += output, loop
        channels = [Channel.of(output, "out"), Channel.of(loop, "in"), Channel("event", output=event)]
        core = RTIOCore(channels, lane_count=LANES, lane_depth=DEPTH, input_depth=4)
        self.submodules += core
        self.port(f"pad{n}", pad)
        self.port(f"event{n}", event.stb)
        for name in ("data", "address", "fine"):
            self.port(f"event{n}_{name}", getattr(event, name))
        self.port(f"counter{n}", core.tsc.full)
        self.port(f"core_reset{n}", core.reset, driven=True)
        for name in ("present", "kind", "channel", "timestamp"):
            self.port(f"error{n}_{name}", getattr(core.errors, name))
        self.port(f"error{n}_pop", core.errors.pop, driven=True)

        ports = []
        for k, (upper, place, _) in enumerate(LINKS):
            if upper == n:
                link = self.add_link(2 * k, phys)
                port = Port(link, core.tsc, CLK_FREQ, credits=n == 0)
                self.submodules += port
                self.registers(f"port{n}{place}", port)
                ports.append(port)
        routing = Routing(core.cri, [port.cri for port in ports], root=n == 0)
        self.submodules += routing
        self.registers(f"routing{n}", routing)
        if n == 0:
            for name, *_ in routing.cri.layout:
                self.port(f"cri_{name}", getattr(routing.cri, name), driven=name in CRI_DRIVEN)
        else:
            link = self.add_link(next(2 * k + 1 for k, (_, _, lower) in enumerate(LINKS) if lower == n), phys)
            uplink = Uplink(link, core.tsc, routing.cri)
            self.submodules += uplink
            self.registers(f"uplink{n}", uplink)


@cache
def program() -> Path:
    """The compiled tree."""
    tree = Tree()
    table = "\n".join(f'    ports["{name}"] = {{&dut.{name}, {len(port)}}};' for name, port in tree.ports.items())
    source = (Path(__file__).parent / "drtio_driver.cpp").read_text().replace("    // PORTS", table)
    with tempfile.NamedTemporaryFile("w", suffix=".cpp") as driver:
        driver.write(source)
        driver.flush()
        return verilated.build(tree, tree.ports.values(), Path(driver.name), "drtio")


class Seen(NamedTuple):
    cycle: int
    name: str
    values: tuple[int, ...]


class Boards:
    """The running tree, with links attached and everything at reset. Use as a context manager.

    latency  cycles of every link, downwards and upwards
    """

    def __init__(self, latency: tuple[int, int] = (LATENCY, LATENCY)) -> None:
        self._program = subprocess.Popen(
            [str(program())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1 << 16
        )
        for end in range(2 * len(LINKS)):
            self.do("l", end, latency[end % 2 == 0])

    def __enter__(self) -> "Boards":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._program.stdin is not None and self._program.stdout is not None
        self._program.stdin.close()
        try:
            assert self._program.wait(timeout=30) == 0
        finally:
            self._program.kill()
            self._program.wait()
            self._program.stdout.close()

    def do(self, *words: object) -> None:
        assert self._program.stdin is not None
        self._program.stdin.write(" ".join(map(str, words)) + "\n")

    def line(self) -> str:
        assert self._program.stdin is not None and self._program.stdout is not None
        self._program.stdin.flush()
        text = self._program.stdout.readline()
        assert text, f"the program ended with {self._program.poll()}"
        return text.rstrip("\n")

    def set(self, port: str, value: int) -> None:
        self.do("s", port, value)

    def pulse(self, port: str, value: int = 1) -> None:
        self.do("p", port, value)

    def run(self, cycles: int) -> None:
        self.do("n", cycles)

    def get(self, port: str) -> int:
        self.do("g", port)
        return int(self.line())

    def cycle(self) -> int:
        self.do("t")
        return int(self.line())

    def until(self, port: str, value: int, mask: int = -1 & 2**64 - 1, limit: int = 20_000) -> int:
        """Runs until the port has the value; the cycles that took. Fails after `limit`."""
        self.do("u", port, mask, value, limit)
        took = int(self.line())
        assert took >= 0, f"{port} & {mask:#x} is {self.get(port) & mask} after {limit} cycles, not {value}"
        return took

    def watch(self, strobe: str, *ports: str) -> None:
        self.do("w", strobe, *ports)

    def seen(self) -> list[Seen]:
        self.do("e")
        result = []
        while (text := self.line()) != ".":
            cycle, name, *values = text.split()
            result.append(Seen(int(cycle), name, tuple(map(int, values))))
        return result

    # What firmware does

    def now(self) -> int:
        """The core device's time, mu."""
        return self.get("counter0")

    def enable(self) -> None:
        """All links up, and no memory of their having been down."""
        for upper, place, lower in LINKS:
            self.set(f"port{upper}{place}_tx_enable", 1)
            self.set(f"uplink{lower}_tx_enable", 1)
        for upper, place, lower in LINKS:
            for end in (f"port{upper}{place}", f"uplink{lower}"):
                self.until(f"{end}_rx_up", 1)
                self.pulse(f"{end}_dropped_re")

    def hop(self, board: int, destination: int, hop: int) -> None:
        self.set(f"routing{board}_destination", destination)
        self.set(f"routing{board}_hop", hop)
        self.pulse(f"routing{board}_hop_re")
        self.run(2)

    def route(self) -> None:
        """Every board reaches every destination below it."""
        for destination, hops in {1: (1, 0), 2: (1, 1, 0), 3: (1, 1, 1, 0), 4: (2,)}.items():
            for board, hop in enumerate(hops):
                self.hop(board, destination, hop)
        self.hop(4, 4, 0)

    def measure(self, port: str) -> int:
        self.pulse(f"{port}_echo_re")
        self.until(f"{port}_echo", 0)
        return self.get(f"{port}_echo_cycles")

    def synchronise(self) -> None:
        """The core device's time everywhere, from the top down."""
        for upper, place, lower in LINKS:
            port = f"port{upper}{place}"
            echo = self.measure(port)
            assert echo != 0
            self.set(f"{port}_time_correction", 4 * echo + TIME_CONSTANT)
            self.pulse(f"{port}_set_time_re")
            self.until(f"uplink{lower}_time_loaded", 1)
            self.pulse(f"uplink{lower}_time_loaded_re")

    def start(self, margin: int = 8 * 500, aux: bool = False) -> None:
        """Everything as firmware has it in operation; with `aux`, the rest of every link is full of aux bytes."""
        self.run(300)
        self.enable()
        for end in range(2 * len(LINKS)):
            self.set(f"aux{end}", aux)
        self.route()
        self.synchronise()
        for place in range(2):
            self.set(f"port0{place}_underflow_margin", margin)
        for board in range(BOARDS):
            self.watch(f"event{board}", f"event{board}_data", f"event{board}_address", f"event{board}_fine")

    def begin_write(self, channel: int, time: int, data: int, address: int = 0) -> None:
        for name, value in (("chan_sel", channel), ("o_timestamp", time), ("o_data", data), ("o_address", address)):
            self.set(f"cri_{name}", value)
        self.pulse("cri_o_stb")

    def end_write(self, limit: int = 20_000) -> int:
        self.until("cri_o_status", 0, WAIT, limit)
        return self.get("cri_o_status")

    def write(self, channel: int, time: int, data: int, address: int = 0, limit: int = 20_000) -> int:
        """Submits an event; its status."""
        self.begin_write(channel, time, data, address)
        return self.end_write(limit)

    def strobe(self, time: int) -> int:
        """Cycle of the strobe of an event at that time: one before its coarse time."""
        return self.cycle() + (time >> 3) - (self.now() >> 3) - 1

    def begin_read(self, channel: int, timeout: int) -> None:
        self.set("cri_chan_sel", channel)
        self.set("cri_i_timeout", timeout)
        self.pulse("cri_i_stb")

    def end_read(self, limit: int = 20_000) -> tuple[int, ...]:
        self.until("cri_i_status", 0, READ_WAIT, limit)
        status = self.get("cri_i_status")
        return (status,) if status else (0, self.get("cri_i_data"), self.get("cri_i_timestamp"))

    def read(self, channel: int, timeout: int, limit: int = 20_000) -> tuple[int, ...]:
        """Reads an input: status, and data and time if there was an event."""
        self.begin_read(channel, timeout)
        return self.end_read(limit)

    def space(self, port: str, destination: int) -> int:
        """What the registers of a port of the core device say about the room at a destination."""
        self.set(f"{port}_space_destination", destination)
        self.pulse(f"{port}_space_request_re")
        self.until(f"{port}_space_request", 0)
        return self.get(f"{port}_space")

    def errors(self, board: int) -> list[tuple[int, int, int]]:
        reports = []
        while self.get(f"error{board}_present"):
            reports.append(tuple(self.get(f"error{board}_{name}") for name in ("kind", "channel", "timestamp")))
            self.pulse(f"error{board}_pop")
            self.run(3)
        return reports


def channel(destination: int, number: int) -> int:
    return destination << 16 | number


def port_to(board: int) -> str:
    """The core device's port that leads to a satellite."""
    return "port01" if board == 4 else "port00"
