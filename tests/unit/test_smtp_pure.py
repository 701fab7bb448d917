"""The pure parts of the way out: answers, addresses, needs, and a message as the octets that follow 354."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.errors import LimitExceeded, ProtocolBroken
from provider.transport.base import Outgoing
from provider.transport.smtp.data import BLOCK_OCTETS, END, BareLineEnd, blocks
from provider.transport.smtp.envelope import address_trouble, is_name, mail_options, needs_trouble
from provider.transport.smtp.replies import Said, Verdict, read_said, verdict
from store.mail.submission import Reply

LINES = st.lists(
    st.binary(max_size=12).map(lambda octets: octets.replace(b"\r", b".").replace(b"\n", b".")), max_size=12
)


def read(octets: bytes, octets_max: int = 1_000) -> Said:
    lines = iter(octets.splitlines(keepends=True))
    return read_said(lambda: next(lines, b""), octets_max)


# -- a message ------------------------------------------------------------------------------------


@given(lines=LINES, cuts=st.lists(st.integers(0, 200), max_size=8))
def test_what_is_stuffed_comes_out_again_wherever_the_pieces_end(lines: list[bytes], cuts: list[int]) -> None:
    message = b"".join(line + b"\r\n" for line in lines)
    places = [0, *sorted(min(cut, len(message)) for cut in cuts), len(message)]
    pieces = [message[a:b] for a, b in pairwise(places)]
    made = list(blocks(pieces))
    wire = b"".join(block for block, _ in made) + END
    assert sum(octets for _, octets in made) == len(message)
    # As a server reads it: the first line that is one dot ends the message, and nothing follows.
    read_lines = wire.split(b"\r\n")
    assert read_lines.index(b".") == len(read_lines) - 2
    assert b"".join(re.sub(rb"\A\.", b"", line) + b"\r\n" for line in read_lines[:-2]) == message


def test_a_block_is_bounded_whatever_the_pieces_are() -> None:
    message = (b"." * 70 + b"\r\n") * 10_000
    assert max(len(block) for block, _ in blocks([message])) <= BLOCK_OCTETS + BLOCK_OCTETS // 72 + 2


@pytest.mark.parametrize("octets", [b"a\n", b"a\r", b"\n", b"\r", b"a\r\r\n", b"\n.\r\n", b"\r.\r\n", b"a\r\n\n"])
@pytest.mark.parametrize("cut", range(4))
def test_a_bare_line_end_is_found_wherever_the_pieces_end(octets: bytes, cut: int) -> None:
    with pytest.raises(BareLineEnd):
        list(blocks([octets[:cut], octets[cut:]]))


@pytest.mark.parametrize(("message", "wire"), [(b"", b""), (b".", b"..\r\n"), (b"a", b"a\r\n"), (b"\r\n", b"\r\n")])
def test_a_message_ends_in_a_line_end(message: bytes, wire: bytes) -> None:
    assert b"".join(block for block, _ in blocks([message])) == wire


# -- an answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "reply"),
    [
        (b"250\r\n", Reply(code=250)),
        (b"250 ok\n", Reply(code=250, text="ok")),
        (b"250 2.0.0 ok\r\n", Reply(code=250, enhanced="2.0.0", text="ok")),
        (b"550 5.1.1\r\n", Reply(code=550, enhanced="5.1.1")),
        (b"550-5.1.1 no\r\n550 5.1.1 one\r\n", Reply(code=550, enhanced="5.1.1", text="no one")),
        (b"550-5.1.1 no\r\n550 5.1.0 one\r\n", Reply(code=550, enhanced="5.1.1", text="no one")),
        (b"550 4.1.1 odd\r\n", Reply(code=550, text="4.1.1 odd")),
        (b"550 5.1.1odd\r\n", Reply(code=550, text="5.1.1odd")),
        (b"550 5.1.1234 odd\r\n", Reply(code=550, text="5.1.1234 odd")),
        (b"550 \x1b[31mred\x00\r\n", Reply(code=550, text="[31mred")),
        (b"550 \xff\xfe\r\n", Reply(code=550, text="\ufffd\ufffd")),
    ],
)
def test_an_answer_is_code_enhanced_code_and_clean_text(octets: bytes, reply: Reply) -> None:
    assert read(octets).reply == reply


NO_ANSWERS = [
    *(b"25 ok\r\n", b"2500 ok\r\n", b"999 ok\r\n", b"199 ok\r\n", b"600 ok\r\n", b"ok\r\n", b"\r\n", b" 250 ok\r\n"),
    *(b"250-a\r\n550 b\r\n", b"250_ok\r\n", b"\xb2\xb5\xb0 ok\r\n", b"-50 ok\r\n", b"250", b""),
]


@pytest.mark.parametrize("octets", NO_ANSWERS)
def test_what_is_no_answer_is_refused(octets: bytes) -> None:
    with pytest.raises(ProtocolBroken):
        read(octets)


@pytest.mark.parametrize("octets", [b"250-ok\r\n" * 500, b"250 " + b"x" * 2_000 + b"\r\n"])
def test_an_answer_is_bounded(octets: bytes) -> None:
    with pytest.raises(LimitExceeded):
        read(octets)


def test_the_lines_of_an_answer_are_counted() -> None:
    with pytest.raises(LimitExceeded):
        read(b"250-\r\n" * 2_000, octets_max=10**6)


@pytest.mark.parametrize(
    ("code", "enhanced", "crowded", "means"),
    [
        (250, "", False, Verdict.TAKEN),
        (354, "", False, Verdict.GO_ON),
        (450, "5.1.1", False, Verdict.LATER),
        (550, "4.2.0", False, Verdict.REFUSED),
        (552, "", False, Verdict.REFUSED),
        (552, "", True, Verdict.LATER),
        (552, "5.5.3", True, Verdict.LATER),
        (552, "5.2.2", True, Verdict.REFUSED),
        (500, "5.5.0", True, Verdict.REFUSED),
    ],
)
def test_the_first_digit_decides_but_for_too_many_recipients(
    code: int, enhanced: str, crowded: bool, means: Verdict
) -> None:
    assert verdict(Reply(code=code, enhanced=enhanced), crowded=crowded) is means


# -- an envelope ----------------------------------------------------------------------------------

GOOD = [
    *(
        "a@b",
        "a.b@example.org",
        "a+tag@example.org",
        "x/y=z@example.org",
        "!#$%&'*+-/=?^_`{|}~@example.org",
        "A@EXAMPLE.ORG",
    ),
    *('"a b"@example.org', '"a\\"b"@example.org', '""@example.org', '"a@b"@example.org', "a@[192.0.2.1]"),
    *(
        "a@[IPv6:2001:db8::1]",
        "pelé@example.org",
        "用户@例え.jp",
        "a@xn--exmple-cua.org",
        "a@example.org.",
        "a@under_score.org",
    ),
]
BAD = [
    *("", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b c", "<a@b>", "a@b>", "a@b,c@d", "a@b;c", "a..b@c", ".a@b"),
    *("a.@b", '"a@b', 'a"b@c', '"a"b@c', "a@b..c", "a@.b", "a@-b", "a@b-", "a@[b", "a@b]", "a@[]", "a@[b\r\n]"),
    *("a\r\n@b", "a\0@b", "a@b\r\nRCPT TO:<c@d>", "a@b\n", "a\u2028b@c", "a\u00a0b@c", "a\ud800@b", "a@b" + "c" * 400),
    *("Name <a@b>", "a(c)@b"),
]


@pytest.mark.parametrize("address", GOOD)
def test_an_address_that_can_be_sent_is_sent(address: str) -> None:
    assert address_trouble(address) == ""


@pytest.mark.parametrize("address", BAD)
def test_an_address_that_cannot_be_sent_is_not_repaired(address: str) -> None:
    assert address_trouble(address)


def test_only_a_sender_may_be_empty() -> None:
    assert address_trouble("", sender=True) == ""


@pytest.mark.parametrize(
    ("name", "good"), [("mail.example.org", True), ("[192.0.2.1]", True), ("a b", False), ("", False)]
)
def test_a_name_for_ehlo_is_a_hosts_name_or_an_address_in_brackets(name: str, good: bool) -> None:
    assert is_name(name) is good


def outgoing(**changes: object) -> Outgoing:
    given: dict[str, object] = {
        "sender": "a@b",
        "recipients": ("c@d",),
        "octets": lambda: iter(()),
        "size": 100,
        **changes,
    }
    return Outgoing(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "extensions", "enhanced"),
    [
        ({}, {}, None),
        ({}, {"size": "100"}, None),
        ({}, {"size": "99"}, "5.3.4"),
        ({}, {"size": "0"}, None),
        ({}, {"size": ""}, None),
        ({}, {"size": "many"}, None),
        ({}, {"size": "-1"}, None),
        ({}, {"size": "9" * 40}, None),
        ({}, {"size": "²"}, None),
        ({"eight_bit": True}, {}, "5.6.3"),
        ({"eight_bit": True}, {"8bitmime": ""}, None),
        ({"utf8": True}, {"8bitmime": ""}, "5.6.7"),
        ({"utf8": True}, {"8bitmime": "", "smtputf8": ""}, None),
        ({"sender": "é@b"}, {}, "5.6.7"),
        ({"recipients": ("c@d", "é@d")}, {}, "5.6.7"),
        ({"sender": "a b"}, {"smtputf8": ""}, "5.1.7"),
    ],
)
def test_a_need_that_the_server_does_not_meet_is_told_before_anything_is_said(
    changes: dict[str, object], extensions: dict[str, str], enhanced: str | None
) -> None:
    trouble = needs_trouble(outgoing(**changes), extensions)
    assert (trouble and trouble.enhanced) == enhanced
    assert trouble is None or (trouble.code == 0 and trouble.text.endswith("."))


@pytest.mark.parametrize(
    ("changes", "extensions", "options"),
    [
        ({}, {}, []),
        ({}, {"size": ""}, ["SIZE=100"]),
        ({}, {"size": "", "8bitmime": "", "smtputf8": ""}, ["SIZE=100"]),
        ({"eight_bit": True}, {"8bitmime": ""}, ["BODY=8BITMIME"]),
        ({"utf8": True}, {"8bitmime": "", "smtputf8": ""}, ["BODY=8BITMIME", "SMTPUTF8"]),
        ({"recipients": ("é@d",)}, {"smtputf8": ""}, ["SMTPUTF8"]),
    ],
)
def test_only_what_is_announced_and_needed_is_said(
    changes: dict[str, object], extensions: dict[str, str], options: list[str]
) -> None:
    assert list(mail_options(outgoing(**changes), extensions)) == options
