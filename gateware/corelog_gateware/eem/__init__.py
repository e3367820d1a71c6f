"""Cards and connectors of a system description as pads and RTIO channels. Start at README.md."""

from .channels import eem_io, eem_phys

__all__ = ["eem_io", "eem_phys"]
