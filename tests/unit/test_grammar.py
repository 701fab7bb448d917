"""The grammar of answers: what is understood, what is refused, and that nothing else ever comes out."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.sources.imap.grammar import (
    Malformed,
    TooDeep,
    literal_octets,
    sequence_set,
    status,
    uid_ranges,
    values,
)
from provider.sources.imap.rows import Row, row_of_items, usual_row
from store.mail import UidSet

SEEDS = [
    (
        b'* 12 FETCH (UID 7 FLAGS (\\Seen $Junk) INTERNALDATE "17-Jul-1996 02:44:25 -0700"'
        b" RFC822.SIZE 4286 MODSEQ (65402))\r\n"
    ),
    b"* 3 FETCH (UID 5 BODY[HEADER.FIELDS (MESSAGE-ID)] {12}\r\n",
    b"* 3 FETCH (FLAGS () UID 5 BODY[]<1000> {1000}\r\n",
    b'* LIST (\\HasNoChildren \\Sent) "/" "Sent \\"Mail\\""\r\n',
    b"* STATUS INBOX (MESSAGES 17 UIDNEXT 58 HIGHESTMODSEQ 65402)\r\n",
    b'* ESEARCH (TAG "A282") UID ALL 2,10:11 COUNT 3\r\n',
    b"* OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] Limited\r\n",
]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([b""], []),
        ([b"  "], []),
        ([b'a "b c" NIL nil "NIL"'], [b"a", b"b c", None, None, b"NIL"]),
        ([b'"a\\"b\\\\"'], [b'a"b\\']),
        ([b"(a (b () c)) d"], [[b"a", [b"b", [], b"c"]], b"d"]),
        ([b"BODY[HEADER.FIELDS (DATE)]<0> x"], [b"BODY[HEADER.FIELDS (DATE)]<0>", b"x"]),
        ([b"[Gmail]/All foo[ ]bar"], [b"[Gmail]/All", b"foo[ ]bar"]),
        ([b"foo[ (a)"], [b"foo[", [b"a"]]),
        ([b"(X ", b'"(literal', b" Y)"], [[b"X", b'"(literal', b"Y"]]),
        ([b"caf\xc3\xa9 a\0b"], [b"caf\xc3\xa9", b"a\0b"]),
    ],
)
def test_values_are_read(parts: list[bytes], expected: list[object]) -> None:
    assert values(parts, nesting=10) == expected


@pytest.mark.parametrize("text", [b"(", b")", b"(a))", b'"open', b'(a "open)', b'"ends in backslash\\'])
def test_what_does_not_close_is_malformed(text: bytes) -> None:
    with pytest.raises(Malformed):
        values([text], nesting=10)


def test_nesting_is_capped_and_not_by_the_interpreter() -> None:
    assert values([b"(" * 10 + b")" * 10], nesting=10)
    with pytest.raises(TooDeep):
        values([b"(" * 11 + b")" * 11], nesting=10)
    assert values([b"(" * 50_000 + b")" * 50_000], nesting=50_000)


def test_an_unfinished_list_is_returned_as_far_as_it_goes() -> None:
    assert values([b"(UID 1 BODY[]"], nesting=10, unfinished=True) == [[b"UID", b"1", b"BODY[]"]]


@pytest.mark.parametrize(
    ("line", "count"),
    [
        (b"a {0}\r\n", 0),
        (b"a {12}\r\n", 12),
        (b"a {9223372036854775807}\r\n", 2**63 - 1),
        (b"a b\r\n", None),
        (b'a "{3}"\r\n', None),
        (b"a }\r\n", None),
    ],
)
def test_a_literal_is_seen_at_the_end_of_a_line(line: bytes, count: int | None) -> None:
    assert literal_octets(line) == count


@pytest.mark.parametrize(
    "count", [b"{-1}", b"{}", b"{03}", b"{3+}", b"{1e3}", b"~{4}", b"{ 3}", b"{99999999999999999999}"]
)
def test_a_count_that_is_no_plain_number_is_malformed(count: bytes) -> None:
    with pytest.raises(Malformed):
        literal_octets(b"a " + count + b"\r\n")


@pytest.mark.parametrize(
    ("octets", "code", "argument", "text"),
    [
        (b"OK", b"", b"", b""),
        (b"OK done", b"", b"", b"done"),
        (b"ok [ReAd-OnLy] x", b"READ-ONLY", b"", b"x"),
        (b"NO [UIDNEXT 7]", b"UIDNEXT", b"7", b""),
        (b'NO [BADCHARSET ("a]b" x)] y', b"BADCHARSET", b'("a]b" x)', b"y"),
        (b"OK [unfinished", b"", b"", b"[unfinished"),
        (b'OK [X "open] t', b"X", b'"open', b"t"),
    ],
)
def test_a_status_is_read(octets: bytes, code: bytes, argument: bytes, text: bytes) -> None:
    told = status(octets)
    assert (told.code, told.argument, told.text) == (code, argument, text)


@pytest.mark.parametrize("octets", [b"OK", b"OK  x", b"OKAY x", b"", b"MAYBE x"])
def test_a_tagged_status_is_strict(octets: bytes) -> None:
    with pytest.raises(Malformed):
        status(octets, tagged=True)


@pytest.mark.parametrize(
    "octets", [b"", b"5:", b":5", b"*", b"1:*", b"9:1", b"0", b"1,", b"a", b"4294967296", b"1:2:3", b"01"]
)
def test_a_search_set_is_strict(octets: bytes) -> None:
    with pytest.raises(Malformed):
        sequence_set(octets)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [(b"1:3,5,", "1:3,5"), (b"9:1", "1:9"), (b"0:4294967296,x,:", "1:4294967295"), (b" 7 ,8", "7:8")],
)
def test_a_vanished_set_is_lenient(octets: bytes, expected: str) -> None:
    assert uid_ranges(octets) == UidSet.parse(expected)
    assert not uid_ranges(b"*,-1,0")


def attributes(row: Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in Row.__slots__}


@given(
    uid=st.integers(1, 2**32 - 1),
    flags=st.lists(st.sampled_from([b"\\Seen", b"\\Flagged", b"$Junk", b"work"]), max_size=4),
    size=st.integers(0, 2**40),
    order=st.permutations(["uid", "flags", "size", "date", "modseq"]),
)
def test_the_quick_and_the_tolerant_reader_agree(uid: int, flags: list[bytes], size: int, order: list[str]) -> None:
    spelled = {
        "uid": b"UID %d" % uid,
        "flags": b"FLAGS (%b)" % b" ".join(flags),
        "size": b"RFC822.SIZE %d" % size,
        "date": b'INTERNALDATE "17-Jul-1996 02:44:25 -0700"',
        "modseq": b"MODSEQ (7)",
    }
    items = b" ".join(spelled[name] for name in order)
    quick = usual_row(b"* 4 FETCH (%b)\r\n" % items)
    [inner] = values([b"(%b)" % items], nesting=10)
    assert quick is not None and isinstance(inner, list)
    assert attributes(quick[0]) == attributes(row_of_items(4, inner))


@pytest.mark.parametrize("seed", range(20))
def test_mutated_answers_are_understood_or_malformed_and_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(200):
        line = bytearray(chance.choice(SEEDS))
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(line))
            match chance.randrange(4):
                case 0:
                    line[at] = chance.randrange(256)
                case 1:
                    del line[at : at + chance.randint(1, 9)]
                case 2:
                    line[at:at] = line[at : at + 9] * chance.randint(1, 5)
                case _:
                    line[at:at] = chance.choice([b"(", b")", b'"', b"[", b"]", b"{9}", b"NIL", b"\0", b"\\"])
            line = line or bytearray(b"*")
        octets = bytes(line)
        try:
            usual_row(octets)
            literal_octets(octets)
            status(octets[2:])
        except Malformed:
            pass
        try:
            for value in values([octets], nesting=20):
                if isinstance(value, list):
                    row_of_items(1, value)
        except Malformed:
            continue
