"""Environment and arguments of experiments."""

from corelog.language import arguments, environment
from corelog.language.arguments import *  # noqa: F403
from corelog.language.environment import *  # noqa: F403
from corelog.language.environment import is_experiment as is_experiment
from corelog.language.environment import is_public_experiment as is_public_experiment
from corelog.language.managers import ProcessArgumentManager as ProcessArgumentManager
from corelog.language.managers import TraceArgumentManager as TraceArgumentManager

__all__ = arguments.__all__ + environment.__all__
