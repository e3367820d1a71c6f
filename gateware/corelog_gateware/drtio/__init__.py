"""DRTIO: links between boards (docs/drtio.md, README.md)."""
