"""Corelog under the names of ARTIQ; see the README."""

from importlib.metadata import version

__version__ = f"corelog {version('corelog')}"
