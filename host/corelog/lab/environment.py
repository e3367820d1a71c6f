"""labgrid environment files for `make hil`: loaded and checked, so that a mistake in one is one clear line."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labgrid import Environment

    from corelog.lab.drivers.strategy import CoreDeviceStrategy

MAIN = "main"
# The paths of a core device, and what makes what should be there.
MAKERS = {"device_db": "corelog ddb-template", "images": "python -m corelog_gateware.targets... --build"}


class EnvironmentFileError(Exception):
    """The environment file cannot be used. The text says why, in one line."""


def load(path: Path) -> Environment:
    """The environment with all its targets made; nothing is switched on or connected to a board.

    Raises EnvironmentFileError.
    """
    if importlib.util.find_spec("labgrid") is None:
        raise EnvironmentFileError("labgrid is not installed: `make hil` installs it and runs this")
    from labgrid import Environment

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # unknown attributes, duplicate keys
            environment = Environment(config_file=str(path))
            check(environment)
    except EnvironmentFileError as error:
        raise EnvironmentFileError(f"{path}: {error}") from None
    except TypeError as error:  # of a target, check has named it
        raise EnvironmentFileError(f"{path}: it has no `targets:` at its top level") from error
    # Whatever a file may hold: labgrid lets its own errors, attrs', YAML's and Python's through.
    except Exception as error:
        raise EnvironmentFileError(f"{path}: {_one_line(error)}") from error
    return environment


def check(environment: Environment) -> None:
    """Each target must be a core device with our strategy, and the files that it names must be there."""
    data = environment.config.data
    if not isinstance(data, dict) or not isinstance(data.get("targets"), dict) or not data["targets"]:
        raise EnvironmentFileError(f"it has no `targets:` with a target `{MAIN}`")
    if MAIN not in data["targets"]:
        raise EnvironmentFileError(f"it has no target `{MAIN}`, only {', '.join(map(str, data['targets']))}")
    for role, config in data["targets"].items():
        try:
            _check_target(environment, role, config)
        except EnvironmentFileError as error:
            raise EnvironmentFileError(f"target {role}: {error}") from None
        except Exception as error:
            raise EnvironmentFileError(f"target {role}: {_one_line(error)}") from error


def _check_target(environment: Environment, role: str, config: Any) -> None:
    if not isinstance(config, dict):
        raise EnvironmentFileError("it has no resources and drivers")
    device = strategy(environment, role).device
    for name in MAKERS:
        path = getattr(device, name)
        if path is not None and not device.path(path).exists():
            raise EnvironmentFileError(f"{name}: there is no {device.path(path)} ({MAKERS[name]} makes it)")


def strategy(environment: Environment, role: str = MAIN) -> CoreDeviceStrategy:
    """Of a target. Raises EnvironmentFileError if it has none."""
    try:
        from corelog.lab.drivers import CoreDeviceStrategy
    except ImportError as error:
        raise EnvironmentFileError(_one_line(error)) from error
    target = environment.get_target(role)
    found = [driver for driver in target.drivers if isinstance(driver, CoreDeviceStrategy)] if target else []
    if len(found) != 1:
        raise EnvironmentFileError(f"it needs one CoreDeviceStrategy among its drivers, it has {len(found)}")
    return found[0]


def _one_line(error: BaseException) -> str:
    cause = error.__cause__
    text = " ".join(str(getattr(error, "msg", None) or error).split()) or type(error).__name__
    return f"{text}: {' '.join(str(cause).split())}" if isinstance(cause, TypeError) else text
