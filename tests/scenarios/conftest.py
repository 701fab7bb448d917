"""Fixtures of the scenarios: the command in a home of its own, a checked store, waits that are counted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import MailStore

from ..servers.fakeimap import FakeImap
from .cli_rig import Cli
from .flights import Flights, counting_flights
from .places import place  # noqa: F401  (a fixture)
from .rig import checked_store


@pytest.fixture
def maildock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fake_imap: FakeImap
) -> Cli:
    """The command with an account ``work`` on the fake server, whose password it knows."""
    cli = Cli(tmp_path / "home", capsys, monkeypatch, fake_imap.password)
    cli.add(fake_imap.port)
    return cli


@pytest.fixture
def mail_store(tmp_path: Path) -> Iterator[MailStore]:
    """A new store; at the end of the test every invariant of it is checked, every octet included."""
    with checked_store(tmp_path / "mail.db") as store:
        yield store


@pytest.fixture
def flights() -> Iterator[Flights]:
    """Waits on servers, counted from now on: ``flights.take()``."""
    with counting_flights() as counted:
        yield counted
