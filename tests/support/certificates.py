"""Certificates for tests of TLS."""

import subprocess
from pathlib import Path


def make_certificate(certificate: Path, key: Path) -> None:
    """A new self-signed certificate and its key, valid for two days."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/", "-days", "2", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True, timeout=60)
