"""Every place of a message, flooded with what makes parsers slow, deep or wrong (T20).

Shown here: an end, no error but ``MimeLimit``, and text that is clean. That the work is bounded is shown where it can
be counted (``test_mime_parts``, ``test_mime_text``).
"""

import pytest

from store.errors import MimeLimit
from store.mime import part_bytes, parts, preview, safe_filename, scan_header, text

PIECES = [
    *("(", ")", "<", ">", '"', "\\", ",", ";", ":", "@", "[", "]", "=", "?", "*", "'", "%", "&", "-", ".", " ", "\t"),
    *("=?", "=?utf-8?q?", "=?utf-8?b?=?=", "=?utf-8?q?=41?= ", "?=", "<>", "<a@b>", "()", '"" ', '\\"', "a:b;", "a@b,"),
    *(
        "; a=b",
        "; a*0=b",
        "; a*0*=%41",
        ';a="',
        "%E2%82",
        "--b\n",
        "\n--b",
        "--b--\n",
        "\n",
        "\r",
        "\r\n",
        "\n ",
        "\r\n\t",
    ),
    *(
        "\x00",
        "\ud800",
        "\udcff",
        "\x1b[31m",
        "\u202e",
        "\u0301",
        "\ufeff",
        "é",
        "😀",
        "&#x1f600;",
        "&#9999999999;",
        "&amp",
    ),
    *(
        "<a",
        "<!--",
        "<!",
        "<p>",
        "</p",
        "<script>",
        "<pre>",
        "<table><tr><td>",
        "1 Jan 2026 ",
        "Jan",
        "+0000",
        "begin 644 x\n",
    ),
]
PLACES = {
    "Subject": ("Subject: ", "\r\n\r\nx"),
    "From": ("From: ", "\r\n\r\nx"),
    "Date": ("Date: ", "\r\n\r\nx"),
    "Message-ID": ("Message-ID: ", "\r\n\r\nx"),
    "References": ("References: <a@b> ", "\r\n\r\nx"),
    "Content-Type": ("Content-Type: ", "\r\n\r\nx"),
    "a charset": ("Content-Type: text/plain; charset=", "\r\n\r\n\xfc"),
    "a boundary": ("Content-Type: multipart/mixed; boundary=", "\r\n\r\n--b\r\n\r\nx"),
    "a file name": ("Content-Disposition: attachment; filename=", "\r\n\r\nx"),
    "a field name": ("", ": x\r\n\r\nx"),
    "a multipart": ("Content-Type: multipart/mixed; boundary=b\n\n--b\n", "\n--b--\n"),
    "a header of a part": ("Content-Type: multipart/mixed; boundary=b\n\n--b\nA: ", "\n\nx\n--b--\n"),
    "base64": ("Content-Transfer-Encoding: base64\n\n", ""),
    "quoted-printable": ("Content-Transfer-Encoding: quoted-printable\n\n", ""),
    "uuencode": ("Content-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n", ""),
    "HTML": ("Content-Type: text/html; charset=utf-8\n\n", ""),
    "an attribute": ('Content-Type: text/html\n\n<img alt="', '">x'),
    "flowed text": ("Content-Type: text/plain; format=flowed; delsp=yes\n\n> ", ""),
    "UTF-7": ("Content-Type: text/plain; charset=utf-7\n\n+", "-"),
    "UTF-16": ("Content-Type: text/plain; charset=utf-16\n\n", ""),
}
BOMB_OCTETS = 40_000


@pytest.mark.parametrize("place", PLACES)
def test_every_place_stands_a_flood_of_every_piece(place: str) -> None:
    before, after = PLACES[place]
    for piece in PIECES:
        flood = (piece.encode("utf-8", "surrogatepass") * BOMB_OCTETS)[:BOMB_OCTETS]
        raw = before.encode() + flood + after.encode("latin-1")

        scan_header(raw).subject.encode()
        try:
            for part in parts(raw):
                part.filename.encode()
                assert len(part_bytes(raw, part.section)) <= len(raw)
            text(raw).encode()
        except MimeLimit:
            assert preview(raw) == ""


def test_any_flood_as_a_file_name_is_short() -> None:
    for piece in PIECES:
        assert len(safe_filename(piece * BOMB_OCTETS).encode()) <= 200
