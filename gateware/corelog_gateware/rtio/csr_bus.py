"""The one place where the RTIO cores name their CSR classes.

Only what LiteX and MiSoC share is used, so that the cores can be taken to a MiSoC design by changing this file alone.
"""

from litex.soc.interconnect.csr import CSR, AutoCSR, CSRStatus, CSRStorage
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel

__all__ = ["CSR", "AutoCSR", "CSRStatus", "CSRStorage", "EventManager", "EventSourceLevel"]
