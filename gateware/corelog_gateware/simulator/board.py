"""Simulated boards for tests and programs in Python.

    async with Board(storage=path) as board:
        reader, writer = await asyncio.open_connection(board.address, MANAGEMENT_PORT)
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from corelog.lab.addresses import free_address

from .build import Built, build
from .control import Control

MANAGEMENT_PORT = 1380
SESSION_PORT = 1381
READY_TIMEOUT = 60.0
STOP_TIMEOUT = 10.0
# A free address may be taken by someone else before the board listens on it.
ADDRESS_ATTEMPTS = 5


class BoardError(Exception):
    """The board did not come up or did not end as it should; the message has what it said on standard error."""


class Board:
    """A simulated board, or a tree of boards, in a process of its own, which does not outlive this one.

    :param address: loopback address; default one that is free when the board starts, then kept for later starts.
    :param storage: file of the configuration store, created if it is not there; default: forgotten when it stops.
    :param uart: file that receives what the UART sends.
    :param marks: file for cycle stamps, see ``harness/marks.h``.
    :param free_run: as fast as possible instead of real time.
    :param firmware: ELF file instead of our own.
    :param satellites: how many boards there are behind this one, the core device; of the files above, satellite n has
        the name with .n at its end.
    :param chain: each satellite behind the one before.
    :param satellite_firmware: ELF file instead of our own.
    :param arguments: further arguments of the board program, see ``harness/options.h``.

    Attributes: ``address`` (None before the first start), ``storage``, ``uart``, ``marks``; while it runs ``process``
    and ``control``, which cuts links, switches boards off and the like.
    Usable again after :meth:`stop` or :meth:`kill`, as a board that is switched off and on.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        storage: Path | None = None,
        uart: Path | None = None,
        marks: Path | None = None,
        free_run: bool = False,
        firmware: Path | None = None,
        satellites: int = 0,
        chain: bool = False,
        satellite_firmware: Path | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.address = address
        self.storage = storage
        self.uart = uart
        self.marks = marks
        self.free_run = free_run
        self.firmware = firmware
        self.satellites = satellites
        self.chain = chain
        self.satellite_firmware = satellite_firmware
        self.arguments = tuple(arguments)
        self.process: asyncio.subprocess.Process | None = None
        self._folder: Path | None = None  # for the time of a run

    async def start(self, timeout: float = READY_TIMEOUT) -> None:
        """Build what is missing, switch on and wait until the firmware is up.

        :param timeout: seconds for the firmware to come up; the build has no limit.
        :raises BoardError: if the board ended or was not up in time. :raises BuildError: if it could not be built.
        """
        if self.process is not None:
            raise BoardError(f"the board on {self.address} is running already")
        built = await asyncio.to_thread(
            build, "--vcd" in self.arguments, self.firmware,
            tree=self.satellites > 0, satellite_firmware=self.satellite_firmware
        )
        chosen = self.address
        for attempt in range(1, ADDRESS_ATTEMPTS + 1):
            self.address = chosen or free_address()
            try:
                await self._start(built, timeout)
                return
            except BoardError as error:
                if chosen or attempt == ADDRESS_ATTEMPTS or "already in use" not in str(error):
                    self.address = chosen
                    raise

    @property
    def control(self) -> Control:
        """Of the running board. :raises BoardError: if it does not run."""
        if self._folder is None:
            raise BoardError("the board does not run")
        return Control(self._folder / "control")

    def _command(self, built: Built) -> list[str]:
        command = [*built.command(), "--address", str(self.address), "--control", str(self.control.path)]
        if self.satellites:
            command += ["--satellites", str(self.satellites)]
        if self.chain:
            command.append("--chain")
        for option, file in (("--storage", self.storage), ("--uart", self.uart), ("--trace-marks", self.marks)):
            if file is not None:
                command += [option, str(file)]
        if self.free_run:
            command.append("--free-run")
        return [*command, "--parent", str(os.getpid()), *self.arguments]

    async def _start(self, built: Built, timeout: float) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="corelog-board-"))
        try:
            with (self._folder / "stderr").open("wb") as errors:
                self.process = await asyncio.create_subprocess_exec(
                    *self._command(built),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=errors,
                )
        except BaseException:
            self._forget()
            raise
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(timeout):
                line = await self.process.stdout.readline()
        except TimeoutError:
            said = self.errors()
            await self.kill()
            raise BoardError(f"the board on {self.address} was not up within {timeout:g} s: {said}") from None
        except BaseException:
            await self.kill()
            raise
        if not line.startswith(b"corelog board is now running"):
            await self.process.wait()
            said = self.errors()
            self._forget()
            raise BoardError(f"the board on {self.address} ended before it was up: {said}")

    def errors(self) -> str:
        """What the running board said on standard error so far."""
        return (self._folder / "stderr").read_text(errors="replace").strip() if self._folder is not None else ""

    async def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Switch off (SIGTERM). :raises BoardError: if it did not end in time or not with exit status 0."""
        process = self.process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(timeout):
                # Reading to the end, so that a board that still prints is not held up by a full pipe.
                assert process.stdout is not None
                await process.stdout.read()
                status = await process.wait()
        except TimeoutError:
            await self.kill()
            raise BoardError(f"the board on {self.address} did not end within {timeout:g} s of SIGTERM") from None
        said = self.errors()
        self._forget()
        if status != 0:
            raise BoardError(f"the board on {self.address} ended with exit status {status}: {said}")

    async def kill(self) -> None:
        """Pull the plug (SIGKILL)."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        self._forget()

    def _forget(self) -> None:
        self.process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.stop()
        else:
            await self.kill()
