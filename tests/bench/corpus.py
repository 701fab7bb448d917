"""The mail that every figure is measured with: deterministic, with the statistics of real mailboxes.

Room: tests/bench. Mailbox A: 10,000 messages, about 332 MB, 15 % with an attachment of up to 3 MB. Mailbox B has the
same without attachments, 10 kB a message; *small* mail has a few lines of text only, 1.5 kB a message. Words follow
Zipf's law, lengths are log-normal, attachments do not compress beyond their base64. Equal arguments give equal octets
(from one version of Python; across versions only the statistics are sure to be the same).
"""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

__all__ = ["CorpusMessage", "corpus"]

SEED = 20_261_120
FIRST_DATE = datetime(2015, 1, 1, tzinfo=UTC)
BETWEEN_MESSAGES = timedelta(minutes=37)
ATTACHMENT_OCTETS_MAX = 3_000_000
LINES_IN_POOL = 20_000
SENDERS = 300

FLAG_SHARES = (("\\Seen", 0.85), ("\\Answered", 0.20), ("\\Flagged", 0.05))


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusMessage:
    """One message as it is put on a server; *octets* end their lines in CRLF."""

    octets: bytes
    flags: tuple[str, ...]
    internal_date: datetime


def corpus(
    count: int, *, attachments: bool = True, small: bool = False, seed: int = SEED, first: int = 0
) -> Iterator[CorpusMessage]:
    """Yield *count* messages, oldest first; one at a time is in memory. A smaller *count* is a beginning.

    *first* numbers them, and so dates them: mail that comes later has another *seed* and a higher number.
    """
    writer = _Writer(Random(seed))
    for number in range(first, first + count):
        yield writer.small(number) if small else writer.message(number, attachments=attachments)


class _Writer:
    """Writes messages; all chance comes from one generator."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._lines = _line_pool(random)

    def message(self, number: int, *, attachments: bool) -> CorpusMessage:
        random = self._random
        at = FIRST_DATE + BETWEEN_MESSAGES * number
        kind = random.random()
        boundary = f"=_{random.getrandbits(80):020x}"
        text = self._paragraphs(3.2, 0.9)
        if kind < 0.35:
            content_type, body = "text/plain; charset=utf-8", text
        else:
            content_type = f'multipart/alternative; boundary="{boundary}"'
            body = self._alternative(boundary, text)
            if kind >= 0.85 and attachments:
                content_type, body = self._with_attachment(number, content_type, body)
        head = self._head(number, at, content_type)
        return CorpusMessage(
            octets=f"{head}\r\n\r\n{body}\r\n".encode(),
            flags=self._flags(),
            internal_date=at,
        )

    def small(self, number: int) -> CorpusMessage:
        at = FIRST_DATE + BETWEEN_MESSAGES * number
        head, body = self._head(number, at, "text/plain; charset=utf-8"), self._paragraphs(1.6, 0.7)
        return CorpusMessage(octets=f"{head}\r\n\r\n{body}\r\n".encode(), flags=self._flags(), internal_date=at)

    def _flags(self) -> tuple[str, ...]:
        return tuple(flag for flag, share in FLAG_SHARES if self._random.random() < share)

    def _head(self, number: int, at: datetime, content_type: str) -> str:
        random = self._random
        when, sender = format_datetime(at), random.randrange(SENDERS)
        relay = f"mx{sender % 9}.example.net"
        received = (
            f"from {relay} ({relay} [192.0.2.{sender % 250}])\r\n\tby mail.example.com (Postfix) with ESMTPS"
            f" id {random.getrandbits(44):x}\r\n\tfor <me@example.com>"
        )
        lines = [
            f"Return-Path: <person{sender}@example.org>",
            f"Received: {received}; {when}",
            f"Received: by {relay} with SMTP id {random.getrandbits(60):x}; {when}",
            f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1;\r\n\tbh={self._base64(32)};"
            "\r\n\tb=" + "\r\n\t ".join(self._base64(48) for _ in range(4)),
            f'From: "Person {sender}" <person{sender}@example.org>',
            "To: Me <me@example.com>",
            f"Subject: {self._subject(number)}",
            f"Date: {when}",
            f"Message-ID: <{number}.{random.getrandbits(64):x}@example.org>",
        ]
        if number > 10 and random.random() < 0.45:
            parent = f"<{number - random.randrange(1, 10)}.parent@example.org>"
            lines += [f"In-Reply-To: {parent}", f"References: {parent}"]
        return "\r\n".join([*lines, "MIME-Version: 1.0", f"Content-Type: {content_type}"])

    def _subject(self, number: int) -> str:
        if self._random.random() < 0.12:
            encoded = base64.b64encode(f"Réunion numéro {number} – façade".encode()).decode()
            return f"=?utf-8?B?{encoded}?="
        return " ".join(self._random.choices(self._lines, k=1)[0].split()[:6]).title()

    def _paragraphs(self, mean: float, spread: float) -> str:
        return "\r\n".join(self._random.choices(self._lines, k=int(self._log_normal(mean, spread))))

    def _alternative(self, boundary: str, text: str) -> str:
        count = int(self._log_normal(3.95, 0.9))
        lines = self._random.choices(self._lines, k=count)
        html = "\r\n".join(f'<p style="margin:0">{line}</p>' for line in lines)
        return (
            f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
            f"--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body>{html}</body></html>\r\n"
            f"--{boundary}--\r\n"
        )

    def _with_attachment(self, number: int, inner_type: str, inner: str) -> tuple[str, str]:
        boundary = f"=_m{self._random.getrandbits(80):020x}"
        octets = self._octets(int(min(ATTACHMENT_OCTETS_MAX, self._log_normal(11.0, 1.1))))
        encoded = base64.encodebytes(octets).decode().replace("\n", "\r\n")
        body = (
            f"--{boundary}\r\nContent-Type: {inner_type}\r\n\r\n{inner}\r\n"
            f'--{boundary}\r\nContent-Type: application/pdf; name="f{number}.pdf"\r\n'
            f'Content-Disposition: attachment; filename="f{number}.pdf"\r\n'
            f"Content-Transfer-Encoding: base64\r\n\r\n{encoded}--{boundary}--\r\n"
        )
        return f'multipart/mixed; boundary="{boundary}"', body

    def _octets(self, count: int) -> bytes:
        return self._random.getrandbits(8 * count).to_bytes(count, "big") if count else b""

    def _base64(self, count: int) -> str:
        return base64.b64encode(self._octets(count)).decode()

    def _log_normal(self, mean: float, spread: float) -> float:
        """Return a log-normal number (Box and Muller), from `random()` alone."""
        one, two = 1.0 - self._random.random(), self._random.random()
        return math.exp(mean + spread * math.sqrt(-2.0 * math.log(one)) * math.cos(math.tau * two))


def _line_pool(random: Random) -> list[str]:
    """Return lines of twelve words, the words from a vocabulary with Zipf's frequencies."""
    letters = "etaoinshrdlucmfwypvbgkqjxz"
    words = sorted({"".join(random.choices(letters, k=2 + int(random.random() * 9))) for _ in range(24_000)})
    frequencies = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(words))))
    order = random.sample(words, len(words))
    return [" ".join(random.choices(order, cum_weights=frequencies, k=12)) for _ in range(LINES_IN_POOL)]
