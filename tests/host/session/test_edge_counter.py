"""The driver of edge counters, against the model device on a real socket."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from corelog.coredevice.core import Core
from corelog.coredevice.edge_counter import CounterOverflow, EdgeCounter
from corelog.coredevice.exceptions import CoreException
from corelog.experiment import at_mu, delay, delay_mu, kernel, now_mu, us
from support.session_model import ModelDevice
from support.session_server import Behaviour, session_server

DEVICE_DB = {"counter": {"type": "local", "module": "corelog.coredevice.edge_counter", "class": "EdgeCounter",
                         "arguments": {"channel": 12}}}  # fmt: skip


class Bench:
    """Plays the device manager."""

    def __init__(self, port: int, width: int = 31):
        self.core = Core(self, "127.0.0.1", 62.5e-9, port=port)
        self.counter = EdgeCounter(self, 12, width)

    def get(self, name: str) -> Any:
        return getattr(self, name)

    def get_device_db(self) -> dict[str, Any]:
        return DEVICE_DB

    @kernel
    def gates(self) -> list[int]:
        at_mu(5000)
        ends = [self.counter.gate_rising_mu(100), self.counter.gate_falling(62.5 * us), self.counter.gate_both_mu(7)]
        delay_mu(3)
        self.counter.set_config(True, False, True, True)
        return [int(end) for end in ends]

    @kernel
    def counts(self) -> tuple[int, int, tuple[int, int]]:
        at_mu(9000)
        return self.counter.fetch_count(), self.counter.fetch_count(), self.counter.fetch_timestamped_count()

    @kernel
    def fetches(self, *timeout: int) -> tuple[int, int]:
        at_mu(9000)
        delay(62.5 * us)
        assert now_mu() == 10_000
        return self.counter.fetch_timestamped_count(*timeout)


async def on_bench(action: Callable[[Bench], Any], device: ModelDevice, width: int = 31) -> Any:
    async with session_server(device, Behaviour()) as port:
        bench = Bench(port, width)
        try:
            return await asyncio.to_thread(action, bench)
        finally:
            bench.core.close()


async def test_a_gate_counts_from_zero_and_sends_the_count_at_its_end() -> None:
    device = ModelDevice()
    assert await on_bench(Bench.gates, device) == [5100, 6100, 6107]
    assert device.events == [
        (5000, 12, 0, 0b1001), (5100, 12, 0, 0b0100), (5100, 12, 0, 0b1010), (6100, 12, 0, 0b0100),
        (6100, 12, 0, 0b1011), (6107, 12, 0, 0b0100), (6110, 12, 0, 0b1101)]  # fmt: skip


async def test_counts_are_fetched_in_the_order_in_which_they_were_sent() -> None:
    device = ModelDevice(inputs=[(12, 5100, 7), (3, 5200, 1), (12, 6100, 0), (12, 6107, 2**31 - 2)])
    assert await on_bench(Bench.counts, device) == (7, 0, (6107, 2**31 - 2))


async def test_a_count_is_waited_for_until_the_timeout() -> None:
    device = ModelDevice(inputs=[(12, 11_000, 5)])
    assert await on_bench(lambda bench: bench.fetches(10_999), device) == (-1, 0)
    assert await on_bench(lambda bench: bench.fetches(11_000), device) == (11_000, 5)


async def test_without_a_count_to_fetch_the_error_says_what_to_do() -> None:
    with pytest.raises(CoreException, match="channel 0x000c has no count to fetch: open a gate"):
        await on_bench(Bench.fetches, ModelDevice())


@pytest.mark.parametrize("width", [31, 8])
async def test_a_counter_at_its_maximum_is_an_error(width: int) -> None:
    device = ModelDevice(inputs=[(12, 5100, 2**width - 1), (12, 5200, 2**width - 2)])
    with pytest.raises(CounterOverflow, match=f"channel 0x000c reached its maximum, {2**width - 1}"):
        await on_bench(Bench.fetches, device, width)
    assert await on_bench(Bench.fetches, device, width) == (5200, 2**width - 2)
