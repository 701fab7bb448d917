"""Header blocks to envelopes: the stdlib's compat32 parser is the oracle for honest mail; hostile mail ends well."""

import email.utils
from datetime import UTC, datetime, timedelta, timezone
from email.header import Header, decode_header, make_header
from email.parser import BytesHeaderParser
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from store.mail import Address, Envelope
from store.mime import MimeLimits, scan_header, split_header

WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S"), exclude_characters="?=_"), min_size=1)
NAMES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)
LOCAL = st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[a-z0-9]{1,8}){0,2}", fullmatch=True)
DOMAIN = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{2,6}){1,3}", fullmatch=True)
ADDRESSES = st.tuples(LOCAL, DOMAIN).map("@".join)
MAILBOXES = st.lists(st.tuples(NAMES | st.just(""), ADDRESSES), min_size=1, max_size=12)
DATES = st.datetimes(
    datetime(1950, 1, 1),
    datetime(2100, 1, 1),
    timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
).map(lambda date: date.replace(microsecond=0))
ENDS = st.sampled_from(["\r\n", "\n"])


def every_text(envelope: Envelope) -> list[str]:
    people = [*envelope.from_, *envelope.sender, *envelope.reply_to, *envelope.to, *envelope.cc, *envelope.bcc]
    return [
        envelope.subject,
        envelope.message_id,
        envelope.in_reply_to,
        envelope.list_id,
        *envelope.references,
        *(text for who in people for text in (who.name, who.address)),
    ]


def folded(value: str, width: int, end: str) -> str:
    """Fold before blanks as senders do, at about *width* characters a line."""
    lines = [""]
    for word in value.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] or len(lines) > 1 else "") + word
    return end.join(lines)


@given(mailboxes=MAILBOXES, subject=NAMES, date=DATES, end=ENDS, width=st.integers(1, 100), encoding=st.booleans())
def test_honest_headers_are_read_as_the_stdlib_reads_them(
    mailboxes: list[tuple[str, str]], subject: str, date: datetime, end: str, width: int, encoding: bool
) -> None:
    charset = "utf-8" if encoding or not subject.isascii() else "us-ascii"
    fields = {
        "To": ", ".join(email.utils.formataddr(each) for each in mailboxes),
        "Subject": Header(subject, charset, maxlinelen=60).encode(linesep="\n").replace("\n", ""),
        "Date": email.utils.format_datetime(date),
        "Message-ID": "<one.two@example.org>",
    }
    block = (
        end.join(f"{name}: {folded(value, width, end)}" for name, value in fields.items()).encode() + 2 * end.encode()
    )

    ours = scan_header(block)

    theirs = BytesHeaderParser().parsebytes(block)
    flat = {name: "".join(theirs[name].splitlines()) for name in fields}
    assert ours.subject == " ".join(str(make_header(decode_header(flat["Subject"]))).split())
    assert ours.date == email.utils.parsedate_to_datetime(flat["Date"]) == date
    assert ours.date.utcoffset() == date.utcoffset()
    expected = [
        Address(name=str(make_header(decode_header(name))), address=address)
        for name, address in email.utils.getaddresses([flat["To"]])
    ]
    assert list(ours.to) == expected
    assert ours.message_id == "one.two@example.org"


@given(st.binary(max_size=400))
@example(b"Subject: =?utf-7?q?+2AA-?=")
@example(b"Subject: =?utf-16?b?2AAA2A==?=")
@example(b"From: \xff\xfe\x00 <\x00@\x00>\r\n")
def test_any_octets_give_an_envelope_of_clean_text(octets: bytes) -> None:
    for prefix in (b"", b"From: ", b"Subject: ", b"Date: ", b"Message-ID: ", b"References: "):
        envelope = scan_header(prefix + octets)
        for text in every_text(envelope):
            text.encode()  # no lone surrogates
            assert not any(ord(char) < 32 for char in text)
        if envelope.date is not None:
            assert envelope.date.tzinfo is not None
            envelope.date.astimezone(UTC)


MANY_PEOPLE = b", ".join(b"Person %d <p%d@example.org>" % (n, n) for n in range(8_000))
BOMBS = {
    "900 open comments in From": b"From: " + b"(" * 900 + b"a@example.org",
    "a megabyte of open comments": b"From: " + b"((((((((\n " * 100_000,
    "5,000 open brackets in Message-ID": b"Message-ID: " + b"<" * 5_000 + b"x@y>",
    "a header of one megabyte": b"Subject: " + b"x" * 1_000_000,
    "a header of one megabyte, folded": b"Subject: x" + b"\r\n x" * 250_000,
    "8,000 addresses on one line": b"To: " + MANY_PEOPLE,
    "8,000 addresses, folded": b"To: " + MANY_PEOPLE.replace(b", ", b",\r\n "),
    "120,000 address fields": b"To: a@b" + b"\nTo: a@b" * 120_000,
    "a megabyte of bare CR": b"\r" * 1_000_000,
    "a folded megabyte of bare CR": b"To:\n" + b"\r " * 500_000,
    "an open quote full of escapes": b'From: "' + b'\\"' * 30_000 + b"\\",
    "thousands of open quotes": b"From: " + b'"a\\"' * 15_000,
    "thousands of open encoded words": b"Subject: " + b"=?x?q?" * 10_000,
    "thousands of starts of encoded words": b"Subject: " + b"=?" * 30_000,
    "groups within groups": b"From: " + b"a:" * 30_000,
    "only commas": b"From: " + b"," * 60_000 + b"(x",
    "only colons": b"Cc: " + b":" * 60_000,
    "numbers for a date": b"Date: " + b"1 " * 30_000,
    "nothing but NUL": b"\0" * 100_000,
    "a name without end": b"F" * 1_000_000,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_in_a_header_is_an_envelope_like_any_other(bomb: bytes) -> None:
    envelope = scan_header(bomb + b"\r\nMessage-ID: <last@example.org>\r\nList-Id: <list.example.org>\r\n\r\n")

    assert all(len(text) <= MimeLimits().line_octets for text in every_text(envelope))
    assert len(envelope.to) <= 2_000 and len(envelope.from_) <= 2_000
    if len(bomb) < 999_000:  # what lies before the limit is read on
        assert envelope.list_id == "list.example.org"


def test_mutations_of_a_message_never_raise() -> None:
    chance = Random(20)
    seed = bytearray(
        b'From: "A \\"B\\" C" <a@b.example>, =?utf-8?b?SsO2cmc=?= (c (d)) <j@x>\r\nTo: g: x@y, z@q;\r\n'
        b"Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nSubject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=\r\n =?x?q?=41?=\r\n"
        b"References: <a@b> <c@d>\r\n\t<e@f>\r\n\r\n"
    )
    for _ in range(500):
        block = bytearray(seed)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(block))
            match chance.randrange(3):
                case 0:
                    block[at] = chance.randrange(256)
                case 1:
                    del block[at : at + chance.randrange(20)]
                case _:
                    block[at:at] = bytes(block[chance.randrange(len(block)) :][: chance.randrange(40)])
        for text in every_text(scan_header(bytes(block))):
            text.encode()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a@b.example", [("", "a@b.example")]),
        ("a@b.example (Ann (of B))", [("Ann (of B)", "a@b.example")]),
        ("Ann (boss) <a@b.example>", [("Ann (boss)", "a@b.example")]),
        ('"Doe, Jane" <j@x>, joe@x', [("Doe, Jane", "j@x"), ("", "joe@x")]),
        ('"Q \\"the\\" Q" <q@x>', [('Q "the" Q', "q@x")]),
        ("j@x <j@x>", [("j@x", "j@x")]),
        ("<@a,@b:c@d>", [("", "c@d")]),
        ("user @ example . com", [("", "user@example.com")]),
        ("a@b c@d", [("", "a@b c@d")]),
        ("undisclosed-recipients:;", [("undisclosed-recipients", "")]),
        ("Team: a@x, B <b@x>;, c@x", [("", "a@x"), ("B", "b@x"), ("", "c@x")]),
        ("a@[192.0.2.1]", [("", "a@[192.0.2.1]")]),
        ('"a b"@x', [("", '"a b"@x')]),
        ("=?utf-8?q?Smith=2C_Jo?= <j@x>", [("Smith, Jo", "j@x")]),
        ("Foo Bar", [("Foo Bar", "")]),
        ("root", [("", "root")]),
        ("Foo <>", [("Foo", "")]),
        ("<>", []),
        ("", []),
        (" , ,a@x,, ", [("", "a@x")]),
        ("Jörg <j@x>", [("Jörg", "j@x")]),
    ],
)
def test_every_way_to_write_an_address_is_understood(written: str, meant: list[tuple[str, str]]) -> None:
    found = scan_header(f"From: {written}\r\n".encode()).from_

    assert [(who.name, who.address) for who in found] == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T09:55:06-06:00"),
        ("21 Nov 97 09:55:06 GMT", "1997-11-21T09:55:06+00:00"),
        ("Fri, 21 Nov 49 09:55 EST", "2049-11-21T09:55:00-05:00"),
        ("Fri, 21 Nov 50 09:55 PDT", "1950-11-21T09:55:00-07:00"),
        ("Fri, 21 Nov 101 09:55 Z", "2001-11-21T09:55:00+00:00"),
        ("Fri, 21 Nov 1997 09(comment):55:06 +0000 (GMT)", "1997-11-21T09:55:06+00:00"),
        ("Fri, 21 Nov 1997 23:59:60 +0000", "1997-11-21T23:59:59+00:00"),
        ("Fri, 21 Nov 1997 09:55:06 +9999", "1997-11-21T09:55:06+00:00"),
        ("Fri, 21 Nov 1997 09:55:06 XYZ", "1997-11-21T09:55:06+00:00"),
        ("Fri, 21 Nov 1997 09:55:06", "1997-11-21T09:55:06+00:00"),
        ("Fri Nov 21 09:55:06 1997", "1997-11-21T09:55:06+00:00"),
        ("Fri, 21 Nov 0102 09:55:06 +0000", "0102-11-21T09:55:06+00:00"),
        ("Fri, 31 Dec 9999 23:59:59 +0000", "9999-12-31T23:59:59+00:00"),
        ("Fri, 31 Dec 9999 23:59:59 -0600", None),
        ("Mon, 1 Jan 0001 00:00:00 +0100", None),
        ("Fri, 21 Nov 0000 09:55:06 +0000", None),
        ("Fri, 21 Nov 19970 09:55:06 +0000", None),
        ("Fri, 31 Feb 1997 09:55:06 +0000", None),
        ("Fri, 21 Foo 1997 09:55:06 +0000", None),
        ("Fri, 21 Nov 1997 25:55:06 +0000", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_date_is_the_instant_that_was_written_or_none(written: str, meant: str | None) -> None:
    """E30, and the obsolete zones and years of RFC 5322 §4.3."""
    date = scan_header(f"Date: {written}\r\n".encode()).date

    assert (date and date.isoformat()) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (b"Gr\xc3\xbc\xc3\x9fe", "Grüße"),
        (b"Gr\xfc\xdfe", "Grüße"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        (b"=?utf-8?b?w7w=?=\r\n =?utf-8?b?w7w=?=", "üü"),
        (b"=?utf-8?b?ww==?= =?utf-8?b?vA==?=", "ü"),
        (b"=?utf-8*de?q?=C3=BC?=", "ü"),
        (b"=?iso-8859-1?q?=80_=FC?=", "€ ü"),
        (b"=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "日本"),
        (b"=?gb2312?b?1tDOxA==?=", "中文"),
        (b"=?koi8-r?q?=ED=C9=D2?=", "Мир"),
        (b"=?utf-8?b?YWJj", "=?utf-8?b?YWJj"),
        (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        (b"=?no-such?q?=C3=BC?=", "ü"),
        (b"=?unicode_escape?q?=5Cud800?=", "\\ud800"),
        (b"=?utf-8?b?Y?=", ""),
        (b"=?utf-8?q?a=0D=0ABcc:_x?=", "a Bcc: x"),
        (b"=?utf-8?q?=00=1B[31m?=", "[31m"),
        (b"a\r\n \t b", "a b"),
    ],
)
def test_a_subject_is_the_best_text_there_is(written: bytes, meant: str) -> None:
    """E29: 8-bit headers, unknown charsets, broken encoded words."""
    assert scan_header(b"Subject: " + written + b"\r\n").subject == meant


def test_the_first_of_a_field_counts_and_address_fields_add_up() -> None:
    envelope = scan_header(b"Subject: one\r\nSubject: two\r\nTo: a@x\r\nTo: b@x\r\nsender: s@x\r\nSENDER: t@x\r\n")

    assert envelope.subject == "one"
    assert [who.address for who in envelope.to] == ["a@x", "b@x"]
    assert [who.address for who in envelope.sender] == ["s@x"]


def test_only_fields_at_the_start_of_a_line_and_before_the_body_count() -> None:
    envelope = scan_header(
        b"X-Note: to\r\n Subject: folded\r\nSubjects: no\r\nno colon here\r\nSubject \t: yes\r\n\r\nFrom: body@x\r\n"
    )

    assert envelope.subject == "yes"
    assert envelope.from_ == ()
    assert not envelope.received


def test_ids_lose_their_brackets_and_references_stay_oldest_first() -> None:
    envelope = scan_header(
        b"Message-ID:\r\n <a@x>\r\nIn-Reply-To: Your mail of Monday <b@x>\r\nReferences: <c@x>\r\n\t<d@x><e@x>\r\n"
        b"List-Id: Our list <our.example.org>\r\nReceived: from a\r\n"
    )

    assert (envelope.message_id, envelope.in_reply_to, envelope.references) == ("a@x", "b@x", ("c@x", "d@x", "e@x"))
    assert (envelope.list_id, envelope.received) == ("our.example.org", True)
    assert scan_header(b"Message-ID: bare@x \n").message_id == "bare@x"


def test_of_too_many_references_the_oldest_and_the_newest_stay() -> None:
    references = scan_header(b"References:" + b"".join(b" <%d@x>" % n for n in range(5_000))).references

    assert len(references) == 1_000
    assert (references[0], references[1], references[-1]) == ("0@x", "4001@x", "4999@x")


@pytest.mark.parametrize("octets", [b"", b"\r\n", b"\r\nSubject: body", b"\nx", b"\rx"])
def test_a_message_without_headers_is_a_message(octets: bytes) -> None:
    block, at = split_header(octets)

    assert block == octets[:at] and not block.strip()
    assert scan_header(octets) == Envelope()


@given(st.lists(st.sampled_from([b"A: b", b" c", b"\r\n", b"\n", b"\r", b"x"]), max_size=12).map(b"".join))
def test_a_split_loses_nothing_and_the_block_alone_says_the_same(octets: bytes) -> None:
    block, at = split_header(octets)

    assert block + octets[at:] == octets
    assert split_header(block) == (block, at)
    assert scan_header(block) == scan_header(octets)
