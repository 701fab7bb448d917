"""The mail of the truth scenarios: nested folders with difficult names, every kind of flag, message and date.

Room: tests/scenarios. Deterministic: the same arguments give the same octets. Nothing here is from real mail.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterable, Sequence
from itertools import islice

from ..servers import mutf7
from ..servers.plain_client import NewMessage, PlainClient

__all__ = ["FOLDERS", "GIANT_OCTETS", "fill", "folder_names", "giant", "mail", "monsters", "plain", "pour"]

GIANT_OCTETS = 30_000_000

FOLDERS: tuple[tuple[str, ...], ...] = (
    ("INBOX",),
    ("Lists",),
    ("Lists", "two words"),
    ("Lists", "two words", 'say "hello"'),
    ("Lists", "two words", 'say "hello"', "back\\slash"),
    ("Lists", "two words", 'say "hello"', "back\\slash", "Größe & Maß"),
    ("Lists", "two words", 'say "hello"', "back\\slash", "Größe & Maß", "日本語"),
    ("Lists", "two words", 'say "hello"', "back\\slash", "Größe & Maß", "日本語", "deep"),
    ("Entwürfe",),
    ("Ελληνικά",),
    ("Ελληνικά", "Άλφα"),
    ("🐈 cats",),
    ("&",),
    ("a&b",),
    # Spelled like modified UTF-7, and meant as it stands.
    ("&AOQ-",),
    ("Sent",),
    ("Sent", "2024"),
    ("Drafts",),
    ("Trash",),
    ("Junk",),
    ("Archive",),
    ("Archive", "2023"),
    ("Archive", "2023", "Q1"),
    ("Archive", "2023", "Q1", "January"),
    ("per%cent",),
    ("st*r",),
    ("#hash",),
    ("(round)",),
    ("{3}",),
    ("[square]",),
    ("'single'",),
    ("semi;colon, comma",),
    ("+plus-minus_",),
    ("inbox2",),
    ("NIL",),
    # A parent that is no folder itself stands between: it is listed, and cannot be opened.
    ("No such parent", "child"),
    ("No such parent", "other", "grandchild"),
    ("e\u0301 apart",),
    ("שלום",),
    ("x" * 120,),
)

_KEYWORDS = ("$Forwarded", "$MDNSent", "NonJunk", "Work-2", "$Label1", "!important", "a/b:c;d", "x+y=z", "<angle>", "'")
_SYSTEM = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ZONES = ("+0000", "-0930", "+0545", "+1300", "-1200", "+1400", "-0000")
_BEGINNING = (
    "Return-Path: <jo{n}@example.org>\r\n"
    "Received: from a.example.org by b.example.org with ESMTP id {n:06x}; Sat, 21 Nov 2026 10:00:00 +0100\r\n"
    "From: =?utf-8?q?J=C3=B6rg?= Example <jo{n}@example.org>\r\nTo: you@example.org,\r\n\tteam@example.org\r\n"
    "Subject: Message {n}, =?iso-8859-1?Q?Gr=FC=DFe?=\r\nDate: Sat, 21 Nov 2026 10:00:00 +0100\r\n"
    "Message-ID: <m{n}@example.org>\r\n"
)


def folder_names(delimiter: str, count: int = len(FOLDERS)) -> list[str]:
    """Return the decoded names of the first *count* folders, INBOX first, parents before children."""
    return [delimiter.join(names) for names in FOLDERS[:count]]


def mail(count: int, *, seed: int = 1, keywords: bool = True) -> list[NewMessage]:
    """Return *count* messages: every kind of octets with every kind of flags and dates; some are the same twice."""
    chance = random.Random(seed)
    kinds = (_text, _text, _text, _eight_bit, _alternative, _odd, _alike, _alike)
    return [
        NewMessage(
            octets=kinds[at % len(kinds)](seed * 10_000 + at, chance),
            flags=_flags(seed + at, keywords=keywords),
            internal_date=_date(chance),
        )
        for at in range(count)
    ]


def monsters() -> list[NewMessage]:
    """Return the large and the deep: 30 MB, 1,000 parts, 60 levels in two ways, one line of a million octets."""
    return [
        NewMessage(octets=octets, flags=_flags(at, keywords=True), internal_date=" 3-Mar-2026 07:00:00 +1300")
        for at, octets in enumerate(
            (giant(GIANT_OCTETS), _thousand_parts(), _deep_parts(60), _deep_messages(60), _long_line())
        )
    ]


def plain(number: int, *, octets: int = 0) -> bytes:
    """Return one small message with its own Message-ID, filled up to about *octets*."""
    head = (_BEGINNING.format(n=number) + "\r\n").encode()
    line = b"line of message %d\r\n" % number
    return head + line * max(1, (octets - len(head)) // len(line))


def giant(octets: int) -> bytes:
    """Return a message of exactly *octets* octets which do not compress."""
    head = _BEGINNING.format(n=30_000_000) + "Content-Type: application/octet-stream\r\n"
    head += "Content-Transfer-Encoding: base64\r\n\r\n"
    lines = base64.encodebytes(random.Random(3).randbytes(octets * 57 // 78)).replace(b"\n", b"\r\n")
    return (head.encode() + lines * 2)[: octets - 2] + b"\r\n"


def pour(client: PlainClient, folder: str, messages: Iterable[NewMessage]) -> None:
    """Append all of *messages* with few commands (RFC 3502, RFC 7888), a hundred times as fast as one by one."""
    waiting, connection = iter(messages), client.connection
    while batch := list(islice(waiting, 500)):
        tag = connection._new_tag()  # type: ignore[attr-defined]
        connection.send(tag + b" APPEND " + _quoted(mutf7.encode(folder)))
        for message in batch:
            head = f' ({" ".join(message.flags)}) "{message.internal_date}" {{{len(message.octets)}+}}\r\n'
            connection.send(head.encode() + message.octets)
        connection.send(b"\r\n")
        answer, text = connection._command_complete("APPEND", tag)  # type: ignore[attr-defined]
        if answer != "OK":
            raise AssertionError(f"the server refused to take {len(batch)} messages: {text}")


def fill(client: PlainClient, delimiter: str, *, folders: int, messages: int, extra: Sequence[NewMessage] = ()) -> None:
    """Create the first *folders* folders, put *messages* messages evenly into them, and *extra* among INBOX's."""
    names = folder_names(delimiter, folders)
    client.create(*names[1:])
    for at, name in enumerate(names):
        share = messages // folders + (at < messages % folders)
        if at == 0:
            usual = mail(share - len(extra), seed=1)
            pour(client, name, [*usual[:5], *extra, *usual[5:]])
        else:
            pour(client, name, mail(share, seed=at + 1))


def _quoted(wire: bytes) -> bytes:
    return b'"' + wire.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _flags(number: int, *, keywords: bool) -> tuple[str, ...]:
    """Return one of the 32 sets of system flags, with none to three keywords."""
    system = [flag for bit, flag in enumerate(_SYSTEM) if number >> bit & 1]
    chosen = [_KEYWORDS[(number * 7 + step) % len(_KEYWORDS)] for step in range(number % 4)] if keywords else []
    return (*system, *chosen)


def _date(chance: random.Random) -> str:
    day, month, year = chance.randint(1, 28), chance.choice(_MONTHS), chance.randint(1971, 2036)
    time = f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}"
    return f"{day:2}-{month}-{year} {time} {chance.choice(_ZONES)}"


def _text(number: int, chance: random.Random) -> bytes:
    return plain(number, octets=chance.randint(600, 4_000))


def _alike(number: int, chance: random.Random) -> bytes:
    """One of five messages, which lie in every folder, and several times in each."""
    return plain(number % 5, octets=900)


def _eight_bit(number: int, chance: random.Random) -> bytes:
    subject = (b"Gr\xfc\xdfe", "Grüße, Ж, 語".encode(), b"\xff\xfe\x80 broken", b"\x1b$B")[number % 4]
    head = b"From: J\xf6rg <j@example.org>\r\nSubject: %b %d\r\nMessage-ID: <e%d@example.org>\r\n\r\n"
    return head % (subject, number, number) + bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"") + b"\r\n"


def _alternative(number: int, chance: random.Random) -> bytes:
    picture = base64.encodebytes(chance.randbytes(300)).replace(b"\n", b"\r\n")
    return (
        _BEGINNING.format(n=number).encode()
        + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\n"
        + b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
        + "Grüße\r\n".encode()
        + b"--b1\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + picture
        + b"--b1--\r\n"
    )


def _odd(number: int, chance: random.Random) -> bytes:
    mark = b"%d" % number
    return (
        b"Subject: a header alone " + mark + b"\r\n",
        b"\r\nno header at all " + mark + b"\r\n",
        b"Subject: no line end " + mark + b"\r\n\r\nno line end",
        b"From jo@example.org Sat Nov 21 10:00:00 2026\r\nSubject: mbox " + mark + b"\r\n\r\n.\r\n..\r\nFrom me\r\n",
        b"no colon in this header\r\nSubject: odd " + mark + b"\r\n\r\n)\r\n* 1 FETCH (UID 1)\r\na1 OK done\r\n",
        b"References: " + b" <r@example.org>\r\n\t" * 500 + b"\r\nSubject: folded " + mark + b"\r\n\r\n",
        b"Subject: " + b"x" * 9_000 + mark + b"\r\n\r\nlong\r\n",
        b"x",
    )[number // 8 % 8]


def _thousand_parts() -> bytes:
    head = _BEGINNING.format(n=1_000) + 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="many"\r\n\r\n'
    parts = "".join(f'--many\r\nContent-Type: text/plain; name="{at}.txt"\r\n\r\npart {at}\r\n' for at in range(1_000))
    return (head + parts + "--many--\r\n").encode()


def _deep_parts(levels: int) -> bytes:
    inner = b"Content-Type: text/plain\r\n\r\nat the bottom\r\n"
    for level in range(levels):
        inner = (
            b"Content-Type: multipart/mixed; boundary=level%d\r\n\r\n--level%d\r\n" % (level, level)
            + inner
            + b"--level%d--\r\n" % level
        )
    return _BEGINNING.format(n=60).encode() + b"MIME-Version: 1.0\r\n" + inner


def _deep_messages(levels: int) -> bytes:
    inner = plain(61)
    for level in range(levels):
        inner = b"Subject: level %d\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n" % level + inner
    return inner


def _long_line() -> bytes:
    return plain(62) + b"y" * 1_000_000 + b"\r\n"
