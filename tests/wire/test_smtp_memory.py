"""A large message goes out in pieces: what it takes in memory does not grow with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.certs import CertificateShop
from tests.servers.fakesmtp import FakeSmtp

ROOT = Path(__file__).parents[2]
OCTETS = 25_000_000
GROWTH_OCTETS_MAX = 40_000_000


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_message_of_25_megabytes_takes_less_than_forty(secure: bool, certs: CertificateShop) -> None:
    tls = certs.good().server_context() if secure else None
    with FakeSmtp(tls=tls, implicit_tls=secure) as server:
        command = [sys.executable, "-m", "tests.wire.smtp_child", str(server.port), str(OCTETS)]
        if secure:
            command.append(str(certs.authority))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
    assert int(done.stdout) < GROWTH_OCTETS_MAX
    assert len(server.delivered[1].octets) == OCTETS
