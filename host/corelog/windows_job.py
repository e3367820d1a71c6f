"""A Windows job: processes that end when the last handle to the job is closed, thus at the latest with us."""

from __future__ import annotations

import ctypes
from typing import Any

EXTENDED_LIMIT_INFORMATION = 9
KILL_ON_JOB_CLOSE = 0x2000
PROCESS_SET_QUOTA, PROCESS_TERMINATE = 0x100, 0x1
EXIT_STATUS = 1


class _BasicLimits(ctypes.Structure):
    _fields_ = [("PerProcessUserTimeLimit", ctypes.c_int64), ("PerJobUserTimeLimit", ctypes.c_int64),
                ("LimitFlags", ctypes.c_uint32), ("MinimumWorkingSetSize", ctypes.c_size_t),
                ("MaximumWorkingSetSize", ctypes.c_size_t), ("ActiveProcessLimit", ctypes.c_uint32),
                ("Affinity", ctypes.c_size_t), ("PriorityClass", ctypes.c_uint32),
                ("SchedulingClass", ctypes.c_uint32)]


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = [("Basic", _BasicLimits), ("IoInfo", ctypes.c_uint64 * 6), ("ProcessMemoryLimit", ctypes.c_size_t),
                ("JobMemoryLimit", ctypes.c_size_t), ("PeakProcessMemoryUsed", ctypes.c_size_t),
                ("PeakJobMemoryUsed", ctypes.c_size_t)]


def kernel32() -> Any:
    """The functions of Windows. Handles are pointers, which ctypes would cut to 32 bits by default."""
    api = getattr(ctypes, "WinDLL")("kernel32", use_last_error=True)  # noqa: B009  exists on Windows only
    handle = ctypes.c_void_p
    for name, result, arguments in [
            ("CreateJobObjectW", handle, [handle, ctypes.c_wchar_p]),
            ("SetInformationJobObject", ctypes.c_int, [handle, ctypes.c_int, handle, ctypes.c_uint32]),
            ("OpenProcess", handle, [ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32]),
            ("AssignProcessToJobObject", ctypes.c_int, [handle, handle]),
            ("TerminateJobObject", ctypes.c_int, [handle, ctypes.c_uint32]),
            ("CloseHandle", ctypes.c_int, [handle])]:
        function = getattr(api, name)
        function.restype, function.argtypes = result, arguments
    return api


class Job:
    """`api` is `kernel32()`. Raises OSError."""

    def __init__(self, api: Any):
        self._api = api
        self._handle: Any = None
        self._handle = self._check(api.CreateJobObjectW(None, None), "make a job")
        limits = ExtendedLimits()
        limits.Basic.LimitFlags = KILL_ON_JOB_CLOSE
        self._check(api.SetInformationJobObject(self._handle, EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits),
                                                ctypes.sizeof(limits)), "limit a job")

    def adopt(self, pid: int) -> None:
        """Puts a process into the job, with all that it will start."""
        process = self._check(self._api.OpenProcess(PROCESS_SET_QUOTA | PROCESS_TERMINATE, False, pid),
                              f"open process {pid}")
        try:
            self._check(self._api.AssignProcessToJobObject(self._handle, process), f"put process {pid} into a job")
        finally:
            self._api.CloseHandle(process)

    def terminate(self) -> None:
        """Ends all its processes at once."""
        self._api.TerminateJobObject(self._handle, EXIT_STATUS)

    def __del__(self) -> None:
        if self._handle:
            self._api.CloseHandle(self._handle)
            self._handle = None

    @staticmethod
    def _check(result: Any, what: str) -> Any:
        if not result:
            raise OSError(f"cannot {what}: Windows error {getattr(ctypes, 'get_last_error', int)()}")
        return result
