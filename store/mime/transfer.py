"""Content-Transfer-Encoding undone, as far as it can be.

Room: store.mime. Pure. Any octets in, octets out, never an error: damage costs what is damaged. The result is never
longer than the input. RFC 2045 §6; uuencode as old mail has it.
"""

import binascii
import re

__all__ = ["decode_transfer"]

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_LETTERS) - {ord("=")})
_PADDING = re.compile(rb"=+")
BASE64_RUNS_MAX = 1_000
"""Base64 texts put end to end, each with its padding; after so many, padding is skipped as noise."""


def decode_transfer(octets: bytes, encoding: str) -> bytes:
    """Return *octets* decoded; an encoding that is not known returns them as they are.

    >>> decode_transfer(b"R3I9PQ==", "base64")
    b'Gr=='
    """
    match encoding:
        case "base64":
            return _base64(octets)
        case "quoted-printable":
            return binascii.a2b_qp(octets)
        case "x-uuencode" | "uuencode" | "x-uue" | "uue":
            return _uuencode(octets)
        case _:
            return octets


def _base64(octets: bytes) -> bytes:
    # binascii stops at the first padding; gateways that put two texts end to end lose the second that way.
    runs = _PADDING.split(octets.translate(None, _NOT_BASE64), maxsplit=BASE64_RUNS_MAX)
    return b"".join(map(_base64_run, runs))


def _base64_run(letters: bytes) -> bytes:
    letters = letters.translate(None, b"=")
    if len(letters) % 4 == 1:
        letters = letters[:-1]  # six bits are no octet
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def _uuencode(octets: bytes) -> bytes:
    start = re.search(rb"(?:\A|\n)begin [0-7]{3,4} [^\n]*\n", octets)
    if start is None:
        return octets
    out: list[bytes] = []
    for line in octets[start.end() :].splitlines():
        if line.strip() in (b"", b"`", b"end"):
            break
        length = (line[0] - 32) & 63
        try:
            out.append(binascii.a2b_uu(line[: 1 + (length + 2) // 3 * 4]))
        except binascii.Error:
            continue  # a damaged line costs itself only
    return b"".join(out)
