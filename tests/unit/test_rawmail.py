"""The little that sources understand of mail agrees with what the store understands of it."""

from hypothesis import given
from hypothesis import strategies as st

from provider.rawmail import CHUNK_OCTETS, header_block, message_id, pieces
from store.mime import scan_header, split_header

LINES = st.lists(
    st.sampled_from(
        [b"A: b", b"Message-ID: <a@x>", b"message-id :\t<b@x> c", b" folded", b"", b"Message-ID: bare", b"--"]
    )
)
ENDS = st.sampled_from([b"\r\n", b"\n", b"\r"])


@given(LINES, ENDS)
def test_header_block_and_message_id_are_those_of_the_store(lines: list[bytes], end: bytes) -> None:
    octets = end.join(lines)

    assert header_block(octets) == split_header(octets)[0]
    assert message_id(octets) == scan_header(octets).message_id


@given(st.binary(max_size=300))
def test_any_octets_have_a_header_block_and_perhaps_an_id(octets: bytes) -> None:
    assert octets.startswith(header_block(octets))
    assert message_id(b"Message-ID: " + octets).isascii()


def test_an_id_that_no_server_could_search_is_none() -> None:
    assert message_id(b"Message-ID: <" + b"x" * 10_000 + b">") == ""
    assert message_id(b"Message-ID: <\xff@x>") == ""


def test_pieces_are_bounded_and_one_of_them_is_the_last() -> None:
    for length in (0, 1, CHUNK_OCTETS, CHUNK_OCTETS + 1, 3 * CHUNK_OCTETS):
        found = list(pieces(bytes(length)))

        assert b"".join(octets for _, octets, _ in found) == bytes(length)
        assert [last for _, _, last in found] == [False] * (len(found) - 1) + [True]
        assert max(len(octets) for _, octets, _ in found) <= CHUNK_OCTETS
        assert [offset for offset, _, _ in found] == list(range(0, max(length, 1), CHUNK_OCTETS))
