"""`corelog board` as people type it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def corelog_board(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command that people type; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "corelog.frontend.board", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def refusal(*arguments: str) -> tuple[int, list[str]]:
    """Exit status and lines on standard error of a board that must not start; nothing on standard output."""
    async with corelog_board(*arguments, "--quiet") as process:
        async with asyncio.timeout(500.0):
            out, errors = await process.communicate()
    assert out == b""
    assert process.returncode is not None
    return process.returncode, errors.decode().splitlines()
