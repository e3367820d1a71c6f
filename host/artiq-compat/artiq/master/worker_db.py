"""Devices and datasets of a run outside of the master."""

from corelog.language.devices import DeviceError, DeviceManager, DummyDevice
from corelog.language.managers import DatasetManager

__all__ = ["DatasetManager", "DeviceError", "DeviceManager", "DummyDevice"]
