"""RTIO: real-time input and output. Start at README.md."""

from .channel import Channel, InputInterface, OutputInterface
from .core import RTIOCore
from .cpu import RTIOErrors, RTIOFrontEnd
from .cri import CRI, unconnected_cri

__all__ = [
    "CRI", "Channel", "InputInterface", "OutputInterface", "RTIOCore", "RTIOErrors", "RTIOFrontEnd", "unconnected_cri",
]
