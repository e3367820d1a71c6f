"""What the names of lines carry for readers that know of fields (`sipyco.logs`): where and when a record was written.

Who starts the controller asks for them by CORELOG_LINE_FIELDS=1 in its environment; others see plain lines. They stand
in the name, of which the device has no say beyond printable text, so that no message can be taken for fields.
"""

from __future__ import annotations

import os

from corelog.coredevice.timeaxis import TimeAxis
from corelog.wire.stream import Records

MARK = "\x1f"
VARIABLE = "CORELOG_LINE_FIELDS"


def wanted() -> bool:
    """Whether the reader of the lines has asked for fields."""
    return os.environ.get(VARIABLE) == "1"


class Fields:
    """Texts to append to names.

    origin, boot_id, seq; device_us: microseconds since that boot of that board; host_time: Unix time of it by the
    common time axis; core_us: where it is in the core device's time, and uncertainty_ns: how far off that may be; the
    core device's own records do without these two. Each is there only where it is known.
    """

    def __init__(self, axis: TimeAxis) -> None:
        self._axis = axis

    @staticmethod
    def known(*, origin: int, boot_id: int | None = None, seq: int | None = None, device_us: int | None = None) -> str:
        """Of what is not a record of a stream."""
        boot = None if boot_id is None else f"{boot_id:016x}"
        values = {"origin": origin, "boot_id": boot, "seq": seq, "device_us": device_us}
        return MARK + ",".join(f"{key}={value}" for key, value in values.items() if value is not None)

    def records(self, run: Records, origin: int, boot_id: int, arrival: float | None) -> list[str]:
        """Of the records of a run."""
        moment = self._axis.moment
        begin = f"{MARK}origin={origin},boot_id={boot_id:016x},seq="
        found = []
        for seq, device_us in zip(run.seq.tolist(), run.time.tolist(), strict=True):
            text = f"{begin}{seq},device_us={device_us}"
            when = moment(origin, boot_id, device_us, arrival)
            if when.host is not None:
                text += f",host_time={when.host:.6f}"
            if origin and when.core_ns is not None:
                text += f",core_us={when.core_ns / 1000:.3f},uncertainty_ns={when.uncertainty_ns}"
            found.append(text)
        return found
