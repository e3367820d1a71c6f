"""Firmware of real boards, as it goes into their flash."""
