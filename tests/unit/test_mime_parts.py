"""Messages taken apart: sections as IMAP numbers them, octets as they were, bombs ended by a limit."""

import base64
import binascii
from collections.abc import Callable
from email.message import EmailMessage
from email.parser import BytesParser
from random import Random
from typing import SupportsIndex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import MimeLimit, UnknownPart
from store.mime import MimeLimits, part_bytes, parts, preview, safe_filename, text

MIXED = (
    b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=out\r\n\r\npreamble\r\n"
    b'--out\r\nContent-Type: multipart/alternative;\r\n boundary="in ner"\r\n\r\n'
    b"--in ner\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain \xc3\xbc\r\n"
    b"--in ner  \r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>h=74ml</p>\r\n"
    b"--in ner--\r\nepilogue\r\n"
    b"--out\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: attached\r\nContent-Type: multipart/digest; boundary=deep\r\n\r\n"
    b"--deep\r\n\r\nSubject: one\r\n\r\nfirst\r\n--deep\r\n\r\nSubject: two\r\n\r\nsecond\r\n--deep--\r\n"
    b"--out\r\nContent-Type: application/octet-stream; name=x.bin\r\nContent-Transfer-Encoding: BASE64\r\n"
    b"Content-Disposition: ATTACHMENT\r\nContent-ID: <cid@x>\r\n\r\nAAEC\r\nAw==\r\n--out--\r\n"
)


class Counted(bytes):
    """A message that counts how often somebody looks for something in it."""

    looks = 0

    def find(
        self, sub: bytes | SupportsIndex, start: SupportsIndex | None = None, end: SupportsIndex | None = None
    ) -> int:  # type: ignore[override]
        self.looks += 1
        return super().find(sub, start, end)


def test_sections_are_numbered_as_imap_numbers_them() -> None:
    assert [(part.section, part.content_type) for part in parts(MIXED)] == [
        ("TEXT", "multipart/mixed"),
        ("1", "multipart/alternative"),
        ("1.1", "text/plain"),
        ("1.2", "text/html"),
        ("2", "message/rfc822"),
        ("2.TEXT", "multipart/digest"),
        ("2.1", "message/rfc822"),
        ("2.1.1", "text/plain"),
        ("2.2", "message/rfc822"),
        ("2.2.1", "text/plain"),
        ("3", "application/octet-stream"),
    ]


def test_a_part_says_what_it_is() -> None:
    last = parts(MIXED)[-1]

    assert (last.filename, last.disposition, last.transfer_encoding) == ("x.bin", "attachment", "base64")
    assert (last.content_id, last.size_octets, last.charset) == ("cid@x", len(b"AAEC\r\nAw=="), "")


def test_part_bytes_undo_the_transfer_encoding_and_nothing_else() -> None:
    assert part_bytes(MIXED, "1.1") == b"plain \xc3\xbc"
    assert part_bytes(MIXED, "1.2") == b"<p>html</p>"
    assert part_bytes(MIXED, "3") == b"\x00\x01\x02\x03"
    assert part_bytes(MIXED, "2.2") == b"Subject: two\r\n\r\nsecond"
    assert part_bytes(MIXED, "2.2.1") == b"second"
    assert part_bytes(MIXED, "TEXT").startswith(b"preamble\r\n--out\r\n")


@pytest.mark.parametrize("section", ["", "4", "1.3", "2.3", "0", "text", "1.1.1", "2.HEADER"])
def test_a_part_that_is_not_there_is_an_error_of_its_own(section: str) -> None:
    with pytest.raises(UnknownPart):
        part_bytes(MIXED, section)


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_line_ends_do_not_change_the_tree(end: bytes) -> None:
    assert [part.section for part in parts(MIXED.replace(b"\r\n", end))] == [part.section for part in parts(MIXED)]


@pytest.mark.parametrize(
    ("raw", "sections"),
    [
        (b"", ["1"]),
        (b"\r\nonly a body", ["1"]),
        (b"Subject: no body", ["1"]),
        (b"Content-Type: multipart/mixed\n\nno boundary", ["1"]),
        (b"Content-Type: multipart/mixed; boundary=b\n\nno delimiter", ["TEXT"]),
        (b"Content-Type: multipart/mixed; boundary=b\n\n--b--\n", ["TEXT"]),
        (b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nopen end", ["TEXT", "1"]),
        (b"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n--b--", ["TEXT", "1", "2"]),
        (b"Content-Type: multipart/mixed; boundary=b\n\n--bb\n--b-\n --b\nx--b\n", ["TEXT"]),
        (b"Content-Type: multipart/mixed; boundary=b--\n\n--b--\n\nx\n--b----\n", ["TEXT", "1"]),
        (b"Content-Type: nonsense\n\nx", ["1"]),
        (b"Content-Type: message/rfc822\n\nSubject: in\n\nx", ["1", "1.1"]),
        (b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQQ==", ["1"]),
    ],
)
def test_broken_structure_gives_what_there_is(raw: bytes, sections: list[str]) -> None:
    """E25."""
    assert [part.section for part in parts(raw)] == sections


def test_an_outer_delimiter_ends_everything_within() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n"
        b"--b\n\nnever closed\n--a\n\nnext\n--a--\n"
    )

    assert [part.section for part in parts(raw)] == ["TEXT", "1", "1.1", "2"]
    assert part_bytes(raw, "1.1") == b"never closed"
    assert part_bytes(raw, "2") == b"next"


def nested(depth: int, same: bool = False) -> bytes:
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % ((0, 0) if same else (n, n)) for n in range(depth)
    )


MULTIPART = b"Content-Type: multipart/mixed; boundary=b\n\n"
BOMBS = {
    "200,000 parts in 2 MB": MULTIPART + b"--b\n\n" * 200_000,
    "200,000 parts without header or body": MULTIPART + b"--b\n" * 200_000,
    "multiparts 3,000 deep": nested(3_000),
    "multiparts 3,000 deep with one boundary": nested(3_000, same=True),
    "messages 3,000 deep": b"Content-Type: message/rfc822\n\n" * 3_000,
    "60 deep": nested(60),
    "4,000 parameters": b"Content-Type: text/plain" + b"; a=b" * 4_000,
    "2 MB of header": b"A: b\n" * 500_000,
    "2 MB of header in a part": MULTIPART + b"--b\n" + b"A: b\n" * 500_000,
    "1,100,000 lines like delimiters": MULTIPART + b"--c\n" * 1_100_000,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_ends_with_a_limit_after_bounded_work(bomb: bytes) -> None:
    raw = Counted(bomb)

    with pytest.raises(MimeLimit):
        parts(raw)

    assert raw.looks <= 2 * MimeLimits().delimiters + 10


@pytest.mark.parametrize("reader", [text, lambda raw: part_bytes(raw, "9")], ids=["text", "part_bytes"])
def test_every_reader_meets_the_same_limits(reader: Callable[[bytes], object]) -> None:
    with pytest.raises(MimeLimit):
        reader(nested(60))
    assert preview(nested(60)) == ""


def test_what_is_just_within_the_limits_is_read() -> None:
    assert len(parts(nested(50))) == 51
    assert len(parts(MULTIPART + b"--b\n\nx\n" * 999)) == 1_000


def test_a_part_beyond_the_decoded_limit_is_refused() -> None:
    with pytest.raises(MimeLimit):
        part_bytes(b"\n" + b"x" * 11, "1", MimeLimits(decoded_octets=10))
    assert part_bytes(b"\n" + b"x" * 10, "1", MimeLimits(decoded_octets=10)) == b"x" * 10


def test_mutations_of_a_message_end_in_parts_or_a_limit() -> None:
    chance = Random(20)
    tries = read = 0
    for _ in range(600):
        raw = bytearray(MIXED)
        for _ in range(chance.randint(1, 10)):
            at = chance.randrange(len(raw))
            match chance.randrange(4):
                case 0:
                    raw[at] = chance.randrange(256)
                case 1:
                    del raw[at : at + chance.randrange(60)]
                case 2:
                    raw[at:at] = bytes(raw[chance.randrange(len(raw)) :][: chance.randrange(400)])
                case _:
                    raw[at:at] = chance.choice([b"--out\r\n", b"\r\n\r\n", b"--in ner--\r\n", b"=?", b"\0", b'"', b"%"])
        tries += 1
        try:
            tree = parts(bytes(raw))
            said = text(bytes(raw))
        except MimeLimit:
            continue
        read += 1
        said.encode()
        assert len({part.section for part in tree}) == len(tree)
        for part in tree:
            part.filename.encode()
            assert 0 <= part.size_octets <= len(raw)
            assert len(part_bytes(bytes(raw), part.section)) <= len(raw)
    assert read > tries * 0.9


LEAVES = st.tuples(st.sampled_from(["text/plain", "application/pdf", "image/png"]), st.binary(max_size=60))
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, min_size=1, max_size=4), max_leaves=12)


def built(tree: object) -> EmailMessage:
    message = EmailMessage()
    if isinstance(tree, list):
        message.make_mixed()
        for child in tree:
            message.attach(built(child))
    else:
        kind, octets = tree  # type: ignore[misc]
        message.set_content(octets, *kind.split("/"), filename="f.bin")
    return message


@given(TREES)
def test_the_tree_and_its_octets_are_those_of_the_stdlib(tree: object) -> None:
    raw = built(tree).as_bytes()
    theirs = [part for part in BytesParser().parsebytes(raw).walk() if not part.is_multipart()]

    ours = [part for part in parts(raw) if not part.content_type.startswith("multipart/")]

    assert [part.content_type for part in ours] == [part.get_content_type() for part in theirs]
    assert [part_bytes(raw, part.section) for part in ours] == [part.get_payload(decode=True) for part in theirs]


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_base64_texts_put_end_to_end_are_all_decoded(pieces: list[bytes]) -> None:
    body = b"\r\n".join(base64.encodebytes(piece) for piece in pieces)

    assert part_bytes(b"Content-Transfer-Encoding: base64\n\n" + body, "1") == b"".join(pieces)


@given(st.sampled_from(["base64", "quoted-printable", "x-uuencode", "7bit", "nonsense"]), st.binary(max_size=200))
def test_damaged_encodings_cost_no_error_and_never_grow(encoding: str, octets: bytes) -> None:
    raw = b"Content-Transfer-Encoding: " + encoding.encode() + b"\n\n" + octets

    assert len(part_bytes(raw, "1")) <= len(octets)


def test_uuencoded_octets_come_back() -> None:
    octets = bytes(range(256))
    lines = b"".join(binascii.b2a_uu(octets[at : at + 45]) for at in range(0, 256, 45))

    raw = b"Content-Transfer-Encoding: x-uuencode\n\nhere:\nbegin 644 x\n" + lines + b"`\nend\n"

    assert part_bytes(raw, "1") == octets


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ('attachment; filename="plain.txt"', "plain.txt"),
        ("attachment; filename=un quoted.txt; size=3", "un quoted.txt"),
        ("attachment; filename*=utf-8'en'%e2%82%ac%20rates.txt", "€ rates.txt"),
        ("attachment; filename*=iso-8859-1''%A3.txt; filename=pound.txt", "£.txt"),
        ('attachment; filename*0="a"; filename*1=b; filename*2*=%2Etxt', "ab.txt"),
        ("attachment; filename*1*=%65.txt; filename*0*=UTF-8''nam", "name.txt"),
        ("attachment; filename*1=lost.txt", ""),
        ('attachment; filename="=?utf-8?q?caf=C3=A9.txt?="', "café.txt"),
        ('attachment; filename="a\\"b.txt"', "a_b.txt"),
        ('attachment; filename="C:\\\\dir\\\\file.txt"', "file.txt"),
        ('attachment; filename="C:\\dir\\file.txt"', "file.txt"),
        ('attachment; filename="a;b=c.txt"', "a;b=c.txt"),
        ("attachment; filename*=no-such''%41.txt", "A.txt"),
        ("attachment; filename*=utf-8''%ff%fe.txt", "ÿþ.txt"),
        ("attachment", ""),
    ],
)
def test_file_names_are_decoded_in_every_spelling(field: str, name: str) -> None:
    """RFC 2183, RFC 2231, and what senders do in their place."""
    assert parts(f"Content-Disposition: {field}\n\nx".encode())[0].filename == name


@pytest.mark.parametrize(
    ("hostile", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("/", ""),
        ("..", ""),
        (" . ", ""),
        ("a/b\\c.txt", "c.txt"),
        ("con", "_con"),
        ("NUL.tar.gz", "_NUL.tar.gz"),
        ("lpt1 .txt", "_lpt1.txt"),
        (".bashrc", "_.bashrc"),
        ("x\u202egpj.exe", "xgpj.exe"),
        ("a\x00b\r\nc\x1b[1m.txt", "abc[1m.txt"),
        ('a<b>:"|?*.txt', "a_b______.txt"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ("€" * 300 + ".pdf", "€" * 65 + ".pdf"),
        ("x." + "y" * 300, "x." + "y" * 198),
        ("e\u0301.txt", "é.txt"),
        ("trailing. . ", "trailing"),
    ],
)
def test_a_file_name_has_no_meaning_as_a_path(hostile: str, safe: str) -> None:
    assert safe_filename(hostile) == safe


@given(st.text(max_size=400))
def test_any_text_makes_a_safe_file_name_or_none(name: str) -> None:
    safe = safe_filename(name)

    assert len(safe.encode()) <= 200
    assert not set(safe) & set('/\\:*?"<>|\0\r\n\u202e')
    assert not safe.startswith(".") and not safe.endswith((".", " "))
    assert safe_filename(safe) == safe
