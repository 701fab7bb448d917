"""Hostile servers, lines 70 to 79 of the catalogue: SEARCH, CONDSTORE, QRESYNC."""

from __future__ import annotations

import pytest

from provider.errors import IncompleteAnswer, LimitExceeded, ProtocolBroken
from provider.sources.base import Exactness, Known, Opened
from provider.sources.imap.source import ImapSession
from store.mail import ModSeq, UidSet, UidValidity
from tests.wire.canned import EXAMINE, KNOWN, Hostile, canned, check, ok, opened
from tests.wire.rig import scripted_session

CONDSTORE = "IMAP4REV1 CONDSTORE"
QRESYNC = "IMAP4REV1 ENABLE CONDSTORE QRESYNC"


def row(number: int, items: bytes = b"FLAGS (\\Seen)") -> bytes:
    """A row of flags."""
    return b"* %d FETCH (UID %d %b)\r\n" % (number, number, items)


def changes(*lines: bytes) -> dict[str, object]:
    """CONDSTORE: the folder of 3, and the answer to CHANGEDSINCE."""
    return {"UID FETCH": ok(b"".join(lines))}


def resync(*lines: bytes) -> dict[str, object]:
    """QRESYNC: the same lines in the answer to EXAMINE."""
    return {"EXAMINE": EXAMINE.replace(b"<T> OK", b"".join(line + b"\r\n" for line in lines) + b"<T> OK")}


def report(told: object) -> tuple[Exactness, dict[int, set[str]], UidSet]:
    assert isinstance(told, Opened)
    flags = {flag.uid: set(flag.flags) for flag in told.changes.flags}
    return told.changes.exactness, flags, told.changes.vanished


def search(*lines: bytes, fallback: bytes = b"<T> NO no\r\n") -> dict[str, object]:
    """What SEARCH answers, and what the second way, FETCH of UIDs, does."""
    return {"UID SEARCH": ok(b"".join(line + b"\r\n" for line in lines)), "UID FETCH": fallback}


def existing(session: ImapSession) -> UidSet:
    session.open(b"INBOX", None)
    return session.existing()


NONE: tuple[Exactness, dict[int, set[str]], UidSet] = (Exactness.NONE, {}, UidSet())
THREE = [row(1), row(2), row(3)]

ROWS = [
    Hostile(
        "70",
        "SEARCH with trailing blank, two lines, unordered, doubled",
        search(b"* SEARCH 3 3 ", b"* SEARCH 2 1 3"),
        existing,
        lambda u: u == UidSet.span(1, 3),
    ),
    Hostile(
        "70", "SEARCH with MODSEQ", search(b"* SEARCH 1 2 3 (MODSEQ 9)"), existing, lambda u: u == UidSet.span(1, 3)
    ),
    Hostile("71", "OK and no SEARCH line", search(), existing, IncompleteAnswer),
    Hostile(
        "71",
        "OK and no SEARCH line, but FETCH tells all",
        search(fallback=ok(b"".join(THREE))),
        existing,
        lambda u: u == UidSet.span(1, 3),
    ),
    Hostile("71", "SEARCH tells too few, and FETCH is refused", search(b"* SEARCH 1"), existing, IncompleteAnswer),
    Hostile(
        "71",
        "ESEARCH with the wrong tag",
        search(b'* ESEARCH (TAG "zz") UID ALL 1:3 COUNT 3'),
        existing,
        IncompleteAnswer,
        "IMAP4REV1 ESEARCH",
    ),
    Hostile(
        "71",
        "ESEARCH whose count contradicts its set",
        search(b'* ESEARCH (TAG "<T>") UID COUNT 3 ALL 1:2'),
        existing,
        IncompleteAnswer,
        "IMAP4REV1 ESEARCH",
    ),
    Hostile(
        "71",
        "ESEARCH without COUNT",
        search(b'* ESEARCH (TAG "<T>") UID'),
        existing,
        IncompleteAnswer,
        "IMAP4REV1 ESEARCH",
    ),
    *(
        Hostile(
            "71",
            f"ESEARCH ALL {told.decode()}",
            search(b'* ESEARCH (TAG "<T>") UID COUNT 3 ALL ' + told),
            existing,
            ProtocolBroken,
            "IMAP4REV1 ESEARCH",
        )
        for told in (b"5:", b"*", b"9:1", b"1,,2", b"0:3", b"1:99999999999")
    ),
    Hostile(
        "72",
        "VANISHED (EARLIER) of all mail",
        resync(b"* VANISHED (EARLIER) 1:26183"),
        opened,
        lambda o: report(o) == (Exactness.EXACT, {}, UidSet.span(1, 3)),
        QRESYNC,
    ),
    Hostile(
        "73",
        "VANISHED 1:4294967295",
        resync(b"* VANISHED (EARLIER) 1:4294967295"),
        opened,
        lambda o: report(o)[2] == KNOWN.uids,
        QRESYNC,
    ),
    Hostile(
        "73",
        "a set that ends in a comma",
        resync(b"* VANISHED (EARLIER) 2,"),
        opened,
        lambda o: report(o)[2] == UidSet([2]),
        QRESYNC,
    ),
    Hostile(
        "73",
        "VANISHED, then FETCH of that UID",
        resync(b"* VANISHED (EARLIER) 1:2", b"* 2 FETCH (UID 2 FLAGS (a))"),
        opened,
        lambda o: report(o) == (Exactness.EXACT, {2: {"a"}}, UidSet([1])),
        QRESYNC,
    ),
    Hostile(
        "73",
        "FETCH, then VANISHED of that UID",
        resync(b"* 2 FETCH (UID 2 FLAGS (a))", b"* VANISHED (EARLIER) 2"),
        opened,
        lambda o: report(o) == (Exactness.EXACT, {}, UidSet([2])),
        QRESYNC,
    ),
    Hostile(
        "74",
        "VANISHED in many lines",
        resync(*(b"* VANISHED (EARLIER) %d" % uid for uid in (1, 3))),
        opened,
        lambda o: report(o)[2] == UidSet([1, 3]),
        QRESYNC,
    ),
    Hostile(
        "75",
        "QRESYNC announced, ENABLE not answered",
        {"ENABLE": b"* ENABLED\r\n<T> OK done\r\n", **changes(row(2, b"FLAGS ()"))},
        opened,
        lambda o: report(o) == (Exactness.FLAGS, {2: set()}, UidSet()),
        QRESYNC,
    ),
    Hostile(
        "77",
        "CHANGEDSINCE returns nothing",
        changes(),
        opened,
        lambda o: report(o) == (Exactness.FLAGS, {}, UidSet()),
        CONDSTORE,
    ),
    Hostile(
        "78",
        "EXPUNGE of what is not there",
        changes(b"* 4 EXPUNGE\r\n"),
        opened,
        lambda o: report(o) == NONE,
        CONDSTORE,
    ),
    Hostile("78", "EXPUNGE 0", changes(b"* 0 EXPUNGE\r\n"), opened, lambda o: report(o) == NONE, CONDSTORE),
    Hostile("78", "EXPUNGE flood", changes(b"* 1 EXPUNGE\r\n" * 300_000), opened, LimitExceeded, CONDSTORE),
]

NOT_HERE = {79: "IDLE comes with the manager"}


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_strange_answer_ends_as_stated(row: Hostile) -> None:
    check(row)


def test_every_line_of_this_part_has_a_row() -> None:
    assert {int(row.number) for row in ROWS} | {76} | set(NOT_HERE) == set(range(70, 80))


def test_line_76_changes_are_asked_for_up_to_the_last_uid_there_can_be() -> None:
    with scripted_session(canned(changes()), capabilities=CONDSTORE) as (session, server):
        session.open(b"INBOX", KNOWN)
    assert b"UID FETCH 1:4294967295 (UID FLAGS) (CHANGEDSINCE 10)" in server.commands


def test_a_very_large_folder_asks_for_changes_in_pages() -> None:
    known = Known(epoch=UidValidity(5), mod_seq=ModSeq(10), uids=UidSet.span(1, 250_000))
    with scripted_session(canned(changes()), capabilities=QRESYNC) as (session, server):
        told = session.open(b"INBOX", known)
    asked = [line.split(b" ")[2] for line in server.commands if b"CHANGEDSINCE 10 VANISHED" in line]
    assert asked == [b"1:50000", b"50001:100000", b"100001:150000", b"150001:200000", b"200001:4294967295"]
    assert told.changes.exactness is Exactness.EXACT
