import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from sipyco_peers import Kept

from sipyco.tools import SimpleSSLConfig
from support.certificates import make_certificate


@pytest.fixture
def kept() -> Iterator[Kept]:
    """The root logger lets everything pass, and what names a source is kept."""
    handler = Kept()
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """(certificate, key) of a server, a client, and a stranger."""
    folder = tmp_path_factory.mktemp("certificates")
    made = {}
    for name in ("server", "client", "stranger"):
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        make_certificate(certificate, key)
        made[name] = certificate, key
    return made


@pytest.fixture
def tls(certificates: dict[str, tuple[Path, Path]]) -> dict[str, SimpleSSLConfig]:
    def config(own: str, peer: str) -> SimpleSSLConfig:
        return SimpleSSLConfig(*map(str, certificates[own]), str(certificates[peer][0]))
    return {"server": config("server", "client"), "client": config("client", "server"),
            "stranger": config("stranger", "server")}
