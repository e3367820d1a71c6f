"""Bad input on the board's ports is answered or cut off in time, and the other clients notice nothing."""

import asyncio
import contextlib
import random
import struct

import pytest
import pytest_asyncio

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.coredevice.session import AsyncSession
from support.readers import subscribed

pytestmark = [pytest.mark.board, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

MANAGEMENT, SESSION = 1380, 1381
MAGIC = {MANAGEMENT: b"ARTIQ management\n\0", SESSION: b"CORELOG session\n"}
CUT_WITHIN = 15.0  # the device's deadline is 5 s


async def is_cut_off(reader: asyncio.StreamReader, timeout: float = CUT_WITHIN) -> bytes:
    """What the board answered before it closed the connection; TimeoutError if it did not close it."""
    answer = b""
    async with asyncio.timeout(timeout):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                answer += data
    return answer


async def send_bad(address: str, port: int, data: bytes, eof: bool = False) -> bytes:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            if eof:
                writer.write_eof()
        return await is_cut_off(reader)
    finally:
        writer.close()


async def serves(address: str) -> None:
    """Both ports of the board do their work for a new client."""
    async with AsyncMgmt(address, timeout=10.0) as device:
        await device.identify()
        await device.config_write("test_key", b"value")
        assert await device.config_read("test_key") == b"value"
    async with AsyncSession(address) as session:
        assert (await session.hello()).channels > 0


@pytest_asyncio.fixture(loop_scope="module")
async def witness(board: str):
    """A subscriber from before the bad input, that must miss nothing by it."""
    async with subscribed(board) as reader:
        yield reader
        async with AsyncMgmt(board, timeout=30.0) as device:
            await device.debug_flood(2)
        await reader.wait_for_text("flood 2/2")
        reader.check_law()
    await serves(board)


@pytest.mark.parametrize("port", [MANAGEMENT, SESSION])
async def test_wrong_magic_is_cut_off_with_a_record(board: str, witness, port: int) -> None:
    assert await send_bad(board, port, b"GET / HTTP/1.1\r\nHost: board\r\n\r\n") in (b"",)
    await witness.wait_for_text("aborted: ")


@pytest.mark.parametrize("port", [MANAGEMENT, SESSION])
@pytest.mark.parametrize("with_magic", [False, True])
async def test_random_bytes_harm_nobody(board: str, witness, port: int, with_magic: bool) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    for _ in range(12):
        data = (MAGIC[port] if with_magic else b"") + source.randbytes(source.randrange(1, 3000))
        await send_bad(board, port, without_side_effects(port, with_magic, data), eof=True)


def without_side_effects(port: int, with_magic: bool, data: bytes) -> bytes:
    """A random first code must not happen to be Reboot, ConfigErase, Debug or an endless stream."""
    if port == MANAGEMENT and with_magic:
        start = len(MAGIC[MANAGEMENT])
        if data[start] in (1, 2, 5, 7, 8, 15, 0x40, 0x41, 0x42):
            data = data[:start] + b"\xee" + data[start + 1:]
    return data


@pytest.mark.parametrize("code", [0, 3, 4, 6, 10, 11, 16, 0x3F, 0x43, 0xFF])
async def test_unknown_management_code_is_cut_off(board: str, witness, code: int) -> None:
    await send_bad(board, MANAGEMENT, MAGIC[MANAGEMENT] + bytes([code]))


@pytest.mark.parametrize("code", [0, 3, 0x7F, 0xFF])
async def test_unknown_session_code_is_answered_or_cut_off(board: str, witness, code: int) -> None:
    await send_bad(board, SESSION, MAGIC[SESSION] + bytes([code, 0, 0, 0]) + struct.pack("<I", 0))


@pytest.mark.parametrize("length", [2**31 - 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("code", [9, 12, 13, 14])
async def test_giant_length_in_a_management_request_is_refused(board: str, witness, code: int, length: int) -> None:
    answer = await send_bad(board, MANAGEMENT, MAGIC[MANAGEMENT] + bytes([code]) + struct.pack("<I", length))
    assert answer[:1] == b"e" and answer[1:] in (b"", b"\x06")


@pytest.mark.parametrize("length", [0, 2**31, 2**32 - 1])
async def test_session_program_of_absurd_length_is_refused(board: str, witness, length: int) -> None:
    reader, writer = await asyncio.open_connection(board, SESSION)
    writer.write(MAGIC[SESSION] + bytes([2, 0, 0, 0]) + struct.pack("<I", length))
    async with asyncio.timeout(CUT_WITHIN):
        assert await reader.readexactly(1) == b"e"
        code = (await reader.readexactly(8))[0]
    assert code == (2 if length == 0 else 6), "an empty program is played, a giant one is an error"
    writer.close()


@pytest.mark.parametrize("code", [12, 14])
async def test_config_key_of_length_zero_is_answered(board: str, witness, code: int) -> None:
    reader, writer = await asyncio.open_connection(board, MANAGEMENT)
    writer.write(MAGIC[MANAGEMENT] + bytes([code]) + struct.pack("<I", 0))
    async with asyncio.timeout(CUT_WITHIN):
        answer = await reader.readexactly(2)
    assert answer == b"e\x06"
    writer.close()


@pytest.mark.parametrize("port", [MANAGEMENT, SESSION])
@pytest.mark.parametrize("part", [0, 1, 7])
async def test_half_a_magic_then_silence_is_cut_off(board: str, witness, port: int, part: int) -> None:
    await send_bad(board, port, MAGIC[port][:part])


@pytest.mark.parametrize(("port", "data"), [
    (MANAGEMENT, b"\x0c"), (MANAGEMENT, b"\x0d\x02\0\0\0ip"), (MANAGEMENT, b"\x41\x01"),
    (MANAGEMENT, b"\x09\xff\0\0\0x"),
    (SESSION, b"\x02"), (SESSION, b"\x02\0\0\0\x64\0\0\0\x03")])
async def test_half_a_request_then_silence_is_cut_off(board: str, witness, port: int, data: bytes) -> None:
    await send_bad(board, port, MAGIC[port] + data)


async def test_hundred_connections_at_once_leave_the_board_serving(board: str, witness) -> None:
    opened = await asyncio.gather(*(asyncio.open_connection(board, MANAGEMENT) for _ in range(100)),
                                  return_exceptions=True)
    try:
        async with asyncio.timeout(30.0):
            while True:
                try:
                    await serves(board)
                    break
                except OSError:
                    continue
    finally:
        for pair in opened:
            if not isinstance(pair, BaseException):
                pair[1].close()


async def test_client_that_never_reads_slows_nobody(board: str, witness) -> None:
    _, writer = await asyncio.open_connection(board, MANAGEMENT, limit=1)
    writer.transport.pause_reading()
    writer.write(MAGIC[MANAGEMENT] + b"\x01" * 50)  # asks for the whole log fifty times
    await serves(board)
    async with AsyncMgmt(board, timeout=30.0) as device:
        await device.debug_flood(300)
    await witness.wait_for_text("flood 300/300")
    writer.transport.abort()


async def test_unknown_destination_gets_an_error(board: str, witness) -> None:
    async with AsyncMgmt(board, destination=7, timeout=10.0) as device:
        with pytest.raises(OSError, match="Device failed to read config"):
            await device.config_read("ip")


async def test_invalid_log_level_is_refused_and_the_session_goes_on(board: str, witness) -> None:
    async with AsyncMgmt(board, timeout=10.0) as device:
        with pytest.raises(OSError, match="Device failed to write config"):
            await device.config_write("log_level", b"LOUD")
        with pytest.raises(OSError):
            await device.config_read("log_level")
        await device.config_write("log_level", b"DEBUG")
        assert await device.config_read("log_level") == b"DEBUG"
        await device.config_remove("log_level")
