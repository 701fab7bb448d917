"""Fixtures of the scenarios: the command in a home of its own."""

from pathlib import Path

import pytest

from ..servers.fakeimap import FakeImap
from .cli_rig import Cli


@pytest.fixture
def maildock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fake_imap: FakeImap
) -> Cli:
    """The command with an account ``work`` on the fake server, whose password it knows."""
    cli = Cli(tmp_path / "home", capsys, monkeypatch, fake_imap.password)
    cli.add(fake_imap.port)
    return cli
