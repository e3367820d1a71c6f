"""Former name of `sipyco.tools`."""

import warnings

from sipyco.tools import *  # noqa: F403  all of it is what this module is for

warnings.warn("sipyco.asyncio_tools is now sipyco.tools", DeprecationWarning, stacklevel=2)
