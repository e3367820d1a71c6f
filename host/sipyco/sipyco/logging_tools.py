"""Former name of `sipyco.logs`."""

import warnings

from sipyco.logs import *  # noqa: F403  all of it is what this module is for

warnings.warn("sipyco.logging_tools is now sipyco.logs", DeprecationWarning, stacklevel=2)
