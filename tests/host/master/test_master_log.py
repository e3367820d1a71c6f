"""The master's log from socket to store, broadcast, console and file, and what clients get of it."""

import argparse
import asyncio
import contextlib
import logging
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corelog.frontend import logs, show_log
from corelog.lab.program import Program
from corelog.master.log import MasterLog
from sipyco.broadcast import Receiver
from sipyco.pc_rpc import Client
from support.conditions import eventually
from support.management import MASTER_READY, Management, management

LINES = (b"worker(3,x.py):INFO:a.b:text: with colons\n"
         b"worker(3,x.py):ERROR<2>:a:two\nlines\n"
         b"controller(c):WARN:a:warn\n"
         b"controller(c):not a record\n"
         b"controller(c):DEBUG:a:\xff bytes\n"
         b"controller(c):TRACE:a:\xc3\xa9 last\n")
SHOWN = [(20, "worker(3,x.py)", "a.b:text: with colons"), (40, "worker(3,x.py)", "a:two\nlines"),
         (30, "controller(c)", "a:warn"), (20, "controller(c)", "print:not a record"),
         (10, "controller(c)", "a:\\xff bytes"), (5, "controller(c)", "a:\u00e9 last")]


async def start(system: Management, *options: str) -> None:
    (system.directory / "device_db.py").write_text("device_db = {}\n")
    system.master = system.make_master(*options)
    await system.master.start()
    await system.listen()


async def send(system: Management, data: bytes) -> None:
    _, writer = await asyncio.open_connection(system.address, 1066)
    writer.write(b"ARTIQ logging\n" + data)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def show(system: Management, *options: str) -> list[str]:
    """What `corelog client show log OPTIONS` prints, as lines."""
    parser = argparse.ArgumentParser()
    show_log.add_options(parser)
    args = parser.parse_args(options)
    assert show_log.wanted(args)
    printed: list[str] = []

    def run() -> None:
        client = Client(system.address, 3251, "log_store", timeout=20)
        try:
            line = show_log.json_line if args.json else show_log.text_line
            printed.extend(line(record) for record in show_log.records(args, client, show_log.Place(args)))
        finally:
            client.close_rpc()

    await asyncio.to_thread(run)
    return printed


async def stored(system: Management, text: str) -> None:
    async with asyncio.timeout(60), system.rpc(3251, "log_store") as store:
        start, found = 0, False
        while not found:
            page = await store.read(start, 1, 5.0, contains=text)
            start, found = page["next"], bool(page["records"])


async def test_every_record_is_in_broadcast_store_console_and_file_in_the_same_order(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start(system, "--log-file", "master.log")
        await send(system, LINES + b"controller(c):INFO:a:end\n")
        await system.seen("a:end")
        await stored(system, "a:end")
        others = ("probe", "master")
        broadcast = [(e.level, e.source, e.text) for e in system.tap.entries if e.source not in others]
        async with system.rpc(3251, "log_store") as store:
            records = (await store.read(level=0))["records"]
        kept = [(r["level"], r["source"], f"{r['name']}:{r['message']}") for r in records
                if r["source"] not in others]
        assert broadcast == kept == [*SHOWN, (20, "controller(c)", "a:end")]
        assert [r["number"] for r in records] == list(range(len(records)))
        await system.master.stop()
        shown = ["INFO:worker(3,x.py):a.b:text: with colons", "ERROR<2>:worker(3,x.py):a:two", "lines",
                 "WARNING:controller(c):a:warn", "INFO:controller(c):print:not a record",
                 "DEBUG:controller(c):a:\\xff bytes", "TRACE:controller(c):a:\u00e9 last", "INFO:controller(c):a:end"]
        console = [line for line in system.master.lines if not re.search(f":probe:|:master:|{MASTER_READY}", line)]
        assert console[:len(shown)] == shown
        file = [line for line in (tmp_path / "master.log").read_text().splitlines()
                if not re.search(":probe:|:master:", line)]
        stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "
        assert [re.sub(stamp, "", line) for line in file] == shown
        assert all(re.match(stamp, line) for line in file if line != "lines")


async def test_stored_log_is_shown_by_time_level_run_and_number_also_after_a_restart(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start(system)
        await send(system, LINES + b"controller(c):INFO:a:end\n")
        await stored(system, "a:end")
        await system.tap.close()
        await system.master.stop()
        system = Management(tmp_path)
        await start(system)
        await send(system, b"controller(c):INFO:a:after\n")
        await stored(system, "a:after")
        run = await show(system, "--rid", "3")
        assert [re.sub(r" \d\d/\d\d \d\d:\d\d:\d\d ", " T ", line) for line in run] == [
            "INFO worker(3,x.py) T a.b:text: with colons", "ERROR worker(3,x.py) T a:two\nlines"]
        assert [line.rpartition(":")[2] for line in await show(system, "--since", "1h", "--level", "trace")
                if "controller(c)" in line][-2:] == ["end", "after"]
        assert await show(system, "--since", "1h", "--until", "30m") == []
        number = int((await show(system, "--json", "--rid", "3"))[0].split(",")[0].rpartition(" ")[2])
        assert len(await show(system, "--number", f"{number}-{number + 3}")) == 4
        await system.stop()


async def client(system: Management, *arguments: str) -> Program:
    program = Program("client", ["corelog", "client", "-s", system.address, "show", *arguments], cwd=system.directory)
    await program.start()
    return program


async def test_client_program_shows_the_stored_log_and_follows_it(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start(system)
        await send(system, LINES)
        await stored(system, " last")
        found = await client(system, "log", "--since", "1h", "--level", "info", "--grep", r"x\.py.*colons")
        assert await found.wait(20) == 0
        line, = found.lines
        assert re.fullmatch(r"INFO worker\(3,x\.py\) \d\d/\d\d \d\d:\d\d:\d\d a\.b:text: with colons", line)
        follower = await client(system, "log", "--follow", "--rid", "4")
        number = 0

        async def followed() -> bool:
            nonlocal number
            number += 1
            await send(system, b"worker(4,x.py):INFO:n:%d\nworker(5,x.py):INFO:n:%d\n" % (number, number))
            return len(follower.lines) > 3

        await eventually(followed, 30, "lines of the follower")
        before = number
        await system.tap.close()
        await system.master.stop()
        await start(system)

        async def followed_on() -> bool:
            nonlocal number
            number += 1
            await send(system, b"worker(4,x.py):INFO:n:%d\n" % number)
            return any(line.endswith(f":{before + 1}") for line in follower.lines)

        await eventually(followed_on, 30, "lines after the master's restart")
        assert follower.process is not None
        follower.process.send_signal(signal.SIGINT)
        assert await follower.wait(10) == 0
        assert sum("the master has gone" in line for line in follower.lines) == 1
        came = [int(line.rpartition(":")[2]) for line in follower.lines if " n:" in line]
        assert came == list(range(came[0], came[-1] + 1))
        await send(system, b"worker(6,x.py):INFO:n:m\n" * 20_000 + b"worker(6,x.py):INFO:n:the end\n")
        await stored(system, "n:the end")
        program = f"{Management.master_path()} client -s {system.address}"
        command = f"{program} show log --rid 6 | head -1; echo ${{PIPESTATUS[0]}}"
        piped = await asyncio.create_subprocess_exec("bash", "-c", command, stdout=subprocess.PIPE,
                                                     stderr=subprocess.STDOUT)
        output = (await piped.communicate())[0].decode().splitlines()
        assert len(output) == 2 and output[1] == "0", output
        wrong = await client(system, "devices", "--level", "info")
        assert await wrong.wait(10) == 1
        assert "options of show log" in wrong.last_line()


async def test_receiver_that_reads_too_slowly_is_told_exactly_what_it_can_fetch(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start(system)
        total = 250_000
        received: list[str] = []
        slow = Receiver("log", lambda message: received.append(message[3]))
        await slow.connect(system.address, 1067)

        async def listens() -> bool:
            await send(system, b"s:INFO:n:slow one listens\n")
            return any("slow one" in text for text in received)

        await eventually(listens, 20, "the slow receiver")
        slow.receive_task.cancel()  # reads no more
        await asyncio.wait([slow.receive_task])
        block = b"".join(b"s:INFO:n:" + b"x" * 100 + b" %d\n" % i for i in range(total))
        await send(system, block)
        await stored(system, f" {total - 1}")
        slow.receive_task = asyncio.create_task(slow._receive())

        def numbers(texts: list[str]) -> list[int]:
            return [int(found[1]) for text in texts if (found := re.search(r"x (\d+)$", text))]

        async def caught_up() -> bool:
            await send(system, b"s:INFO:n:and on\n")
            return received[-1].endswith("and on")

        await eventually(caught_up, 60, "the end of the backlog")
        notices = [tuple(map(int, found.groups())) for text in received
                   if (found := re.search(r"(\d+) log records missed.*--number (\d+)-(\d+)$", text))]
        assert notices
        assert sum(count for count, _, _ in notices) == slow.missed
        came = numbers(received)
        for count, first, last in notices:
            assert last - first + 1 == count
            fetched = await show(system, "--number", f"{first}-{last}")
            assert len(fetched) == count
            came += numbers(fetched)
        assert sorted(came) == list(range(total))
        await slow.close()


async def live_client(system: Management) -> asyncio.subprocess.Process:
    """`show log`, heard to listen; its output stands in a pipe until it is read, and then it itself."""
    command = [Management.master_path(), "client", "-s", system.address, "show", "log"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, limit=1 << 20)
    assert process.stdout is not None

    async def listens() -> bool:
        await send(system, b"s:INFO:n:listen\n")
        try:
            async with asyncio.timeout(0.2):
                return b"n:listen" in await process.stdout.readline()
        except TimeoutError:
            return False

    await eventually(listens, 30, "the live client")
    return process


async def test_live_log_fetches_what_it_missed_in_its_place(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start(system)
        process = await live_client(system)
        total = 150_000  # more than all queues between master and pipe hold
        await send(system, b"".join(b"s:INFO:n:%d " % i + b"x" * 100 + b"\n" for i in range(total)))
        await stored(system, f"n:{total - 1} ")
        await send(system, b"s:INFO:n:the end\n")
        assert process.stdout is not None
        came: list[int] = []
        async with asyncio.timeout(120):
            while not (line := (await process.stdout.readline()).decode()).endswith("n:the end\n"):
                assert "missed" not in line, line
                if found := re.search(r" n:(\d+) x", line):
                    came.append(int(found[1]))
                elif "n:listen" not in line:
                    assert " n:" not in line, line
        assert came == list(range(total))
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


async def test_client_that_follows_begins_now_and_goes_on_page_by_page(capsys: pytest.CaptureFixture[str]) -> None:
    class Store:
        pages = [{"records": [], "next": 5, "end": True}, {"records": [{
            "number": 5, "time": 0.0, "level": 30, "source": "s", "name": "n", "message": "\x1b[2J"}], "next": 6,
            "end": True}]
        asked: list[tuple[int, float]] = []

        def status(self) -> dict[str, Any]:
            return {"next": 5, "first": 0}

        def read(self, start: int, limit: int, wait: float, **selection: Any) -> dict[str, Any]:
            self.asked.append((start, wait))
            if not self.pages:
                raise KeyboardInterrupt
            return self.pages.pop(0)

    parser = argparse.ArgumentParser()
    show_log.add_options(parser)
    args = parser.parse_args(["--follow", "--grep", "n:"])
    with pytest.raises(KeyboardInterrupt):
        show_log.show(args, Store(), show_log.Place(args))
    assert Store.asked == [(5, 10.0), (5, 10.0), (6, 10.0)]
    assert capsys.readouterr().out.endswith("n:\\x1b[2J\n")


@contextlib.contextmanager
def root_handlers(*handlers: logging.Handler) -> Iterator[None]:
    root = logging.getLogger()
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)


async def test_core_device_error_during_a_run_is_shown_with_its_rid(tmp_path: Path) -> None:
    class Kept:
        text = ""

        def write(self, text: str) -> None:
            self.text += text

    console = Kept()
    log = MasterLog(str(tmp_path / "store.sqlite"), 1 << 24)
    log.running = lambda: {12, 3}
    display = logs.ThreadedHandler(console, logs.SourceFormatter())
    log.displays.append(display)
    await log.start()
    with root_handlers(log.handler, display):
        await log.server.start("127.0.0.1", 0)
        port = log.server.asyncio_server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"ARTIQ logging\nc:ERROR:firmware.runtime.rtio:busy\n"
                     b"c:INFO:firmware.runtime.rtio:fine\nc:ERROR<2>:firmware.dest1.x:one\ntwo\nc:ERROR:n:end\n")
        writer.close()

        async def there() -> bool:
            return bool((await log.reader.read(contains="n:end"))["records"])

        await eventually(there, 20, "the last record")
        await log.server.stop()
    records = (await log.reader.read(rid=12))["records"]
    assert [record["message"] for record in records] == ["busy [RID 3, 12]", "one\ntwo [RID 3, 12]"]
    assert [record["rids"] for record in records] == [[3, 12], [3, 12]]
    await log.stop()
    display.close()
    assert console.text.splitlines()[:4] == [
        "ERROR:c:firmware.runtime.rtio:busy [RID 3, 12]", "INFO:c:firmware.runtime.rtio:fine",
        "ERROR<2>:c:firmware.dest1.x:one", "two [RID 3, 12]"]


async def test_records_of_other_threads_are_stored_and_broken_ones_do_not_raise(tmp_path: Path) -> None:
    log = MasterLog(str(tmp_path / "store.sqlite"), 1 << 24)
    await log.start()
    logger = logging.getLogger("threads")
    logger.setLevel(logging.INFO)
    with root_handlers(log.handler):
        await asyncio.to_thread(logger.info, "from thread %d", 1)
        log.handler.handle(logging.makeLogRecord({"name": "n", "levelno": 20, "msg": "%d and %d", "args": (1,)}))
        try:
            raise KeyError("k")
        except KeyError:
            logger.exception("failed")

        async def there() -> bool:
            return len((await log.reader.read())["records"]) == 3

        await eventually(there, 20, "three records")
    messages = {record["message"] for record in (await log.reader.read())["records"]}
    assert "from thread 1" in messages
    assert any(message.startswith("'%d and %d' cannot be formatted") for message in messages)
    assert any(message.startswith("failed\nTraceback") and "KeyError" in message for message in messages)
    await log.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "log store"]


async def test_master_says_what_the_one_before_it_may_have_lost(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start(system)
        await send(system, b"s:INFO:n:kept\n")
        await stored(system, "n:kept")
        await system.tap.close()
        assert system.master.process is not None
        system.master.process.kill()
        await system.master.wait(10)
        system = Management(tmp_path)
        await start(system)
        await stored(system, "was killed")
        assert any("n:kept" in line for line in await show(system, "--since", "1h"))
        await system.stop()


def test_times_are_understood_as_people_write_them() -> None:
    now = 1_700_000_000.0
    assert show_log.moment("10m", now) == now - 600
    assert show_log.moment("1.5h", now) == now - 5400
    assert show_log.moment("1600000000.5", now) == 1600000000.5
    midnight = show_log.moment("0:00", now)
    assert now - 86400 < midnight <= now
    assert show_log.moment("14:30", now) == midnight + 14.5 * 3600
    assert show_log.moment("2030-01-31 14:30:00") - show_log.moment("2030-01-31") == 14.5 * 3600
    for wrong in ("yesterday", "10x", "", "25:00"):
        with pytest.raises(argparse.ArgumentTypeError):
            show_log.moment(wrong)
    assert show_log.level("warn") == 30
    with pytest.raises(argparse.ArgumentTypeError):
        show_log.numbers("9-")
