"""Everything an experiment needs: `from corelog.experiment import *`."""

from corelog.coredevice.exceptions import RTIODestinationUnreachable, RTIOOverflow, RTIOUnderflow
from corelog.language import types as _types
from corelog.language import units as _units
from corelog.language.arguments import (
    BooleanValue,
    CancelledArgsError,
    DefaultMissing,
    EnumerationValue,
    NoDefault,
    NumberValue,
    PYONValue,
    StringValue,
)
from corelog.language.core import (
    at_mu,
    delay,
    delay_mu,
    host_only,
    interleave,
    kernel,
    now_mu,
    parallel,
    portable,
    rpc,
    sequential,
)
from corelog.language.environment import EnvExperiment, Experiment, HasEnvironment
from corelog.language.types import *  # noqa: F403
from corelog.language.units import *  # noqa: F403

__all__ = [
    "BooleanValue", "CancelledArgsError", "DefaultMissing", "EnumerationValue", "EnvExperiment", "Experiment",
    "HasEnvironment", "NoDefault", "NumberValue", "PYONValue", "RTIODestinationUnreachable", "RTIOOverflow",
    "RTIOUnderflow", "StringValue", "at_mu", "delay", "delay_mu", "host_only", "interleave", "kernel", "now_mu",
    "parallel", "portable", "rpc", "sequential",
]
__all__ += _types.__all__ + _units.__all__
