"""Interactive arguments of a run without a master: asked for on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corelog.language.arguments import CancelledArgsError, DefaultMissing, Processor, PYONValue
from corelog.language.managers import ProcessArgumentManager, Request
from sipyco import pyon


class TerminalArgumentManager(ProcessArgumentManager):
    """Reads a PYON value for each interactive argument; the end of the input cancels."""

    def get_interactive(self, requests: Sequence[Request], title: str) -> dict[str, Any]:
        print(title or "Interactive arguments")
        try:
            return {key: _ask(key, processor, [group, tooltip]) for key, processor, group, tooltip in requests}
        except EOFError:
            raise CancelledArgsError("the input ended before all interactive arguments were given") from None


def _ask(key: str, processor: Processor, notes: Sequence[str | None]) -> Any:
    """Asks until the answer fits; an empty line is the default."""
    prompt = f"{key} ({', '.join([type(processor).__name__, *filter(None, notes)])}): "
    while True:
        text = input(prompt).strip()
        try:
            if not text:
                return processor.default()
            return processor.process(text if isinstance(processor, PYONValue) else pyon.decode(text))
        except (ValueError, TypeError, KeyError) as error:
            print(f"{key}: {error}")
        except DefaultMissing:
            print(f"{key} has no default")
