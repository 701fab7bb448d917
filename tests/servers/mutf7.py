"""Modified UTF-7 for the test servers, written apart from the product so that each can convict the other.

RFC 3501 section 5.1.3. Room: tests/servers; nothing here imports `store` or `provider`.
"""

from __future__ import annotations

import base64

__all__ = ["decode", "encode"]


def encode(name: str) -> bytes:
    """Return the wire spelling of a folder path.

    >>> encode("Entwürfe & Co")
    b'Entw&APw-rfe &- Co'
    """
    out = bytearray()
    pending: list[str] = []

    def flush() -> None:
        if pending:
            packed = base64.b64encode("".join(pending).encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
            out.extend(b"&" + packed + b"-")
            pending.clear()

    for character in name:
        if " " <= character <= "~":
            flush()
            out.extend(b"&-" if character == "&" else character.encode("ascii"))
        else:
            pending.append(character)
    flush()
    return bytes(out)


def decode(wire: bytes) -> str:
    """Return the folder path behind a wire spelling; raises `ValueError` for bad modified UTF-7.

    >>> decode(b"Entw&APw-rfe &- Co")
    'Entwürfe & Co'
    """
    out: list[str] = []
    rest = wire
    while rest:
        plain, shift, rest = rest.partition(b"&")
        out.append(plain.decode("ascii"))
        if not shift:
            break
        packed, end, rest = rest.partition(b"-")
        if not end:
            raise ValueError(f"unfinished shift in {wire!r}")
        if packed:
            padded = packed.replace(b",", b"/") + b"=" * (-len(packed) % 4)
            out.append(base64.b64decode(padded, validate=True).decode("utf-16-be"))
        else:
            out.append("&")
    return "".join(out)
