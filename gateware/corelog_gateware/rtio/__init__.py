"""RTIO: real-time input and output. Start at README.md."""

from .channel import Channel, InputInterface, OutputInterface
from .core import RTIOCore
from .cpu import RTIOErrors, RTIOFrontEnd

__all__ = ["Channel", "InputInterface", "OutputInterface", "RTIOCore", "RTIOErrors", "RTIOFrontEnd"]
