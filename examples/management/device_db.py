# Device database of the examples of the management system.

import sys
from pathlib import Path

device_db = {
    "detector": {
        "type": "controller",
        "host": "127.0.0.1",
        "port": 3300,
        "target_name": "detector",
        "command": "'{python}' '{program}' -p {port} --bind {bind} --no-localhost-bind --rate {rate}",
        # fields of one's own, which the command's placeholders may name
        "python": sys.executable,
        "program": str(Path(__file__).absolute().parent / "detector_controller.py"),
        "rate": 2000,
    },
    # Two more targets of the same program.
    "detector_shutter": {"type": "controller_aux_target", "controller": "detector", "target_name": "shutter"},
    "detector_rexec": {"type": "controller_aux_target", "controller": "detector", "target_name": "detector_rexec"},
    # Of the simulated board, with the values of ../device_db.py.
    "core": {
        "type": "local",
        "module": "corelog.coredevice.core",
        "class": "Core",
        "arguments": {"host": "127.0.0.1", "ref_period": 62.5e-9},
    },
    "ttl0": {"type": "local", "module": "corelog.coredevice.ttl", "class": "TTLOut", "arguments": {"channel": 0}},
}
