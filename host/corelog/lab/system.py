"""The whole set-up on one loopback address: board, master, controller manager, log controller."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from corelog.lab.program import Program, ProgramError
from sipyco.broadcast import Receiver
from sipyco.pc_rpc import AsyncioClient

ENTRIES_KEPT = 2_000_000


@dataclass(frozen=True)
class LogEntry:
    """One record as the master broadcasts it, and when it came (monotonic seconds)."""

    level: int
    source: str
    time: float
    text: str
    arrived: float


class LogTap:
    """Receives the master's broadcast channel ``log`` and keeps what came."""

    def __init__(self, on_entry: Callable[[LogEntry], None] | None = None):
        self.entries: list[LogEntry] = []
        self.on_entry = on_entry
        self._changed = asyncio.Event()
        self._receiver: Receiver | None = None

    async def connect(self, host: str, port: int) -> None:
        receiver = Receiver("log", self._receive)
        await receiver.connect(host, port)
        self._receiver = receiver

    async def close(self) -> None:
        if self._receiver is not None:
            await self._receiver.close()

    def _receive(self, message: tuple[int, str, float, str]) -> None:
        level, source, when, text = message
        entry = LogEntry(level, source, when, text, time.monotonic())
        if len(self.entries) < ENTRIES_KEPT:
            self.entries.append(entry)
        if self.on_entry is not None:
            self.on_entry(entry)
        self._changed.set()

    async def wait_for(self, condition: Callable[[LogEntry], bool], timeout: float, start: int = 0) -> LogEntry:
        """The first entry from index ``start`` on that meets the condition; TimeoutError after ``timeout`` seconds."""
        index = start
        try:
            async with asyncio.timeout(timeout):
                while True:
                    self._changed.clear()
                    while index < len(self.entries):
                        entry = self.entries[index]
                        index += 1
                        if condition(entry):
                            return entry
                    await self._changed.wait()
        except TimeoutError:
            last = [entry.text for entry in self.entries[start:][-5:]]
            raise TimeoutError(f"not in the log within {timeout:g} s; its last entries: {last}") from None


class System:
    """Board, master and controller manager as processes, started in order, each by its readiness line.

    ``directory`` holds their files (device database, board storage, logs); ``device_db`` is the text of the device
    database. ``board_address`` None starts the simulated board on ``address``; else a board there is used. Masters and
    controllers are on ``address`` either way.
    """

    def __init__(self, directory: Path, device_db: str, *, address: str = "127.0.0.1",
                 board_address: str | None = None, board_options: tuple[str, ...] = (),
                 on_line: Callable[[str, str], None] | None = None,
                 on_entry: Callable[[LogEntry], None] | None = None):
        self.directory = directory
        self.address = address
        self.board_address = board_address or address
        self.device_db = device_db
        self.device_db_path = directory / "device_db.py"
        self.board: Program | None = None
        if board_address is None:
            self.board = Program("board", ["corelog", "board", "--address", address, "--storage",
                                           str(directory / "storage.img"), "--uart", str(directory / "uart.log"),
                                           *board_options],
                                 ready="corelog board is now running", on_line=on_line)
        bind = ["--bind", address, "--no-localhost-bind"]
        # the controller's place in the stream is this set-up's own
        state = {"XDG_STATE_HOME": str(directory / "state")}
        self.master = Program("master", ["corelog", "master", "-v", *bind], cwd=directory,
                              ready="ARTIQ master is now ready.", on_line=on_line)
        self.ctlmgr = Program("ctlmgr", ["corelog", "ctlmgr", "-v", "-s", address, "--host-filter", address, *bind],
                              cwd=directory, env=state, on_line=on_line,
                              ready="ARTIQ controller manager is now running.")
        self.tap = LogTap(on_entry)

    async def start(self, board_timeout: float = 600.0) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.device_db_path.write_text(self.device_db)
        try:
            if self.board is not None:
                await self.board.start(board_timeout)
            await self.master.start(30.0)
            await self.tap.connect(self.address, 1067)
            await self.ctlmgr.start(30.0)
            await self.controller_connected(30.0)
        except BaseException:
            await self.stop()
            raise

    async def controller_status(self, timeout: float = 2.0) -> dict[str, object]:
        """The log controller's own account of its connection and counters; OSError if it does not answer."""
        client = AsyncioClient()
        async with asyncio.timeout(timeout):
            await client.connect_rpc(self.address, 1068, "corelog")
            try:
                status: dict[str, object] = await client.status()
            finally:
                await client.close_rpc()
        return status

    async def controller_connected(self, timeout: float) -> None:
        """Returns when the log controller reads the board's stream; ProgramError after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                if (await self.controller_status())["connected"]:
                    return
                problem = "it is not connected to the board"
            except (OSError, EOFError, TimeoutError) as error:
                problem = str(error) or type(error).__name__
            if time.monotonic() > deadline:
                raise ProgramError(f"the log controller does not read the board's log after {timeout:g} s: {problem}; "
                                   f"controller manager: {self.ctlmgr.last_line()}")
            await asyncio.sleep(0.02)

    async def command(self, *arguments: str, timeout: float = 60.0) -> Program:
        """Runs `corelog ARGUMENTS` to its end; ProgramError if it fails or takes longer than ``timeout`` seconds."""
        program = Program(arguments[0], ["corelog", *arguments], cwd=self.directory)
        await program.start()
        try:
            status = await program.wait(timeout)
        finally:
            await program.stop()
        if status != 0:
            raise ProgramError(f"corelog {' '.join(arguments)} ended with status {status}: {program.last_line()}")
        return program

    async def run(self, *arguments: str, timeout: float = 60.0) -> Program:
        """Plays one experiment: `corelog run ARGUMENTS` with the set-up's device database."""
        return await self.command("run", "--device-db", str(self.device_db_path), *arguments, timeout=timeout)

    async def mgmt(self, *arguments: str, timeout: float = 60.0) -> Program:
        """`corelog mgmt ARGUMENTS` against the set-up's board."""
        return await self.command("mgmt", "--device-db", str(self.device_db_path), *arguments, timeout=timeout)

    async def name_channels(self) -> None:
        """Writes the channel names of the device database to the board (configuration key ``device_map``)."""
        device_map = self.directory / "device_map.bin"
        await self.command("rtiomap", "--device-db", str(self.device_db_path), str(device_map))
        await self.mgmt("config", "write", "-f", "device_map", str(device_map))

    async def stop(self) -> None:
        await self.tap.close()
        for program in (self.ctlmgr, self.master, self.board):
            if program is not None:
                await program.stop()

    async def __aenter__(self) -> "System":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
