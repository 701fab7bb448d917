"""The mail of ``maildock demo``: several hundred messages, always the same ones, made on the spot.

Many charsets, threads, attachments, and the odd ones that a mailbox collects. Written by hand in RFC 5322 and
RFC 2045, as a server would hold them: lines end in CRLF, none is longer than 998 octets.
"""

from base64 import b64encode, encodebytes
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from quopri import encodestring
from random import Random

from .demo_words import FOLDERS, TONGUES, Tongue

__all__ = ["DemoMessage", "demo_messages", "late_messages"]

BEGIN = datetime(2026, 3, 2, 8, 15, tzinfo=timezone(timedelta(hours=1)))
THREADS = 130
SEED = 1716
ME = ("Demo User", "demo@maildock.example")

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c63f8cfc0f01f00050001ff56c72f0d0000000049454e44ae426082"
)
"""One pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoMessage:
    """A message to be appended: system flags only, since the demo's server keeps no keywords."""

    folder: str
    octets: bytes
    flags: frozenset[str]
    internal_date: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """Content fields of a header, and the body that they describe."""

    fields: tuple[str, ...]
    body: bytes


def demo_messages() -> Iterator[DemoMessage]:
    """Yield the mailbox that the first synchronization finds, oldest first."""
    chance = Random(SEED)
    at = BEGIN
    for thread in range(THREADS):
        at += timedelta(minutes=chance.randrange(200, 4_000))
        yield from _thread(chance, thread, at)
    yield from _odd_ones(at + timedelta(hours=1))


def late_messages() -> Iterator[DemoMessage]:
    """Yield what arrives in INBOX between the two synchronizations."""
    chance = Random(SEED + 1)
    at = BEGIN + timedelta(days=185)
    for number in range(8):
        tongue = TONGUES[number % len(TONGUES)]
        at += timedelta(minutes=7)
        content = _picture(chance, tongue) if number == 3 else _plain(chance, tongue)
        octets = _message(tongue.people[0], ME, f"New: {tongue.subjects[0]}", tongue, at, f"late{number}", (), content)
        yield DemoMessage(folder="INBOX", octets=octets, flags=frozenset(), internal_date=at)


def _thread(chance: Random, thread: int, at: datetime) -> Iterator[DemoMessage]:
    """Yield a conversation: somebody writes, others and the user answer."""
    tongue = TONGUES[0] if chance.random() < 0.45 else chance.choice(TONGUES)
    folder = chance.choice(("INBOX", "INBOX", "INBOX", "Archive", *(name for name in FOLDERS if "/" in name)))
    subject = chance.choice(tongue.subjects)
    seen = chance.random() < 0.7
    ids: list[str] = []
    for reply in range(chance.choice((1, 1, 1, 2, 3, 4, 7))):
        mine = reply > 0 and chance.random() < 0.3
        writer, reader = (ME, tongue.people[0]) if mine else (chance.choice(tongue.people), ME)
        form = chance.choice(
            (_plain, _plain, _plain, _plain, _html, _quoted_printable, _table, _picture, _large, _invite)
        )
        title = f"Re: {subject}" if reply else subject
        name = f"t{thread}.{reply}"
        octets = _message(writer, reader, title, tongue, at, name, tuple(ids), form(chance, tongue))
        flags = {"\\Seen"} if seen or mine else set()
        if chance.random() < 0.06:
            flags.add("\\Flagged")
        if reply and not mine and chance.random() < 0.5:
            flags.add("\\Answered")
        yield DemoMessage(folder="Sent" if mine else folder, octets=octets, flags=frozenset(flags), internal_date=at)
        ids.append(f"<{name}@maildock.example>")
        at += timedelta(minutes=chance.randrange(3, 900))


def _message(
    writer: tuple[str, str],
    reader: tuple[str, str],
    subject: str,
    tongue: Tongue,
    at: datetime,
    name: str,
    above: tuple[str, ...],
    content: _Content,
) -> bytes:
    """Put a message together; *above* are the ids of its thread, oldest first."""
    fields = [
        f"Received: from mail.example.org by mx.maildock.example with ESMTPS; {format_datetime(at)}",
        f"From: {_person(writer, tongue.charset)}",
        f"To: {_person(reader, tongue.charset)}",
        f"Subject: {_encoded(subject, tongue.charset)}",
        f"Date: {format_datetime(at)}",
        f"Message-ID: <{name}@maildock.example>",
    ]
    if above:
        fields += [f"In-Reply-To: {above[-1]}", "References: " + "\r\n ".join(above)]
    fields += ["MIME-Version: 1.0", *content.fields]
    return "\r\n".join(fields).encode("ascii") + b"\r\n\r\n" + content.body


def _encoded(text: str, charset: str) -> str:
    """Return *text* as it stands in a header: encoded words (RFC 2047 §2) of at most 75 characters where needed."""
    if text.isascii():
        return text
    charset = charset if charset != "us-ascii" else "utf-8"
    words, start = [], 0
    while start < len(text):
        end = len(text)
        while len(_word(text[start:end], charset)) > 75:
            end -= 1
        words.append(_word(text[start:end], charset))
        start = end
    return "\r\n ".join(words)


def _word(text: str, charset: str) -> str:
    return f"=?{charset}?B?{b64encode(text.encode(charset)).decode()}?="


def _person(person: tuple[str, str], charset: str) -> str:
    name, address = person
    local, _, domain = address.partition("@")
    return f"{_encoded(name, charset)} <{local}@{domain.encode('idna').decode()}>"


def _text(chance: Random, tongue: Tongue) -> str:
    sentences = [chance.choice(tongue.sentences) for _ in range(chance.randrange(1, 9))]
    return "\r\n".join([*sentences, "", "-- ", chance.choice(tongue.people)[0], ""])


def _plain(chance: Random, tongue: Tongue) -> _Content:
    """Text as it is: seven bits where the charset has them, else eight."""
    bits = "7bit" if tongue.charset in ("us-ascii", "iso-2022-jp") else "8bit"
    return _Content(
        fields=(f"Content-Type: text/plain; charset={tongue.charset}", f"Content-Transfer-Encoding: {bits}"),
        body=_text(chance, tongue).encode(tongue.charset),
    )


def _quoted_printable(chance: Random, tongue: Tongue) -> _Content:
    encoded = encodestring(_text(chance, tongue).replace("\r\n", "\n").encode(tongue.charset))
    return _Content(
        fields=(
            f"Content-Type: text/plain; charset={tongue.charset}",
            "Content-Transfer-Encoding: quoted-printable",
        ),
        body=encoded.replace(b"\n", b"\r\n"),
    )


def _html(chance: Random, tongue: Tongue) -> _Content:
    """The same in two forms, the richer one last (RFC 2046 §5.1.4)."""
    text = _text(chance, tongue)
    lines = "<br>\r\n".join(text.split("\r\n"))
    rich = f"<html><body><p style='color:#246'>{lines}</p><script>alert(1)</script></body></html>\r\n".encode()
    return _multipart(
        "alternative",
        _part("text/plain; charset=utf-8", text.encode(), "8bit"),
        _part("text/html; charset=utf-8", rich, "8bit"),
    )


def _table(chance: Random, tongue: Tongue) -> _Content:
    rows = "\r\n".join(f"{day},{chance.randrange(9_999)}" for day in range(chance.randrange(5, 60)))
    return _with_file(chance, tongue, "text/csv; charset=us-ascii", "numbers.csv", rows.encode())


def _picture(chance: Random, tongue: Tongue) -> _Content:
    return _with_file(chance, tongue, "image/png", "harbour.png", PNG)


def _large(chance: Random, tongue: Tongue) -> _Content:
    return _with_file(
        chance, tongue, "application/octet-stream", "scan.bin", chance.randbytes(chance.randrange(10_000, 90_000))
    )


def _invite(chance: Random, tongue: Tongue) -> _Content:
    event = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:{}@maildock.example\r\n"
    event += "DTSTART:20260601T090000Z\r\nSUMMARY:Harbour walk\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    calendar = event.format(chance.randrange(10**6)).encode()
    return _multipart(
        "mixed",
        _part(f"text/plain; charset={tongue.charset}", _text(chance, tongue).encode(tongue.charset), "8bit"),
        _part("text/calendar; charset=utf-8; method=REQUEST", calendar, "7bit"),
    )


def _with_file(chance: Random, tongue: Tongue, content_type: str, filename: str, octets: bytes) -> _Content:
    return _multipart(
        "mixed",
        _part(f"text/plain; charset={tongue.charset}", _text(chance, tongue).encode(tongue.charset), "8bit"),
        _part(
            content_type,
            encodebytes(octets).replace(b"\n", b"\r\n"),
            "base64",
            f'Content-Disposition: attachment; filename="{filename}"',
        ),
    )


def _part(content_type: str, body: bytes, encoding: str, *more: str) -> bytes:
    fields = [f"Content-Type: {content_type}", f"Content-Transfer-Encoding: {encoding}", *more]
    return "\r\n".join(fields).encode() + b"\r\n\r\n" + body


def _multipart(kind: str, *parts: bytes) -> _Content:
    boundary = "=_maildock_demo"
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return _Content(
        fields=(f'Content-Type: multipart/{kind}; boundary="{boundary}"',),
        body=body + b"--" + boundary.encode() + b"--\r\n",
    )


def _odd_ones(at: datetime) -> Iterator[DemoMessage]:
    """Yield what every old mailbox holds and no textbook shows."""
    inner = b"From: tom@example.org\r\nSubject: The inner one\r\n\r\nForwarded as it was.\r\n"
    forwarded = _multipart(
        "mixed", _part("text/plain", b"See below.", "7bit"), b"Content-Type: message/rfc822\r\n\r\n" + inner
    )
    report = _multipart(
        "report; report-type=delivery-status",
        _part("text/plain", b"Your message could not be delivered.", "7bit"),
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n\r\n"
        b"Final-Recipient: rfc822; nobody@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n",
    )
    references = "\r\n ".join(f"<old{number}@example.org>" for number in range(120))
    odd = (
        b"From: ada@harbour.example\r\nTo: demo@maildock.example\r\n\r\nNo subject and no date.\r\n",
        b"Subject: Nothing but a subject\r\n\r\n",
        b"From: Fran\xe7ois <francois@example.org>\r\nSubject: Raw octets in a header: \xe9t\xe9\r\n\r\nBonjour.\r\n",
        (
            b"From: undisclosed-recipients:;\r\nTo: Crew: ada@harbour.example, tom.baker@example.org;\r\n"
            b"Subject: A group of people\r\n\r\nTo all of you.\r\n"
        ),
        b"From: list@example.org\r\nSubject: A thread without an end\r\nReferences: "
        + references.encode()
        + b"\r\n\r\nStill here.\r\n",
        b"From: a@example.org\r\nFrom: b@example.org\r\nSubject: First\r\nSubject: Second\r\n\r\nTwice.\r\n",
        b"From: ada@harbour.example\r\nSubject: =?utf-8?B?broken\r\nDate: yesterday\r\n\r\nA word that never ends.\r\n",
        b"From: evil@example.net\r\nSubject: \xe2\x80\xaegnp.exe \x1b[31m\r\n\r\nText that would turn around.\r\n",
        b"From: tom.baker@example.org\r\nSubject: Fwd: The inner one\r\n" + _closed(forwarded),
        b"From: MAILER-DAEMON@example.org\r\nSubject: Undelivered mail\r\n" + _closed(report),
        (
            b"From: flow@example.org\r\nSubject: Soft lines\r\nContent-Type: text/plain; format=flowed\r\n\r\n"
            b"This sentence goes on \r\nand on until it ends.\r\n"
        ),
    )
    for number, octets in enumerate(odd):
        yield DemoMessage(
            folder="INBOX" if number % 2 else "Trash",
            octets=octets,
            flags=frozenset({"\\Seen"}) if number % 3 else frozenset(),
            internal_date=at + timedelta(minutes=number),
        )
    draft = b"From: demo@maildock.example\r\nSubject: Not finished yet\r\n\r\nDear \r\n"
    yield DemoMessage(folder="Drafts", octets=draft, flags=frozenset({"\\Draft", "\\Seen"}), internal_date=at)


def _closed(content: _Content) -> bytes:
    return "\r\n".join(("MIME-Version: 1.0", *content.fields)).encode() + b"\r\n\r\n" + content.body
