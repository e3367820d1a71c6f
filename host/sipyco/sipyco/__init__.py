"""Independent implementation of the SiPyCo library: same import name, same API, same bytes on the wire."""
