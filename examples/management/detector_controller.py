"""Controller of a simulated photon counter, with a shutter as its second target and remote execution as its third."""

import argparse
import functools
import random

from sipyco import common_args
from sipyco.pc_rpc import simple_server_loop
from sipyco.remote_exec import RemoteExecServer


class Shutter:
    """Lets light in, or not."""

    def __init__(self):
        self._open = True

    def set(self, open: bool) -> None:
        self._open = bool(open)

    def get(self) -> bool:
        return self._open


class Detector:
    """Counts photons: `rate` per second, and 20 in the dark."""

    def __init__(self, rate: float, shutter: Shutter):
        self._rate = rate
        self._shutter = shutter
        self._random = random.Random(0)

    def ping(self) -> bool:
        return True

    def count(self, seconds: float) -> int:
        """Photons in a time."""
        mean = (self._rate if self._shutter.get() else 20) * seconds
        return max(0, round(self._random.gauss(mean, mean**0.5)))

    def trace(self, points: int, seconds: float) -> list[int]:
        """Photons in each of many times: much data, better looked at here."""
        return [self.count(seconds) for _ in range(points)]


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    common_args.simple_network_args(parser, 3300)
    common_args.verbosity_args(parser)
    parser.add_argument("--rate", type=float, default=1000.0, help="photons per second (default: %(default)s)")
    return parser


def main() -> None:
    args = get_argparser().parse_args()
    common_args.init_logger_from_args(args)
    shutter = Shutter()
    detector = Detector(args.rate, shutter)
    namespace = {"controller_driver": detector}
    namespace["controller_initial_namespace"] = namespace
    targets = {"detector": detector, "shutter": shutter,
               "detector_rexec": functools.partial(RemoteExecServer, namespace, time_limit=10.0, log_output=True)}
    simple_server_loop(targets, common_args.bind_address_from_args(args), args.port)


if __name__ == "__main__":
    main()
