from .kasli import KasliCRG
from .kc705 import KC705CRG

__all__ = ["KC705CRG", "KasliCRG"]
