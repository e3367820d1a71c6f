import logging
import threading
from typing import Any

import pytest
from sipyco_rpc_peers import Target, blocking, serving

from sipyco.fire_and_forget import FFProxy
from sipyco.pc_rpc import AsyncioClient, Client


class Slow:
    number = 5

    def __init__(self) -> None:
        self.release = threading.Event()
        self.calls: list[Any] = []

    def work(self, *args: Any, **kwargs: Any) -> str:
        self.calls.append((args, kwargs, threading.current_thread()))
        assert self.release.wait(20)
        return "result"

    def fail(self) -> None:
        raise KeyError("k")


def test_call_returns_at_once_and_another_one_meanwhile_is_dropped_with_a_warning(
        caplog: pytest.LogCaptureFixture) -> None:
    target = Slow()
    proxy = FFProxy(target)
    proxy.ff_join()
    assert proxy.work(1, a=2) is None
    assert proxy.work(2) is None
    assert "skipping fire-and-forget call to work" in caplog.text
    target.release.set()
    proxy.ff_join()
    assert proxy.work(3) is None
    proxy.ff_join()
    assert [call[:2] for call in target.calls] == [((1,), {"a": 2}), ((3,), {})]
    assert all(call[2] is not threading.current_thread() for call in target.calls)


def test_exception_becomes_a_warning_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    proxy = FFProxy(Slow())
    proxy.fail()
    proxy.ff_join()
    assert "fire-and-forget call to fail" in caplog.text and "KeyError: 'k'" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    for name in ("number", "missing", "_private", "__len__"):
        with pytest.raises(AttributeError):
            getattr(proxy, name)


async def test_remote_methods_of_an_rpc_client_are_reached(caplog: pytest.LogCaptureFixture) -> None:
    received = []

    class Remote(Target):
        def note(self, value: Any) -> None:
            received.append(value)

    async with serving({"t": Remote()}) as (_, port):
        def use() -> None:
            client = Client("127.0.0.1", port, timeout=10)
            proxy = FFProxy(client)
            assert proxy.note((1, 2)) is None
            proxy.ff_join()
            proxy.fail("KeyError")
            proxy.ff_join()
            with pytest.raises(AttributeError):
                proxy.no_such_method()
            client.close_rpc()
        await blocking(use)
        assert received == [(1, 2)] and "Remote traceback" in caplog.text and "in fail" in caplog.text

        client = AsyncioClient()
        await client.connect_rpc("127.0.0.1", port)
        proxy = FFProxy(client)
        proxy.ping()
        await blocking(proxy.ff_join)
        assert "use a blocking client" in caplog.text
        await client.close_rpc()
