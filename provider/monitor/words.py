"""What people read: hostile text made harmless, sizes, times and spans, states in words. Pure.

Escaping is the template's; here a text loses what would still do harm behind it: control characters, and length.
"""

from datetime import UTC, datetime
from hashlib import blake2s

from .. import ItemStatus, Phase, Trigger
from ..words import octets as size_of

__all__ = [
    "SAID",
    "ago",
    "clean",
    "day",
    "key_of",
    "moment",
    "octets",
    "phase_word",
    "rate",
    "span",
    "status_word",
    "trigger_word",
]

TEXT_CHARACTERS_MAX = 300
_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

SAID = {
    "started": "Started.",
    "stopped": "Asked to stop. What has arrived is kept.",
    "item-stopped": "Asked to stop this item; the others go on.",
    "over": "It was over already.",
    "waits": "Asked to wait.",
    "goes-on": "It goes on.",
    "paused": "Paused: nothing starts by itself until you resume it.",
    "resumed": "Resumed: what is due starts again.",
    "offline": "You work offline: what ran was stopped, and nothing starts but what is for offline.",
    "online": "You work online: everything is synchronized, and mail is sent.",
    "forgotten": "Forgotten.",
    "resolved": "Resolved. What has to be sent for it, the next synchronization sends.",
    "nothing": "Nothing was chosen.",
    "gone": "It is not there any more.",
    "saved": "Saved.",
    "removed": "Removed.",
    "taken-back": "Taken out of the outbox.",
    "being-sent": "It is being sent at this moment.",
    "sent": "It was sent already.",
    "again": "The next send tries it again.",
    "suspended": "Nothing more is sent of this account until you resume it.",
    "outbox-resumed": "Mail is sent again.",
    "not-here": "This account is not part of what runs here.",
}
"""What is said after a form, by the word in the address: nothing of an address is shown as it is."""

_STATUS = {
    ItemStatus.PENDING: "waits",
    ItemStatus.STARTED: "started",
    ItemStatus.UPDATING: "running",
    ItemStatus.PAUSED: "paused",
    ItemStatus.SUCCEEDED: "done",
    ItemStatus.FAILED: "failed",
    ItemStatus.CANCELED: "stopped",
    ItemStatus.SKIPPED: "skipped",
    ItemStatus.DISCONNECTED: "no connection",
    ItemStatus.REMOVED: "removed",
}
_PHASE = {
    Phase.IDLE: "",
    Phase.SYNC: "connecting",
    Phase.UPLOAD_HIERARCHY: "sending folders",
    Phase.UPLOAD_FOLDER: "sending folders",
    Phase.DOWNLOAD_HIERARCHY: "folders",
    Phase.CONTENTS: "mail",
    Phase.UPLOAD_TABLE: "sending changes",
    Phase.UPLOAD_MESSAGE: "sending changes",
    Phase.UPLOAD_MESSAGE_READ: "sending changes",
    Phase.UPLOAD_MESSAGE_DEL: "sending changes",
    Phase.DOWNLOAD_TABLE: "list",
    Phase.DOWNLOAD_HEADER: "headers",
    Phase.DOWNLOAD_BODIES: "bodies",
    Phase.SEND: "sending",
    Phase.DONE: "",
}
_TRIGGER = {Trigger.MANUAL.value: "by hand", Trigger.SCHEDULED.value: "by schedule", Trigger.INVOKE.value: "on demand"}


def clean(text: object, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """Return *text*, whoever wrote it, as one line without control characters, not too long.

    >>> clean("a\\x1b[31m\\r\\nb"), clean("abcdef", 4)
    ('a[31m b', 'abc…')
    """
    words = str(text)[: 4 * characters_max].split()
    kept = ("".join(char for char in word if char.isprintable() and char not in _BIDI) for word in words)
    line = " ".join(word for word in kept if word)
    return f"{line[: characters_max - 1]}…" if len(line) > characters_max else line


def key_of(*parts: object) -> str:
    """Return what *parts*, of anybody's making, are called in an id of a page: short, harmless, and always the same.

    >>> key_of("work", None) == key_of("work", None) != key_of("wor", "kNone")
    True
    """
    return blake2s(repr(parts).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def octets(number: float | None) -> str:
    """Return a size for a page: a long dash where it is not known."""
    return size_of(number, unknown="–")


def rate(octets_per_second: float | None) -> str:
    """Return a speed for a person, empty where it is not known."""
    return f"{octets(octets_per_second)}/s" if octets_per_second else ""


def span(seconds: float | None) -> str:
    """Return a span of time for a person, empty where it is not known.

    >>> span(0.4), span(75), span(7_500)
    ('1 s', '1 min 15 s', '2 h 5 min')
    """
    if seconds is None:
        return ""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def moment(at: datetime | None, now: datetime | None = None) -> str:
    """Return *at* in local time: the day, too, unless it is that of *now*.

    >>> moment(None)
    '–'
    """
    if at is None:
        return "–"
    here, today = at.astimezone(), (now or datetime.now(UTC)).astimezone()
    if here.date() == today.date():
        return here.strftime("%H:%M")
    return here.strftime("%d %b, %H:%M" if here.year == today.year else "%d %b %Y, %H:%M")


def day(at: datetime) -> str:
    """Return the local day of *at*, short."""
    return at.astimezone().strftime("%d %b")


def ago(began: datetime, ended: datetime | None) -> str:
    """Return how long something took; empty while it runs."""
    return span((ended - began).total_seconds()) if ended is not None else ""


def status_word(status: ItemStatus) -> str:
    """Return the state of an item in a word."""
    return _STATUS[status]


def phase_word(phase: Phase) -> str:
    """Return what an item is at, in a word or two."""
    return _PHASE[phase]


def trigger_word(trigger: str) -> str:
    """Return what started a run, in words."""
    return _TRIGGER.get(trigger, clean(trigger.replace("-", " "), 40))
