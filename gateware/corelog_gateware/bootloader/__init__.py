"""LiteX's BIOS as the bootloader of real boards. Start at README.md."""
