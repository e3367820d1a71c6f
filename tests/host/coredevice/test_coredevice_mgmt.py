"""Both management clients against a fake device; every wait ends."""

import asyncio
import contextlib
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from corelog.coredevice.mgmt import AsyncMgmt, Mgmt
from corelog.coredevice.requests import DeviceError
from corelog.coredevice.stream import NotSupported
from corelog.testing.fakedevice import FakeDevice
from corelog.wire.cursor import Tracker
from corelog.wire.frames import From, Level, Record
from corelog.wire.stream import frames as flat


class Blocking:
    """The blocking client, called from threads, so that one test serves both."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._client = Mgmt(*args, **kwargs)

    async def __aenter__(self) -> "Blocking":
        await asyncio.to_thread(self._client.open)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._client.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: asyncio.to_thread(getattr(self._client, name), *args, **kwargs)


@pytest.fixture(params=[AsyncMgmt, Blocking], ids=["asyncio", "blocking"])
def client(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_every_request_on_one_connection(client: Any) -> None:
    async with FakeDevice() as device, client(device.host, device.port) as c:
        device.write(Level.INFO, "runtime", "hello")
        assert (await c.get_log()).endswith("INFO(runtime): hello\n")
        await c.clear_log()
        assert await c.get_log() == ""
        await c.config_write("key µ", b"\0\xff")
        assert await c.config_read("key µ") == b"\0\xff"
        await c.config_remove("key µ")
        await c.config_remove("key µ")
        await c.config_write("a", b"")
        await c.config_erase()
        assert device.config == {}
        await c.debug_allocator()
        identity = await c.identify()
        assert (identity.board_id, identity.boot_id) == (device.board_id, device.log.boot_id)
        await c.debug_flood(20, Level.DEBUG, 30, 5, 0)
        assert (device.log.produced, device.log.warnings) == (21, 4)
        await c.debug_bench(7)
        assert "median 7" in await c.get_log()
        assert device.connections == 1
        boot = device.log.boot_id
        await c.reboot()
    async with asyncio.timeout(5):
        while device.log.boot_id == boot:
            await asyncio.sleep(0.01)


async def test_missing_key_is_said_and_the_connection_goes_on(client: Any) -> None:
    async with FakeDevice() as device, client(device.host, device.port) as c:
        with pytest.raises(OSError, match=r"^Device failed to read config\. The key may not exist\.$"):
            await c.config_read("nothing")
        await c.config_write("a", b"b")
        assert device.connections == 1


async def test_flash_sends_all_three_with_their_checksum(client: Any) -> None:
    async with FakeDevice() as device, client(device.host, device.port) as c:
        with pytest.raises(ValueError, match="all three"):
            await c.flash([b"a", b"b"])
        await c.flash([b"\1\2\3\4", b"BL", b"RTFBI"])
        [image] = device.flashed
        body = bytes.fromhex("040000000102030402000000424c050000005254464249")
        assert image == body + struct.pack("<I", zlib.crc32(body))


async def test_device_that_accepts_and_says_nothing_ends_in_a_timeout(client: Any) -> None:
    async with FakeDevice() as device:
        device.faults.mute = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5), client(device.host, device.port, timeout=0.2):
                pass


async def test_device_that_hangs_up_is_a_connection_error(client: Any) -> None:
    async with FakeDevice() as device:
        device.faults.refuse = True
        with pytest.raises(ConnectionError):
            async with client(device.host, device.port):
                pass
        device.faults.refuse = False
        device.faults.old = "close"
        async with client(device.host, device.port) as c:
            with pytest.raises(ConnectionError, match="closed"):
                await c.identify()


@contextlib.asynccontextmanager
async def nonsense(answer: bytes) -> Any:
    """A server that answers everything with the same bytes, and then falls silent."""
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(answer)
            await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        served.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        async with asyncio.timeout(5):
            await served.wait()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(("answer", "text"), [
    (b"HTTP/1.1 400", "expected e/E"), (b"e\x63", "Incorrect reply from device: 99"),
    (b"e\x02\xff\xff\xff\xff", "4294967295 bytes announced"), (b"e\x04", "UNAVAILABLE"), (b"e\x01", "SUCCESS"),
    (b"e\x06", "Device does not know Identify"), (b"e\x40" + b"\0" * 28 + b"\xff" * 4, "announced")])
async def test_nonsense_is_one_clear_error(client: Any, answer: bytes, text: str) -> None:
    async with nonsense(answer) as port:
        with pytest.raises(DeviceError, match=text):
            async with asyncio.timeout(5), client("127.0.0.1", port) as c:
                await c.identify()


async def test_half_a_reply_then_silence_ends_in_a_timeout_and_the_client_connects_anew(client: Any) -> None:
    async with nonsense(b"e\x02\x10\0\0\0half") as port:
        async with client("127.0.0.1", port, timeout=0.2) as c:
            with pytest.raises(TimeoutError, match=r"within 0\.2 s"):
                await c.get_log()


async def test_pulled_log_is_everything_once(client: Any) -> None:
    async with FakeDevice() as device:
        device.flood(10)
        if client is AsyncMgmt:
            async with AsyncMgmt(device.host, device.port) as c, contextlib.aclosing(c.pull_log()) as texts:
                text = await anext(texts)
                device.flood(5)
                text += await anext(texts)
        else:
            def pull() -> bytes:
                with Mgmt(device.host, device.port) as c:
                    texts = c.pull_log()
                    first = next(texts)
                    c_loop.call_soon_threadsafe(device.flood, 5)
                    return first + next(texts)
            c_loop = asyncio.get_running_loop()
            text = await asyncio.to_thread(pull)
        assert text.count(b"\n") == 15


async def test_subscription_gives_batches_and_the_tracker_resumes_it() -> None:
    async with FakeDevice() as device:
        tracker, got = Tracker(), []
        for part in range(3):
            device.flood(100, warn_every=10)
            async with AsyncMgmt(device.host, device.port) as c:
                stream = await c.subscribe(tracker=tracker)
                assert stream.header is not None
                async for batch in stream:
                    got += [i for i in flat(batch) if isinstance(i, Record)]
                    if len(got) >= 100 * (part + 1):
                        break
        assert [r.seq for r in got] == list(range(300))
        assert tracker.duplicates == 0


async def test_subscription_from_now_with_a_level_and_an_origin() -> None:
    async with FakeDevice() as device:
        device.flood(10, level=Level.ERROR)
        device.write(Level.ERROR, "s", "before", origin=2)
        async with AsyncMgmt(device.host, device.port) as c:
            stream = await c.subscribe(From.NOW, Level.WARN, origins=[2])
            device.write(Level.ERROR, "a", "of the core device")
            device.write(Level.INFO, "s", "not grave", origin=2)
            device.write(Level.WARN, "s", "grave", origin=2)
            async for batch in stream:
                records = [i for i in flat(batch) if isinstance(i, Record)]
                if records:
                    break
        assert [r.body for r in records] == ["grave"]


async def test_silent_stream_ends_in_a_timeout() -> None:
    async with FakeDevice(heartbeat=60) as device, AsyncMgmt(device.host, device.port) as c:
        stream = await c.subscribe(silence=0.2)
        with pytest.raises(TimeoutError, match=r"for 0\.2 s"):
            async for _ in stream:
                pass


async def test_subscribing_to_an_old_device_says_not_supported() -> None:
    async with FakeDevice() as device:
        for old in ("close", "error"):
            device.faults.old = old
            async with AsyncMgmt(device.host, device.port) as c:
                with pytest.raises(NotSupported):
                    await c.subscribe()


async def test_only_the_core_device_says_that_the_stream_will_end() -> None:
    async with FakeDevice() as device, AsyncMgmt(device.host, device.port) as c:
        device.add_satellite(2)
        stream = await c.subscribe()

        async def read_to(body: str) -> None:
            async for batch in stream:
                if any(isinstance(f, Record) and f.body == body for f in flat(batch)):
                    return

        device.write(Level.INFO, "satman", "restarting", 2)
        async with asyncio.timeout(10):
            await read_to("restarting")
            assert not stream.restarting.is_set()
            device.write(Level.INFO, "runtime", "restarting", more=True)
            device.write(Level.INFO, "satman", "at the same time", 2)
            await read_to("at the same time")
        assert stream.restarting.is_set()
