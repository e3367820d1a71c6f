"""The log controller: a core device's records, from its management socket to process lines, for ever.

Whatever happens to the device, the network or the reader of the lines: every record that the device still holds is
written once, in order of time, and what is missing is said in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from corelog.controllers.fields import Fields
from corelog.controllers.lines import OWN_NAME, Chunk, LineMaker, process_line, text_chunk
from corelog.controllers.output import Output
from corelog.controllers.state import State, as_dicts
from corelog.coredevice.follow import Batch, Device, Down, Follower, Text, Up
from corelog.coredevice.order import in_order
from corelog.coredevice.timeaxis import TimeAxis
from corelog.wire.cursor import Tracker
from corelog.wire.frames import Cursor, Level
from corelog.wire.mgmt import Identity


class CoreLog:
    """`await run()` ends only when the output's reader is gone, or cancelled.

    cursors: where to resume, as `state.claim` gave them. fields: lines carry them, for readers that know of them.
    """

    def __init__(
        self, device: Device, output: Output, state: State | None = None, cursors: Sequence[Cursor] = (), *,
        fields: bool = False,
    ) -> None:
        self._device = device
        self._output = output
        self._state = state
        self._tracker = Tracker()
        self._tracker.restore(cursors)
        self._axis = TimeAxis()
        self._fields = Fields(self._axis) if fields else None
        self._maker = LineMaker(cursors, self._fields)
        self._protocol: str | None = None
        self._connections = 0
        self._texts = 0

    def status(self) -> dict[str, Any]:
        """Counters since the start of the controller, and its place in the streams."""
        return {
            "address": self._device.address,
            "connected": self._protocol is not None,
            "protocol": self._protocol,
            "connections": self._connections,
            "records": self._maker.records,
            "lost": self._maker.lost,
            "duplicates": self._tracker.duplicates,
            "text_messages": self._texts,
            "lines_written": self._output.lines,
            "bytes_waiting": self._output.size,
            "own_messages_dropped": self._output.dropped,
            "cursors": as_dicts(self._tracker.cursors()),
        }

    async def run(self) -> None:
        """Raises ReaderGone."""
        follower = Follower(self._device, self._tracker, identified=self._same_board)
        output, maker = self._output, self._maker
        async with aclosing(in_order(follower.events(), self._axis)) as events:
            async for event in events:
                if isinstance(event, Batch):
                    output.put(maker.feed(event.items, event.arrival))
                elif isinstance(event, Text):
                    self._texts += len(event.records)
                    origin = self._device.destination or 0
                    output.put(text_chunk(record, origin, self._fields) for record in event.records)
                elif isinstance(event, Up):
                    self._up(event)
                else:
                    self._down(event)
                await output.ready()

    def _say(self, level: Level, text: str) -> None:
        self._output.put([Chunk(process_line(level, OWN_NAME, text.replace("\n", " ")), 1)])

    def _up(self, event: Up) -> None:
        self._protocol = event.protocol
        self._connections += 1
        if event.after is not None:
            self._say(Level.INFO, f"connected to {self._device.address} after {event.after:.1f} s")
        if event.protocol == "text":
            self._say(Level.INFO, f"{self._device.address} knows only the old protocol: losses are not declared")

    def _down(self, event: Down) -> None:
        self._protocol = None
        address = self._device.address
        what = f"no connection to {address} yet" if event.first else f"connection to {address} lost"
        self._say(Level.WARN, f"{what} ({event.reason}); trying again")

    def _same_board(self, identity: Identity) -> None:
        """Cursors of another board mean nothing on this one."""
        state = self._state
        if state is None or state.board_id == identity.board_id:
            return
        if self._tracker.places and state.board_id:
            self._say(Level.WARN, f"this is another board ({identity.board_id:016x}, not {state.board_id:016x}): "
                                  "its log is read from its beginning")  # fmt: skip
            self._tracker.places.clear()
            self._maker.forget()
        state.forget(identity.board_id)
