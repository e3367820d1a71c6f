"""The end of a forked worker, without the tens of milliseconds in which Python takes its libraries apart.

All that an experiment may count on at the end of a Python program is done: threads are waited for, exit functions
run, what nobody refers to is finalized, files are flushed.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import sys
import threading
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """Ends this process, which has nothing more to do."""
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    if not all(thread.daemon for thread in others):
        sys.exit(status)  # only Python itself knows how to end a pool's threads
    atexit._run_exitfuncs()
    gc.collect()
    for thing in gc.get_objects():  # without those of the zygote, which are frozen
        if isinstance(thing, io.IOBase) and not thing.closed:
            with contextlib.suppress(Exception):  # whatever a class of the experiment's makes of it
                thing.flush()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)
