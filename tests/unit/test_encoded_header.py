"""Wherever a message is cut on its way into the encoder, its header block is the same."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from store import Encoder
from store.encode import EncodedHeader
from store.mail import Uid
from store.mime import split_header

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
    assert isinstance(header, EncodedHeader)
    block, _ = split_header(octets)
    assert (header.octets, header.digest) == (len(block), encoder.header(block).digest)
