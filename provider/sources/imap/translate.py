"""Wire spellings to values of ``store.mail``: dates, flags, numbers, status items.

Room: sources/imap. Pure; never raises on a server's octets. What is absent, impossible or out of bounds is None, so
that one odd value costs one value and not a message. RFC 3501 §9, RFC 7162 §7, RFC 8474.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from store.mail import ModSeq, Uid, UidValidity, clean_flags
from store.mail.ids import MODSEQ_MAX

from ..base import FolderStatus
from .grammar import UID_LAST, Value

__all__ = [
    "email_id",
    "flags",
    "folder_status",
    "internal_date",
    "message_id",
    "mod_seq",
    "number",
    "text",
    "uid",
    "uid_validity",
    "wait_seconds",
]

_MONTHS = {
    name: index
    for index, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
_DATE = re.compile(rb" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)\Z")
_DIGITS = re.compile(rb"[0-9]{1,20}\Z")
_WAIT = re.compile(rb"back-?off time: *(\d{1,12}) *(milliseconds|ms|seconds|s)\b", re.IGNORECASE)
_WAIT_SECONDS_MAX = 86_400.0
_MESSAGE_ID = re.compile(rb"^Message-ID[ \t]*:((?:[^\r\n]*+\r?\n(?=[ \t]))*+[^\r\n]*+)", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID_CHARACTERS_MAX = 998
_ZONES = {offset: timezone(timedelta(minutes=offset)) for offset in range(-14 * 60, 14 * 60 + 1, 15)}


def number(octets: Value, highest: int = 2**63 - 1) -> int | None:
    """Return a number from 0 to *highest*, else None.

    >>> number(b"12"), number(b"-1"), number(b"99999999999999999999999")
    (12, None, None)
    """
    if not isinstance(octets, bytes) or not _DIGITS.match(octets):
        return None
    told = int(octets)
    return told if told <= highest else None


def uid(octets: Value) -> Uid | None:
    """Return a UID, or None for what IMAP cannot mean (0, 2**32 and above, no number)."""
    told = number(octets, UID_LAST)
    return Uid(told) if told else None


def uid_validity(octets: Value) -> UidValidity | None:
    """Return a UIDVALIDITY, or None: a folder without one cannot be kept."""
    told = number(octets, UID_LAST)
    return UidValidity(told) if told else None


def mod_seq(value: Value) -> ModSeq | None:
    """Return a mod-sequence, with or without its brackets; None for 0, nothing, and above 63 bits.

    >>> mod_seq([b"7"]), mod_seq(b"0"), mod_seq([b"18446744073709551615"])
    (7, None, None)
    """
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    told = number(value, MODSEQ_MAX)
    return ModSeq(told) if told else None


def text(octets: bytes) -> str:
    """Return *octets* as text, losing nothing: UTF-8 where it is, else each octet as one character."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


@lru_cache(maxsize=1024)
def _usual_flags(spelled: bytes) -> frozenset[str]:
    return clean_flags(text(flag) for flag in spelled.split())


def flags(spelled: bytes) -> frozenset[str]:
    """Return the flags of a blank-separated list, ``\\Recent`` left out.

    >>> sorted(flags(b"\\\\Seen \\\\Recent $Junk"))
    ['$Junk', '\\\\Seen']
    """
    return _usual_flags(spelled) if len(spelled) < 200 else clean_flags(text(flag) for flag in spelled.split())


def internal_date(octets: Value) -> datetime | None:
    """Return an aware datetime with the offset as told, or None for a date that never was.

    >>> internal_date(b"17-Jul-1996 02:44:25 -0700").isoformat()
    '1996-07-17T02:44:25-07:00'
    >>> internal_date(b"31-Feb-2024 25:61:61 +9999") is None
    True
    """
    match = _DATE.match(octets) if isinstance(octets, bytes) else None
    if match is None:
        return None
    month = _MONTHS.get(match[2].lower())
    minutes = int(match[8]) * 60 + int(match[9])
    if month is None or int(match[9]) > 59 or minutes >= 24 * 60:
        return None
    if match[7] == b"-":
        minutes = -minutes
    zone = _ZONES.get(minutes) or timezone(timedelta(minutes=minutes))
    try:
        return datetime(int(match[3]), month, int(match[1]), int(match[4]), int(match[5]), int(match[6]), tzinfo=zone)
    except ValueError:
        return None


def email_id(value: Value) -> str | None:
    """Return EMAILID (in brackets) or X-GM-MSGID (a number) as text."""
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    if not isinstance(value, bytes) or not 0 < len(value) <= 255:
        return None
    return text(value)


def message_id(block: bytes) -> str:
    """Return the Message-ID of a header block without its angle brackets; empty when there is none.

    >>> message_id(b"Message-ID:\\r\\n <a@b.example>\\r\\n\\r\\n")
    'a@b.example'
    """
    match = _MESSAGE_ID.search(block)
    if match is None:
        return ""
    spelled = b"".join(match[1].split())
    if spelled.startswith(b"<"):
        spelled = spelled[1:].partition(b">")[0]
    return text(spelled)[:_MESSAGE_ID_CHARACTERS_MAX]


def folder_status(items: Sequence[Value]) -> tuple[FolderStatus | None, str | None]:
    """Return the status and the MAILBOXID in the list of a STATUS answer; no item that we know gives no status."""
    told: dict[bytes, Value] = {}
    for name, value in zip(items[::2], items[1::2], strict=False):
        if isinstance(name, bytes):
            told[name.upper()] = value
    found = FolderStatus(
        messages=number(told.get(b"MESSAGES"), UID_LAST),
        uid_next=number(told.get(b"UIDNEXT"), UID_LAST) or None,
        uid_validity=uid_validity(told.get(b"UIDVALIDITY")),
        mod_seq=mod_seq(told.get(b"HIGHESTMODSEQ")),
    )
    return (found if found != FolderStatus() else None), email_id(told.get(b"MAILBOXID"))


def wait_seconds(octets: bytes) -> float | None:
    """Return how long a server asks us to stay away, None when it does not say.

    >>> wait_seconds(b"Request is throttled. Suggested Backoff Time: 299961 milliseconds")
    299.961
    """
    match = _WAIT.search(octets[:2000])
    if match is None:
        return None
    return min(int(match[1]) / (1000 if match[2].lower().startswith(b"m") else 1), _WAIT_SECONDS_MAX)
