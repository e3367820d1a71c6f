"""The core device driver and its session client, against the model device on a real socket."""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from corelog.coredevice import session
from corelog.coredevice.core import Core
from corelog.coredevice.exceptions import CoreException, RTIODestinationUnreachable, RTIOOverflow, RTIOUnderflow
from corelog.coredevice.rtio import RawOutput
from corelog.coredevice.session import AsyncSession, SessionClient
from corelog.coredevice.ttl import TTLInput, TTLOut
from corelog.experiment import delay, delay_mu, kernel, now_mu, parallel, us
from corelog.wire.session import Done, Hello, Program
from support.session_model import ModelDevice
from support.session_server import Behaviour, frame, session_server

CHANNELS = {"ttl4": ("ttl", "TTLOut", 4), "ttl8": ("ttl", "TTLInput", 8), "slow0": ("rtio", "RawOutput", 9)}
DEVICE_DB = {name: {"type": "local", "module": f"corelog.coredevice.{module}", "class": kind,
                    "arguments": {"channel": channel}} for name, (module, kind, channel) in CHANNELS.items()}


class Bench:
    """Plays the device manager: the drivers of one core device."""

    def __init__(self, port: int, ref_period: float = 62.5e-9):
        self.core = Core(self, "127.0.0.1", ref_period, port=port)
        self.ttl4 = TTLOut(self, 4)
        self.ttl8 = TTLInput(self, 8)
        self.slow0 = RawOutput(self, 9)

    def get(self, name: str) -> Any:
        return getattr(self, name)

    def get_device_db(self) -> dict[str, Any]:
        return DEVICE_DB

    @kernel
    def pulses(self) -> Any:
        self.core.reset()
        with parallel:
            self.ttl4.pulse(10*us)
            self.slow0.write(7, 1)
        delay_mu(5)
        self.ttl4.on()
        return now_mu()

    @kernel
    def counts(self) -> tuple[int, int, int]:
        end = self.ttl8.gate_rising_mu(1000)
        return self.ttl8.count(end - 500), self.ttl8.timestamp_mu(end), self.ttl8.timestamp_mu(end)

    @kernel
    def samples(self) -> int:
        self.ttl8.sample_input()
        return self.ttl8.sample_get()

    @kernel
    def fails(self) -> None:
        self.ttl4.on()
        raise LookupError("after an event")


async def on_bench(action: Callable[[Bench], Any], behaviour: Behaviour | None = None,
                   device: ModelDevice | None = None, kind: type[Bench] = Bench, ref_period: float = 62.5e-9) -> Any:
    async with session_server(device or ModelDevice(), behaviour or Behaviour()) as port:
        bench = kind(port, ref_period)
        try:
            return await asyncio.to_thread(action, bench)
        finally:
            bench.core.close()


async def test_kernel_submits_its_events_and_returns_the_device_time() -> None:
    device = ModelDevice()
    end = await on_bench(lambda bench: bench.pulses(), device=device)
    start = end - 165
    assert type(end) is int
    assert device.events == [(start, 4, 0, 1), (start + 160, 4, 0, 0), (start, 9, 1, 7), (end, 4, 0, 1)]
    assert device.programs == 1


async def test_input_methods_read_what_the_device_has() -> None:
    device = ModelDevice(inputs=[(8, 5100, 1), (8, 5200, 1), (8, 5900, 1)])
    assert await on_bench(lambda bench: bench.counts(), device=device) == (2, 5900, -1)
    assert device.events == [(5000, 8, 2, 1), (6000, 8, 2, 0)]
    assert await on_bench(lambda bench: bench.samples(), device=ModelDevice(inputs=[(8, 5003, 1)])) == 1
    with pytest.raises(CoreException, match="no sample"):
        await on_bench(lambda bench: bench.samples())


async def test_what_came_before_a_host_exception_was_submitted() -> None:
    device = ModelDevice()
    with pytest.raises(LookupError):
        await on_bench(lambda bench: bench.fails(), device=device)
    assert device.events == [(5000, 4, 0, 1)]


@pytest.mark.parametrize(("kind", "operation", "error", "text"), [
    (1, 1, RTIOUnderflow, "RTIO underflow at channel 0x0004:ttl4, 1000 mu, slack -250 mu"),
    (2, 4, RTIOOverflow, "RTIO input overflow on channel 0x0004:ttl4"),
    (3, 1, RTIODestinationUnreachable, "RTIO destination unreachable, output, at channel 0x0004:ttl4, 1000 mu"),
])
async def test_device_exceptions_have_the_names_and_texts_of_the_ecosystem(
        kind: int, operation: int, error: type[Exception], text: str) -> None:
    reply = frame(3, struct.pack("<IIQqII", kind, 4, 1000, -250, operation, 0))
    with pytest.raises(error) as caught:
        await on_bench(lambda bench: bench.pulses(), Behaviour(replies=[reply]))
    assert str(caught.value) == text


class Satellite(Bench):
    """The same kernels, with the channels of destination 2."""

    def __init__(self, port: int, ref_period: float = 62.5e-9):
        super().__init__(port, ref_period)
        self.ttl4 = TTLOut(self, 2 << 16 | 4)
        self.ttl8 = TTLInput(self, 2 << 16 | 8)
        self.slow0 = RawOutput(self, 2 << 16 | 9)

    def get_device_db(self) -> dict[str, Any]:
        return {"sat_ttl4": DEVICE_DB["ttl4"] | {"arguments": {"channel": 2 << 16 | 4}}}


async def test_devices_behind_a_satellite_work_by_their_channel_number() -> None:
    device = ModelDevice(inputs=[(0x20008, 5100, 1), (0x20008, 5900, 1), (8, 5200, 1)])
    assert await on_bench(lambda bench: bench.counts(), device=device, kind=Satellite) == (1, 5900, -1)
    assert device.events == [(5000, 0x20008, 2, 1), (6000, 0x20008, 2, 0)]
    device = ModelDevice()
    end = await on_bench(lambda bench: bench.pulses(), device=device, kind=Satellite)
    assert [channel for _, channel, _, _ in device.events] == [0x20004, 0x20004, 0x20009, 0x20004]
    assert device.events[-1] == (end, 0x20004, 0, 1)


@pytest.mark.parametrize(("kind", "text"), [
    (1, "RTIO underflow at channel 0x20004:sat_ttl4, 1000 mu, slack -250 mu"),
    (3, "RTIO destination unreachable, output, at channel 0x20004:sat_ttl4, 1000 mu")])
async def test_exceptions_of_a_satellite_name_the_channel_with_its_destination(kind: int, text: str) -> None:
    reply = frame(3, struct.pack("<IIQqII", kind, 2 << 16 | 4, 1000, -250, 1, 0))
    with pytest.raises((RTIOUnderflow, RTIODestinationUnreachable)) as caught:
        await on_bench(lambda bench: bench.pulses(), Behaviour(replies=[reply]), kind=Satellite)
    assert str(caught.value) == text


async def test_unreachable_input_of_an_unnamed_channel_says_so() -> None:
    reply = frame(3, struct.pack("<IIQqII", 3, 0x10020, 0, 0, 4, 0))
    with pytest.raises(RTIODestinationUnreachable) as caught:
        await on_bench(lambda bench: bench.counts(), Behaviour(replies=[reply]))
    assert str(caught.value) == "RTIO destination unreachable, input, on channel 0x10020:unknown"


@pytest.mark.parametrize(("bits", "text"), [
    (7, "collision(s), busy error(s) and sequence error(s) reported during kernel execution"),
    (5, "collision(s) and sequence error(s) reported during kernel execution"),
    (2, "busy error(s) reported during kernel execution"),
])
async def test_asynchronous_errors_become_one_warning(bits: int, text: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "corelog"):
        await on_bench(lambda bench: bench.pulses(), Behaviour(async_errors=bits))
    assert [record.message for record in caplog.records] == [text]


async def test_wrong_ref_period_says_which_is_right() -> None:
    with pytest.raises(CoreException, match=r"ref_period 1e-09 .* the device has 6.25e-08"):
        await on_bench(lambda bench: bench.pulses(), ref_period=1e-9)


async def test_nobody_listening_says_what_to_do() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        bench = Bench(unused.getsockname()[1])
        with pytest.raises(CoreException, match=r"at 127.0.0.1 not reachable: Connection refused .*corelog board"):
            await asyncio.to_thread(bench.pulses)


async def test_another_protocol_or_version_is_named() -> None:
    with pytest.raises(CoreException, match="not the session port"):
        await on_bench(lambda bench: bench.pulses(), Behaviour(greeting=b"S"))
    with pytest.raises(CoreException, match="version 2"):
        await on_bench(lambda bench: bench.pulses(), Behaviour(version=2))


@pytest.mark.parametrize("reply", [
    b"\x09\0\0\0\0\0\0\0", b"\x02\0\0\0\xff\xff\xff\xff", frame(2, b"short"), frame(1, bytes(32)),
    frame(2, struct.pack("<QQII", 0, 0, 0, 0)), frame(2, struct.pack("<QQII", 0, 0, 0, 1 << 31)),
])
async def test_garbage_from_the_device_is_an_error_not_a_hang(reply: bytes) -> None:
    with pytest.raises(CoreException):
        await on_bench(lambda bench: bench.pulses(), Behaviour(replies=[reply]))


async def test_refused_program_gives_the_devices_reason() -> None:
    with pytest.raises(CoreException, match="refused the program: operation 2: wait of more than 60 s"):
        await on_bench(lambda bench: bench.pulses(),
                       Behaviour(replies=[frame(6, b"operation 2: wait of more than 60 s")]))


async def test_connection_lost_in_a_program_is_reported_and_the_next_kernel_connects_again() -> None:
    def action(bench: Bench) -> None:
        with pytest.raises(CoreException, match="whether all of it was played is not known"):
            bench.pulses()
        bench.pulses()

    behaviour = Behaviour(replies=[None])
    await on_bench(action, behaviour)
    assert behaviour.connections == 2


async def test_connection_dropped_while_idle_is_replaced_without_an_error() -> None:
    def action(bench: Bench) -> None:
        for _ in range(3):
            bench.pulses()
            assert behaviour.dropped.wait(5.0)
            behaviour.dropped.clear()

    behaviour = Behaviour(drop_when_idle=True)
    await on_bench(action, behaviour)
    assert behaviour.connections == 3


async def test_device_that_never_answers_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "CONNECT_TIMEOUT", 0.2)
    with pytest.raises(CoreException, match="no answer in time"):
        await on_bench(lambda bench: bench.pulses(), Behaviour(silent=True))


def test_deadline_grows_with_the_time_that_the_program_spans() -> None:
    client = SessionClient("nowhere")
    client._is_hello(Hello(1, 8, 62_500_000, 1, 1, 0))
    short, long, far = Program(), Program(), Program()
    long.delay(16_000_000 * 100)
    long.delay(-16_000_000 * 100)
    far.at(16_000_000 * 50)
    assert client._deadline(short) == session.REPLY_MARGIN
    assert client._deadline(long) == pytest.approx(session.REPLY_MARGIN + 100 * session.SLOWEST)
    assert 50 * session.SLOWEST - 1 < client._deadline(far) - session.REPLY_MARGIN <= 50 * session.SLOWEST + 1e-6


async def test_asyncio_client_plays_programs_and_takes_turns() -> None:
    async with session_server(ModelDevice(), Behaviour()) as port, AsyncSession("127.0.0.1", port) as client:
        program = Program()
        program.delay(10)
        program.now()
        replies = await asyncio.gather(*(client.run(program) for _ in range(20)), client.hello())
        cursors = [reply.results[0] for reply in replies if isinstance(reply, Done)]
        assert cursors == [5000 + 10 * i for i in range(1, 21)]


async def test_asyncio_client_cancelled_in_a_request_does_not_take_its_answer_for_anothers() -> None:
    behaviour = Behaviour()
    async with session_server(ModelDevice(), behaviour) as port, AsyncSession("127.0.0.1", port) as client:
        behaviour.silent = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.hello()
        with pytest.raises(CoreException, match="not connected"):
            await client.hello()


@kernel
def free_function() -> None:
    delay(1e-6)


async def test_kernel_function_without_a_core_device_of_its_own_joins_its_callers_timeline() -> None:
    class Caller(Bench):
        @kernel
        def run(self) -> Any:
            before = now_mu()
            free_function()
            return now_mu() - before

    assert await on_bench(lambda bench: bench.run(), kind=Caller) == 16
