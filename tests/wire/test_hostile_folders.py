"""Hostile servers, lines 30 to 51 of the catalogue: listing and opening. One row a case."""

from __future__ import annotations

import pytest

from provider.errors import CommandRefused, FolderUnusable, IncompleteAnswer, LimitExceeded
from provider.limits import Limits
from provider.sources.base import Exactness, FolderListing, Opened
from provider.sources.imap.source import ImapSession
from store.mail import Role
from tests.wire.canned import EXAMINE, Hostile, canned, check, ok, opened
from tests.wire.rig import Ear, scripted_session

CONDSTORE = "IMAP4REV1 CONDSTORE"
CHANGES = ok(b"* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (15))\r\n")


def listing(session: ImapSession) -> FolderListing:
    return session.folders()


def lists(*lines: bytes) -> dict[str, object]:
    return {"LIST": ok(b"".join(b"* LIST " + line + b"\r\n" for line in lines))}


def names(told: object) -> set[bytes]:
    assert isinstance(told, FolderListing)
    return {folder.name for folder in told.folders}


def paths(told: object) -> set[tuple[str, ...]]:
    assert isinstance(told, FolderListing)
    return {folder.path.names for folder in told.folders}


def report(told: object) -> Exactness:
    assert isinstance(told, Opened)
    return told.changes.exactness


def examine(*lines: bytes) -> dict[str, object]:
    """A folder of 3 messages whose EXAMINE answer ends in other lines."""
    whole = EXAMINE.replace(b"<T> OK", b"".join(line + b"\r\n" for line in lines) + b"<T> OK")
    return {"EXAMINE": whole, "UID FETCH": CHANGES}


def without(line: bytes, *instead: bytes) -> dict[str, object]:
    """A folder whose EXAMINE answer lacks the line that begins so, or has others in its place."""
    kept = [told for told in EXAMINE.split(b"\r\n") if not told.startswith(line)]
    at = 1
    return {"EXAMINE": b"\r\n".join([*kept[:at], *instead, *kept[at:]]), "UID FETCH": CHANGES}


ROWS = [
    Hostile(
        "30",
        "names that look like paths of a file system",
        lists(*(b'() "/" "%b"' % n for n in (b"../../etc/passwd", b"/abs", b"a/../b", b"."))),
        listing,
        lambda told: (
            names(told) == {b"../../etc/passwd", b"/abs", b"a/../b", b"."}
            and paths(told) == {("..", "..", "etc", "passwd"), ("", "abs"), ("a", "..", "b"), (".",)}
        ),
    ),
    Hostile(
        "30",
        "empty name",
        lists(b'() "/" INBOX', b'() "/" ""'),
        listing,
        lambda told: names(told) == {b"INBOX"} and len(told.problems) == 1,
    ),
    Hostile(
        "31",
        "odd delimiters",
        lists(b"() NIL INBOX", b'() "\\\\" "a\\\\b"', b'() "a" xay', b'() "." p.q'),
        listing,
        lambda told: paths(told) == {("INBOX",), ("a", "b"), ("x", "y"), ("p", "q")},
    ),
    Hostile(
        "32",
        "iNbOx and INBOX",
        lists(b'(\\HasChildren) "/" iNbOx', b'(\\Marked) "/" INBOX', b'() "/" inbox/x'),
        listing,
        lambda told: (
            names(told) == {b"INBOX", b"inbox/x"}
            and paths(told) == {("INBOX",), ("INBOX", "x")}
            and next(f for f in told.folders if f.name == b"INBOX").role is Role.INBOX
        ),
    ),
    Hostile(
        "33",
        "bad modified UTF-7, raw UTF-8",
        lists(b'() "/" "&AAAA"', b'() "/" "&Jjo!"', b'() "/" "K\xc3\xa4se"', b'() "/" "\xff\xfe"'),
        listing,
        lambda told: (
            names(told) == {b"&AAAA", b"&Jjo!", b"K\xc3\xa4se", b"\xff\xfe"}
            and paths(told) == {("&AAAA",), ("&Jjo!",), ("Käse",), ("ÿþ",)}
        ),
    ),
    Hostile(
        "34",
        "equal after normalising or case folding",
        lists(b'() "/" "&AOQ-"', b'() "/" "a&Awg-"', b'() "/" work', b'() "/" Work'),
        listing,
        lambda told: len(told.folders) == 4,
    ),
    Hostile(
        "35",
        "name of 100,000 octets",
        lists(b'() "/" INBOX', b'() "/" "' + b"n" * 100_000 + b'"'),
        listing,
        lambda told: names(told) == {b"INBOX"} and len(told.problems[0].folder or "") <= 500,
    ),
    Hostile(
        "35",
        "more folders than we keep",
        lists(*(b'() "/" f%d' % n for n in range(101))),
        listing,
        LimitExceeded,
        limits=Limits(folders=100),
    ),
    Hostile(
        "36",
        "name as literal with CR LF inside",
        lists(b'() "/" INBOX', b'() "/" {13}\r\na\r\nX1 DELETE b'),
        listing,
        lambda told: names(told) == {b"INBOX"} and len(told.problems) == 1,
    ),
    Hostile("37", "empty LIST", lists(), listing, lambda told: not told.folders and not told.complete),
    Hostile("38", "NO to LIST", {"LIST": b"<T> NO not now\r\n"}, listing, IncompleteAnswer),
    Hostile(
        "39", "renamed meanwhile", {"EXAMINE": [b"<T> NO [NONEXISTENT] gone\r\n", EXAMINE]}, opened, FolderUnusable
    ),
    Hostile(
        "39",
        "renamed, told in words",
        {"EXAMINE": [b"<T> NO Mailbox doesn't exist\r\n", EXAMINE]},
        opened,
        FolderUnusable,
    ),
    Hostile("39", "refused for now", {"EXAMINE": [b"<T> NO [INUSE] locked\r\n", EXAMINE]}, opened, CommandRefused),
    Hostile(
        "40",
        "Noselect, NonExistent, LSUB of what LIST lacks",
        {
            **lists(b'(\\Noselect \\HasChildren) "/" a', b'(\\NonExistent) "/" b', b'(\\HasChildren) "/" c'),
            "LSUB": ok(b'* LSUB () "/" c\r\n* LSUB () "/" ghost\r\n'),
        },
        listing,
        lambda told: (
            {f.name: (f.selectable, f.subscribed) for f in told.folders}
            == {b"a": (False, False), b"b": (False, False), b"c": (True, True)}
        ),
    ),
    *(
        Hostile(
            "41",
            f"UIDVALIDITY {told.decode() or 'missing'}",
            without(b"* OK [UIDVALIDITY", told),
            opened,
            lambda o: o.epoch is None,
        )
        for told in (b"* OK x", b"* OK [UIDVALIDITY 0] x", b"* OK [UIDVALIDITY 4294967296] x")
    ),
    Hostile(
        "42",
        "UIDVALIDITY goes down",
        without(b"* OK [UIDVALIDITY", b"* OK [UIDVALIDITY 4] x"),
        opened,
        lambda o: o.epoch == 4 and o.changes.exactness is Exactness.NONE and not o.changes.flags,
        CONDSTORE,
    ),
    Hostile("44", "no UIDNEXT", without(b"* OK [UIDNEXT"), opened, lambda o: o.uid_next is None),
    Hostile(
        "44",
        "UIDNEXT far ahead",
        without(b"* OK [UIDNEXT", b"* OK [UIDNEXT 4294967295] x"),
        opened,
        lambda o: o.uid_next == 4294967295,
    ),
    *(
        Hostile(
            "45",
            f"mod-sequence: {told.decode()}",
            without(b"* OK [HIGHESTMODSEQ", told),
            opened,
            lambda o: o.mod_seq is None and report(o) is Exactness.NONE,
            CONDSTORE,
        )
        for told in (
            b"* OK [HIGHESTMODSEQ 0] x",
            b"* OK [NOMODSEQ] x",
            b"* OK [HIGHESTMODSEQ 9] below the one we saved",
            b"* OK [HIGHESTMODSEQ 9223372036854775808] above 2^63-1",
            b"* OK [HIGHESTMODSEQ] without text",
        )
    ),
    Hostile(
        "45",
        "mod-sequence above 2^53",
        without(b"* OK [HIGHESTMODSEQ", b"* OK [HIGHESTMODSEQ 9007199254740993] x"),
        opened,
        lambda o: o.mod_seq == 9007199254740993 and report(o) is Exactness.FLAGS,
        CONDSTORE,
    ),
    Hostile(
        "46",
        "the count falls without EXPUNGE",
        examine(b"* 5 EXISTS", b"* 3 EXISTS"),
        opened,
        lambda o: report(o) is Exactness.NONE,
        CONDSTORE,
    ),
    Hostile(
        "47", "0 EXISTS in the middle", examine(b"* 0 EXISTS"), opened, lambda o: report(o) is Exactness.NONE, CONDSTORE
    ),
    Hostile(
        "48", "EXISTS 4294967295", examine(b"* 4294967295 EXISTS"), lambda s: (opened(s), s.existing()), LimitExceeded
    ),
    Hostile("49", "READ-ONLY, later READ-WRITE", examine(b"* OK [READ-WRITE] now"), opened, lambda o: o.messages == 3),
    Hostile(
        "50", "PERMANENTFLAGS missing or empty", examine(b"* OK [PERMANENTFLAGS ()] x"), opened, lambda o: o.flags_kept
    ),
]

NOT_HERE = {
    43: "UIDs reused in the same epoch are found by hash, by the engine: the session tells what the server tells"
}


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_strange_folder_ends_as_stated(row: Hostile) -> None:
    check(row)


def test_every_line_of_this_part_has_a_row() -> None:
    assert {int(row.number) for row in ROWS} | set(NOT_HERE) | {51} == set(range(30, 52))


def test_line_51_an_alert_reaches_the_listener_as_the_server_s_text() -> None:
    ear = Ear()
    answers = examine(b"* OK [ALERT] <script>alert(1)</script>\x1b[31m")
    with scripted_session(canned(answers), ear=ear) as (session, _):
        session.open(b"INBOX", None)
    [notice] = ear.notices
    assert notice.kind == "server-alert"
    assert notice.server_text == "<script>alert(1)</script>[31m"
    assert "script" not in notice.text
