"""A channel of bytes between a program and one it starts, apart from standard input and output.

The parent makes an `AsyncioParentComm`, passes `get_address()` on the child's command line and starts the child with
`create_subprocess`. The child opens the address with `AsyncioChildComm` or, without asyncio, `ChildComm`. Nothing is
framed; users send lines. Two anonymous pipes carry it on POSIX systems, a named pipe on Windows.
"""

import os

if os.name == "nt":
    from sipyco._pipe_windows import AsyncioChildComm, AsyncioParentComm, ChildComm
else:
    from sipyco._pipe_posix import AsyncioChildComm, AsyncioParentComm, ChildComm  # type: ignore[assignment]

__all__ = ["AsyncioChildComm", "AsyncioParentComm", "ChildComm"]
