"""`corelog mgmt` as a process of its own would run it: output, one-line errors, exit statuses."""

from pathlib import Path

import pytest

from corelog.testing.fakedevice import FakeDevice
from corelog.wire.frames import Level
from support.mgmt_process import mgmt


async def test_commands_one_after_the_other(tmp_path: Path) -> None:
    async with FakeDevice() as device:
        device.write(Level.INFO, "runtime", "hello")
        assert await mgmt(device, "log") == (0, device.log_text(), "")
        file = tmp_path / "value"
        file.write_bytes(b"\0\xff")
        assert await mgmt(device, "config", "write", "-s", "ip", "1.2.3.4", "-f", "bin", str(file)) == (0, b"", "")
        assert device.config == {"ip": b"1.2.3.4", "bin": b"\0\xff"}
        assert await mgmt(device, "config", "read", "-s", "ip") == (0, b"1.2.3.4\n", "")
        assert await mgmt(device, "config", "read", "-f", "bin", str(tmp_path / "out")) == (0, b"", "")
        assert (tmp_path / "out").read_bytes() == b"\0\xff"
        assert await mgmt(device, "config", "remove", "ip", "bin") == (0, b"", "")
        assert device.config == {}
        assert await mgmt(device, "log", "clear") == (0, b"", "")
        assert device.log_text() == b""


async def test_identity_is_shown() -> None:
    async with FakeDevice() as device:
        status, out, _ = await mgmt(device, "identify")
        assert status == 0
        assert f"boot id:      {device.log.boot_id:016x}\n" in out.decode()
        assert "capabilities: subscribe, debug\n" in out.decode()


async def test_debug_requests() -> None:
    async with FakeDevice() as device:
        assert (await mgmt(device, "debug", "flood", "12", "--warn-every", "4", "--level", "debug"))[0] == 0
        assert (device.log.produced, device.log.warnings) == (12, 3)
        assert (await mgmt(device, "debug", "bench", "5"))[0] == 0
        assert (await mgmt(device, "debug", "allocator"))[0] == 0
        boot = device.log
        assert (await mgmt(device, "debug", "panic")) == (0, b"", "")
        assert boot.panicked


async def test_errors_are_one_line_and_status_1(tmp_path: Path) -> None:
    async with FakeDevice() as device:
        for args, text in ((("config", "read", "-s", "nothing"), "nothing: Device failed to read config. The key"),
                           (("config", "write", "-f", "a", str(tmp_path / "absent")), "No such file"),
                           (("flash", str(tmp_path)), "lacks top.bit")):
            status, out, err = await mgmt(device, *args)
            assert (status, out) == (1, b"")
            assert err.startswith("corelog mgmt: error: ")
            assert text in err
            assert err.count("\n") == 1
        device.faults.mute = True
        status, _, err = await mgmt(device, "--timeout", "0.2", "log")
        assert (status, err.count("\n")) == (1, 1)
        await device.stop()
        status, _, err = await mgmt(device, "log")
        assert (status, err) == (1, f"corelog mgmt: error: nothing answers at 127.0.0.1 port {device.port}: "
                                    "is the device up?\n")
        status, _, err = await mgmt(device, "-v", "log")
        assert status == 1
        assert "Traceback" in err


async def test_satellite_is_managed_by_its_destination(tmp_path: Path) -> None:
    async with FakeDevice() as device:
        device.add_satellite(3)
        device.write(Level.INFO, "satman", "hello", 3)
        assert await mgmt(device, "-s", "3", "log") == (0, device.log_text(3), "")
        _, out, _ = await mgmt(device, "-s", "3", "identify")
        assert f"boot id:      {device.boots[3].boot_id:016x}\n" in out.decode()
        assert (await mgmt(device, "-s", "3", "config", "write", "-s", "log_level", "DEBUG"))[0] == 0
        assert (device.config, device.satellite_config[3]) == ({}, {"log_level": b"DEBUG"})
        assert await mgmt(device, "-s", "3", "config", "read", "log_level") == (0, b"DEBUG\n", "")
        assert (await mgmt(device, "-s", "3", "debug", "flood", "5"))[0] == 0
        assert (device.log.produced, device.boots[3].produced) == (0, 6)
        boot = device.boots[3]
        assert await mgmt(device, "-s", "3", "debug", "panic") == (0, b"", "")
        assert boot.panicked
        boot = device.boots[3]
        assert (await mgmt(device, "-s", "3", "reboot"))[0] == 0
        assert device.boots[3] is not boot
        assert set(device.greeted) == {3}


@pytest.mark.parametrize("args", [["identify"], ["config", "read", "ip"], ["config", "write", "-s", "a", "b"],
                                  ["reboot"], ["log", "clear"], ["debug", "panic"], ["debug", "allocator"]])
async def test_satellite_that_is_not_known_or_not_reachable_is_one_line_that_says_what_to_do(args: list[str]) -> None:
    async with FakeDevice() as device:
        device.add_satellite(3)
        device.cut(3)
        for destination in ("3", "4"):
            status, out, err = await mgmt(device, "-s", destination, *args)
            assert (status, out, err.count("\n")) == (1, b"", 1)
            assert err.startswith(f"corelog mgmt: error: destination {destination}: ")
            assert "corelog log 127.0.0.1" in err
            assert "corelog route FILE show" in err


@pytest.mark.parametrize("args", [[], ["nonsense"], ["config"], ["config", "read"], ["config", "write"],
                                  ["-s", "256", "log"], ["debug", "flood", "-1"], ["--timeout", "0", "log"]])
async def test_wrong_usage_is_status_2(args: list[str]) -> None:
    async with FakeDevice() as device:
        assert (await mgmt(device, *args))[0] == 2
        assert device.connections == 0 or args[0] == "config"
