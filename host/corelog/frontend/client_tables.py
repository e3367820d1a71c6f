"""What the master publishes, as tables of text."""

from __future__ import annotations

import pprint
import time
from typing import Any

import numpy as np

from corelog.frontend.text_table import table
from corelog.language.units import scale_of

VALUE_WIDTH = 60
LINE_WIDTH = 100


def elided(text: str, width: int = VALUE_WIDTH) -> str:
    return text if len(text) <= width else text[:width - 3] + "..."


def schedule_table(schedule: dict[int, dict[str, Any]]) -> str:
    """Runs in the order in which they would be started."""
    if not schedule:
        return "Schedule is empty"
    rows = []
    for rid, run in sorted(schedule.items(), key=lambda item: (-item[1]["priority"], item[1]["due_date"] or 0.0,
                                                               item[0])):
        expid = run["expid"]
        due = run["due_date"]
        revision = "Outside repo."
        if "repo_rev" in expid:
            message = (run.get("repo_msg") or "").split("\n")[0]
            revision = elided(str(expid["repo_rev"]), 10) + (f" {elided(message, 30)}" if message else "")
        rows.append([str(rid), run["pipeline"], run["status"], str(run["priority"]),
                     "" if due is None else time.strftime("%m/%d %H:%M:%S", time.localtime(due)), revision,
                     expid.get("file", "<none>"), expid["class_name"] or ""])
    return table(["RID", "Pipeline", "Status", "Prio", "Due date", "Revision", "File", "Class name"], rows)


def device_table(devices: dict[str, Any]) -> str:
    """Names and descriptions, sorted."""
    width = max(40, LINE_WIDTH - max(map(len, ["Name", *devices])))
    return table(["Name", "Description"], [[name, pprint.pformat(entry, width=width)]
                                           for name, entry in sorted(devices.items())])


def dataset_table(datasets: dict[str, tuple[bool, Any, dict[str, Any]]]) -> str:
    return table(["Dataset", "Persistent", "Value"], [[name, "Y" if persist else "N", dataset_text(value, metadata)]
                                                      for name, (persist, value, metadata) in sorted(datasets.items())])


def dataset_text(value: Any, metadata: dict[str, Any]) -> str:
    """A value in its unit, short."""
    unit = metadata.get("unit")
    if isinstance(value, np.ndarray) and value.ndim:
        return f"<array {'x'.join(map(str, value.shape))} of {value.dtype}>" + (f" {unit}" if unit else "")
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        try:
            return _number_text(value, metadata)
        except (OverflowError, ValueError, TypeError):  # an int beyond floats, a hint that makes no sense
            return elided(str(value))
    if isinstance(value, list | tuple | dict | set) and len(value) > 20:
        return f"<{type(value).__name__} of {len(value)}>"
    return elided(repr(value) if isinstance(value, str | bytes) else str(value))


def _number_text(value: Any, metadata: dict[str, Any]) -> str:
    scale, unit, precision = metadata.get("scale"), metadata.get("unit"), metadata.get("precision")
    if scale or unit:
        value = value / (scale or scale_of(unit or "") or 1.0)
    if precision is not None:
        text = f"{value:.{max(0, min(int(precision), 30))}f}"
    else:
        text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return f"{text} {unit}" if unit else text


def argument_table(requests: dict[int, dict[str, Any]]) -> str:
    """Interactive arguments that runs wait for."""
    if not requests:
        return "No run waits for arguments"
    rows = [[str(rid), request["title"], key, description["ty"], group or "", tooltip or ""]
            for rid, request in sorted(requests.items())
            for key, description, group, tooltip in request["arglist_desc"]]
    return table(["RID", "Title", "Key", "Type", "Group", "Tooltip"], rows)
