from .ethernet import kc705_ethernet
from .kasli import KasliTransceivers
from .kc705 import KC705Transceivers

__all__ = ["KC705Transceivers", "KasliTransceivers", "kc705_ethernet"]
