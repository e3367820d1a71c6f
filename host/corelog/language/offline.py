"""`scheduler` and `ccb` of an experiment that runs without a master."""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger(__name__)


class OfflineScheduler:
    """The only run there is: never asked to pause or end. Submissions and the like are logged, not done."""

    rid = 0
    pipeline_name = "main"
    priority = 0

    def __init__(self, expid: dict[str, Any] | None = None):
        self.expid = expid
        self._last_rid = 0

    def submit(self, *args: Any, **kwargs: Any) -> int:
        self._last_rid += 1
        logger.warning("without a master nothing is submitted: %s %s", args, kwargs)
        return self._last_rid

    def delete(self, rid: int) -> None:
        logger.warning("without a master there is no run %d to delete", rid)

    def request_termination(self, rid: int) -> None:
        logger.warning("without a master there is no run %d to terminate", rid)

    def get_status(self) -> dict[int, Any]:
        return {}

    def check_pause(self, rid: int | None = None) -> bool:
        return False

    def check_termination(self, rid: int | None = None) -> bool:
        return False

    def pause(self) -> None:
        """Returns at once."""


class OfflineCCB:
    """Client control broadcasts go nowhere."""

    def issue(self, service: str, *args: Any, **kwargs: Any) -> None:
        logger.warning("without a master there is no client to receive %s %s %s", service, args, kwargs)
