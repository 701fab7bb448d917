"""Fixtures of this room: a small internet, and a real keyring."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ..servers.certs import CertificateShop
from ..servers.keyring_daemon import KeyringDaemon
from ..servers.require import require_keyring
from .internet import Internet


@pytest.fixture
def internet(certs: CertificateShop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    """Web and mail servers with real TLS, found by name."""
    with ExitStack() as running:
        yield Internet(certs, running, monkeypatch)


@pytest.fixture(scope="session")
def keyring_daemon() -> Iterator[KeyringDaemon]:
    """A real GNOME Keyring, unlocked."""
    require_keyring()
    with KeyringDaemon() as daemon:
        yield daemon
