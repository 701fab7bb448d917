"""Edge cases of what goes out that no table of scenarios can play: servers that bend what they are told (E38, E43).

The others of E37 to E49 are named by ``tests/test_rows.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from provider import Counts, ErrorKind, MailStoreProvider, SyncRequest
from provider.testing import MemoryServer, RecordingCallback
from store.mail import FolderPath, Uid

from .rig import HANG_SECONDS, checked_store

LETTER = b"Subject: one\r\nMessage-ID: <1@x>\r\nReceived: by y\r\n\r\nbody\r\n"


class Forgetful(MemoryServer):
    """Takes a keyword, and drops it without a word."""

    def set_flags(self, path: FolderPath | str, uid: int, flags: Iterable[str]) -> None:
        super().set_flags(path, uid, [flag for flag in flags if flag != "work"])


class Sparing(MemoryServer):
    """Keeps each message of a folder once, as Gmail does: adding it again gives the UID that it has."""

    def append(
        self,
        path: FolderPath | str,
        octets: bytes,
        *,
        flags: Iterable[str] = (),
        internal_date: datetime | None = None,
        uid: int | None = None,
        size: int | None = None,
    ) -> Uid:
        for one in self.messages(path):
            if one.octets == octets:
                return one.uid
        return super().append(path, octets, flags=flags, internal_date=internal_date, uid=uid, size=size)


class Deaf(MemoryServer):
    """Says OK to new mail, and stores nothing (H81)."""

    def append(
        self,
        path: FolderPath | str,
        octets: bytes,
        *,
        flags: Iterable[str] = (),
        internal_date: datetime | None = None,
        uid: int | None = None,
        size: int | None = None,
    ) -> Uid:
        return Uid(1)


def test_new_mail_that_the_server_took_and_does_not_have_is_told_and_not_sent_for_ever(tmp_path: Path) -> None:
    server = Deaf(tells_places=False)
    with checked_store(tmp_path / "mail.db") as store, MailStoreProvider(store, [server.account()]) as provider:
        provider.SynchronizeInBackground().wait(HANG_SECONDS)
        with store.read() as view:
            inbox = view.folders()[0].id
        with store.edit("add it") as edit:
            edit.append(inbox, LETTER)
        heard = RecordingCallback()
        for _ in range(2):
            provider.SynchronizeInBackground(SyncRequest(callback=heard)).wait(HANG_SECONDS)
        with store.read() as view:
            assert view.operations() == ()
    assert sum(call.startswith("append") for call in server.calls) == 1
    assert [error.kind for error in heard.errors] == [ErrorKind.MESSAGE_MISSING]


def test_e38_a_flag_that_the_server_drops_is_not_sent_again_for_ever(tmp_path: Path) -> None:
    server = Forgetful()
    server.append("INBOX", LETTER)
    with checked_store(tmp_path / "mail.db") as store, MailStoreProvider(store, [server.account()]) as provider:
        provider.SynchronizeInBackground().wait(HANG_SECONDS)
        with store.read() as view:
            key = view.all_messages().messages[0].key
        with store.edit("mark") as edit:
            edit.set_flags([key], add=["work", "\\Flagged"])
        told = provider.SynchronizeInBackground().wait(HANG_SECONDS)
        calls = len(server.calls)
        again = provider.SynchronizeInBackground().wait(HANG_SECONDS)
        with store.read() as view:
            assert view.message(key).flags == {"\\Flagged"}
            assert view.operations() == ()
            assert view.wishes(server.account().id) == []
    assert told.uploaded.modified == 1
    assert again.uploaded == Counts()
    assert not any(call.startswith("mark") for call in server.calls[calls:])


def test_e43_a_server_that_keeps_a_message_once_gives_the_place_that_it_has(tmp_path: Path) -> None:
    server = Sparing()
    server.append("INBOX", LETTER)
    with checked_store(tmp_path / "mail.db") as store, MailStoreProvider(store, [server.account()]) as provider:
        provider.SynchronizeInBackground().wait(HANG_SECONDS)
        with store.read() as view:
            inbox = view.folders()[0].id
        with store.edit("add it again") as edit:
            edit.append(inbox, LETTER)
        provider.SynchronizeInBackground().wait(HANG_SECONDS)
        again = provider.SynchronizeInBackground().wait(HANG_SECONDS)
        with store.read() as view:
            assert len(view.messages(inbox).messages) == 1
            assert view.operations() == ()
    assert len(server.messages("INBOX")) == 1
    assert (again.uploaded, again.downloaded) == (Counts(), Counts())
