"""What the encoder keeps of a header: the same block wherever the message was cut, the same fields as a full scan."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from store import Encoder
from store.encode import HeaderBlock
from store.mail import Envelope, Uid
from store.mime import scan_header, split_header

_octets = st.lists(st.sampled_from([b"a", b":", b"\r", b"\n", b"\r\n", b"\r\n\r\n"]), max_size=12).map(b"".join)


@given(octets=_octets, cuts=st.tuples(st.integers(0, 48), st.integers(0, 48)))
@example(octets=b"\r\nbody", cuts=(1, 1))
@example(octets=b"A: b\r\n\r\nbody", cuts=(7, 7))
@example(octets=b"A: b\n\r\nbody\r\n\r\nmore", cuts=(0, 0))
def test_a_header_block_does_not_depend_on_where_the_message_was_cut(octets: bytes, cuts: tuple[int, int]) -> None:
    first, second = sorted(min(cut, len(octets)) for cut in cuts)
    encoder = Encoder()
    body = encoder.start(Uid(1))
    body.chunk(octets[:first], last=False)
    body.chunk(octets[first:second], last=False)
    header = body.chunk(octets[second:], last=True)[-1].header
    assert isinstance(header, HeaderBlock)
    block, _ = split_header(octets)
    assert (header.block, header.encoded(encoder)) == (block, encoder.header(block))


_lines = st.sampled_from(
    [
        b"From: Ann <ann@example.org>",
        b"from : b@example.org, c@example.org",
        b"To: d@example.org",
        b"Subject: =?utf-8?q?caf=C3=A9?=",
        b"Subject: second",
        b" folded: <e@example.org>",
        b"\tFrom: not a field",
        b"Date: Fri, 20 Nov 2026 10:00:00 +0100",
        b"Message-ID: <1@example.org>",
        b"References: <0@example.org>",
        b"Received: from a by b",
        b"X-From: nobody",
        b"",
    ]
)


@given(lines=st.lists(_lines, max_size=14), end=st.sampled_from([b"\r\n", b"\n", b"\r"]))
def test_a_scan_for_lists_says_of_their_fields_what_a_full_scan_says(lines: list[bytes], end: bytes) -> None:
    block = end.join([*lines, b""])
    whole = scan_header(block)
    listed = replace(Envelope(), subject=whole.subject, from_=whole.from_, date=whole.date, message_id=whole.message_id)
    assert scan_header(block, listed_only=True) == replace(listed, received=whole.received)
