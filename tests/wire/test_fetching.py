"""Fetching: pages, put together by UID, octet by octet as sent; and what is said of those that do not come."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from provider.errors import IncompleteAnswer, InvalidRequest
from provider.limits import Limits
from provider.sources.base import BodyWanted
from provider.sources.imap.source import ImapSession
from store.mail import Uid, UidSet
from tests.servers.fake_answer import Answer, drop_rows_without_uid, nil_bodies, omit_uids
from tests.servers.fakeimap import BARE, FULL, NO_CONDSTORE, FakeImap
from tests.wire.canned import EXAMINE, bodies, canned, ok
from tests.wire.rig import Ear, scripted_session, session_to

ODD_MAIL = {
    "LF only": b"Subject: a\n\nbody\n",
    "bare CR": b"Subject: a\r\rbody\r",
    "NUL inside": b"Subject: a\r\n\r\n\0\0nul\r\n",
    "no last newline": b"Subject: a\r\n\r\nbody",
    "no headers": b"\r\nbody\r\n",
    "no body": b"Subject: a\r\n\r\n",
    "looks like an answer": b")\r\nA1 OK done\r\n* 1 EXISTS\r\n* 1 FETCH (UID 9)\r\n",
    "8-bit": b"Subject: \xff\xfe\xfd\r\n\r\n\x80\r\n",
    "empty": b"",
}


def message(number: int) -> bytes:
    return b"Message-ID: <m%d@x.example>\r\nSubject: %d\r\n\r\nbody %d\r\n" % (number, number, number)


def open_on(fake: FakeImap, limits: Limits | None = None, ear: Ear | None = None) -> ImapSession:
    session = session_to(fake.connect(), limits=limits, ear=ear)
    session.open(b"INBOX", None)
    return session


@pytest.mark.parametrize("parts", [False, True], ids=["whole", "parts"])
def test_edge_17_octets_are_kept_as_sent(parts: bool) -> None:
    limits = Limits(whole_octets=0, part_octets=7) if parts else Limits()
    with FakeImap(preauth=True) as fake:
        uids = {fake.append("INBOX", octets): octets for octets in ODD_MAIL.values()}
        session = open_on(fake, limits)
        assert bodies(session, {uid: len(octets) for uid, octets in uids.items()}) == uids
        session.close()
        asked = sum(b"BODY.PEEK[]<" in command.raw for command in fake.commands)
        assert (asked > 10) == parts


@pytest.mark.parametrize("announced", [FULL, NO_CONDSTORE, BARE])
def test_summaries_headers_and_identities_say_the_same_of_a_message(announced: frozenset[str]) -> None:
    with FakeImap(capabilities=announced, preauth=True) as fake:
        for number in range(1, 8):
            fake.append("INBOX", message(number), ["\\Seen", "$Label1"], "07-Feb-2021 01:02:03 -0330")
        session = open_on(fake)
        uids = session.existing()
        rows = {row.uid: row for row in session.summaries(uids)}
        headers = {row.uid: row for row in session.headers(uids, with_summary=True)}
        plain = {row.uid: row.block for row in session.headers(uids)}
        evidence = {row.uid: row for row in session.identities(uids)}
        flags = {row.uid: row.flags for row in session.flags(uids)}
        session.close()
    assert set(rows) == set(uids) == set(headers) == set(plain) == set(evidence) == set(flags)
    date = datetime(2021, 2, 7, 1, 2, 3, tzinfo=timezone(-timedelta(hours=3, minutes=30)))
    for uid, row in rows.items():
        assert (row.size, row.internal_date, row.flags) == (len(message(uid)), date, {"\\Seen", "$Label1"})
        assert headers[uid].summary == row and flags[uid] == row.flags
        assert headers[uid].block == plain[uid] == message(uid).partition(b"body")[0]
        told = evidence[uid]
        assert (told.message_id, told.size, told.internal_date) == (f"m{uid}@x.example", row.size, date)
        assert told.email_id == row.email_id and (row.email_id is not None) == ("OBJECTID" in announced)
        assert (row.mod_seq is not None) == ("CONDSTORE" in announced)


def test_gmail_tells_its_own_number_of_a_message() -> None:
    date = b'INTERNALDATE "01-Jan-2020 00:00:00 +0000"'
    row = b"* 1 FETCH (X-GM-MSGID 1278455344230334865 UID 1 FLAGS () %b RFC822.SIZE 9)\r\n" % date
    with scripted_session(canned({"UID FETCH": ok(row)}), capabilities="IMAP4REV1 X-GM-EXT-1") as (session, server):
        session.open(b"INBOX", None)
        assert [told.email_id for told in session.summaries(UidSet([1]))] == ["1278455344230334865"]
    assert b"UID FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE X-GM-MSGID)" in server.commands


def test_edge_21_sets_are_ascending_newest_first_and_fit_a_command() -> None:
    with scripted_session(canned({"EXAMINE": EXAMINE.replace(b"3 EXISTS", b"100000 EXISTS")})) as (session, server):
        session.open(b"INBOX", None)
        scattered = UidSet(range(1_000_000, 1_060_000, 3))
        assert list(session.flags(scattered)) == []
        assert list(session.summaries(UidSet.span(1, 9_000))) == []
    sets = [line.split(b" ")[2] for line in server.commands if line.startswith(b"UID FETCH")]
    assert max(map(len, server.commands)) <= 8_000
    asked = [UidSet.parse(spelled.decode()) for spelled in sets]
    assert UidSet.of_ranges(pair for part in asked for pair in part.ranges) == scattered | UidSet.span(1, 9_000)
    assert all(spelled.decode() == str(part) for spelled, part in zip(sets, asked, strict=True))
    assert asked[-1].lowest == 1, "the newest page goes first"


def test_edge_5_a_gap_is_never_asked_for_uid_by_uid() -> None:
    with FakeImap(preauth=True) as fake:
        fake.append("INBOX", message(1))
        fake.append("INBOX", message(2), uid=4_000_000_000)
        session = open_on(fake)
        assert {row.uid for row in session.summaries(UidSet.span(1, 4_294_967_295))} == {1, 4_000_000_000}
        session.close()
        assert len(fake.commands) < 10


@pytest.mark.parametrize("bent", [omit_uids(2), drop_rows_without_uid], ids=["omitted", "without UID"])
def test_edge_13_what_is_not_answered_does_not_come_and_raises_nothing(bent: object) -> None:
    with FakeImap(preauth=True) as fake:
        for number in range(1, 4):
            fake.append("INBOX", message(number))
        fake.faults.on("UID FETCH", bent)  # type: ignore[arg-type]
        session = open_on(fake)
        expected = {1, 3} if bent is not drop_rows_without_uid else set()
        assert {row.uid for row in session.summaries(UidSet.span(1, 3))} == expected
        assert {row.uid for row in session.headers(UidSet.span(1, 3))} == expected
        assert set(bodies(session)) == expected
        session.close()


def test_edge_15_nil_is_an_answer_and_no_message() -> None:
    with FakeImap(preauth=True) as fake:
        for number in range(1, 4):
            fake.append("INBOX", message(number))
        fake.faults.on("UID FETCH", nil_bodies(2))
        session = open_on(fake, Limits(whole_octets=0, part_octets=1_000))
        assert {row.uid: row.block is None for row in session.headers(UidSet.span(1, 3))} == {
            1: False,
            2: True,
            3: False,
        }
        assert bodies(session, {1: 10, 2: 10, 3: 10}) == {1: message(1), 2: None, 3: message(3)}
        session.close()


def test_edge_18_blanks_and_junk_are_read_over(caplog: pytest.LogCaptureFixture) -> None:
    rows = (
        b"*  1  FETCH  (UID 1  FLAGS  (\\Seen  a)) \r\n\r\n"
        b"* 2 FETCH (UID 2 FLAGS ()) trailing words\r\n"
        b"* 3 fetch (uid 3 flags (b))\r\n"
    )
    with scripted_session(canned({"UID FETCH": ok(rows)})) as (session, _):
        session.open(b"INBOX", None)
        told = {row.uid: set(row.flags) for row in session.flags(UidSet.span(1, 3))}
    assert told == {1: {"\\Seen", "a"}, 2: set(), 3: {"b"}}
    assert "junk" in caplog.text


def test_edge_18_an_empty_line_behind_a_literal_is_read_over() -> None:
    row = b"* 1 FETCH (UID 1 BODY[] {3}\r\nabc\r\n)\r\n"
    with scripted_session(canned({"UID FETCH": ok(row)})) as (session, _):
        assert bodies(session, {1: 3}) == {1: b"abc"}


def test_bodies_without_a_literal_are_taken_too() -> None:
    rows = b'* 1 FETCH (UID 1 BODY[] "a \\"b\\"")\r\n* 2 FETCH (BODY[] {5}\r\nhello UID 2)\r\n'
    with scripted_session(canned({"UID FETCH": ok(rows)})) as (session, _):
        assert bodies(session, {1: 5, 2: 5}) == {1: b'a "b"', 2: b"hello"}


def test_a_body_whose_uid_comes_behind_its_literal_is_held_only_while_it_is_small() -> None:
    rows = b"* 2 FETCH (BODY[] {300000}\r\n%b UID 2)\r\n* 1 FETCH (BODY[] {600000}\r\n%b UID 1)\r\n"
    octets = rows % (b"y" * 300_000, b"x" * 600_000)
    with scripted_session(canned({"UID FETCH": ok(octets)}), limits=Limits(whole_octets=500_000)) as (session, _):
        assert bodies(session, {1: None, 2: None}) == {2: b"y" * 300_000}


def test_a_header_block_beyond_the_cap_is_told_and_left() -> None:
    ear = Ear()
    with FakeImap(preauth=True) as fake:
        fake.append("INBOX", b"X: " + b"x" * 600_000 + b"\r\n\r\n")
        fake.append("INBOX", b"X: " + b"x" * 300_000 + b"\r\n\r\n")
        session = open_on(fake, Limits(header_octets=500_000), ear)
        blocks = {row.uid: row.block for row in session.headers(UidSet.span(1, 2))}
        session.close()
    assert blocks == {1: None, 2: b"X: " + b"x" * 300_000 + b"\r\n\r\n"}
    assert [(notice.kind, notice.uid, notice.folder) for notice in ear.notices] == [("limit", 1, "INBOX")]


def test_a_refused_page_of_summaries_is_halved() -> None:
    def refuse_seven(answer: Answer) -> None:
        if any(b"UID 7 " in row for row in answer.rows):
            answer.rows[:] = [row for row in answer.rows[:1] if b"UID 7 " not in row]
            answer.completion = b"NO Some messages could not be FETCHed"

    with FakeImap(preauth=True) as fake:
        for number in range(1, 21):
            fake.append("INBOX", message(number))
        fake.faults.on("UID FETCH", refuse_seven)
        session = open_on(fake)
        assert {row.uid for row in session.summaries(UidSet.span(1, 20))} == set(range(1, 21)) - {7}
        assert {row.uid for row in session.headers(UidSet.span(1, 20))} == set(range(1, 21)) - {7}
        session.close()


@pytest.mark.parametrize("announced", [FULL, BARE])
def test_edge_22_where_search_is_refused_rows_are_asked_for(announced: frozenset[str]) -> None:
    def refused(answer: Answer) -> None:
        answer.rows.clear()
        answer.completion = b"BAD no SEARCH here"

    with FakeImap(capabilities=announced, preauth=True) as fake:
        for number in range(1, 8):
            fake.append("INBOX", message(number))
        fake.expunge("INBOX", 3)
        fake.faults.on("UID SEARCH", refused)
        session = open_on(fake)
        assert session.existing() == UidSet.parse("1:2,4:7")
        assert session.existing(UidSet.span(2, 4)) == UidSet([2, 4])
        fake.faults.on("UID FETCH", omit_uids(5))
        with pytest.raises(IncompleteAnswer):
            session.existing(UidSet([5]))
        assert not session.existing(UidSet())
        session.close()


@pytest.mark.parametrize("announced", [FULL, BARE])
def test_edge_19_a_large_folder_is_searched_in_pages(announced: frozenset[str]) -> None:
    with FakeImap(capabilities=announced, preauth=True) as fake:
        folder = fake.folder("INBOX")
        for uid in range(10_000_001, 10_120_001, 2):
            folder.append(b"", uid=uid)
        session = open_on(fake)
        assert session.existing() == UidSet(range(10_000_001, 10_120_001, 2))
        session.close()
        asked = [command.arguments[-1] for command in fake.commands if command.name == "UID SEARCH"]
        assert asked[0] == b"1:20000" and asked[-1] == b"40001:*"


def test_a_message_that_goes_while_pages_are_searched_makes_the_answer_incomplete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("provider.sources.imap.searching.PAGE_MESSAGES", 2)
    expunge = b"* 1 EXPUNGE\r\n"
    book = {
        "EXAMINE": EXAMINE.replace(b"3 EXISTS", b"6 EXISTS"),
        "UID SEARCH": [ok(b"* SEARCH 1 2\r\n"), ok(expunge + b"* SEARCH 4 5\r\n"), ok(b"* SEARCH 6\r\n")],
        "FETCH": [ok(b"* 1 FETCH (UID 2)\r\n"), ok(expunge)],
    }
    with scripted_session(canned(book)) as (session, _):
        session.open(b"INBOX", None)
        with pytest.raises(IncompleteAnswer):
            session.existing()
        assert session.open(b"INBOX", None).messages == 6


def test_nothing_wanted_sends_nothing_and_no_folder_is_refused_at_once() -> None:
    with scripted_session(canned({})) as (session, server):
        with pytest.raises(InvalidRequest):
            session.existing()
        with pytest.raises(InvalidRequest):
            session.bodies([BodyWanted(uid=Uid(1), size=1)])
        session.open(b"INBOX", None)
        before = len(server.commands)
        assert list(session.bodies([])) == list(session.summaries(UidSet())) == []
        assert len(server.commands) == before
