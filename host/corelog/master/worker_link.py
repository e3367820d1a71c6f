"""The master as a worker sees it: objects whose methods are requests through the worker's pipe (protocols.md E.7)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol

from corelog.language.control import TerminationRequested
from sipyco import pyon
from sipyco.packed_exceptions import raise_packed_exc


class Pipe(Protocol):
    def readline(self) -> bytes: ...
    def write(self, data: bytes) -> None: ...


class MasterGone(SystemExit):
    """The master has closed the pipe: nobody waits for this worker any more."""


class Link:
    """Lines of PYON to and from the master. Requests may come from any thread of the experiment, one at a time."""

    def __init__(self, pipe: Pipe):
        self._pipe = pipe
        self._turn = threading.Lock()

    def put(self, message: dict[str, Any]) -> None:
        try:
            self._pipe.write(pyon.encode(message).encode() + b"\n")
        except OSError:
            raise MasterGone(1) from None

    def get(self) -> dict[str, Any]:
        """The next message. Raises MasterGone."""
        try:
            line = self._pipe.readline()
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            raise MasterGone(1)
        message: dict[str, Any] = pyon.decode(line.decode())
        return message

    def request(self, action: str, *args: Any, **kwargs: Any) -> Any:
        """What the master answers. Raises what the request raised there."""
        with self._turn:
            self.put({"action": action, "args": args, "kwargs": kwargs})
            reply = self.get()
        if reply.get("action") == "terminate":
            raise MasterGone(0)
        if reply["status"] == "ok":
            return reply["data"]
        raise_packed_exc(reply["exception"])


class MasterDeviceDB:
    """corelog.language.devices.DeviceDB in the master."""

    def __init__(self, link: Link):
        self._link = link

    def get_device_db(self) -> dict[str, Any]:
        database: dict[str, Any] = self._link.request("get_device_db")
        return database

    def get(self, key: str, resolve_alias: bool = False) -> Any:
        return self._link.request("get_device", key, resolve_alias=resolve_alias)


class MasterDatasetDB:
    """corelog.language.datasets.DatasetDB in the master."""

    def __init__(self, link: Link):
        self._link = link

    def get(self, key: str) -> Any:
        return self._link.request("get_dataset", key)

    def get_metadata(self, key: str) -> dict[str, Any]:
        metadata: dict[str, Any] = self._link.request("get_dataset_metadata", key)
        return metadata

    def update(self, mod: dict[str, Any]) -> None:
        self._link.request("update_dataset", mod)


class Scheduler:
    """Virtual device `scheduler`: this run's place in the schedule, and the schedule."""

    def __init__(self, link: Link, rid: int, pipeline_name: str, priority: int, expid: Mapping[str, Any]):
        self._link = link
        self.rid = rid
        self.pipeline_name = pipeline_name
        self.priority = priority
        self.expid = dict(expid)

    def pause_noexc(self) -> bool:
        """Lets runs go first that shall. Returns whether this one was asked to end."""
        return bool(self._link.request("pause"))

    def pause(self) -> None:
        """Lets runs go first that shall. Raises TerminationRequested if this one was asked to end."""
        if self.pause_noexc():
            raise TerminationRequested

    def check_pause(self, rid: int | None = None) -> bool:
        """Whether pause() would do something, or return at once; of this run unless another is given."""
        return bool(self._link.request("scheduler_check_pause", self.rid if rid is None else rid))

    def check_termination(self, rid: int | None = None) -> bool:
        """Whether a run was asked to end."""
        return bool(self._link.request("scheduler_check_termination", self.rid if rid is None else rid))

    def submit(self, pipeline_name: str | None = None, expid: Mapping[str, Any] | None = None,
               priority: int | None = None, due_date: float | None = None, flush: bool = False) -> int:
        """Submits a run; what is not given is as for this one. Returns its RID."""
        rid: int = self._link.request(
            "scheduler_submit", self.pipeline_name if pipeline_name is None else pipeline_name,
            self.expid if expid is None else dict(expid), self.priority if priority is None else priority,
            due_date, flush)
        return rid

    def delete(self, rid: int) -> None:
        """Ends a run at once."""
        self._link.request("scheduler_delete", rid)

    def request_termination(self, rid: int) -> None:
        """Asks a run to end at its next pause()."""
        self._link.request("scheduler_request_termination", rid)

    def get_status(self) -> dict[int, Any]:
        """The schedule, as clients see it."""
        status: dict[int, Any] = self._link.request("scheduler_get_status")
        return status


class CCB:
    """Virtual device `ccb`: requests to all dashboards."""

    def __init__(self, link: Link):
        self._link = link

    def issue(self, service: str, *args: Any, **kwargs: Any) -> None:
        """Broadcasts a request, for instance issue("create_applet", NAME, COMMAND)."""
        self._link.request("ccb_issue", service, *args, **kwargs)


class Watchdog:
    """`with watchdog(SECONDS):` - the master ends the run if the block takes longer."""

    def __init__(self, link: Link, seconds: float):
        self._link = link
        self._seconds = seconds
        self._id = 0

    def __enter__(self) -> None:
        self._id = self._link.request("create_watchdog", self._seconds)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self._link.request("delete_watchdog", self._id)
