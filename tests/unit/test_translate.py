"""Wire spellings to values: what is impossible is None and never an exception."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.sources.imap import translate
from provider.sources.imap.folderlines import decoded
from provider.sources.imap.rolenames import role_of_name
from store.mail import Role
from tests.servers import mutf7


@pytest.mark.parametrize(
    ("spelled", "expected"),
    [
        (b"17-Jul-1996 02:44:25 -0700", datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)),
        (b" 7-JUL-1996 02:44:25 +0000", datetime(1996, 7, 7, 2, 44, 25, tzinfo=UTC)),
        (b"7-jul-1996 02:44:25 +0530", datetime(1996, 7, 6, 21, 14, 25, tzinfo=UTC)),
        (b"01-Jan-0102 00:00:00 +0000", datetime(102, 1, 1, tzinfo=UTC)),
        (b"31-Dec-9999 23:59:59 +0000", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_date_keeps_its_moment(spelled: bytes, expected: datetime) -> None:
    assert translate.internal_date(spelled) == expected


def test_a_date_keeps_its_offset() -> None:
    told = translate.internal_date(b"17-Jul-1996 02:44:25 -0713")
    assert told is not None and told.utcoffset() == -timedelta(hours=7, minutes=13)


@pytest.mark.parametrize(
    "spelled",
    [
        None,
        [b"x"],
        b"",
        b"31-Feb-2024 25:61:61 +9999",
        b"31-Feb-2024 00:00:00 +0000",
        b"01-Jan-0000 00:00:00 +0000",
        b"01-Jan-99999999 00:00:00 +0000",
        b"01-Foo-2020 00:00:00 +0000",
        b"01-Jan-2020 24:00:00 +0000",
        b"01-Jan-2020 23:59:60 +0000",
        b"01-Jan-2020 00:00:00 +2400",
        b"01-Jan-2020 00:00:00 +0060",
        b"01-Jan-2020 00:00:00",
    ],
)
def test_a_date_that_never_was_is_none(spelled: object) -> None:
    assert translate.internal_date(spelled) is None  # type: ignore[arg-type]


@given(st.binary(max_size=60))
def test_no_octets_make_a_translation_raise(octets: bytes) -> None:
    for function in (
        translate.internal_date,
        translate.uid,
        translate.uid_validity,
        translate.mod_seq,
        translate.number,
        translate.email_id,
        translate.flags,
        translate.message_id,
        translate.wait_seconds,
        translate.text,
        decoded,
    ):
        function(octets)  # type: ignore[operator]
    translate.folder_status([octets, octets, [octets]])


@pytest.mark.parametrize(
    ("function", "spelled", "expected"),
    [
        (translate.uid, b"4294967295", 4294967295),
        (translate.uid, b"4294967296", None),
        (translate.uid, b"0", None),
        (translate.uid, b"-1", None),
        (translate.uid, b"+1", None),
        (translate.uid, "١".encode(), None),
        (translate.uid_validity, b"1", 1),
        (translate.uid_validity, b"0", None),
        (translate.mod_seq, b"9223372036854775807", 2**63 - 1),
        (translate.mod_seq, b"9223372036854775808", None),
        (translate.mod_seq, [b"1", b"2"], None),
        (translate.email_id, [b"M6d99ac3275bb4e"], "M6d99ac3275bb4e"),
        (translate.email_id, b"x" * 300, None),
        (translate.email_id, None, None),
    ],
)
def test_numbers_keep_to_their_bounds(function: object, spelled: object, expected: object) -> None:
    assert function(spelled) == expected  # type: ignore[operator]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"Message-ID: <a@b>\r\n\r\n", "a@b"),
        (b"MESSAGE-Id :\r\n\t<a@b>\r\n\r\n", "a@b"),
        (b"Message-ID: <a\r\n b@c> (comment)\r\n", "ab@c"),
        (b"Message-ID: no-brackets@x\r\n", "no-brackets@x"),
        (b"Message-ID: <unfinished\r\n", "unfinished"),
        (b"Message-ID:\r\n\r\n", ""),
        (b"\r\n", ""),
        (b"X-Message-ID: <a@b>\r\n\r\n", ""),
        (b"Message-ID: <" + b"x" * 5_000 + b">\r\n\r\n", "x" * 998),
    ],
)
def test_the_message_id_is_found(block: bytes, expected: str) -> None:
    assert translate.message_id(block) == expected


def test_status_items_are_read_as_far_as_they_make_sense() -> None:
    told, object_id = translate.folder_status(
        [
            b"messages",
            b"3",
            b"UIDNEXT",
            b"0",
            b"UIDVALIDITY",
            b"4294967296",
            b"HIGHESTMODSEQ",
            b"7",
            b"MAILBOXID",
            [b"F1"],
        ]
    )
    assert told is not None and object_id == "F1"
    assert (told.messages, told.uid_next, told.uid_validity, told.mod_seq) == (3, None, None, 7)
    assert translate.folder_status([]) == (None, None)
    assert translate.folder_status([b"X", b"1", b"MESSAGES"]) == (None, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"Suggested Backoff Time: 299961 milliseconds", 299.961),
        (b"back-off time: 30 seconds", 30.0),
        (b"come back tomorrow", None),
        (b"Backoff Time: 99999999999999999999 seconds", None),
    ],
)
def test_the_wait_that_a_server_wants_is_read(text: bytes, seconds: float | None) -> None:
    assert translate.wait_seconds(text) == seconds


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_every_name_that_a_server_can_spell_is_read_back(name: str) -> None:
    assert decoded(mutf7.encode(name)) == name


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Sent Items", Role.SENT),
        ("ENTWÜRFE", Role.DRAFTS),
        ("已删除邮件", Role.TRASH),
        ("Courrier indésirable", Role.JUNK),
        ("Архив", Role.ARCHIVE),
        ("Sentinel", None),
    ],
)
def test_well_known_names_have_roles(name: str, role: Role | None) -> None:
    assert role_of_name(name) is role
