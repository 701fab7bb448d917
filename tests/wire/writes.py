"""What the tests of writing share: writes, uploads, and what came of them.

Room: tests/wire.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from provider.sources.imap.source import ImapSession
from provider.sources.writing import FolderWrite, Mark, Transfer, Upload, WriteEnded, WriteEvent
from store.mail import ModSeq, UidSet, UidValidity
from tests.wire.canned import EXAMINE

__all__ = ["EPOCH", "SELECT", "deletion", "flagging", "only", "played", "transfer", "upload"]

T = TypeVar("T")

EPOCH = UidValidity(5)
SELECT = EXAMINE.replace(b"READ-ONLY", b"READ-WRITE").replace(
    b"* 3 EXISTS", b"* OK [PERMANENTFLAGS (\\Seen \\Deleted \\*)] ok\r\n* 3 EXISTS"
)


def played(session: ImapSession, *writes: FolderWrite) -> list[WriteEvent]:
    """Write, and return what came; each folder came to its end, in order."""
    events = list(session.write(iter(writes)))
    assert [event.write for event in events if isinstance(event, WriteEnded)] == list(writes)
    return events


def only(events: Iterable[WriteEvent], kind: type[T]) -> T:
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


def flagging(
    *add: str,
    uids: Iterable[int] = (1, 2, 3),
    remove: Iterable[str] = (),
    since: int | None = None,
    name: bytes = b"INBOX",
    epoch: int = EPOCH,
) -> FolderWrite:
    """Return the write of one mark."""
    mark = Mark(uids=UidSet(uids), add=frozenset(add), remove=frozenset(remove))
    known = None if since is None else ModSeq(since)
    return FolderWrite(name=name, epoch=UidValidity(epoch), unchanged_since=known, marks=(mark,))


def transfer(
    uids: Iterable[int] = (1, 2, 3),
    *,
    move: bool = True,
    target: bytes = b"B",
    name: bytes = b"INBOX",
    epoch: int = EPOCH,
) -> FolderWrite:
    """Return the write of one copy or move."""
    step = Transfer(uids=UidSet(uids), target=target, move=move)
    return FolderWrite(name=name, epoch=UidValidity(epoch), transfers=(step,))


def deletion(uids: Iterable[int] = (1, 2), *, name: bytes = b"INBOX", epoch: int = EPOCH) -> FolderWrite:
    """Return the write of deletions."""
    return FolderWrite(name=name, epoch=UidValidity(epoch), deletes=UidSet(uids))


def upload(octets: bytes = b"Subject: x\r\n\r\nbody\r\n", *flags: str) -> Upload:
    return Upload(octets=lambda: [octets], size=len(octets), flags=frozenset(flags))
