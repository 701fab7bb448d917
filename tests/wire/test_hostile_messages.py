"""Hostile servers, lines 52 to 69 of the catalogue: FETCH. One row a case."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from provider.errors import LimitExceeded, ProtocolBroken
from provider.limits import Limits
from provider.sources.base import BodyWanted, Exactness, Opened
from store.mail import Uid, UidSet
from tests.wire.canned import Hostile, bodies, canned, check, fetched, ok, opened, rows_of
from tests.wire.rig import scripted_session

CONDSTORE = "IMAP4REV1 CONDSTORE"
DATE = b'INTERNALDATE "01-Jan-2020 00:00:00 +0000"'
BODY = b"x" * 4_000
PARTS = Limits(whole_octets=1_000, part_octets=1_000)
"""Everything above 1,000 octets is fetched in parts."""


def row(number: int, items: bytes = b"", uid: int | None = None) -> bytes:
    """A whole summary row; *items* replace those that follow the UID."""
    items = items or b"FLAGS (\\Seen) " + DATE + b" RFC822.SIZE 4000"
    return b"* %d FETCH (UID %d %b)\r\n" % (number, uid or number, items)


def fetch(*lines: bytes) -> dict[str, object]:
    return {"UID FETCH": ok(b"".join(lines))}


def body(uid: int, spelled: bytes) -> bytes:
    return b"* %d FETCH (UID %d BODY[] %b)\r\n" % (uid, uid, spelled)


def whole(uid: int) -> bytes:
    return body(uid, b"{4000}\r\n" + BODY)


def changes(*lines: bytes) -> dict[str, object]:
    """CONDSTORE: the folder of 3, and the answer to CHANGEDSINCE."""
    return fetch(*lines)


def report(told: object) -> tuple[Exactness, dict[int, set[str]], UidSet]:
    assert isinstance(told, Opened)
    flags = {flag.uid: set(flag.flags) for flag in told.changes.flags}
    return told.changes.exactness, flags, told.changes.vanished


def by_set(answer: Callable[[set[int]], bytes]) -> Callable[[bytes, bytes], bytes | None]:
    """A server whose FETCH of bodies depends on the UIDs asked for."""

    def reply(tag: bytes, rest: bytes) -> bytes | None:
        match = re.match(rb"UID FETCH (\S+) ", rest)
        if match is None:
            return canned({})(tag, rest)
        return answer(set(UidSet.parse(match[1].decode()))).replace(b"<T>", tag)

    return reply


def parts(told: Callable[[int, int], bytes]) -> Callable[[bytes, bytes], bytes | None]:
    """A server that answers a part by offset and count, and whole messages truly."""

    def reply(tag: bytes, rest: bytes) -> bytes | None:
        if not rest.startswith(b"UID FETCH"):
            return canned({})(tag, rest)
        match = re.search(rb"<(\d+)\.(\d+)>", rest)
        answer = told(int(match[1]), int(match[2])) if match else whole(1)
        return answer + tag + b" OK done\r\n"

    return reply


def literal(octets: bytes, origin: bytes = b"") -> bytes:
    return b"* 1 FETCH (UID 1 BODY[]%b {%d}\r\n%b)\r\n" % (origin, len(octets), octets)


NONE: tuple[Exactness, dict[int, set[str]], UidSet] = (Exactness.NONE, {}, UidSet())

ROWS = [
    Hostile(
        "52",
        "row without UID",
        changes(b"* 2 FETCH (FLAGS (\\Deleted))\r\n"),
        opened,
        lambda o: report(o) == NONE,
        CONDSTORE,
    ),
    Hostile(
        "52",
        "row without UID, among others",
        fetch(row(1), b"* 2 FETCH (FLAGS (\\Deleted))\r\n"),
        fetched,
        lambda r: set(r) == {1},
    ),
    *(
        Hostile(
            "53",
            f"UID {uid.decode()}, once",
            fetch(b"* 1 FETCH (UID %b FLAGS ())\r\n" % uid, row(2)),
            fetched,
            lambda r: set(r) == {2},
        )
        for uid in (b"0", b"-1", b"4294967296", b"abc", b"1 UID 2")
    ),
    *(
        Hostile(
            "53",
            f"UID {uid.decode()}, twice",
            fetch(b"* 1 FETCH (UID %b FLAGS ())\r\n" % uid * 2),
            fetched,
            ProtocolBroken,
        )
        for uid in (b"0", b"-1", b"4294967296", b"abc", b"1 UID 2")
    ),
    Hostile(
        "54", "one UID, two numbers", changes(row(1, uid=3), row(3)), opened, lambda o: report(o) == NONE, CONDSTORE
    ),
    Hostile(
        "54", "two UIDs, one number", changes(row(1), row(1, uid=2)), opened, lambda o: report(o) == NONE, CONDSTORE
    ),
    Hostile("55", "rows never asked for", fetch(row(77, uid=900), row(1), whole(2)), fetched, lambda r: set(r) == {1}),
    Hostile("55", "bodies never asked for", fetch(whole(9), whole(1)), bodies, lambda b: b == {1: BODY}),
    Hostile("56", "a UID is missing", fetch(row(1), row(3)), fetched, lambda r: set(r) == {1, 3}),
    Hostile("57", "BODY[] NIL", fetch(body(1, b"NIL"), whole(2)), bodies, lambda b: b == {1: None, 2: BODY}),
    Hostile("57", 'BODY[] ""', fetch(body(1, b'""'), whole(2)), bodies, lambda b: b == {1: None, 2: BODY}),
    Hostile(
        "57", "{0} for 4,000 octets", fetch(body(1, b"{0}\r\n"), whole(2)), bodies, lambda b: b == {1: None, 2: BODY}
    ),
    Hostile("57", "{0} for 0 octets", fetch(body(1, b"{0}\r\n")), lambda s: bodies(s, {1: 0}), lambda b: b == {1: b""}),
    Hostile(
        "58", "size not equal to the octets", fetch(whole(1)), lambda s: bodies(s, {1: 9}), lambda b: b == {1: BODY}
    ),
    Hostile(
        "60",
        "items behind the closing bracket",
        fetch(b"* 1 FETCH (BODY[] {3}\r\nabc) UID 5 FLAGS ())\r\n"),
        bodies,
        ProtocolBroken,
    ),
    Hostile(
        "60",
        "items behind the literal, in place",
        fetch(b"* 1 FETCH (BODY[] {3}\r\nabc UID 1 FLAGS ())\r\n"),
        bodies,
        lambda b: b == {1: b"abc"},
    ),
    *(
        Hostile(
            "61",
            f"date {date.decode()}",
            fetch(row(1, b"FLAGS () RFC822.SIZE 3 INTERNALDATE " + date)),
            fetched,
            lambda r: r[1].internal_date is None,
        )
        for date in (
            b'"31-Feb-2024 25:61:61 +9999"',
            b"NIL",
            b'"01-Jan-0000 00:00:00 +0000"',
            b'"01-Jan-99999999 00:00:00 +0000"',
        )
    ),
    Hostile(
        "62",
        "ENVELOPE, which nobody asked for",
        fetch(
            row(
                1,
                b'FLAGS (\\Seen) RFC822.SIZE 3 ENVELOPE (NIL (("a" NIL NIL NIL)) "' + b"x" * 500_000 + b'") ' + DATE,
            )
        ),
        fetched,
        lambda r: r[1].size == 3,
    ),
    Hostile(
        "63",
        "BODYSTRUCTURE, which nobody asked for",
        fetch(row(1, b"BODYSTRUCTURE " + b"(" * 90 + b'"text"' + b")" * 90 + b" FLAGS () RFC822.SIZE 3 " + DATE)),
        fetched,
        lambda r: r[1].size == 3,
    ),
    Hostile(
        "63",
        "BODYSTRUCTURE 900 deep",
        fetch(row(1, b"BODYSTRUCTURE " + b"(" * 900 + b")" * 900)),
        fetched,
        LimitExceeded,
    ),
    Hostile(
        "64",
        "FLAGS without brackets",
        fetch(row(1, b"FLAGS \\Seen \\Draft RFC822.SIZE 3 " + DATE)),
        fetched,
        lambda r: r[1].flags == {"\\Seen", "\\Draft"},
    ),
    Hostile(
        "64",
        "FLAGS NIL",
        fetch(row(1, b"FLAGS NIL RFC822.SIZE 3 " + DATE)),
        fetched,
        lambda r: r[1].flags == frozenset(),
    ),
    Hostile(
        "64",
        "one flag three times",
        fetch(row(1, b"FLAGS (a a A) RFC822.SIZE 3 " + DATE)),
        fetched,
        lambda r: r[1].flags == {"A"},
    ),
    Hostile(
        "64",
        "10,000 keywords",
        fetch(row(1, b"FLAGS (" + b" ".join(b"k%d" % n for n in range(10_000)) + b") RFC822.SIZE 3 " + DATE)),
        fetched,
        lambda r: len(r[1].flags) == 10_000,
    ),
    Hostile(
        "64",
        "MODSEQ without brackets",
        changes(row(1, b"FLAGS () MODSEQ 15")),
        opened,
        lambda o: o.changes.flags[0].mod_seq == 15,
        CONDSTORE,
    ),
    Hostile(
        "64",
        "MODSEQ 2^64-1",
        changes(row(1, b"FLAGS () MODSEQ (18446744073709551615)")),
        opened,
        lambda o: o.changes.flags[0].mod_seq is None,
        CONDSTORE,
    ),
    Hostile("65", "a number above EXISTS", fetch(row(99, uid=2)), fetched, lambda r: set(r) == {2}),
    Hostile(
        "66",
        "random order, one UID in two rows",
        fetch(row(3), row(1, b"FLAGS (\\Seen)"), row(2), row(1, DATE + b" RFC822.SIZE 7")),
        fetched,
        lambda r: set(r) == {1, 2, 3} and (r[1].flags, r[1].size) == ({"\\Seen"}, 7),
    ),
    Hostile(
        "68",
        "a UID below the range asked for",
        fetch(row(3), row(1)),
        lambda s: (opened(s), rows_of(s.summaries(UidSet([3]))))[1],
        lambda r: set(r) == {3},
    ),
    Hostile(
        "69",
        "EXPUNGE during UID FETCH",
        fetch(row(1), b"* 2 EXPUNGE\r\n", row(2, uid=3)),
        fetched,
        lambda r: set(r) == {1, 3},
    ),
]

ALONE = {59, 67}


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_strange_answer_ends_as_stated(row: Hostile) -> None:
    check(row)


def test_every_line_of_this_part_has_a_row() -> None:
    assert {int(row.number) for row in ROWS} | ALONE == set(range(52, 70))


PARTS_TOLD: dict[str, tuple[Callable[[int, int], bytes], dict[int, bytes | None]]] = {
    "longer than asked": (lambda offset, count: literal(BODY[: count + 1], b"<%d>" % offset), {1: BODY}),
    "without its offset": (lambda offset, count: literal(BODY[:count]), {1: BODY}),
    "of another offset": (lambda offset, count: literal(BODY[:count], b"<%d>" % (offset + 7)), {1: BODY}),
    "longer only in the middle": (
        lambda offset, count: literal(BODY[: count + (offset == 2_000)], b"<%d>" % offset),
        {1: BODY},
    ),
    "shorter, and then goes on": (
        lambda offset, count: literal(BODY[: 700 if offset == 1_000 else count], b"<%d>" % offset),
        {1: BODY},
    ),
    "never ends": (lambda offset, count: literal(BODY[:count], b"<%d>" % offset), {1: None}),
    "always the beginning, of other octets": (
        lambda offset, count: literal(b"y" * (count + (offset == 2_000)), b"<%d>" % offset),
        {1: None},
    ),
}


@pytest.mark.parametrize("title", PARTS_TOLD)
def test_line_59_a_part_that_is_not_believed_makes_the_message_come_whole(title: str) -> None:
    told, expected = PARTS_TOLD[title]
    with scripted_session(parts(told), limits=PARTS) as (session, server):
        assert bodies(session, {1: 4_000}) == expected
        assert session.open(b"INBOX", None).messages == 3
    assert sum(b"BODY.PEEK[])" in line for line in server.commands) == 1, "one try whole"


def test_a_message_that_went_away_between_two_answers_does_not_come() -> None:
    with scripted_session(parts(lambda offset, count: b""), limits=PARTS) as (session, _):
        assert bodies(session, {1: 4_000}) == {}


def test_line_59_what_is_not_believed_twice_is_no_body() -> None:
    def reply(tag: bytes, rest: bytes) -> bytes | None:
        if not rest.startswith(b"UID FETCH"):
            return canned({})(tag, rest)
        match = re.search(rb"<(\d+)\.", rest)
        first = match is not None and match[1] == b"0"
        row = literal(b"x" * 1_000, b"<0>") if first else literal(b"y" * 5_000, b"<1>") if match else literal(b"x")
        return row + tag + b" OK done\r\n"

    with scripted_session(reply, limits=PARTS) as (session, _):
        session.open(b"INBOX", None)
        chunks = list(session.bodies([BodyWanted(uid=Uid(1), size=4_000)]))
    assert chunks[-1].last and chunks[-1].octets is None and "contradicts" in chunks[-1].reason


def test_line_67_a_refused_group_is_halved_down_to_the_one_bad_message() -> None:
    def answer(uids: set[int]) -> bytes:
        good = b"".join(whole(uid) for uid in sorted(uids) if uid < 7)
        return good + (b"<T> NO Some messages could not be FETCHed\r\n" if 7 in uids else rest_of(uids))

    def rest_of(uids: set[int]) -> bytes:
        return b"".join(whole(uid) for uid in sorted(uids) if uid > 7) + b"<T> OK done\r\n"

    with scripted_session(by_set(answer)) as (session, server):
        assert bodies(session, dict.fromkeys(range(1, 21), 4_000)) == {uid: BODY for uid in range(1, 21) if uid != 7}
        assert session.open(b"INBOX", None).messages == 3
    assert b"UID FETCH 7 (UID BODY.PEEK[])" in server.commands, "the bad one was asked for alone"
    assert len(server.octets) < 2_000
