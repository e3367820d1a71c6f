"""The examples of the management system, run by a real master and controller manager."""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import h5py
import pytest

from corelog.lab.program import Program
from sipyco.broadcast import Receiver
from sipyco.sync_struct import Subscriber
from support.conditions import eventually
from support.management import Management, management
from support.session_model import ModelDevice
from support.session_server import Behaviour, session_server

EXAMPLES = Path(__file__).parents[3] / "examples" / "management"


class Lab:
    """Master and controller manager in a copy of the examples, and what the master publishes."""

    def __init__(self, system: Management):
        self.system = system
        self.structs: dict[str, Any] = {}

    def dataset(self, name: str) -> Any:
        return self.structs["datasets"].get(name, (False, None, {}))[1]

    async def submit(self, file: str, class_name: str | None = None, **arguments: Any) -> int:
        async with self.system.rpc(3251, "schedule") as schedule:
            rid: int = await schedule.submit("main", {"file": file, "class_name": class_name, "arguments": arguments,
                                                      "log_level": 20, "repo_rev": None})
        return rid

    async def until(self, condition: Callable[[], Any], what: str, timeout: float = 60.0) -> None:
        async def holds() -> bool:
            return bool(condition())

        await eventually(holds, timeout, what)

    async def idle(self) -> None:
        """Until nothing is in the schedule."""
        async def nothing() -> bool:
            async with self.system.rpc(3251, "schedule") as schedule:
                return not await schedule.get_status()

        await eventually(nothing, 60.0, "the end of all runs")

    async def run(self, file: str, class_name: str | None = None, **arguments: Any) -> int:
        rid = await self.submit(file, class_name, **arguments)
        await self.idle()
        return rid

    async def client(self, *arguments: str) -> list[str]:
        program = Program("client", ["corelog", "client", "-s", self.system.address, *arguments])
        await program.start()
        assert await program.wait(60) == 0, program.lines
        return list(program.lines)

    def results(self, rid: int) -> Path:
        found, = (self.system.directory / "results").rglob(f"{rid:09d}-*.h5")
        return found


@asynccontextmanager
async def laboratory(directory: Path) -> AsyncIterator[Lab]:
    folder = directory / "lab"
    shutil.copytree(EXAMPLES, folder)
    async with management(folder) as system:
        database = folder / "device_db.py"
        database.write_text(database.read_text().replace("127.0.0.1", system.address))
        lab = Lab(system)
        await system.master.start()
        await system.listen()
        subscribers = []
        for name in ("schedule", "datasets", "interactive_args", "explist"):
            def build(struct: Any, name: str = name) -> Any:
                lab.structs[name] = struct
                return struct

            subscribers.append(Subscriber(name, build))
            await subscribers[-1].connect(system.address, 3250)
        await lab.until(lambda: len(lab.structs) == 4, "the published structures")
        try:
            yield lab
        finally:
            for subscriber in subscribers:
                await subscriber.close()


async def test_repository_is_listed_with_the_names_and_arguments_of_all_examples(tmp_path: Path) -> None:
    async with laboratory(tmp_path) as lab:
        await lab.until(lambda: len(lab.structs["explist"]) >= 14, f"14 experiments: {sorted(lab.structs['explist'])}")
        assert sorted(lab.structs["explist"]) == [
            "A long run that gives way", "A run that takes too long", "An exception in a run",
            "Arguments of every kind", "Asks the user during a run", "Counts photons with a controller",
            "Datasets that change while one looks", "Opens a plot on all dashboards", "Runs code in the controller",
            "Scan over a simulated resonance", "Something that cannot wait", "Submits runs of different urgency",
            "The stages of an experiment", "board/Pulses on the simulated board"]
        kinds = {name: entry[0]["ty"] for name, entry in
                 lab.structs["explist"]["Arguments of every kind"]["arginfo"].items()}
        assert kinds == {"number": "NumberValue", "count": "NumberValue", "switch": "BooleanValue",
                         "choice": "EnumerationValue", "title": "StringValue", "anything": "PYONValue",
                         "scan": "Scannable"}
        listed = await lab.client("ls", str(lab.system.directory / "repository"))
        assert listed[0] == "board/" and "arguments.py" in listed


async def test_command_lines_of_the_readme(tmp_path: Path) -> None:
    async with laboratory(tmp_path) as lab:
        assert await lab.client("submit", "-R", "arguments.py", "number=0.2", 'choice="slow"') == ["RID: 0"]
        await lab.idle()
        await lab.until(lambda: lab.dataset("arguments.choice"), "its datasets")
        assert lab.dataset("arguments.choice") == "'slow'" and lab.dataset("arguments.number") == "0.2"
        assert await lab.client("show", "schedule", "--once") == ["Schedule is empty"]
        assert any(line.startswith("arguments.title") for line in await lab.client("show", "datasets", "--once"))


async def test_datasets_scan_and_stages_leave_what_they_say(tmp_path: Path) -> None:
    async with laboratory(tmp_path) as lab:
        for starts in (1, 2):
            await lab.run("datasets.py", points=5)
            await lab.until(lambda starts=starts: lab.dataset("datasets.starts") == starts, "another start")
        assert lab.dataset("datasets.steps") == [0, 1, 2, 3, 4]
        assert abs(lab.dataset("datasets.time") - 0.025) < 1e-9
        await lab.run("scan.py")
        await lab.until(lambda: lab.dataset("resonance.center"), "the scan's result")
        center = lab.dataset("resonance.center")
        assert abs(center - 80.3e6) < 0.1e6 and lab.structs["datasets"]["resonance.center"][0]
        rid = await lab.run("stages.py", x_offset=2.0, y_offset=3.0)
        with h5py.File(lab.results(rid)) as file:
            assert file["datasets/stages.double"][()] == 2 * (center + 5)
            assert file["datasets/stages.rid"][()] == rid == file["rid"][()]
            assert file["archive/resonance.center"][()] == center


async def test_run_gives_way_to_urgent_ones_and_ends_when_asked(tmp_path: Path) -> None:
    async with laboratory(tmp_path) as lab:
        rid = await lab.submit("pause.py", step=0.01)
        await lab.until(lambda: lab.dataset("pause.step"), "its first step")
        waiting = await lab.submit("arguments.py")
        explained = " ".join(await lab.client("explain", str(waiting)))
        assert str(rid) in explained, explained
        async with lab.system.rpc(3251, "schedule") as schedule:
            await schedule.submit("main", {"file": "priorities.py", "class_name": "Urgent", "repo_rev": None,
                                           "arguments": {"name": "now"}, "log_level": 30}, 10, None, False)
        await lab.until(lambda: lab.dataset("priorities.order") == ["now"], "the urgent run")
        await lab.system.seen("giving way at step")
        await lab.client("delete", "-g", str(rid))
        asked = await lab.system.seen("asked to end: all is left in order")
        assert asked.source == f"worker({rid},pause.py)"
        await lab.idle()
        await lab.run("priorities.py", "Submit", later=1.0)
        order = ["high", "middle", "low", "due later"]
        await lab.until(lambda: lab.dataset("priorities.order") == order, f"the order {order}")


@pytest.mark.parametrize(("action", "expected"), [(["supply-interactive", "0", "position=0.003", "good=true"], 0.003),
                                                  (["cancel-interactive", "0"], "cancelled")])
async def test_user_is_asked(tmp_path: Path, action: list[str], expected: Any) -> None:
    async with laboratory(tmp_path) as lab:
        assert await lab.submit("interactive.py") == 0
        await lab.until(lambda: lab.structs["interactive_args"], "the request")
        shown = await lab.client("show", "interactive-args", "--once")
        assert shown[1].split()[:3] == ["0", "Alignment", "position"]
        await lab.client(*action)
        await lab.idle()
        await lab.until(lambda: lab.dataset("interactive.position") == expected, f"the answer {expected}")


async def test_applet_request_reaches_clients(tmp_path: Path) -> None:
    async with laboratory(tmp_path) as lab:
        seen: list[dict[str, Any]] = []
        receiver = Receiver("ccb", seen.append)
        await receiver.connect(lab.system.address, 1067)
        try:
            await lab.until(lambda: lab.system.tap.entries, "the broadcast")
            await lab.run("applet.py")
            await lab.until(lambda: seen, "the request")
            assert seen[0]["service"] == "create_applet" and seen[0]["kwargs"] == {"group": "examples"}
        finally:
            await receiver.close()


async def test_controller_its_second_target_and_remote_execution(tmp_path: Path) -> None:
    async with laboratory(tmp_path) as lab:
        await lab.system.ctlmgr.start()

        async def serves() -> bool:
            try:
                async with lab.system.rpc(3300, "shutter"):
                    return True
            except OSError:
                return False

        await eventually(serves, 30, "the controller")
        await lab.run("detector.py")
        await lab.until(lambda: lab.dataset("detector.light") is not None, "counts")
        assert 0 <= lab.dataset("detector.dark") < 20 and 100 < lab.dataset("detector.light") < 300
        await lab.run("remote.py", points=1000)
        await lab.until(lambda: lab.dataset("remote.variance") is not None, "statistics")
        assert 18 < lab.dataset("remote.mean") < 22 and 10 < lab.dataset("remote.variance") < 30
        doctor = Program("doctor", ["corelog", "doctor", "-s", lab.system.address, "--ctlmgr", lab.system.address],
                         cwd=lab.system.directory)
        await doctor.start()
        await doctor.wait(60)
        assert any("controller detector at" in line and line.startswith("ok") for line in doctor.lines), doctor.lines
        assert doctor.lines[-1] == "1 problem"  # the core device is not there


async def test_core_device_experiment_plays_its_pulses(tmp_path: Path) -> None:
    device = ModelDevice()
    async with session_server(device, Behaviour()) as port, laboratory(tmp_path) as lab:
        database = lab.system.directory / "device_db.py"
        text = database.read_text().replace(f'"host": "{lab.system.address}", "ref_period"',
                                            f'"host": "127.0.0.1", "port": {port}, "ref_period"')
        assert str(port) in text
        database.write_text(text)
        await lab.client("scan-devices")
        lab.results(await lab.run("board/pulses.py", n=3))
        start, ms = device.events[0][0], 16_000
        assert [(time - start, *event) for time, *event in device.events] == [
            (edge * ms, 0, 0, 1 - edge % 2) for edge in range(6)]


async def test_failures_are_logged_with_their_rid_and_what_was_set_is_kept(tmp_path: Path) -> None:
    async with laboratory(tmp_path) as lab:
        rid = await lab.run("failure.py")
        entry = await lab.system.seen("ZeroDivisionError")
        assert entry.source == f"worker({rid},failure.py)"
        with h5py.File(lab.results(rid)) as file:
            assert list(file["datasets"]) == ["failure.before"]
        ended = await lab.submit("watchdog.py", limit=0.3)
        await lab.idle()
        await lab.system.seen(f"RID {ended}")
