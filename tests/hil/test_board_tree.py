"""`corelog board --satellites`: a tree of boards in one process, its links' faults, its control socket."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from corelog.lab.addresses import free_address
from corelog_gateware.simulator.board import Board
from corelog_gateware.simulator.control import Control, ControlError
from support.board_program import corelog_board, refusal
from support.conditions import eventually

pytestmark = [
    pytest.mark.board, pytest.mark.simulated("it is about `corelog board --satellites` itself"),
    pytest.mark.timeout(900)]


async def all_ready(control: Control) -> None:
    async def ready() -> bool:
        return all(board["ready"] for board in await control.boards())

    await eventually(ready, 120.0, "the firmware of all boards to be up")


def link(links: list[dict[str, Any]], number: int, direction: str) -> dict[str, Any]:
    [found] = [link for link in links if (link["link"], link["direction"]) == (number, direction)]
    return found


async def receiving(control: Control, expected: list[bool]) -> None:
    """Waits until exactly these ends receive: link 1 down, link 1 up, link 2 down, ..."""
    async def so() -> bool:
        return [link["receiving"] for link in await control.links()] == expected

    await eventually(so, 120.0, f"links receiving: {expected}")


@pytest.mark.parametrize(("arguments", "reason"), [
    (["--chain"], "--chain means nothing without --satellites"),
    (["--link-corrupt", "0.1"], "--link-corrupt means nothing without --satellites"),
    (["--link-drop", "0.1"], "--link-drop means nothing without --satellites"),
])
async def test_options_of_a_tree_without_satellites_are_refused_in_one_line(arguments: list[str], reason: str) -> None:
    status, lines = await refusal("--address", free_address(), *arguments)
    assert (status, len(lines)) == (1, 1)
    assert reason in lines[0]


@pytest.mark.parametrize("arguments", [["--satellites", "0"], ["--satellites", "99"], ["--satellites", "-1"],
                                       ["--satellites", "two"], ["--satellites", "1", "--link-drop", "1.5"],
                                       ["--satellites", "1", "--link-corrupt", "nan"]])
async def test_numbers_that_make_no_sense_are_refused(arguments: list[str]) -> None:
    status, lines = await refusal("--address", free_address(), *arguments)
    assert status == 2
    assert arguments[-2] in lines[-1] and arguments[-1] in lines[-1]


async def test_a_star_of_more_satellites_than_ports_is_refused_and_told_of_the_chain() -> None:
    status, lines = await refusal("--address", free_address(), "--satellites", "4")
    assert (status, len(lines)) == (1, 1)
    assert "--chain" in lines[0] and "3 satellites" in lines[0]


async def test_a_control_socket_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for path, reason in ((file, "is no socket"), (tmp_path / "no folder" / "c", "No such file"),
                         (tmp_path / ("long" * 40), "longer than 107 bytes")):
        status, lines = await refusal("--address", free_address(), "--control", str(path))
        assert (status, len(lines)) == (1, 1)
        assert reason in lines[0] and str(path) in lines[0]
    assert file.read_text() == "mine"


async def test_a_chain_of_three_comes_up_each_board_with_its_own_firmware_store_and_identity(tmp_path: Path) -> None:
    store, uart = tmp_path / "store", tmp_path / "uart"
    async with Board(satellites=3, chain=True, storage=store, uart=uart, free_run=True) as board:
        await all_ready(board.control)
        links = await board.control.links()
        assert [(link["link"], link["direction"], link["from"], link["to"]) for link in links] == [
            (1, "down", 0, 1), (1, "up", 1, 0), (2, "down", 1, 2), (2, "up", 2, 1), (3, "down", 2, 3), (3, "up", 3, 2)]
        await receiving(board.control, [True] * 6)
        files = [uart, *(tmp_path / f"uart.{n}" for n in (1, 2, 3))]

        async def introduced() -> bool:
            return all(", boot " in path.read_text() for path in files)

        await eventually(introduced, 60.0, "every board says on its UART who it is")
    said = [path.read_text() for path in files]
    assert "sim-master" in said[0]
    identities = []
    for text in said:
        identities.append(text.partition("board ")[2][:16])
    assert all("sim-satellite" in text for text in said[1:])
    assert len(set(identities)) == 4
    assert all((tmp_path / f"store.{n}").stat().st_size == 65536 for n in (1, 2, 3))
    # Key, zero byte, routes of destination 0 (here), 1 (over port 0, there), 2, 3; 4 is nowhere.
    table = store.read_bytes().partition(b"routing_table\0")[2]
    rows = [table[32 * n : 32 * n + 5] for n in range(5)]
    assert rows == [b"\0\xff\xff\xff\xff", b"\1\0\xff\xff\xff", b"\1\1\0\xff\xff", b"\1\1\1\0\xff", b"\xff" * 5]


async def test_a_star_comes_up_and_links_can_be_cut_and_restored_one_by_one() -> None:
    async with Board(satellites=2, free_run=True) as board:
        control = board.control
        await receiving(control, [True] * 4)
        assert "cycle" in await control.command("link 1 cut")
        await receiving(control, [False, False, True, True])
        await control.command("link 1 restore")
        await control.command("link 2 up cut")
        await receiving(control, [True, True, True, False])
        await control.command("link all restore")
        await receiving(control, [True] * 4)


async def test_faults_can_be_asked_for_while_the_boards_run_and_are_counted() -> None:
    async with Board(satellites=1, free_run=True) as board:
        control = board.control
        await receiving(control, [True, True])
        await control.command("link 1 down corrupt 1e-3")
        await control.command("link all up drop 1e-3")

        async def counted() -> bool:
            links = await control.links()
            return link(links, 1, "down")["corrupted"] > 0 and link(links, 1, "up")["dropped"] > 0

        await eventually(counted, 60.0, "faults")
        links = await control.links()
        down, up = link(links, 1, "down"), link(links, 1, "up")
        assert (down["corrupt"], down["drop"], down["dropped"]) == (1e-3, 0, 0)
        assert (up["corrupt"], up["drop"], up["corrupted"]) == (0, 1e-3, 0)
        assert 0 < down["corrupted"] < down["words"] and 0 < up["dropped"] < up["words"]


async def test_a_satellite_can_be_reset_and_switched_off_and_on(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    async with Board(satellites=2, chain=True, marks=marks, free_run=True) as board:
        control = board.control
        await all_ready(control)
        await control.command("board 1 reset")

        async def reset() -> bool:
            return (await control.boards())[1]["resets"] == 1

        await eventually(reset, 10.0, "a reset")
        await all_ready(control)
        await control.command("board 1 off")
        await control.command("board 1 off")
        found = (await control.boards())[1]
        assert (found["on"], found["ready"]) == (False, False)
        with pytest.raises(ControlError, match="is off"):
            await control.command("board 1 reset")
        await receiving(control, [True, False, False, True])
        await control.command("board 1 on")
        await all_ready(control)
        await receiving(control, [True] * 4)
        assert [board["resets"] for board in await control.boards()] == [0, 1, 0]
    happened = [line.split()[0] for line in (tmp_path / "marks.1").read_text().splitlines()]
    assert [what for what in happened if what in ("ready", "reset", "off", "on")] == [
        "ready", "reset", "ready", "off", "on", "ready"]


async def test_the_core_device_can_be_switched_off_and_on_and_answers_again() -> None:
    async with Board(free_run=True) as board:
        await board.control.command("board 0 off")
        assert (await board.control.boards())[0]["on"] is False
        await board.control.command("board 0 on")
        await all_ready(board.control)
        assert await board.control.links() == []
        with pytest.raises(ControlError, match="without --satellites"):
            await board.control.command("link 1 cut")


async def test_bad_commands_are_answered_by_one_line_each_and_harm_nothing() -> None:
    async with Board(satellites=1, free_run=True) as board:
        reader, writer = await asyncio.open_unix_connection(str(board.control.path))
        bad = [b"", b"x", b"link", b"link 1", b"link 0 cut", b"link 2 cut", b"link -1 cut", b"link 1 up",
               b"link 1 corrupt", b"link 1 corrupt 2", b"link 1 corrupt nan", b"link 1 corrupt 1 1",
               b"link 1 drop -0.1", b"link all down", b"link 99999999999999999999 cut", b"board 1", b"board 2 on",
               b"board 1 explode", b"boards please", b"\xff\xfe\x00"]
        writer.write(b"\n".join(bad) + b"\n")
        for line in bad:
            assert (await asyncio.wait_for(reader.readline(), 10.0)).startswith(b"error: "), line
        writer.write(b"boards\n")
        assert (await asyncio.wait_for(reader.readline(), 10.0)).startswith(b"ok [")
        writer.close()
        # A line without end is cut off, a crowd turned away, and one that never reads does not stop the boards.
        reader, writer = await asyncio.open_unix_connection(str(board.control.path))
        writer.write(b"a" * 100_000)
        assert b"longer than 256" in await asyncio.wait_for(reader.readline(), 10.0)
        writer.close()
        crowd = [socket.socket(socket.AF_UNIX) for _ in range(12)]
        for one in crowd:
            one.connect(str(board.control.path))
        refused = 0
        for one in crowd:
            one.settimeout(0.5)
            try:
                refused += one.recv(100) == b"error: too many clients\n"
            except TimeoutError:
                pass
            one.close()
        assert refused == 4

        async def served() -> bool:
            try:
                return len(await board.control.boards()) == 2
            except ControlError:
                return False

        await eventually(served, 10.0, "a place among the clients")
        assert [link["cut"] for link in await board.control.links()] == [False, False]


async def test_the_same_seed_gives_the_same_run_whatever_the_number_of_threads(tmp_path: Path) -> None:
    runs = []
    for n, threads in enumerate((1, 2, 3)):
        async with corelog_board("--address", free_address(), "--board-id", "1", "--satellites", "2", "--free-run",
                                 "--seed", "5", "--link-corrupt", "1e-4", "--cycles", "3000000", "--threads",
                                 str(threads), "--uart", str(tmp_path / f"uart{n}"),
                                 "--trace-marks", str(tmp_path / f"marks{n}")) as process:
            async with asyncio.timeout(800.0):
                await process.communicate()
        assert process.returncode == 0
        runs.append([(tmp_path / f"{kind}{n}{end}").read_bytes()
                     for kind in ("uart", "marks") for end in ("", ".1", ".2")])
    assert all(runs[0])
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.slow
async def test_the_waveforms_of_all_boards_have_one_time_base(tmp_path: Path) -> None:
    waveform = tmp_path / "tree.vcd"
    async with corelog_board("--address", free_address(), "--satellites", "1", "--vcd", str(waveform), "--vcd-start",
                             "100", "--vcd-cycles", "50", "--cycles", "1000") as process:
        async with asyncio.timeout(800.0):
            await process.communicate()
    assert process.returncode == 0
    for path in (waveform, tmp_path / "tree.vcd.1"):
        text = path.read_text()
        assert " ttl " in text
        times = [int(line[1:]) for line in text.splitlines() if line.startswith("#")]
        assert (min(times), max(times)) == (100 * 500, 149 * 500 + 250)
