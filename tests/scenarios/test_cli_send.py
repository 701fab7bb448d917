"""The command sends: whole messages and built ones, into the outbox and out, with second thoughts in between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from provider.cli.exits import ExitCode

from ..servers.fakeimap import FakeImap
from ..servers.fakesmtp import FakeSmtp, Manners
from .cli_rig import Cli, on_server
from .test_cli_bad_input import one_sentence

ME, ANN = "fake@example.org", "ann@example.org"
LETTER = f"From: {ME}\nTo: {ANN}\nBcc: bob@example.org\nSubject: Lunch?\n\nAt noon.\n.\n"


@pytest.fixture
def smtp(fake_imap: FakeImap) -> Iterator[FakeSmtp]:
    with FakeSmtp(Manners(users={ME: fake_imap.password})) as server:
        yield server


@pytest.fixture
def sender(maildock: Cli, fake_imap: FakeImap, smtp: FakeSmtp) -> Cli:
    """A command with one account that receives and sends."""
    words = ["--smtp-host", "127.0.0.1", "--smtp-port", smtp.port, "--smtp-security", "none"]
    assert maildock("account", "set", "work", "--user", ME, *words).code == 0
    assert maildock("sync").code == 0
    return maildock


def letter(tmp_path: Path, text: str = LETTER) -> Path:
    path = tmp_path / "letter.eml"
    path.write_text(text)
    return path


def test_a_message_in_a_file_goes_out_and_its_copy_into_sent(
    sender: Cli, smtp: FakeSmtp, fake_imap: FakeImap, tmp_path: Path
) -> None:
    sent = sender("send", letter(tmp_path))

    assert (sent.code, sent.err) == (0, "")
    assert "ann@example.org: accepted" in sent.out
    (one,) = smtp.delivered
    assert one.recipients == (ANN, "bob@example.org")
    assert b"\r\nSubject: Lunch?\r\n" in one.octets
    assert one.octets.endswith(b"\r\n\r\nAt noon.\r\n.\r\n")
    assert b"bcc" not in one.octets.lower()
    assert sender("outbox").out == "The outbox is empty.\n"
    assert sender("sync").code == 0
    assert len(on_server(fake_imap, "Sent")) == 1


def test_a_message_is_built_from_options_with_text_and_attachment(sender: Cli, smtp: FakeSmtp, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("Grüße\n")
    (tmp_path / "bild ä.png").write_bytes(b"\x89PNG\0\r\n")
    words = ["--to", f"Änn <{ANN}>", "--cc", "c@example.org", "--bcc", "hidden@example.org", "--subject", "Über alles"]

    sent = sender("send", tmp_path / "text", *words, "--attach", tmp_path / "bild ä.png", "--json")

    assert sent.code == 0
    (row,) = sent.rows
    assert (row["state"], row["subject"], row["from"]) == ("filed", "Über alles", ME)
    assert [one["address"] for one in row["recipients"]] == [ANN, "c@example.org", "hidden@example.org"]
    octets = smtp.delivered[0].octets
    assert b"hidden@" not in octets
    assert b"image/png" in octets


def test_a_text_alone_needs_no_file(sender: Cli, smtp: FakeSmtp) -> None:
    assert sender("send", "--to", ANN, "--subject", "Nothing to say").code == 0
    assert len(smtp.delivered) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"From: {ME}\nSubject: nobody\n\nx\n", ("recipient",)),
        (f"To: {ANN}\nSubject: two\nSubject: of it\n\nx\n", ("Subject",)),
        ("no header at all\n", ("line",)),
    ],
)
def test_what_is_no_message_is_refused_and_nothing_is_queued(
    text: str, words: tuple[str, ...], sender: Cli, tmp_path: Path
) -> None:
    refused = sender("send", letter(tmp_path, text))
    assert refused.code == ExitCode.USAGE
    one_sentence(refused.err, *words)
    assert sender("outbox").out == "The outbox is empty.\n"


@pytest.mark.parametrize("hostile", ["x\r\nBcc: evil@example.org", "x\nSubject: other", "x\0y"])
def test_an_option_cannot_add_a_header(hostile: str, sender: Cli, smtp: FakeSmtp) -> None:
    for words in (["--to", ANN, "--subject", hostile], ["--to", f"{ANN}{hostile}"], ["--to", f'"@{hostile}']):
        assert sender("send", *words).code == ExitCode.USAGE
    assert smtp.delivered == []


def test_nothing_to_send_and_nobody_to_send_it_is_said(sender: Cli, maildock: Cli, tmp_path: Path) -> None:
    one_sentence(sender("send").err, "nothing to send")
    one_sentence(sender("send", letter(tmp_path), "--account", "nobody").err, "nobody")
    one_sentence(sender("send", letter(tmp_path), "--priority", "mad").err, "mad")
    one_sentence(sender("send", letter(tmp_path), "--at", "soon").err, "soon")
    one_sentence(sender("send", tmp_path / "not there").err, "not there")
    one_sentence(sender("outbox", "show", 99).err, "99")
    one_sentence(sender("outbox", "cancel", 10**30).err, "1000000000000")


def test_an_account_without_a_way_out_says_how_to_give_it_one(maildock: Cli, tmp_path: Path) -> None:
    refused = maildock("send", letter(tmp_path))
    assert refused.code == ExitCode.USAGE
    assert "--smtp-host" in refused.err


def test_what_is_queued_is_listed_shown_taken_back_and_sent(sender: Cli, smtp: FakeSmtp, tmp_path: Path) -> None:
    path = letter(tmp_path)
    assert sender("send", path, "--queue", "--key", "one").code == 0
    assert sender("send", path, "--queue", "--key", "one").code == 0, "the same key is the same message"
    assert sender("send", path, "--queue", "--at", "2999-01-01T00:00:00Z", "--priority", "high").code == 0
    rows = sender("outbox", "--json").rows
    assert [(row["state"], row["priority"]) for row in rows] == [("queued", "normal"), ("queued", "high")]
    assert smtp.connections == 0
    shown = sender("outbox", "show", rows[0]["id"])
    assert "Lunch?" in shown.out
    raw = sender("outbox", "show", rows[0]["id"], "--raw")
    assert "At noon." in raw.out
    assert "bob@" not in raw.out
    assert "Taken out" in sender("outbox", "cancel", rows[1]["id"]).out

    assert sender("send-receive").code == 0

    assert len(smtp.delivered) == 1
    gone = sender("outbox", "cancel", rows[0]["id"])
    assert gone.code == ExitCode.ERRORS
    one_sentence(gone.err, "sent already")
    again = sender("outbox", "retry", rows[0]["id"])
    assert again.code == ExitCode.ERRORS
    one_sentence(again.err, "sent already")
    assert [row["state"] for row in sender("outbox", "--all", "--json").rows] == ["filed"]


def test_a_suspended_outbox_says_so_and_sends_nothing(sender: Cli, smtp: FakeSmtp, tmp_path: Path) -> None:
    assert sender("outbox", "suspend").code == 0
    assert sender("send", letter(tmp_path)).code == ExitCode.ERRORS
    assert "suspended" in sender("outbox").out
    assert smtp.connections == 0
    assert sender("outbox", "resume", "work").code == 0
    assert sender("send-receive", "--send-only").code == 0
    assert len(smtp.delivered) == 1


def test_a_refusal_is_told_with_its_exit_code_and_kept_for_a_person(
    sender: Cli, smtp: FakeSmtp, tmp_path: Path
) -> None:
    smtp.manners = replace(smtp.manners, answers={"rcpt": b"550 5.1.1 \x1b[31mnobody\r\n"})
    refused = sender("send", letter(tmp_path))
    assert refused.code == ExitCode.ERRORS
    assert "\x1b" not in refused.out + refused.err
    assert "refused" in refused.out
    (row,) = sender("outbox", "--json").rows
    assert (row["state"], row["recipients"][0]["code"], row["recipients"][0]["enhanced"]) == ("rejected", 550, "5.1.1")
    smtp.manners = replace(smtp.manners, answers={})
    assert sender("outbox", "retry", row["id"]).code == 0
    assert sender("send-receive", "--send-only").code == 0
    assert len(smtp.delivered) == 1


def test_a_server_that_is_away_leaves_the_message_in_the_outbox(sender: Cli, tmp_path: Path) -> None:
    assert sender("account", "set", "work", "--smtp-port", 1).code == 0
    away = sender("send", letter(tmp_path))
    assert away.code == ExitCode.UNREACHABLE
    (row,) = sender("outbox", "--json").rows
    assert row["state"] == "queued"
    assert row["next_try"]


def test_send_receive_shows_both_halves(sender: Cli, tmp_path: Path) -> None:
    sender("send", letter(tmp_path), "--queue")
    both = sender("send-receive")
    assert both.code == 0
    assert re.search(r"^work: outbox: 1 message sent$", both.out, re.MULTILINE)
    assert re.search(r"^work: succeeded;", both.out, re.MULTILINE)
    only = sender("send-receive", "--receive-only", "--json")
    assert {row["item"] for row in only.rows if row["type"] == "progress"} == {"account", "folder"}
    one_sentence(sender("send-receive", "--send-only", "--receive-only").err, "exclude each other")
