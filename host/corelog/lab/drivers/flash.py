"""Flashing over JTAG by `corelog flash`, as people do it."""

import subprocess
from pathlib import Path

import attr
from labgrid.driver.common import Driver
from labgrid.driver.exception import ExecutionError
from labgrid.factory import target_factory
from labgrid.step import step

from corelog.lab.drivers.core_device import CoreDevice, FlashProtocol
from corelog.lab.program import executable


@target_factory.reg_driver
@attr.s(eq=False)
class CorelogFlashDriver(Driver, FlashProtocol):
    """Args:
    host: machine with the cable, reached by SSH (default: this one)
    preinit: OpenOCD commands to run first, which choose one of several cables, as `adapter serial 210203A00000`
    timeout: seconds for all
    """

    bindings = {"device": CoreDevice}

    host = attr.ib(default=None, validator=attr.validators.optional(attr.validators.instance_of(str)))
    preinit = attr.ib(
        default=attr.Factory(list), validator=attr.validators.deep_iterable(attr.validators.instance_of(str)))
    timeout = attr.ib(default=900.0, converter=float)

    @property
    def firmware_image(self) -> Path:
        return self._folder / ("software/runtime" if self._is_build_tree else "") / "runtime.fbi"

    @property
    def _folder(self) -> Path:
        if self.device.images is None:
            raise ExecutionError("the environment's core device has no `images`: the folder of what to flash")
        folder: Path = self.device.path(self.device.images)
        return folder

    @property
    def _is_build_tree(self) -> bool:
        """Whether the images lie as the targets write them, not all in one folder."""
        return (self._folder / "gateware").is_dir()

    def command(self) -> list[str]:
        """What is run."""
        line = [executable("corelog"), "flash", "-t", self.device.board, "-d", str(self._folder)]
        line += ["--srcbuild"] if self._is_build_tree else []
        line += ["-H", self.host] if self.host else []
        for text in self.preinit:
            line += ["-I", text]
        return [*line, "write", "start"]

    @Driver.check_active
    @step()
    def flash(self) -> None:
        try:
            done = subprocess.run(self.command(), capture_output=True, text=True, timeout=self.timeout, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ExecutionError(f"corelog flash: {error}") from error
        self.logger.info("corelog flash: %s", done.stdout)
        if done.returncode != 0:
            last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
            raise ExecutionError(f"corelog flash ended with status {done.returncode}: {last}")
