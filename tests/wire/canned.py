"""A server of canned answers for the hostile table: well behaved, but for the answers that a row replaces.

Room: tests/wire. In an answer ``<T>`` is our tag, as in the catalogue; lines end as written. An answer is octets, a
function of the tag, or a list of these for the first, second ... command of that name (the last one stays).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from provider.errors import ConnectionLost, ProviderError, SourceError
from provider.limits import Limits
from provider.sources.base import BodyWanted, Known
from provider.sources.imap.source import ImapSession
from store.mail import ModSeq, Uid, UidSet, UidValidity
from tests.wire.rig import Ear, Scripted, scripted_session

__all__ = ["EXAMINE", "KNOWN", "Hostile", "bodies", "canned", "check", "fetched", "ok", "opened", "rows_of"]

EXAMINE = (
    b"* FLAGS (\\Seen)\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 5] ok\r\n* OK [UIDNEXT 4] ok\r\n"
    b"* OK [HIGHESTMODSEQ 20] ok\r\n<T> OK [READ-ONLY] done\r\n"
)
_USUAL: dict[str, object] = {
    "CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n<T> OK done\r\n",
    "EXAMINE": EXAMINE,
    "LIST": b'* LIST () "/" INBOX\r\n<T> OK done\r\n',
    "LSUB": b"<T> OK done\r\n",
    "STATUS": b"* STATUS INBOX (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 5)\r\n<T> OK done\r\n",
    "ENABLE": b"* ENABLED QRESYNC CONDSTORE\r\n<T> OK done\r\n",
    "UID SEARCH": b"* SEARCH 1 2 3\r\n<T> OK done\r\n",
    "LOGOUT": b"* BYE bye\r\n<T> OK done\r\n",
}
KNOWN = Known(epoch=UidValidity(5), mod_seq=ModSeq(10), uids=UidSet.span(1, 3), uid_next=4)


def ok(rows: bytes) -> bytes:
    """Return *rows* and a good end."""
    return rows + b"<T> OK done\r\n"


def canned(answers: Mapping[str, object]) -> Callable[[bytes, bytes], bytes | None]:
    """Return the reply function of a server that answers so."""
    book = dict(_USUAL) | dict(answers)
    counts: dict[str, int] = {}

    def reply(tag: bytes, rest: bytes) -> bytes | None:
        words = rest.upper().split(b" ")
        name = b" ".join(words[: 2 if words[0] == b"UID" else 1]).decode("latin-1")
        answer = book.get(name, b"<T> OK done\r\n")
        if isinstance(answer, list):
            answer, counts[name] = answer[min(counts.get(name, 0), len(answer) - 1)], counts.get(name, 0) + 1
        octets = answer(tag) if callable(answer) else answer
        assert octets is None or isinstance(octets, bytes)
        return None if octets is None else octets.replace(b"<T>", tag)

    return reply


@dataclass(frozen=True, slots=True)
class Hostile:
    """One row of the catalogue: its number, what the server does, what we do, and what must come of it.

    *expected* is an error class (of which the session must die when it says so), or a function of the result and of
    what the session's listener heard.
    """

    number: str
    title: str
    answers: Mapping[str, object]
    act: Callable[[ImapSession], object]
    expected: type[ProviderError] | Callable[[object], bool]
    capabilities: str = "IMAP4REV1"
    limits: Limits = Limits()

    def __str__(self) -> str:
        return f"{self.number} {self.title}"


@contextmanager
def _session(row: Hostile, ear: Ear) -> Iterator[tuple[ImapSession, Scripted]]:
    with scripted_session(canned(row.answers), capabilities=row.capabilities, limits=row.limits, ear=ear) as pair:
        yield pair


def check(row: Hostile) -> None:
    """Play *row*."""
    with _session(row, Ear()) as (session, _):
        if not isinstance(row.expected, type):
            result = row.act(session)
            assert row.expected(result), f"{row}: {result!r}"
            assert session.open(b"INBOX", None).messages >= 0, "the session is still good"
            return
        with pytest.raises(row.expected) as caught:
            row.act(session)
        assert type(caught.value).__module__ == "provider.errors"
        if isinstance(caught.value, SourceError) and caught.value.drops_connection:
            with pytest.raises(ConnectionLost):
                session.folders()


def opened(session: ImapSession, known: Known | None = KNOWN) -> object:
    """Open INBOX again."""
    return session.open(b"INBOX", known)


def fetched(session: ImapSession) -> dict[int, object]:
    """Return the summaries of UIDs 1 to 3."""
    session.open(b"INBOX", None)
    return {row.uid: row for row in session.summaries(UidSet.span(1, 3))}


def rows_of(rows: Iterable[object]) -> dict[int, object]:
    """Return rows by UID."""
    return {row.uid: row for row in rows}  # type: ignore[attr-defined]


def bodies(session: ImapSession, sizes: Mapping[int, int | None] | None = None) -> dict[int, bytes | None]:
    """Return whole bodies by UID; None: the source answered and has none. UIDs 1 to 3 of 4,000 octets by default."""
    session.open(b"INBOX", None)
    sizes = sizes if sizes is not None else dict.fromkeys((1, 2, 3), 4_000)
    growing: dict[int, bytes] = {}
    done: dict[int, bytes | None] = {}
    for chunk in session.bodies([BodyWanted(uid=Uid(uid), size=size) for uid, size in sizes.items()]):
        assert chunk.uid not in done
        if chunk.octets is None:
            assert chunk.last and chunk.reason
            growing.pop(chunk.uid, None)
            done[chunk.uid] = None
            continue
        assert chunk.offset == len(growing.get(chunk.uid, b""))
        growing[chunk.uid] = growing.get(chunk.uid, b"") + chunk.octets
        if chunk.last:
            done[chunk.uid] = growing.pop(chunk.uid)
    assert not growing, "a body was left open"
    return done
