"""The controller manager with real master, client connections and controller processes of every behaviour."""

import os
import re
import signal
from pathlib import Path

import pytest

from corelog.ctlmgr.hosts import bind_address
from sipyco.pc_rpc import AsyncioClient
from support.certificates import make_certificate
from support.conditions import eventually
from support.management import Management, management, until_gone

RPC_HEAD = """
import logging, os, sys
from sipyco.pc_rpc import simple_server_loop
class Driver:
    pings = 0
    def ping(self):
        Driver.pings += 1
        return Driver.pings <= LIMIT
"""
SERVE = """
print("ERROR:driver:serving", file=sys.stderr, flush=True)
simple_server_loop({"driver": Driver()}, sys.argv[1], int(sys.argv[2]))
print("ERROR:driver:ended by itself", file=sys.stderr, flush=True)
"""


async def test_records_of_a_controller_reach_clients_as_its_own(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        system.controller("talker", """
            say("ERROR:firmware.rtio:RTIO collision involving channel 0x0004:ttl4")
            print("plain words")
            sys.stdout.flush()
            say("WARNING<3>:a.b:first\\nsecond\\nthird")
            say("ERROR:end:done")
            signal.pause()
        """)
        await system.start()
        await system.seen("end:done")
        entries = {(entry.level, entry.text) for entry in system.tap.entries if entry.source == "controller(talker)"}
        assert (40, "firmware.rtio:RTIO collision involving channel 0x0004:ttl4") in entries
        assert (30, "a.b:first\nsecond\nthird") in entries
        await system.seen("print:plain words")
        started = await system.seen("Starting controller talker with command:")
        assert re.fullmatch(r"ctlmgr\(.+\)", started.source)


async def test_controller_that_crashes_is_told_how_many_lines_of_it_were_read(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        system.controller("crasher", """
            before = os.environ.get("CORELOG_RESUME_LINES")
            if before is None:
                for i in range(5000):
                    say(f"WARNING:count:{i}")
                os.write(2, b"WARNING:cut:no end of line")
                os.kill(os.getpid(), signal.SIGKILL)
            say(f"ERROR:resume:after {before} lines of process {os.environ['CORELOG_RESUME_PID']}")
            signal.pause()
        """)
        await system.start()
        resumed = await system.seen("resume:after 5000 lines")
        texts = system.messages("controller(crasher)")
        assert [t for t in texts if t.startswith("count:")] == [f"count:{i}" for i in range(5000)]
        assert "cut:no end of line [cut: the controller was killed]" in texts
        assert int(resumed.text.split()[-1]) != (await system.status("crasher"))["pid"]
        await system.seen("Controller crasher exited (killed by SIGKILL)")
        await system.seen("Restarting in 0.1 seconds")
        assert (await system.status("crasher"))["last_exit"] == -signal.SIGKILL


async def test_restart_delay_grows_to_its_cap_and_retry_now_cuts_it_short(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        system.controller("loop", 'say("ERROR:loop:up"); sys.exit(7)', retry_timer=0.02, retry_timer_backoff=100000.0)
        await system.start()
        await system.seen("Restarting in 60.0 seconds")
        first = len(system.tap.entries)
        assert (await system.status("loop"))["state"] == "waiting for restart"
        async with system.rpc(3249, "ctlmgr") as manager:
            await manager.retry_now("loop")
            await system.seen("loop:up", start=first)
            with pytest.raises(KeyError, match="no controller nobody runs here"):
                await manager.retry_now("nobody")


async def test_program_that_does_not_exist_is_reported_and_tried_again(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        system.controller("missing", "", command="/nonexistent/program {bind}")
        await system.start()
        entry = await system.seen("Controller missing failed to start")
        assert "No such file" in entry.text
        await eventually(lambda: _restarted(system, "missing", 2), 10, "further attempts")


async def _restarted(system: Management, name: str, times: int) -> bool:
    return int((await system.status(name)).get("restarts", 0)) >= times


async def test_failed_ping_restarts_and_a_good_one_resets_the_delay(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        system.controller("pinged", SERVE, head="LIMIT = 2\n" + RPC_HEAD, ping_timer=1.0, term_timeout=5.0)
        await system.start()
        await system.seen("Controller pinged ping failed (it answered False)")
        await system.seen("ended by itself")  # asked to terminate by RPC, not killed
        await eventually(lambda: _restarted(system, "pinged", 2), 30, "restarts")
        delays = {e.text.split("(")[0] for e in system.tap.entries if "Restarting in" in e.text}
        assert delays == {"corelog.ctlmgr.controller:Restarting in 0.1 seconds "}


async def test_controller_that_ignores_everything_is_killed(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        system.controller("stubborn", """
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            if os.fork() == 0:
                say(f"ERROR:child:{os.getpid()}")
            else:
                say(f"ERROR:stubborn:{os.getpid()}")
            while True:
                time.sleep(100)
        """, term_timeout=0.2)
        await system.start()
        pids = [int((await system.seen(text)).text.rpartition(":")[2]) for text in ("stubborn:", "child:")]
        del system.controllers["stubborn"]
        await system.rescan()
        await system.seen("Controller stubborn did not end after SIGTERM; killing it")
        await system.seen("Controller stubborn terminated")
        for pid in pids:
            await until_gone(pid)


async def test_rescan_touches_only_what_changed(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        body = 'say("ERROR:up:" + sys.argv[0].rpartition("/")[2]); signal.pause()'
        for name in ("kept", "changed", "removed"):
            system.controller(name, body)
        await system.start()
        for name in ("kept", "changed", "removed"):
            await system.seen(f"up:{name}.py")
        before = {name: await system.status(name) for name in ("kept", "changed")}
        first = len(system.tap.entries)
        system.controllers["changed"]["environment"] = {"X": "1"}
        del system.controllers["removed"]
        system.controller("added", body)
        await system.rescan()
        await system.seen("up:added.py", start=first)
        await system.seen("up:changed.py", start=first)
        assert (await system.status("kept"))["pid"] == before["kept"]["pid"]
        assert (await system.status("changed"))["pid"] != before["changed"]["pid"]
        assert (await system.status("removed"))["state"] == "absent"


async def test_controllers_outlive_the_master_and_their_records_arrive_at_the_next(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        system.controller("steady", """
            say("ERROR:steady:up")
            signal.sigwait([signal.SIGUSR1])
            say("ERROR:steady:said while there was no master")
            signal.pause()
        """, head="import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\nimport os, sys\n"
                  "def say(text):\n    os.write(2, (text + '\\n').encode())\n")
        await system.start()
        await system.seen("steady:up")
        pid = (await system.status("steady"))["pid"]
        await system.tap.close()
        await system.master.stop()
        os.kill(pid, signal.SIGUSR1)
        system.master = system.make_master()
        await system.master.start()
        await eventually(lambda: _printed(system, "said while there was no master"), 20, "record at the new master")
        assert (await system.status("steady"))["pid"] == pid
        assert sum("steady:up" in line for line in system.master.lines) == 0


async def _printed(system: Management, text: str) -> bool:
    return any(text in line for line in system.master.lines)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_no_controller_survives_the_manager(tmp_path: Path, end: int) -> None:
    async with management(tmp_path) as system:
        system.controller("orphan", 'say(f"ERROR:pid:{os.getpid()}"); signal.pause()')
        await system.start()
        pid = int((await system.seen("pid:")).text.rpartition(":")[2])
        system.ctlmgr.signal(end)
        await system.ctlmgr.wait(10.0)
        await until_gone(pid)


async def test_manager_says_if_the_one_before_was_killed_and_only_then(tmp_path: Path) -> None:
    warning = "did not end by itself: records that it had read from its controllers and not sent yet are missing"
    async with management(tmp_path) as system:
        system.controller("c", 'say("ERROR:c:up"); signal.pause()')
        await system.start()
        for end, said in ((signal.SIGTERM, 0), (signal.SIGKILL, 1), (signal.SIGTERM, 1)):
            system.ctlmgr.signal(end)
            await system.ctlmgr.wait(10.0)
            first = len(system.tap.entries)
            system.ctlmgr = system.make_ctlmgr()
            await system.ctlmgr.start()
            await system.seen("c:up", start=first)
            assert sum(warning in entry.text for entry in system.tap.entries) == said


@pytest.mark.parametrize(("body", "expected"), [
    pytest.param('os.write(2, b"ERROR:long:" + b"x" * 200_000 + b"\\n"); say("ERROR:end:done")', "x" * 200_000,
                 id="line of 200 kB"),
    pytest.param('os.write(2, b"ERROR:bytes:\\xff\\xfe\\n"); say("ERROR:end:done")', "bytes:\\xff\\xfe",
                 id="not UTF-8"),
    pytest.param('say("INFO<0>:n:x"); say("INFO<-4>:n:y"); say("INFO<99999999999>:n:z"); say("ERROR:end:done")', "z",
                 id="impossible line counts"),
    pytest.param('os.write(2, b"no end " * 1000); os.close(2); os.close(1); time.sleep(0.2); sys.exit(0)', "no end",
                 id="closes its output in a line"),
    pytest.param('os.write(2, b"\\0" * 100 + b"\\r\\r\\n"); say("ERROR:end:done")', "\0" * 100,
                 id="control characters"),
])
async def test_no_output_ends_the_reading_of_it(tmp_path: Path, body: str, expected: str) -> None:
    async with management(tmp_path) as system:
        system.controller("odd", body + "\nsignal.pause()")
        await system.start()
        await system.seen(expected)
        if "end:done" in body:
            await system.seen("end:done")


async def test_output_does_not_block_a_controller_while_there_is_no_master(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        system.controller("flood", """
            say("ERROR:flood:up")
            signal.sigwait([signal.SIGUSR1])
            for i in range(20000):
                say(f"WARNING:flood:{i} " + "." * 200)
            open("finished", "w").close()
            signal.pause()
        """, head="import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\nimport os, sys\n"
                  "def say(text):\n    os.write(2, (text + '\\n').encode())\n")
        await system.start()
        await system.seen("flood:up")
        pid = (await system.status("flood"))["pid"]
        await system.tap.close()
        await system.master.stop()
        os.kill(pid, signal.SIGUSR1)

        async def finished() -> bool:
            return (tmp_path / "finished").exists()

        await eventually(finished, 30, "4 MB of output without a master")


async def test_controller_that_takes_long_to_end_holds_up_no_other(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        body = 'say("ERROR:up:" + sys.argv[0].rpartition("/")[2]); signal.pause()'
        system.controller("slow", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                                  'say("ERROR:slow:up")\nwhile True: time.sleep(100)', term_timeout=60.0)
        system.controller("changed", body)
        await system.start()
        await system.seen("slow:up")
        await system.seen("up:changed.py")
        first = len(system.tap.entries)
        slow = await system.status("slow")
        del system.controllers["slow"]
        system.controllers["changed"]["environment"] = {"X": "1"}
        system.controller("added", body)
        await system.rescan()
        await system.seen("up:added.py", start=first)
        await system.seen("up:changed.py", start=first)
        assert (await system.status("slow"))["state"] == "ending"
        # a manager that is told to end meanwhile forgets none of them
        system.ctlmgr.signal(signal.SIGTERM)
        os.kill(slow["pid"], signal.SIGKILL)
        assert await system.ctlmgr.wait(20.0) == 0
        await until_gone(slow["pid"])


async def test_entries_that_cannot_be_run_are_explained_and_the_others_run(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        system.controller("good", 'say("ERROR:good:up"); signal.pause()')
        system.controller("unfilled", "", command="x {nothing}")
        system.controller("quotes", "", command="x 'unclosed")
        system.controller("timer", "", ping_timer="soon")
        system.controller("secret", "", command="x {ARTIQ_SSL_DIR}/key")
        system.controller("elsewhere", 'say("ERROR:elsewhere:up")', host="192.0.2.1")
        system.controllers["no command"] = {"type": "controller", "host": system.address, "port": 1}
        await system.start()
        await system.seen("good:up")
        await system.seen("Controller unfilled cannot be run: 'x {nothing}' has the placeholder {nothing}, "
                          "but the entry no such field")
        await system.seen("Controller secret cannot be run: 'x {ARTIQ_SSL_DIR}/key' has the placeholder "
                          "{ARTIQ_SSL_DIR}, but ARTIQ_SSL_DIR is not set in the environment")
        await system.seen("Controller quotes cannot be run: its command")
        await system.seen("Controller timer cannot be run: its ping_timer is 'soon', not a positive number")
        for name in ("elsewhere", "no command"):
            assert (await system.status(name))["state"] == "absent"


async def test_environment_and_placeholders_reach_the_controller(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        system.controller("env", 'say("ERROR:env:" + os.environ["COLOUR"] + " " + " ".join(sys.argv[1:]))\n'
                                 'signal.pause()', environment={"COLOUR": "red"}, extra="two words", number=3)
        system.controllers["env"]["command"] += " '{extra}' {number} {name} {host}"
        await system.start()
        await system.seen(f"env:red {system.address} {system.controllers['env']['port']} two words 3 env "
                          f"{system.address}")


async def test_controller_with_tls_is_pinged_and_asked_to_end_over_it(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    monkeypatch.setenv("ARTIQ_SSL_DIR", str(tmp_path))
    files = {"client_cert": "{ARTIQ_SSL_DIR}/cert.pem", "client_key": "{ARTIQ_SSL_DIR}/key.pem",
             "server_cert": "{ARTIQ_SSL_DIR}/cert.pem"}
    serve = SERVE.replace("int(sys.argv[2]))", "int(sys.argv[2]), ssl_config=SimpleSSLConfig(*sys.argv[3:]))")
    async with management(tmp_path) as system:
        system.controller("secure", "from sipyco.tools import SimpleSSLConfig\n" + serve, simple_ssl_config=files,
                          head="LIMIT = 10**6\n" + RPC_HEAD, ping_timer=1.0, term_timeout=10.0)
        system.controllers["secure"]["command"] += " {ARTIQ_SSL_DIR}/cert.pem {ARTIQ_SSL_DIR}/key.pem " \
                                                   "{ARTIQ_SSL_DIR}/cert.pem"
        await system.start()

        async def answered() -> bool:
            return (await system.status("secure")).get("last_good_ping") is not None

        await eventually(answered, 30, "an answer over TLS")
        del system.controllers["secure"]
        await system.rescan()
        await system.seen("ended by itself")


async def test_ctlmgr_ends_by_its_terminate_rpc(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await system.start()
        client = AsyncioClient()
        await client.connect_rpc(system.address, 3249, "ctlmgr")
        await client.terminate()
        await client.close_rpc()
        assert await system.ctlmgr.wait(10.0) == 0


async def test_second_manager_on_the_same_port_says_so(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await system.start()
        second = system.make_ctlmgr()
        second.ready = None
        await second.start()
        assert await second.wait(20.0) == 1
        assert "is another controller manager running?" in "\n".join(second.lines)


async def test_flood_passes_whole_and_in_order(tmp_path: Path) -> None:
    count = 60_000
    async with management(tmp_path) as system:
        system.controller("flood", f"""
            text = "".join(f"WARNING:flood:record {{i}} " + "." * 60 + "\\n" for i in range({count})).encode()
            while text:
                text = text[os.write(2, text[:4096]):]
            signal.pause()
        """)
        await system.start()
        await system.seen(f"record {count - 1} ", 60.0)
        numbers = [int(t.split()[1]) for t in system.messages("controller(flood)") if t.startswith("flood:record")]
        assert numbers == list(range(count))
        entries = [e for e in system.tap.entries if e.text.startswith("flood:record")]
        seconds = entries[-1].arrived - entries[0].arrived
        print(f"{count} records in {seconds:.2f} s: {count / seconds:.0f} records/s")


@pytest.mark.parametrize(("host", "host_filter", "local", "bind"), [
    ("192.0.2.1", None, "192.0.2.1", "192.0.2.1"),
    ("192.0.2.1", None, "192.0.2.2", None),
    ("192.0.2.1", "192.0.2.1", "127.0.0.1", "192.0.2.1"),
    ("127.0.0.1", None, "::1", "127.0.0.1"),
    ("::1", None, "127.0.0.1", "::1"),
    ("127.0.0.2", None, "127.0.0.1", "127.0.0.2"),
    ("127.0.0.2", "127.0.0.1", "127.0.0.1", None),
    ("localhost", "127.0.0.1", "::1", "127.0.0.1"),
])
async def test_which_controllers_belong_here_and_where_they_bind(
        host: str, host_filter: str | None, local: str, bind: str | None) -> None:
    assert await bind_address(host, host_filter, local) == bind
