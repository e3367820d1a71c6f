"""Bytes of the core device's protocols, without any I/O. Imports nothing else of ours."""
