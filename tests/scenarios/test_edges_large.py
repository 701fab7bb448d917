"""E65 and E66: very much mail, very large mail, and mail that comes faster than it is read.

Memory stays bounded, and no folder starves another. Peaks are of Python's allocations, in a process of their own
(``large_child``). The large ones are soak tests; each has a small sample here.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from provider import ErrorKind, ItemStatus
from store import BodyState, MailStore, MimeLimit
from store.mime import parts

from ..servers.fake_answer import Answer
from ..servers.fakeimap import BARE, FULL, NO_CONDSTORE, NO_QRESYNC, FakeImap
from ..servers.plain_client import PlainClient
from .edge import letter
from .rig import account_at, mail_of, run_to_the_end, server_snapshot, store_snapshot, synchronize

SETS = pytest.mark.parametrize(
    "capabilities", [FULL, NO_QRESYNC, NO_CONDSTORE, BARE], ids=["full", "no-qresync", "no-condstore", "bare"]
)


def peak(what: str, number: int, home: Path) -> int:
    """Return the peak in octets, measured in a process of its own."""
    told = subprocess.run(
        [sys.executable, "-m", f"{__package__}.large_child", what, str(number), str(home)],
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(told.stdout)


def test_e65_many_messages_take_no_more_memory_than_few(tmp_path: Path) -> None:
    few, many = peak("many", 2_000, tmp_path), peak("many", 6_000, tmp_path)
    assert many <= 1.3 * few, (few, many)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_e65_a_hundred_thousand_messages_in_one_folder(tmp_path: Path) -> None:
    few, many = peak("many", 10_000, tmp_path), peak("many", 100_000, tmp_path)
    print(f"\n10,000 messages: {few:,} octets; 100,000 messages: {many:,} octets")
    assert many <= 5 * few  # the fake numbers all its messages anew for each command


def test_e65_a_large_message_is_never_whole_in_memory(tmp_path: Path) -> None:
    assert peak("one", 30_000_000, tmp_path) <= 20_000_000


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_e65_a_message_of_150_megabytes_takes_no_more_than_one_of_30(tmp_path: Path) -> None:
    assert peak("one", 150_000_000, tmp_path) <= 20_000_000


def many_parts(count: int) -> bytes:
    head = b"Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    return head + b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" * count + b"--b--\r\n"


def nested(levels: int) -> bytes:
    inner = b"Content-Type: text/plain\r\n\r\nx\r\n"
    for level in range(levels):
        head = b"Content-Type: multipart/mixed; boundary=n%d\r\n\r\n--n%d\r\n" % (level, level)
        inner = head + inner + b"--n%d--\r\n" % level
    return b"Subject: nested\r\nMIME-Version: 1.0\r\n" + inner


def test_e65_monsters_come_as_they_are_and_what_is_too_much_of_them_is_told(
    fake_imap: FakeImap, mail_store: MailStore
) -> None:
    references = b"Subject: long\r\nReferences:" + b" <reference@x.example>\r\n" * 45_000 + b"\r\nx\r\n"
    assert len(references) > 1_000_000
    for monster in (many_parts(10_000), nested(100), references):
        fake_imap.append("INBOX", monster)
    account = account_at(fake_imap.port, fake_imap.user, fake_imap.password)
    result, host = run_to_the_end(mail_store, account)
    assert result.ok and {error.kind for error in host.errors} <= {ErrorKind.LIMIT}
    with PlainClient.login(
        host=fake_imap.host, port=fake_imap.port, user=fake_imap.user, password=fake_imap.password
    ) as client:
        assert store_snapshot(mail_store) == server_snapshot(client, "/")
    wide, deep, long = mail_of(mail_store, "INBOX")
    with mail_store.read() as view:
        for one in (wide, deep):
            with pytest.raises(MimeLimit):
                list(parts(view.raw(one.key)))
        assert view.envelope(long.key).cut


@SETS
def test_e66_a_folder_that_fills_faster_than_it_is_read_starves_no_other(
    capabilities: Collection[str], mail_store: MailStore
) -> None:
    with FakeImap(capabilities=capabilities) as fake:
        for folder in ("Busy", "Sent"):
            fake.add_folder(folder)
        for folder in ("INBOX", "Busy", "Sent"):
            for number in range(20):
                fake.append(folder, letter(number, folder))
        account = account_at(fake.port, fake.user, fake.password)
        came = 0

        def one_more(answer: Answer) -> None:
            nonlocal came
            if answer.folder == b"Busy" or b"Busy" in answer.command.arguments[:1]:
                came += 1
                fake.append("Busy", letter(1_000 + came, "Busy"))

        fake.faults.on("*", one_more)
        for _ in range(3):
            result, _ = synchronize(mail_store, account)
            assert {item.status for item in result.items} == {ItemStatus.SUCCEEDED}
        assert came > 3
        assert len(mail_of(mail_store, "INBOX")) == len(mail_of(mail_store, "Sent")) == 20
        assert {one.body for one in mail_of(mail_store, "Busy")} == {BodyState.FULL}

        fake.faults.clear()
        synchronize(mail_store, account)
        with PlainClient.login(host=fake.host, port=fake.port, user=fake.user, password=fake.password) as client:
            assert store_snapshot(mail_store) == server_snapshot(client, "/")
