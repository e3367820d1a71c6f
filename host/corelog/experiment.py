"""Everything an experiment needs: `from corelog.experiment import *`."""

from corelog.coredevice.exceptions import RTIODestinationUnreachable, RTIOOverflow, RTIOUnderflow
from corelog.language import arguments, control, core, environment, kernels, scan, types, units
from corelog.language.arguments import *  # noqa: F403
from corelog.language.control import *  # noqa: F403
from corelog.language.core import *  # noqa: F403
from corelog.language.environment import *  # noqa: F403
from corelog.language.kernels import *  # noqa: F403
from corelog.language.scan import *  # noqa: F403
from corelog.language.types import *  # noqa: F403
from corelog.language.units import *  # noqa: F403

__all__ = ["RTIODestinationUnreachable", "RTIOOverflow", "RTIOUnderflow"]
__all__ += arguments.__all__ + control.__all__ + core.__all__ + environment.__all__ + kernels.__all__
__all__ += scan.__all__ + types.__all__ + units.__all__
