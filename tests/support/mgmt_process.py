"""`corelog mgmt` as a process."""

import asyncio
import subprocess
import sys

from corelog.testing.fakedevice import FakeDevice


async def mgmt(device: FakeDevice, *args: str) -> tuple[int, bytes, str]:
    """`corelog mgmt` against a device: exit status, output, errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "corelog.frontend.main", "mgmt", "-D", device.host, "--port", str(device.port), *args,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    return process.returncode or 0, out, err.decode()
