"""SI units as factors: `5*us` is 5e-6, `3*MHz` is 3e6."""

ps, ns, us, ms, s = 1e-12, 1e-9, 1e-6, 1e-3, 1.0
mHz, Hz, kHz, MHz, GHz = 1e-3, 1.0, 1e3, 1e6, 1e9
dB = 1.0
nA, uA, mA, A = 1e-9, 1e-6, 1e-3, 1.0
nW, uW, mW, W = 1e-9, 1e-6, 1e-3, 1.0
uV, mV, V, kV = 1e-6, 1e-3, 1.0, 1e3

__all__ = [
    "A", "GHz", "Hz", "MHz", "V", "W", "dB", "kHz", "kV", "mA", "mHz", "mV", "mW", "ms", "nA", "nW", "ns", "ps", "s",
    "uA", "uV", "uW", "us",
]


def scale_of(unit: str) -> float | None:
    """Factor of a unit name such as `MHz` (prefix and any base unit), or None if it is not one of this module."""
    if unit in __all__:
        return float(globals()[unit])
    return None
