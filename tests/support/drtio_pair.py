"""Two link layers with their aux controllers, joined by two delay lines that can damage what passes, on one player.

    with Pair() as pair:
        pair.connect()
        pair.sides[0].send(frame(b"..."))
        received = pair.sides[1].receive()
"""

from collections.abc import Iterable, Mapping

from litex.soc.interconnect import csr_bus
from migen import Module, Record, Signal

from corelog_gateware.drtio.aux import AuxController
from corelog_gateware.drtio.aux_memory import FRAME_BYTES, RX_OFFSET
from corelog_gateware.drtio.interface import phy_layout
from corelog_gateware.drtio.link import LinkLayer
from support.drtio_player import Player

DELAY = 9
UP_CYCLES = 200


class AuxSide(Module):
    """An aux controller with its CSR bank."""

    def __init__(self, link: LinkLayer) -> None:
        self.submodules.aux = aux = AuxController(link)
        self.csr = csr_bus.Interface(data_width=32)
        bank = csr_bus.CSRBank(aux.get_csrs(), bus=self.csr, ordering="big")
        self.submodules += bank
        # The bank numbers the words of a register that can be written; here each has one.
        self.places = {register.name.removesuffix("0"): place for place, register in enumerate(bank.simple_csrs)}

    def inputs(self, prefix: str) -> dict[str, Signal]:
        bus, csr, begin = self.aux.bus, self.csr, Signal()
        self.comb += [bus.cyc.eq(begin), bus.stb.eq(begin)]
        signals = {
            "csr_adr": csr.adr, "csr_we": csr.we, "csr_dat_w": csr.dat_w,
            "bus_stb": begin, "bus_adr": bus.adr, "bus_we": bus.we, "bus_dat_w": bus.dat_w,
        }
        return {prefix + name: signal for name, signal in signals.items()}

    def outputs(self, prefix: str) -> dict[str, Signal]:
        aux = self.aux
        signals = {"csr_dat_r": self.csr.dat_r, "bus_ack": aux.bus.ack, "bus_dat_r": aux.bus.dat_r, "irq": aux.ev.irq}
        return {prefix + name: signal for name, signal in signals.items()}


class Firmware:
    """What firmware does with one aux controller."""

    def __init__(self, player: Player, prefix: str, places: Mapping[str, int]) -> None:
        self.player, self.prefix, self.places = player, prefix, places

    def _own(self, row: Mapping[str, int]) -> dict[str, int]:
        return {self.prefix + name: value for name, value in row.items()}

    def read(self, register: str) -> int:
        row = self._own({"csr_adr": self.places[register]})
        return self.player.play([row, {}])[1][f"{self.prefix}csr_dat_r"]

    def write(self, register: str, value: int) -> None:
        place = self.places[register]
        self.player.play([self._own({"csr_adr": place, "csr_dat_w": value, "csr_we": 1}), self._own({"csr_we": 0})])

    def load(self, offset: int, content: bytes) -> None:
        """Writes words into the buffers."""
        rows = []
        for n in range(0, len(content), 4):
            word = int.from_bytes(content[n : n + 4], "little")
            rows += self._access((offset + n) // 4, {"bus_we": 1, "bus_dat_w": word})
        shown = self.player.play([*rows, self._own({"bus_stb": 0})])
        assert all(row[f"{self.prefix}bus_ack"] for row in shown[1::2])

    def dump(self, offset: int, size: int) -> bytes:
        """Reads words of the buffers."""
        rows = [row for n in range(0, size, 4) for row in self._access((offset + n) // 4, {"bus_we": 0})]
        shown = self.player.play([*rows, self._own({"bus_stb": 0})])
        assert all(row[f"{self.prefix}bus_ack"] for row in shown[1::2])
        return b"".join(row[f"{self.prefix}bus_dat_r"].to_bytes(4, "little") for row in shown[1::2])[:size]

    def _access(self, adr: int, row: Mapping[str, int]) -> list[dict[str, int]]:
        return [self._own({"bus_stb": 1, "bus_adr": adr, **row}), {}]

    def send(self, content: bytes) -> None:
        """Begins to send a frame; its last four bytes do not matter."""
        self.load(0, content[:FRAME_BYTES])
        self.write("tx_length", len(content))
        self.write("tx", 1)

    def receive(self) -> bytes | None:
        """Takes the oldest frame, if there is one."""
        if not self.read("rx_present"):
            return None
        content = self.dump(RX_OFFSET + FRAME_BYTES * self.read("rx_buffer"), self.read("rx_length"))
        self.write("rx_present", 1)
        return content


class _Top(Module):
    def __init__(self) -> None:
        self.inputs: dict[str, Signal] = {}
        self.outputs: dict[str, Signal] = {}
        phys = [Record(phy_layout()) for _ in range(2)]
        for n, (phy, peer) in enumerate(zip(phys, reversed(phys), strict=True)):
            link = LinkLayer(phy)
            self.side = side = AuxSide(link)
            self.submodules += link, side
            noise = {"xor_d": Signal(16), "xor_k": Signal(2), "bad": Signal(), "cut": Signal()}
            line = [(phy.tx_d, phy.tx_k, phy.tx_enable)]
            for _ in range(DELAY - 1):
                line.append((Signal(16), Signal(2), Signal()))
                self.sync += [late.eq(early) for late, early in zip(line[-1], line[-2], strict=True)]
            d, k, enable = line[-1]
            self.sync += [
                peer.rx_d.eq(d ^ noise["xor_d"]),
                peer.rx_k.eq(k ^ noise["xor_k"]),
                peer.rx_bad.eq(noise["bad"]),
                peer.rx_up.eq(enable & ~noise["cut"]),
            ]
            prefix = f"{n}."
            real_time = ("rt_tx_stb", "rt_tx_start", "rt_tx_data", "enable")
            self.inputs |= {prefix + name: getattr(link, name) for name in real_time}
            self.inputs |= {prefix + name: signal for name, signal in noise.items()} | side.inputs(prefix)
            shown = ("rt_rx_stb", "rt_rx_start", "rt_rx_data", "up", "symbol_error")
            self.outputs |= {prefix + name: getattr(link, name) for name in shown} | side.outputs(prefix)


class Pair:
    """Side n's inputs and outputs are `<n>.<name>`; noise of side n is on what it sends, at the receiver's end."""

    def __init__(self) -> None:
        top = _Top()
        self.player = Player(top, top.inputs, top.outputs, "drtio_pair")
        self.sides = [Firmware(self.player, f"{n}.", top.side.places) for n in range(2)]

    def connect(self) -> None:
        shown = self.player.play([{"0.enable": 1, "1.enable": 1}] + [{}] * UP_CYCLES)
        assert shown[-1]["0.up"] and shown[-1]["1.up"]

    def play(self, rows: Iterable[Mapping[str, int]]) -> list[dict[str, int]]:
        return self.player.play(rows)

    def __enter__(self) -> "Pair":
        return self

    def __exit__(self, *reason: object) -> None:
        self.player.close()
