"""From a board on the shelf to a core device that answers in the network; the same for simulated and real boards."""

import contextlib
import enum
import socket
import time
from pathlib import Path
from typing import Any

import attr
from labgrid.binding import BindingError
from labgrid.factory import target_factory
from labgrid.protocol import ConsoleProtocol, PowerProtocol
from labgrid.step import step
from labgrid.strategy.common import Strategy, StrategyError, never_retry
from pexpect import TIMEOUT

from corelog.lab.drivers.core_device import CoreDevice, FlashProtocol, LinkProtocol

PORT = 1380
# What a client of the management port says first; the device answers with its byte order.
GREETING, ANSWERS = b"ARTIQ management\n\0", (b"e", b"E")
TRY_TIMEOUT, TRY_AGAIN = 2.0, 0.05
DRAIN_TIMEOUT = 5.0
BOOTED = r"board ([0-9a-f]{16}), boot ([0-9a-f]{16})"


class Status(enum.Enum):
    unknown = 0
    off = 1
    on = 2
    network = 3


@target_factory.reg_driver
@attr.s(eq=False)
class CoreDeviceStrategy(Strategy):
    """States: off; on (the power is on, and the firmware said on its UART who it is); network (it answers there).

    Power, console and flasher may be missing in an environment; what needs them is then refused by name. Without a
    power supply the board is expected to be on.

    Args:
        boot_timeout: seconds from power to the network
    """

    bindings = {
        "device": CoreDevice,
        "power": {PowerProtocol, None},
        "console": {ConsoleProtocol, None},
        "flasher": {FlashProtocol, None},
    }

    boot_timeout = attr.ib(default=120.0, converter=float)
    status = attr.ib(default=Status.unknown, init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        # labgrid takes an optional binding of which there are several as missing.
        for name, kind in (("power", PowerProtocol), ("console", ConsoleProtocol), ("flasher", FlashProtocol)):
            drivers: list[Any] = [driver for driver in self.target.drivers if isinstance(driver, kind)]
            if getattr(self, name) is None and drivers:
                found = ", ".join(driver.name or type(driver).__name__ for driver in drivers)
                raise BindingError(f"{name} of the strategy may be any of {found}: say which under its `bindings`")
        # Of the last boot, as the UART said: (board, boot) in hexadecimal.
        self.introduced: tuple[str, str] | None = None

    @property
    def links(self) -> dict[int, Any]:
        """The links that can be cut, each with its driver."""
        drivers = [driver for driver in self.target.drivers if isinstance(driver, LinkProtocol)]
        return {link: driver for driver in drivers for link in driver.links}

    @never_retry
    @step(args=["status"])
    def transition(self, status: Status | str, *, step: Any) -> None:
        if not isinstance(status, Status):
            status = Status[status]
        if status == Status.unknown:
            raise StrategyError("no board is brought into an unknown state")
        if status == self.status:
            step.skip("nothing to do")
            return
        if status == Status.off:
            self._part("power").off()
            self.introduced = None
        elif status == Status.on:
            self._switch_on()
        else:
            if self.status != Status.on:
                self.transition(Status.on)
            self._wait_for_network()
        self.status = status

    def _switch_on(self) -> None:
        if self.status == Status.network or self.power is None:
            return
        # Also a board that was found on: only a boot is known to be the firmware's beginning.
        self._part("power").off()
        self._drain_console()
        self.power.on()
        self._wait_for_boot()

    def _part(self, name: str) -> Any:
        """A driver, active."""
        driver = getattr(self, name)
        if driver is None:
            raise StrategyError(f"the environment has no {name} for target {self.target.name}")
        self.target.activate(driver)
        return driver

    def _drain_console(self) -> None:
        """Takes what was said so far, so that the next boot found there is the next boot."""
        if self.console is None:
            return
        console, deadline = self._part("console"), time.monotonic() + DRAIN_TIMEOUT
        with contextlib.suppress(TIMEOUT):
            while time.monotonic() < deadline:
                console.expect(r"(?s).+", timeout=0.1)

    def _wait_for_boot(self) -> None:
        if self.console is None:
            return
        try:
            _, _, match, _ = self.console.expect(BOOTED, timeout=self.boot_timeout)
        except TIMEOUT:
            raise StrategyError(
                f"no boot on the UART of {self.device.address} within {self.boot_timeout:g} s: "
                "is its power on, and is it flashed?") from None
        self.introduced = match[1].decode(), match[2].decode()

    def _wait_for_network(self) -> None:
        deadline = time.monotonic() + self.boot_timeout
        while True:
            problem = self._greet()
            if problem is None:
                return
            if time.monotonic() > deadline:
                raise StrategyError(
                    f"{self.device.address} port {PORT} does not answer after {self.boot_timeout:g} s: {problem}")
            time.sleep(TRY_AGAIN)

    def _greet(self) -> str | None:
        """Why the core device does not answer; None if it does."""
        try:
            with socket.create_connection((self.device.address, PORT), TRY_TIMEOUT) as connection:
                connection.sendall(GREETING)
                answer = connection.recv(1)
        except OSError as error:
            return str(error) or type(error).__name__
        return None if answer in ANSWERS else f"it answered {answer!r}"

    @never_retry
    def flash(self) -> Path:
        """Writes gateware and firmware, starts them, and waits for the network. Returns the firmware's image."""
        flasher = self._part("flasher")
        if self.power is not None and self.status in (Status.unknown, Status.off):
            self._part("power").on()
        self._drain_console()
        flasher.flash()
        self._wait_for_boot()
        self._wait_for_network()
        self.status = Status.network
        image: Path = flasher.firmware_image
        return image

    @never_retry
    def power_cycle(self) -> None:
        """Pulls the plug, puts it in again, and waits for the network."""
        self.transition(Status.off)
        self.transition(Status.network)

    def cut(self, link: int) -> None:
        self._link(link).cut(link)

    def restore(self, link: int) -> None:
        self._link(link).restore(link)

    def _link(self, link: int) -> Any:
        driver = self.links.get(link)
        if driver is None:
            raise StrategyError(f"the environment has nothing that cuts link {link} of target {self.target.name}")
        self.target.activate(driver)
        return driver
