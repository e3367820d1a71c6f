from .kasli import KasliCRG
from .kc705 import KC705CRG
from .output import ReferenceForward
from .recovered import RecoveredClock

__all__ = ["KC705CRG", "KasliCRG", "RecoveredClock", "ReferenceForward"]
