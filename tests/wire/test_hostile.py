"""Hostile servers, lines 16 to 29 of the catalogue: framing. One row a case, by number."""

from __future__ import annotations

import pytest

from provider.errors import ConnectionLost, LimitExceeded, ProtocolBroken, TimedOut
from provider.limits import Limits
from provider.sources.base import BodyWanted
from store.mail import Uid, UidSet
from tests.wire.canned import EXAMINE, Hostile, bodies, canned, check, fetched, ok, opened
from tests.wire.rig import scripted_session

QUICK = Limits(command_seconds=0.3, octets_per_second=1_000_000)
"""The deadline is what is tested: it is short, so that the test is."""
ROW = b'* 1 FETCH (UID 1 FLAGS () INTERNALDATE "01-Jan-2020 00:00:00 +0000" RFC822.SIZE 3)\r\n'


def literal(announced: bytes) -> dict[str, object]:
    return {"UID FETCH": ok(b"* 1 FETCH (UID 1 BODY[] " + announced + b"\r\nabc)\r\n")}


ROWS = [
    Hostile("16", "OK without text", {"UID FETCH": ROW + b"<T> OK\r\n"}, fetched, ProtocolBroken),
    Hostile("16", "two spaces behind the tag", {"UID FETCH": ROW + b"<T>  OK x\r\n"}, fetched, ProtocolBroken),
    Hostile("16", "tag in lower case", {"UID FETCH": lambda tag: tag.lower() + b" ok x\r\n"}, fetched, ProtocolBroken),
    Hostile("16", "unknown tag", {"UID FETCH": b"ZZ9 OK x\r\n"}, fetched, ProtocolBroken),
    Hostile("17", "LF only", {"EXAMINE": b"* 3 EXISTS\n<T> OK done\r\n"}, opened, ProtocolBroken),
    Hostile("17", "CR CR LF", {"EXAMINE": b"* 3 EXISTS\r\r\n<T> OK done\r\n"}, opened, ProtocolBroken),
    Hostile("17", "CR only", {"EXAMINE": b"* 3 EXISTS\r<T> OK done\r"}, opened, TimedOut, limits=QUICK),
    Hostile("18", "NUL in a line", {"EXAMINE": b"* OK a\0b\r\n" + EXAMINE}, opened, lambda told: told.messages == 3),
    Hostile(
        "18",
        "8-bit octets in flags",
        {"UID FETCH": ok(ROW.replace(b"FLAGS ()", b"FLAGS (\\Seen caf\xc3\xa9 \xff)"))},
        fetched,
        lambda rows: rows[1].flags == {"\\Seen", "café", "ÿ"},
    ),
    Hostile(
        "19",
        "literal with too little, then silence",
        {"UID FETCH": b"* 1 FETCH (UID 1 BODY[] {3}\r\nab"},
        bodies,
        TimedOut,
        limits=QUICK,
    ),
    Hostile(
        "20",
        "literal longer than announced",
        {"UID FETCH": b"* 1 FETCH (UID 1 BODY[] {3}\r\nabcdef)\r\n"},
        bodies,
        ProtocolBroken,
    ),
    Hostile(
        "20",
        "literal longer, and it looks like items",
        {"UID FETCH": b"* 1 FETCH (UID 1 BODY[] {3}\r\nabc x)\r\n"},
        bodies,
        ProtocolBroken,
    ),
    *(
        Hostile("21", f"literal {count.decode()}", literal(count), bodies, ProtocolBroken)
        for count in (b"{-1}", b"{}", b"{03}", b"{3+}", b"{1e3}", b"~{4}")
    ),
    Hostile("21", "literal {99999999999}", literal(b"{99999999999}"), bodies, LimitExceeded),
    Hostile("21", "literal of 23 digits", literal(b"{" + b"9" * 23 + b"}"), bodies, ProtocolBroken),
    Hostile("22", "open quote", {"LIST": ok(b'* LIST () "/" "abc\r\n')}, lambda s: s.folders(), ProtocolBroken),
    Hostile(
        "22",
        "open quote in a row",
        {"UID FETCH": ok(b'* 1 FETCH (UID 1 INTERNALDATE "abc\r\n')},
        fetched,
        ProtocolBroken,
    ),
    Hostile(
        "23", "brackets 5,000 deep", {"UID FETCH": ok(b"* 1 FETCH " + b"(" * 5_000 + b"\r\n")}, fetched, LimitExceeded
    ),
    Hostile(
        "23",
        "brackets 400,000 deep",
        {"LIST": ok(b"* LIST " + b"(" * 400_000 + b"\r\n")},
        lambda s: s.folders(),
        LimitExceeded,
    ),
    Hostile(
        "23",
        "square brackets without end",
        {"LIST": ok(b'* LIST () "/" ' + b"[" * 400_000 + b"\r\n")},
        lambda s: s.folders(),
        lambda listing: len(listing.problems) == 1,
    ),
    Hostile(
        "24",
        "line of 1,000,001 octets",
        {"EXAMINE": b"* OK " + b"x" * 1_000_001 + b"\r\n" + EXAMINE},
        opened,
        LimitExceeded,
    ),
    Hostile(
        "25", "untagged lines without end", {"EXAMINE": b"* OK x\r\n" * 1_000_001 + EXAMINE}, opened, LimitExceeded
    ),
    Hostile("25", "empty lines without end", {"EXAMINE": b"\r\n" * 300_000 + EXAMINE}, opened, LimitExceeded),
    Hostile("26", "continuation that nobody waits for", {"EXAMINE": b"+ go\r\n" + EXAMINE}, opened, ProtocolBroken),
    Hostile("26", "bare continuation", {"EXAMINE": b"+\r\n" + EXAMINE}, opened, ProtocolBroken),
    Hostile(
        "27",
        "completion of a tag not yet sent",
        {"EXAMINE": lambda tag: tag[:-1] + b"77 OK x\r\n"},
        opened,
        ProtocolBroken,
    ),
    Hostile(
        "27",
        "completion of the same tag twice",
        {"EXAMINE": EXAMINE + b"<T> OK again\r\n"},
        lambda s: (opened(s), s.existing()),
        ProtocolBroken,
    ),
    Hostile(
        "28",
        "BYE in the middle of FETCH",
        {"UID FETCH": ROW + b"* BYE down\r\n<T> OK done\r\n"},
        fetched,
        ConnectionLost,
    ),
    Hostile("28", "connection ends before the answer", {"UID FETCH": lambda tag: None}, bodies, ConnectionLost),
    Hostile(
        "M16",
        "tagged text with no command open",
        {"EXAMINE": EXAMINE + b"W1234-3 OK x\r\n"},
        lambda s: (opened(s), s.existing()),
        ProtocolBroken,
    ),
]

NOT_HERE = {29: "APPEND: nothing is sent to a server in this room yet"}


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_line_that_breaks_the_framing_ends_as_stated(row: Hostile) -> None:
    check(row)


def test_every_line_of_this_part_has_a_row() -> None:
    assert {int(row.number) for row in ROWS if row.number.isdigit()} | set(NOT_HERE) == set(range(16, 30))


def test_rows_before_a_bye_are_kept() -> None:
    answers = {"UID FETCH": ROW + b"* BYE down\r\n"}
    with scripted_session(canned(answers)) as (session, _):
        session.open(b"INBOX", None)
        rows = session.summaries(UidSet.span(1, 3))
        assert next(rows).uid == 1
        with pytest.raises(ConnectionLost):
            next(rows)


def test_a_literal_cut_by_the_end_of_the_connection_closes_no_body() -> None:
    cut = b"* 1 FETCH (UID 1 BODY[] {700000}\r\n" + b"x" * 600_000
    with scripted_session(canned({"UID FETCH": cut})) as (session, server):
        server.hang_up_after = lambda rest: rest.startswith(b"UID FETCH")
        session.open(b"INBOX", None)
        chunks = session.bodies([BodyWanted(uid=Uid(1), size=700_000)])
        assert not next(chunks).last
        with pytest.raises(ConnectionLost):
            assert not any(chunk.last for chunk in chunks)


def test_outstanding_commands_may_complete_in_any_order() -> None:
    held: list[bytes] = []

    def reply(tag: bytes, rest: bytes) -> bytes | None:
        if not rest.startswith(b"STATUS"):
            return canned({"LIST": ok(b'* LIST () "/" a\r\n* LIST () "/" b\r\n')})(tag, rest)
        held.append(tag)
        if len(held) < 2:
            return b""
        rows = b"* STATUS b (MESSAGES 2)\r\n* STATUS a (MESSAGES 1)\r\n"
        return rows + b"".join(late + b" OK done\r\n" for late in reversed(held))

    with scripted_session(reply) as (session, _):
        listing = session.folders()
    assert {f.name: f.status.messages for f in listing.folders if f.status} == {b"a": 1, b"b": 2}
