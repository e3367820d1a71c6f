"""Client of a running board's control socket, to cause faults.

    control = Control(path)
    await control.command("link 1 cut")
    await control.command("board 2 off")

    python -m corelog_gateware.simulator.control PATH link 1 cut
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TIMEOUT = 10.0


class ControlError(Exception):
    """The board refused the command (the text says what to do instead) or did not answer."""


class Control:
    """The socket at ``path`` (option ``--control`` of ``corelog board``, whose help lists the commands)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def command(self, line: str, timeout: float = TIMEOUT) -> str:
        """What stands behind ``ok`` in the reply. A command is done when its reply comes.

        :raises ControlError: if the board refuses it, is gone or does not answer in time.
        """
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await asyncio.open_unix_connection(str(self.path))
                try:
                    writer.write(line.encode() + b"\n")
                    reply = (await reader.readline()).decode()
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            raise ControlError(f"control socket {self.path}: {error or 'no answer'}") from error
        status, _, rest = reply.rstrip("\n").partition(" ")
        if status != "ok":
            raise ControlError(reply.removeprefix("error: ").rstrip("\n") or "the board closed the connection")
        return rest

    async def boards(self) -> list[dict[str, Any]]:
        """By number, each with ``board``, ``on``, ``ready``, ``resets``."""
        boards: list[dict[str, Any]] = json.loads(await self.command("boards"))
        return boards

    async def links(self) -> list[dict[str, Any]]:
        """Both directions of every link, each with ``link``, ``direction``, the boards ``from`` and ``to``, ``cut``,
        ``receiving``, the rates ``corrupt`` and ``drop``, the counts ``words``, ``aux`` (bytes of aux frames, a word
        each), ``corrupted`` (symbols) and ``dropped`` (words)."""
        links: list[dict[str, Any]] = json.loads(await self.command("links"))
        return links


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Say something to a running tree of boards, as: link 2 cut")
    parser.add_argument("path", type=Path, help="the socket that `corelog board --control` made")
    parser.add_argument("words", nargs="+", metavar="command", help="see `corelog board --help`")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = get_argparser().parse_args(argv)
    try:
        reply = asyncio.run(Control(args.path).command(" ".join(args.words)))
    except ControlError as error:
        print(f"control: error: {error}", file=sys.stderr)
        return 1
    print(reply or "ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
