"""Questions of running experiments to users, published as `interactive_args` until somebody answers."""

from __future__ import annotations

import asyncio
from typing import Any

from sipyco.sync_struct import Notifier


class InteractiveArgDB:
    """RPC target `interactive_arg_db` (supply, cancel). What is published: RID -> title, arglist_desc."""

    def __init__(self) -> None:
        self.notifier = Notifier({})
        self._answers: dict[int, asyncio.Future[dict[str, Any] | None]] = {}

    async def get(self, rid: int, arglist_desc: list[Any], title: str) -> dict[str, Any] | None:
        """For workers: the values that a user supplies, or None if one cancels."""
        if rid in self._answers:
            raise ValueError(f"RID {rid} is already asking")
        self._answers[rid] = asyncio.get_running_loop().create_future()
        self.notifier[rid] = {"title": title, "arglist_desc": [tuple(description) for description in arglist_desc]}
        try:
            return await self._answers[rid]
        finally:
            del self._answers[rid]
            del self.notifier[rid]

    def supply(self, rid: int, values: dict[str, Any]) -> None:
        """Answers with values by name. Raises ValueError if RID does not ask, or not for that."""
        asked = {description[0] for description in self._asked(rid)["arglist_desc"]}
        unknown = sorted(set(values) - asked)
        if unknown:
            raise ValueError(f"RID {rid} does not ask for {', '.join(unknown)}, but for {', '.join(sorted(asked))}")
        self._answer(rid, dict(values))

    def cancel(self, rid: int) -> None:
        """Answers that there will be no values. Raises ValueError if RID does not ask."""
        self._asked(rid)
        self._answer(rid, None)

    def _asked(self, rid: int) -> Any:
        if rid not in self._answers:
            raise ValueError(f"RID {rid} asks for no interactive arguments")
        return self.notifier.raw_view[rid]

    def _answer(self, rid: int, values: dict[str, Any] | None) -> None:
        if not self._answers[rid].done():
            self._answers[rid].set_result(values)
