"""Kinds of account and the sources that speak them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provider.account import Account
from provider.errors import InvalidRequest
from provider.sources.registry import KINDS, source_of
from store.mail import AccountId


@pytest.mark.parametrize("kind", ["imap", "maildir", "mbox"])
def test_every_kind_has_its_source(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "mail"
    place.mkdir() if kind == "maildir" else place.write_bytes(b"")
    account = Account(id=AccountId("a"), kind=kind, host="mail.example", user="u", path=place)
    assert hasattr(source_of(account), "connect")


def test_an_unknown_kind_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InvalidRequest, match="imap, maildir, mbox, memory"):
        source_of(Account(id=AccountId("a"), kind="pigeon"))


def test_no_source_is_imported_before_it_is_asked_for() -> None:
    names = "sorted(m for m in sys.modules if m.split('.')[0] in ('imapclient', 'mailbox'))"
    code = f"import sys, provider.sources.registry; print({names})"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "[]"
    assert set(KINDS) == {"imap", "maildir", "mbox", "memory"}
