"""labgrid drivers and strategy for core devices, against models of cables, switches and boards."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("labgrid", reason="labgrid is installed and used by `make hil` only")

import attr
from labgrid import Target
from labgrid.driver.common import Driver
from labgrid.driver.consoleexpectmixin import ConsoleExpectMixin
from labgrid.driver.exception import ExecutionError
from labgrid.protocol import ConsoleProtocol, DigitalOutputProtocol, PowerProtocol
from labgrid.strategy.common import StrategyError
from pexpect import TIMEOUT

from corelog.lab.addresses import free_address
from corelog.lab.drivers import CoreDevice, CoreDeviceStrategy, CorelogFlashDriver, Status, SwitchedLinkDriver
from corelog.lab.drivers import strategy as strategy_module
from corelog.testing import fakeopenocd
from corelog.testing.fakeopenocd import Fault
from support import images

BANNER = b"[  0.1s]  INFO(runtime): reset cause: power-on; board 00112233445566%02x, boot 8899aabbccddee%02x\r\n"


@attr.s(eq=False)
class Power(Driver, PowerProtocol):
    """A power supply that remembers; `on` makes the console speak."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.done: list[str] = []
        self.console: Console | None = None

    def on(self) -> None:
        self.done.append("on")
        if self.console is not None:
            self.console.said += BANNER % (7, len(self.done))

    def off(self) -> None:
        self.done.append("off")

    def cycle(self) -> None:
        self.off()
        self.on()


@attr.s(eq=False)
class Output(Driver, DigitalOutputProtocol):
    """A relay."""

    level: bool | None = None

    def get(self) -> bool | None:
        return self.level

    def set(self, status: bool) -> None:
        self.level = status


@attr.s(eq=False)
class Console(ConsoleExpectMixin, Driver, ConsoleProtocol):
    txdelay = 0.0

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.said = b""

    def _read(self, size: int = 1, timeout: float = 0.0, max_size: int | None = None) -> bytes:
        deadline = time.monotonic() + timeout
        while not self.said:
            if time.monotonic() > deadline:
                raise TIMEOUT("nothing")
            time.sleep(0.001)
        data, self.said = self.said[:5], self.said[5:]
        return data

    def _write(self, data: bytes) -> int:
        return len(data)


@contextlib.contextmanager
def listening(address: str, answer: bytes) -> Iterator[list[bytes]]:
    """A management port that answers; what it was sent."""
    sent: list[bytes] = []
    with socket.create_server((address, strategy_module.PORT)) as server:
        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        sent.append(connection.recv(100))
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield sent
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5.0)
            assert not thread.is_alive()


@pytest.fixture
def target() -> Iterator[Target]:
    found = Target("main")
    yield found
    found.cleanup()


def core_device(target: Target, folder: Path, **more: object) -> CoreDevice:
    return CoreDevice(target, None, address=free_address(), device_db=str(folder / "device_db.py"), **more)


def test_board_is_switched_on_seen_to_boot_and_reached_in_the_network(target: Target, tmp_path: Path) -> None:
    device = core_device(target, tmp_path)
    power, console = Power(target, None), Console(target, None)
    power.console = console
    strategy = CoreDeviceStrategy(target, None, boot_timeout=10)
    console.said = BANNER % (1, 1)  # of before
    with listening(device.address, b"e") as sent:
        strategy.transition("network")
        assert sent == [b"ARTIQ management\n\0"]
        assert strategy.status == Status.network
        assert power.done == ["off", "on"]
        assert strategy.introduced == ("0011223344556607", "8899aabbccddee02")
        strategy.transition("network")
        assert power.done == ["off", "on"], "it is there already"
        strategy.power_cycle()
        assert strategy.introduced == ("0011223344556607", "8899aabbccddee05")


def test_board_that_is_there_already_needs_a_network_only(target: Target, tmp_path: Path) -> None:
    device = core_device(target, tmp_path)
    strategy = CoreDeviceStrategy(target, None, boot_timeout=10)
    with listening(device.address, b"E"):
        strategy.transition("network")
    assert strategy.introduced is None


@pytest.mark.parametrize(("action", "missing"), [
    (lambda strategy: strategy.transition("off"), "no power for target main"),
    (lambda strategy: strategy.flash(), "no flasher for target main"),
    (lambda strategy: strategy.cut(1), "nothing that cuts link 1 of target main"),
])
def test_what_the_environment_lacks_is_named(target: Target, tmp_path: Path, action, missing: str) -> None:
    core_device(target, tmp_path)
    with pytest.raises(StrategyError) as caught:
        action(CoreDeviceStrategy(target, None))
    assert missing in str(caught.value.__cause__ or caught.value)


def test_board_that_stays_dark_is_told_from_one_without_network(target: Target, tmp_path: Path) -> None:
    device = core_device(target, tmp_path)
    power, console = Power(target, None), Console(target, None)
    with pytest.raises(StrategyError) as caught:
        CoreDeviceStrategy(target, None, boot_timeout=0.2).transition("network")
    assert "no boot on the UART" in str(caught.value.__cause__.__cause__)
    power.console = console
    with pytest.raises(StrategyError) as caught:
        CoreDeviceStrategy(target, "again", boot_timeout=0.2).transition("network")
    assert f"{device.address} port 1380 does not answer" in str(caught.value.__cause__)


def test_something_else_on_the_management_port_is_no_core_device(target: Target, tmp_path: Path) -> None:
    device = core_device(target, tmp_path)
    with listening(device.address, b"H"), pytest.raises(StrategyError) as caught:
        CoreDeviceStrategy(target, None, boot_timeout=0.2).transition("network")
    assert "it answered b'H'" in str(caught.value.__cause__)


@pytest.mark.parametrize("cut_level", [False, True])
def test_relay_cuts_a_link_and_the_satellite_goes_on(target: Target, tmp_path: Path, cut_level: bool) -> None:
    core_device(target, tmp_path, satellites=2)
    relay = Output(target, "relay")
    target.set_binding_map({"switch": "relay"})
    SwitchedLinkDriver(target, None, link=2, cut_level=cut_level)
    strategy = CoreDeviceStrategy(target, None)
    assert list(strategy.links) == [2] and not strategy.links[2].restarts
    strategy.cut(2)
    assert relay.level is cut_level
    strategy.restore(2)
    assert relay.level is not cut_level


def test_satellite_switched_off_cuts_its_link_and_starts_anew(target: Target, tmp_path: Path) -> None:
    core_device(target, tmp_path, satellites=1)
    Power(target, "core device")
    satellite = Power(target, "satellite")
    target.set_binding_map({"switch": "satellite"})
    SwitchedLinkDriver(target, None, link=1)
    target.set_binding_map({"power": "core device"})
    strategy = CoreDeviceStrategy(target, None)
    assert strategy.links[1].restarts
    strategy.cut(1)
    strategy.restore(1)
    assert satellite.done == ["off", "on"]


@pytest.fixture
def cable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An OpenOCD with a board at its cable."""
    path = fakeopenocd.install(tmp_path / "openocd")
    for name, value in fakeopenocd.environment(path).items():
        monkeypatch.setenv(name, value)
    return tmp_path / "openocd"


@pytest.mark.parametrize("tree", [False, True])
def test_flasher_writes_the_build_and_starts_it(target: Target, tmp_path: Path, cable: Path, tree: bool) -> None:
    folder = images.write_build(tmp_path / "build", tree)
    core_device(target, tmp_path, images=str(folder))
    flasher = CorelogFlashDriver(target, None, preinit=["adapter serial X"])
    target.activate(flasher)
    flasher.flash()
    assert images.firmware() in fakeopenocd.flash(cable)
    report = fakeopenocd.report(cable)
    assert report["started"]
    assert "adapter serial X" in str(report["commands"])
    assert flasher.firmware_image.read_bytes() == images.firmware()


def test_flasher_says_what_went_wrong_in_one_line(
        target: Target, tmp_path: Path, cable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = images.write_build(tmp_path / "build")
    core_device(target, tmp_path, images=str(folder))
    flasher = CorelogFlashDriver(target, None)
    target.activate(flasher)
    for name, value in fakeopenocd.environment(cable / "bin", Fault.NO_CABLE).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ExecutionError, match="corelog flash ended with status 1: "):
        flasher.flash()
    (folder / "runtime.fbi").write_bytes(b"no firmware")
    with pytest.raises(ExecutionError, match=r"runtime\.fbi"):
        flasher.flash()


def test_flasher_without_images_says_so(target: Target, tmp_path: Path) -> None:
    core_device(target, tmp_path)
    flasher = CorelogFlashDriver(target, None)
    target.activate(flasher)
    with pytest.raises(ExecutionError, match="no `images`"):
        flasher.flash()
