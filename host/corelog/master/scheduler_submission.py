"""Submissions: whether they can be run at all, and the record of them."""

from __future__ import annotations

import csv
import logging
import numbers
import time
from typing import Any

logger = logging.getLogger(__name__)


def checked(pipeline_name: object, expid: object, priority: object, due_date: object) -> dict[str, Any]:
    """A copy of expid with what may be left out. Raises ValueError for a submission that could never run."""
    if not isinstance(pipeline_name, str):
        raise ValueError(f"the name of a pipeline is a string, not {pipeline_name!r:.100}")
    if not isinstance(expid, dict) or not isinstance(expid.get("file", expid.get("content")), str):
        raise ValueError("expid is a dict with the path `file` or the text `content`")
    if isinstance(priority, bool) or not isinstance(priority, numbers.Integral):
        raise ValueError(f"a priority is a whole number, not {priority!r:.100}")
    if due_date is not None and (isinstance(due_date, bool) or not isinstance(due_date, numbers.Real)
                                 or not abs(float(due_date)) < 1e11):
        raise ValueError(f"a due date is a Unix time, not {due_date!r:.100}")
    whole = {"class_name": None, "arguments": {}, "log_level": logging.WARNING, **expid}
    if not isinstance(whole["log_level"], int) or not 0 <= whole["log_level"] <= 1000:
        raise ValueError(f"log_level is a logging level, not {whole['log_level']!r:.100}")
    if not isinstance(whole["arguments"], dict) or not isinstance(whole.get("devarg_override") or {}, dict):
        raise ValueError("arguments and devarg_override are dicts")
    return whole


def note(path: str, rid: int, expid: dict[str, Any]) -> None:
    """Appends a line `RID,Unix time,file` to the file; what prevents that is logged and prevents nothing else."""
    try:
        with open(path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow([rid, time.time(), expid.get("file", "<none>")])
    except OSError as error:
        logger.error("submission of RID %d could not be noted in %s: %s", rid, path, error)
