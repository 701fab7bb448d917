"""The commands of handlers and policies: listed, started, switched off, refused with a reason."""

from pathlib import Path

import pytest

from tests.scenarios.cli_rig import Cli
from tests.servers.fakeimap import FakeImap

PASSWORD = "pw-of-the-handlers"
MAIL = b"From: a@example.org\r\nSubject: hi\r\n\r\nx\r\n"


@pytest.fixture
def maildock(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path / "home", capsys, monkeypatch, PASSWORD)


def test_handlers_and_items_are_listed_and_started(maildock: Cli, fake_imap: FakeImap) -> None:
    fake_imap.mailbox.folder("INBOX").append(MAIL)
    maildock.password(fake_imap.password)
    maildock.add(fake_imap.port)
    (row,) = maildock("handlers", "--json").rows
    assert (row["handler"], row["state"], row["comment"]) == ("maildock", "ready", "1 accounts")
    started = maildock("handlers", "start", "maildock", "--json")
    assert started.code == 0, started.err
    (result,) = started.rows
    assert result["result"] == "succeeded" and result["items"][0] == {
        "item": "account:work",
        "status": "succeeded",
        "text": result["items"][0]["text"],
    }
    (row,) = maildock("handlers", "--items", "--json").rows
    names = {one["name"]: one for one in row["items"]}
    assert names["work: INBOX"]["comment"] == "1 messages, 1 unread"
    assert "work: INBOX" in maildock("handlers", "--items").out
    assert "succeeded" in maildock("handlers", "start").out
    maildock.password("wrong")
    failed = maildock("handlers", "start", "maildock")
    assert failed.code == 1 and "error: login-refused" in failed.out and "wrong" not in failed.out


def test_items_are_switched_off_removed_and_taken_back(maildock: Cli, fake_imap: FakeImap) -> None:
    fake_imap.mailbox.folder("INBOX").append(MAIL)
    maildock.password(fake_imap.password)
    maildock.add(fake_imap.port)
    maildock("sync")
    (row,) = maildock("handlers", "--items", "--json").rows
    inbox = next(one["item"] for one in row["items"] if one["name"] == "work: INBOX")
    assert maildock("handlers", "disable", "maildock", inbox).code == 0
    refused = maildock("handlers", "start", "maildock", inbox)
    assert refused.code == 2 and "switched off" in refused.err
    assert maildock("handlers", "enable", "maildock", inbox).code == 0
    assert maildock("handlers", "remove", "maildock", inbox).code == 0
    assert inbox not in maildock("handlers", "--items").out
    assert inbox in maildock("handlers", "--items", "--all").out
    assert maildock("handlers", "restore", "maildock", inbox).code == 0
    assert maildock("handlers", "remove", "maildock", "account:work").code == 2
    assert maildock("handlers", "deactivate", "maildock").code == 0
    assert maildock("handlers", "start", "maildock").code == 2
    assert maildock("handlers", "activate", "maildock").code == 0


def test_a_policy_refuses_with_its_reason_until_it_is_taken_back(maildock: Cli) -> None:
    maildock.add(1)
    said = maildock("policy", "refuse", "maildock", "start", "disable", "--reason", "By night only.")
    assert said.code == 0, said.err
    refused = maildock("handlers", "start", "maildock")
    assert refused.code == 2 and "By night only." in refused.err
    assert "By night only." in maildock("handlers", "disable", "maildock").err
    assert {row["refused"] for row in maildock("policy", "--json").rows} == {"start", "disable"}
    assert maildock("policy", "refuse", "maildock", "dance", "--reason", "x").code == 2
    assert maildock("policy", "refuse", "maildock", "activate", "--item", "account:work", "--reason", "x").code == 2
    assert maildock("policy", "refuse", "nobody", "start", "--reason", "x").code == 2
    assert maildock("policy", "allow", "maildock").code == 0
    assert maildock("policy", "--json").rows == []
    assert PASSWORD not in maildock("policy").out
