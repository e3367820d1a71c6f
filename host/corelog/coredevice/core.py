"""Driver of the core device: the timeline of its kernels, and the way to the board."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Protocol, SupportsIndex

from corelog.coredevice.device_map import channel_names
from corelog.coredevice.exceptions import CoreException, rtio_exception
from corelog.coredevice.session import SessionClient
from corelog.language.core import kernel, timeline, tracing
from corelog.language.timeline import MuTime, Timeline
from corelog.wire.session import ASYNC_BUSY, ASYNC_COLLISION, ASYNC_SEQUENCE, PORT, Done, Exceptional, Program

logger = logging.getLogger(__name__)

SLACK_MU = 125000
"""Machine units from the RTIO counter to the cursor after `reset()` and `break_realtime()`, as ARTIQ has it."""

ASYNC_ERRORS = {ASYNC_COLLISION: "collision(s)", ASYNC_BUSY: "busy error(s)", ASYNC_SEQUENCE: "sequence error(s)"}


class DeviceManager(Protocol):
    """What drivers need of the device manager."""

    def get(self, name: str) -> Any: ...
    def get_device_db(self) -> dict[str, Any]: ...


class Core:
    """Driver of the core device (device database: `corelog.coredevice.core.Core`).

    host: its network address. ref_period: length of a machine unit in seconds, checked against the device.
    ref_multiplier: machine units per coarse RTIO cycle. port: of its session service. Other arguments that ARTIQ
    device databases give (`target`, `analyzer_proxy`, ...) are accepted and not used.
    """

    def __init__(self, dmgr: DeviceManager, host: str, ref_period: float, ref_multiplier: int = 8, port: int = PORT,
                 **_unused: Any):
        self.host = host
        self.ref_period = ref_period
        self.ref_multiplier = ref_multiplier
        self.coarse_ref_period = ref_period * ref_multiplier
        self.core = self
        self._names = channel_names(dmgr.get_device_db())
        self._session = SessionClient(host, port)
        self._async_errors = 0

    def run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls a kernel's function: traces it, plays what it recorded, returns when the last event is submitted."""
        longest = self._connect()
        recorded = Timeline(self._play, self, longest)
        self._async_errors = 0
        try:
            with tracing(recorded):
                try:
                    result = function(*args, **kwargs)
                except (CoreException, KeyboardInterrupt):
                    raise
                except BaseException:
                    recorded.finish()  # what came before the exception happened
                    raise
                recorded.finish()
        finally:
            recorded.close()
            self._report_async_errors()
        return int(result) if isinstance(result, MuTime) else result

    def close(self) -> None:
        """Drops the connection; the next kernel makes a new one. The timeline goes on where it was."""
        self._session.close()

    def seconds_to_mu(self, seconds: float) -> int:
        """Seconds as machine units, rounded."""
        return round(seconds / self.ref_period)

    def mu_to_seconds(self, mu: SupportsIndex) -> float:
        """Machine units as seconds."""
        return mu.__index__() * self.ref_period

    @kernel
    def reset(self) -> None:
        """Resets the RTIO core: drops what is queued, and sets the cursor a little ahead of the counter."""
        timeline().reset(SLACK_MU)

    @kernel
    def break_realtime(self) -> None:
        """Sets the cursor a little ahead of the counter, unless it is further ahead already."""
        timeline().break_realtime(SLACK_MU)

    @kernel
    def get_rtio_counter_mu(self) -> int:
        """RTIO counter in machine units, after everything recorded so far was submitted."""
        return timeline().counter()

    @kernel
    def wait_until_mu(self, cursor_mu: SupportsIndex) -> None:
        """Returns when the RTIO counter has reached the time."""
        until = cursor_mu.__index__()
        while (ahead := until - timeline().counter()) > 0:
            time.sleep(min(ahead * self.ref_period, 1.0))

    def _connect(self) -> int:
        hello = self._session.connect()
        unit = hello.unit_fs * 1e-15
        if abs(unit - self.ref_period) > 1e-6 * unit or hello.coarse_mu != self.ref_multiplier:
            raise CoreException(
                f"the device database does not fit the core device at {self.host}: it says ref_period {self.ref_period}"
                f" and ref_multiplier {self.ref_multiplier}, the device has {unit:.10g} and {hello.coarse_mu}")
        return hello.longest_program

    def _play(self, program: Program) -> Done:
        reply = self._session.run(program)
        if isinstance(reply, Exceptional):
            name = self._names.get(reply.channel, "unknown")
            raise rtio_exception(reply, name, is_input=reply.operation in program.inputs)
        if len(reply.results) != program.results:
            raise CoreException(f"core device at {self.host} gave {len(reply.results)} results instead of "
                                f"{program.results}")
        self._async_errors |= reply.async_errors
        return reply

    def _report_async_errors(self) -> None:
        kinds = [text for bit, text in ASYNC_ERRORS.items() if self._async_errors & bit]
        if kinds:
            listed = " and ".join([", ".join(kinds[:-1]), kinds[-1]] if len(kinds) > 1 else kinds)
            logger.warning("%s reported during kernel execution", listed)
