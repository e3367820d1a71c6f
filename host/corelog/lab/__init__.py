"""Starts and watches the programs of a set-up: used by `corelog demo` and by the hardware-in-the-loop tests."""
