"""What the tests of kernels share: a core device driver on the model device."""

from collections.abc import Callable
from typing import Any

from corelog.language.core import timeline, tracing
from corelog.language.timeline import Timeline
from corelog.wire.session import Done, Program
from support.session_model import ModelDevice


class ModelCore:
    """Plays kernels on a ModelDevice; the part of corelog.coredevice.core.Core that needs no connection."""

    def __init__(self, longest: int = 10_000):
        self.device = ModelDevice()
        self.longest = longest
        self.fail_next: Exception | None = None

    def seconds_to_mu(self, seconds: float) -> int:
        return round(seconds / 1e-9)

    def run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        line = Timeline(self._play, self, self.longest)
        with tracing(line):
            result = function(*args, **kwargs)
            line.finish()
        line.close()
        return result

    def _play(self, program: Program) -> Done:
        if self.fail_next is not None:
            failure, self.fail_next = self.fail_next, None
            raise failure
        data = program.encode()
        assert len(data) <= self.longest
        results = self.device.play(data)
        assert len(results) == program.results
        return Done(self.device.cursor, self.device.counter, 0, tuple(results))


class OnModel:
    """Base of objects with kernels."""

    def __init__(self, longest: int = 10_000):
        self.core = ModelCore(longest)

    @property
    def events(self) -> list[tuple[int, int]]:
        """(timestamp, channel) in order of submission."""
        return [(time, channel) for time, channel, _, _ in self.core.device.events]


def emit(channel: int) -> None:
    timeline().output(channel, 0, 1)
