"""What each management request sends, which reply is its success, and what its failure means: for both clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from corelog.wire import mgmt
from corelog.wire.errors import ProtocolError
from corelog.wire.mgmt import Answer, DebugKind, Reply, Request

TIMEOUT = 10.0
# a link that is cut without a word is noticed after 4 s
KEEPALIVE = {"after_idle": 1, "interval": 1, "max_fails": 3}
CLOSED = "the device closed the connection"


class DeviceError(OSError):
    """The device refused a request, answered nonsense or not at all; `str()` is one line."""


@dataclass(frozen=True, slots=True)
class Op:
    """A request and the code its reply must have (None: there is no reply)."""

    data: bytes
    expect: Reply | None
    failure: str = ""

    def check(self, answer: Answer) -> Answer:
        """Returns the answer if it is the expected one, else raises DeviceError."""
        if answer.code == self.expect:
            return answer
        if answer.code == Reply.ERROR and self.failure:
            raise DeviceError(self.failure)
        raise DeviceError(f"Incorrect reply from device: {answer.code.name} ({int(answer.code)})")


_WRITE_FAILED = "Device failed to write config. More information may be available in the log."


def get_log() -> Op:
    return Op(mgmt.request(Request.GET_LOG), Reply.LOG_CONTENT)


def clear_log() -> Op:
    return Op(mgmt.request(Request.CLEAR_LOG), Reply.SUCCESS)


def pull_log() -> Op:
    return Op(mgmt.request(Request.PULL_LOG), None)


def reboot() -> Op:
    return Op(mgmt.request(Request.REBOOT), Reply.REBOOT_IMMINENT, "Device refused to reboot.")


def debug_allocator() -> Op:
    return Op(mgmt.request(Request.DEBUG_ALLOCATOR), None)


def flash(image: bytes, order: str) -> Op:
    data = mgmt.request(Request.FLASH, image, order=order)
    return Op(data, Reply.REBOOT_IMMINENT, "Device refused the flash image. The log says why.")


def config_read(key: str, order: str) -> Op:
    data = mgmt.request(Request.CONFIG_READ, key.encode(), order=order)
    return Op(data, Reply.CONFIG_DATA, "Device failed to read config. The key may not exist.")


def config_write(key: str, value: bytes, order: str) -> Op:
    return Op(mgmt.request(Request.CONFIG_WRITE, key.encode(), value, order=order), Reply.SUCCESS, _WRITE_FAILED)


def config_remove(key: str, order: str) -> Op:
    return Op(mgmt.request(Request.CONFIG_REMOVE, key.encode(), order=order), Reply.SUCCESS, _WRITE_FAILED)


def config_erase() -> Op:
    return Op(mgmt.request(Request.CONFIG_ERASE), Reply.SUCCESS, _WRITE_FAILED)


def identify() -> Op:
    return Op(mgmt.request(Request.IDENTIFY), Reply.IDENTITY, "Device does not know Identify.")


NO_DEBUG = "Device refused the debug request (configuration key debug_requests must be 1, except on the simulator)."


def debug_panic() -> Op:
    return Op(mgmt.debug_request(DebugKind.PANIC), None)


def debug_flood(count: int, level: int, body_length: int, warn_every: int, interval: int) -> Op:
    data = mgmt.debug_request(
        DebugKind.FLOOD, level=level, body_length=body_length, count=count, warn_every=warn_every, interval=interval
    )
    return Op(data, Reply.SUCCESS, NO_DEBUG)


def debug_bench(count: int) -> Op:
    return Op(mgmt.debug_request(DebugKind.BENCH, count=count), Reply.SUCCESS, NO_DEBUG)


def byte_order(answer: bytes) -> str:
    """As `mgmt.byte_order`, but raises DeviceError."""
    try:
        return mgmt.byte_order(answer)
    except ProtocolError as exc:
        raise DeviceError(str(exc)) from exc


def log_text(data: bytes) -> str:
    """Log content as text, whatever its bytes."""
    return data.decode(errors="backslashreplace")


def pulled(feed: Callable[[bytes], list[bytes]], data: bytes) -> list[bytes]:
    """What a PullParser's `feed` gives; raises DeviceError instead of ProtocolError."""
    try:
        return feed(data)
    except ProtocolError as exc:
        raise DeviceError(str(exc)) from exc
