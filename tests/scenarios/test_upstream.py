"""An account that comes from elsewhere is compared as a whole, once; other criteria are told; what is fresh is left."""

from dataclasses import replace
from pathlib import Path

import pytest

from provider import Account, ErrorKind, FolderPolicy, Keep, Security, Severity, SyncRequest
from provider.testing import MemoryServer
from provider.upstream import criteria_changes, criteria_of, identity_of, why_full
from store import AccountId, MailStore

from ..servers.fakeimap import FakeImap
from .cli_rig import Cli, message
from .rig import WireTap, account_at, run_to_the_end, synchronize

ME = Account(id=AccountId("me"), host="mail.example", user="jo")


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({}, ""),
        ({"host": "MAIL.example."}, ""),
        ({"port": 993}, ""),
        ({"security": Security.STARTTLS}, ""),
        ({"ca_file": Path("ca.pem")}, ""),
        ({"policy": FolderPolicy(keep=Keep.HEADERS)}, ""),
        ({"host": "other.example"}, "another server than at the last whole synchronization"),
        ({"port": 1993}, "another server than at the last whole synchronization"),
        ({"user": "ann"}, "another user than at the last whole synchronization"),
        (
            {"user": "ann", "host": "other.example"},
            "another server and another user than at the last whole synchronization",
        ),
    ],
)
def test_another_server_or_user_is_another_upstream_and_another_way_in_is_not(
    other: dict[str, object], why: str
) -> None:
    assert why_full(identity_of(ME), replace(ME, **other)) == why  # type: ignore[arg-type]
    assert why_full("", replace(ME, **other)) == ""  # type: ignore[arg-type]


def test_the_store_learns_neither_host_nor_user() -> None:
    assert "mail" not in identity_of(ME) and "jo" not in identity_of(ME)
    assert "mail" not in criteria_of(ME) and "jo" not in criteria_of(ME)


HEADERS, SMALL, YOUNG = FolderPolicy(keep=Keep.HEADERS), FolderPolicy(size_octets_max=10), FolderPolicy(age_days_max=9)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (ME, ME, ()),
        (ME, replace(ME, host="other.example"), ()),
        (ME, replace(ME, policy=HEADERS), ("every folder: what is kept is narrower",)),
        (replace(ME, policy=HEADERS), ME, ("every folder: what is kept is wider",)),
        (ME, replace(ME, policy=SMALL), ("every folder: the size limit is narrower",)),
        (replace(ME, policy=YOUNG), ME, ("every folder: the age limit is wider",)),
        (replace(ME, policy=YOUNG), replace(ME, policy=FolderPolicy(age_days_max=8)), None),
        (ME, replace(ME, policies=(("Lists", HEADERS),)), ("Lists: what is kept is narrower",)),
        (replace(ME, policies=(("Lists", HEADERS),)), ME, ("Lists: what is kept is wider",)),
        (
            replace(ME, policies=(("Lists", HEADERS),)),
            replace(ME, policy=HEADERS),
            ("every other folder: what is kept is narrower",),
        ),
    ],
)
def test_it_is_said_which_way_criteria_changed(before: Account, now: Account, told: tuple[str, ...] | None) -> None:
    expected = ("every folder: the age limit is narrower",) if told is None else told
    assert criteria_changes(criteria_of(before), now) == expected
    assert criteria_changes("", now) == ()


def test_many_folders_that_changed_are_counted() -> None:
    many = replace(ME, policies=tuple((f"folder {number}", HEADERS) for number in range(30)))
    told = criteria_changes(criteria_of(ME), many)
    assert (len(told), told[-1]) == (11, "and 20 more")


def told_of(store: MailStore, account: Account, request: SyncRequest | None = None) -> list[tuple[ErrorKind, Severity]]:
    """Synchronize; what the callback heard, which is what the history says, too."""
    result, host = run_to_the_end(store, account, request)
    assert result.ok
    with store.read() as view:
        kept = [(one.kind, one.text) for one in view.runs(account.id)[0].errors]
    assert kept == [(one.kind.value, one.text) for one in host.errors]
    assert store.eventlog.entries() == ()
    return [(one.kind, one.severity) for one in host.errors]


FULL_RUN = (ErrorKind.FULL_RUN, Severity.INFORMATION)
CRITERIA = (ErrorKind.CRITERIA_CHANGED, Severity.INFORMATION)


def test_another_upstream_is_compared_once_and_the_history_says_why(mail_store: MailStore) -> None:
    server = MemoryServer()
    server.append("INBOX", b"Subject: hello\r\n\r\nworld")
    here = server.account("me")
    there = replace(here, host="elsewhere.example")
    assert told_of(mail_store, here) == []
    assert told_of(mail_store, here) == []
    assert told_of(mail_store, there, SyncRequest(dry_run=True)) == []
    assert told_of(mail_store, there) == [FULL_RUN]
    assert told_of(mail_store, there) == []


def test_an_automatic_full_run_asks_for_the_flags_of_all_and_a_delta_does_not(
    fake_imap: FakeImap, mail_store: MailStore
) -> None:
    for number in range(1, 6):
        fake_imap.append("INBOX", message(number))
    with WireTap(fake_imap.port) as tap:
        account = account_at(tap.port, fake_imap.user, fake_imap.password)
        synchronize(mail_store, account)
        tap.forget()
        synchronize(mail_store, account)
        delta = tap.commands()
        with mail_store.write("another place", run=None) as tx:
            tx.set_upstream(account.id, "00 00", mail_store.upstream(account.id)[1])
        tap.forget()
        synchronize(mail_store, account)
        assert len(tap.commands()) > len(delta)


def test_a_run_in_which_a_folder_failed_does_not_count_as_whole(fake_imap: FakeImap, mail_store: MailStore) -> None:
    fake_imap.append("INBOX", message(1))
    account = account_at(fake_imap.port, fake_imap.user, fake_imap.password)
    request = SyncRequest(flags=SyncRequest().flags | 0x00020000, folders=("INBOX",))
    run_to_the_end(mail_store, account, request)
    assert mail_store.upstream(account.id) == ("", "")
    synchronize(mail_store, account)
    assert mail_store.upstream(account.id)[0] == identity_of(account)


def test_wider_criteria_are_told_and_bring_what_is_missing_and_narrower_ones_take_nothing(
    mail_store: MailStore,
) -> None:
    server = MemoryServer()
    server.append("INBOX", b"Subject: hello\r\n\r\nworld")
    full = server.account("me")
    narrow = replace(full, policy=HEADERS)

    def bodies() -> int:
        with mail_store.read() as view:
            return sum(folder.counts.bodies for folder in view.folders(full.id))

    assert (told_of(mail_store, narrow), bodies()) == ([], 0)
    assert (told_of(mail_store, full), bodies()) == ([CRITERIA], 1)
    assert (told_of(mail_store, narrow), bodies()) == ([CRITERIA], 1)
    assert (told_of(mail_store, narrow), bodies()) == ([], 1)


def test_what_is_fresh_is_left_alone_unless_it_is_forced_or_has_something_to_send(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    def sync(*words: object) -> bool:
        told = maildock("sync", *words)
        assert told.code == 0
        return "fresh enough" not in told.err

    assert sync("--max-age", 60)  # it never was
    fake_imap.append("INBOX", message(1))
    assert not sync("--max-age", 60)
    assert maildock("list", "INBOX", "--json").rows == []
    assert sync("--max-age", 60, "--full") and sync("--max-age", 60, "--force") and sync("--max-age", 0) and sync()
    (row,) = maildock("list", "INBOX", "--json").rows
    assert maildock("flag", row["id"], "flagged").code == 0
    assert sync("--max-age", 60)
    assert not sync("--max-age", 60)


def test_a_folder_that_was_never_looked_at_is_not_fresh(maildock: Cli, fake_imap: FakeImap) -> None:
    fake_imap.add_folder("Archive")
    assert maildock("sync", "--folder", "INBOX").code == 0
    assert maildock("sync", "--dry-run").code == 0
    assert "fresh enough" not in maildock("sync", "--max-age", 60).err
    assert "fresh enough" in maildock("sync", "--max-age", 60).err
