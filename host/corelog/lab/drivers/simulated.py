"""The simulated board as a board of a lab: a plug, a flash, a UART, a reset button, links that can be cut."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

import attr
from labgrid.driver.common import Driver
from labgrid.driver.consoleexpectmixin import ConsoleExpectMixin
from labgrid.driver.exception import ExecutionError
from labgrid.factory import target_factory
from labgrid.protocol import ConsoleProtocol, PowerProtocol, ResetProtocol
from labgrid.step import step
from pexpect import TIMEOUT

from corelog.lab.addresses import free_address
from corelog.lab.drivers.core_device import CoreDevice, FlashProtocol, LinkProtocol

START_TIMEOUT = 120.0
CONTROL_TIMEOUT = 10.0
POLL = 0.01  # seconds between looks at the file that the UART writes


@target_factory.reg_resource
@attr.s(eq=False)
class SimulatedBoard(CoreDevice):
    """A core device in the simulator, with its satellites.

    Args as of CoreDevice, where all but the device database may be left out; and:
        free_run: as fast as possible, not in real time
    """

    address = attr.ib(default=attr.Factory(free_address), validator=attr.validators.instance_of(str))
    board = attr.ib(default="simulated", validator=attr.validators.in_(("simulated",)))
    free_run = attr.ib(default=False, validator=attr.validators.instance_of(bool))

    simulated = True


@target_factory.reg_driver
@attr.s(eq=False)
class SimulatedBoardDriver(
        ConsoleExpectMixin, Driver, ConsoleProtocol, PowerProtocol, ResetProtocol, FlashProtocol, LinkProtocol):
    """Runs the simulator while the power is on. All boards of a tree have one plug; its flash outlives the power.

    What it is flashed with is built from the tree, and copied: it does not change until it is flashed again.
    """

    bindings = {"device": SimulatedBoard}

    txdelay = attr.ib(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._read_to = 0

    @property
    def _files(self) -> Path:
        if self._folder is None:
            raise ExecutionError("the simulated board is not active")
        return self._folder

    def on_activate(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="corelog-lab-"))
        self._read_to = 0

    def on_deactivate(self) -> None:
        self._unplug()
        shutil.rmtree(self._files, ignore_errors=True)
        self._folder = None

    # Flash

    @property
    def firmware_image(self) -> Path:
        return self._files / "firmware.elf"

    @Driver.check_active
    @step()
    def flash(self) -> None:
        """A board that was on is on again afterwards, with what was written."""
        # Imported late: it needs the simulator's packages, which the other drivers do not.
        from corelog_gateware.simulator.build import build
        from corelog_gateware.simulator.paths import BuildError

        try:
            built = build(tree=self.device.satellites > 0)
        except BuildError as error:
            raise ExecutionError(f"the simulated board was not built: {error}") from error
        was_on = self.get()
        self._unplug()
        shutil.copy(built.program, self._files / "board")
        shutil.copy(built.firmware, self.firmware_image)
        if built.satellite_firmware is not None:
            shutil.copy(built.satellite_firmware, self._files / "satellite.elf")
        if was_on:
            self._plug()

    # Power and reset

    @Driver.check_active
    @step()
    def on(self) -> None:
        if not self.firmware_image.exists():  # as it comes from the factory
            self.flash()
        if not self.get():
            self._plug()

    @Driver.check_active
    @step()
    def off(self) -> None:
        self._unplug()

    @Driver.check_active
    @step()
    def cycle(self) -> None:
        self.off()
        self.on()

    def get(self) -> bool:
        """Whether the power is on."""
        return self._process is not None and self._process.poll() is None

    @Driver.check_active
    @step()
    def reset(self) -> None:
        self._command("board 0 reset")

    def _plug(self) -> None:
        files, device = self._files, self.device
        command = [str(files / "board"), "--firmware", str(self.firmware_image), "--address", device.address,
                   "--storage", str(files / "storage"), "--uart", str(files / "uart"),
                   "--control", str(files / "control"), "--parent", str(os.getpid())]
        if device.satellites:
            command += ["--satellites", str(device.satellites), "--satellite-firmware", str(files / "satellite.elf")]
        command += ["--chain"] * device.chain + ["--free-run"] * device.free_run
        self._read_to = 0
        with (files / "stderr").open("wb") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
        # What is said on the UART from now on is of this start: the board empties the file before its first cycle.
        deadline = time.monotonic() + START_TIMEOUT
        while not (files / "control").exists():
            if not self.get() or time.monotonic() > deadline:
                said = (files / "stderr").read_text(errors="replace").strip()
                self._unplug()
                raise ExecutionError(f"the simulated board did not start: {said or 'it said nothing'}")
            time.sleep(POLL)

    def _unplug(self) -> None:
        if self._process is not None:
            self._process.kill()  # nothing says goodbye when the plug is pulled
            self._process.wait()
            self._process = None
            (self._files / "control").unlink(missing_ok=True)

    # Links

    @property
    def links(self) -> Collection[int]:
        return range(1, self.device.satellites + 1)

    @Driver.check_active
    @step(args=["link"])
    def cut(self, link: int) -> None:
        self._command(f"link {link} cut")

    @Driver.check_active
    @step(args=["link"])
    def restore(self, link: int) -> None:
        self._command(f"link {link} restore")

    def _command(self, line: str) -> str:
        """What the simulator answers to a line on its control socket."""
        if sys.platform == "win32":
            raise ExecutionError("the simulated board does not run on Windows")
        try:
            with socket.socket(socket.AF_UNIX) as control:
                control.settimeout(CONTROL_TIMEOUT)
                control.connect(str(self._files / "control"))
                control.sendall(line.encode() + b"\n")
                with control.makefile() as answers:
                    answer = answers.readline().rstrip("\n")
        except OSError as error:
            raise ExecutionError(f"the simulated board does not take {line!r}: {error}") from error
        status, _, rest = answer.partition(" ")
        if status != "ok":
            raise ExecutionError(f"the simulated board refused {line!r}: {answer or 'it went away'}")
        return rest

    # Console

    def _read(self, size: int = 1, timeout: float = 0.0, max_size: int | None = None) -> bytes:
        deadline = time.monotonic() + timeout
        while True:
            if self._process is not None:
                with (self._files / "uart").open("rb") as uart:
                    uart.seek(self._read_to)
                    if data := uart.read(max_size or -1):
                        self._read_to += len(data)
                        return data
            if time.monotonic() > deadline:
                raise TIMEOUT(f"nothing on the UART for {timeout:.2f} s")
            time.sleep(POLL)

    def _write(self, data: bytes) -> int:
        raise ExecutionError("the UART of a simulated board only sends")
