"""Checks of boards' gateware that need no vendor tool; see README.md."""
