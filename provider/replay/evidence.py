"""Which message on the server is the one that we sent: by what it says of itself, then by its octets. Pure.

After a lost line a target folder is searched for what may have come: only above the UIDNEXT that it had before, and
never among what is accounted for. Copies made by the server keep Message-ID, size and date, all three. What we added
may have been rewritten on arrival (a header more, other line ends): then the part behind the header tells.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from store.mail import MessageKey, Uid

from ..sources.base import IdentityRow

__all__ = ["Evidence", "copies_found", "same_mail", "worth_reading"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known here of a message that may have come."""

    message: MessageKey
    message_id: str
    size: int | None
    internal_date: datetime | None


def copies_found(wanted: Sequence[Evidence], found: Sequence[IdentityRow]) -> dict[MessageKey, Uid]:
    """Return where the server put its copies of *wanted*: equal in all three respects, each row for one message only.

    What has neither a Message-ID nor a size is never found: nothing would tell it from another one.
    """
    left: dict[tuple[str, int, datetime | None], list[Uid]] = {}
    for row in sorted(found, key=lambda row: row.uid):
        if row.size is not None:
            left.setdefault((row.message_id, row.size, _seconds(row.internal_date)), []).append(row.uid)
    places: dict[MessageKey, Uid] = {}
    for one in wanted:
        if one.size is None:
            continue
        rows = left.get((one.message_id, one.size, _seconds(one.internal_date)))
        if rows:
            places[one.message] = rows.pop(0)
    return places


def worth_reading(one: Evidence, found: Iterable[IdentityRow]) -> list[Uid]:
    """Return which of *found* may be the message that we added, the likeliest first; their octets decide."""
    rows = [row for row in found if row.message_id == one.message_id and (one.message_id or row.size == one.size)]
    return [row.uid for row in sorted(rows, key=lambda row: (row.size != one.size, row.uid))]


def same_mail(ours: bytes, theirs: bytes) -> bool:
    """Tell whether *theirs* is *ours*, be it with other line ends or more header fields.

    >>> same_mail(b"A: b\\r\\n\\r\\nhello", b"A: b\\nX-Seen: yes\\n\\nhello\\n")
    True
    """
    return ours == theirs or _behind_header(ours) == _behind_header(theirs)


def _behind_header(octets: bytes) -> bytes:
    lines = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return lines.partition(b"\n\n")[2].rstrip(b"\n")


def _seconds(when: datetime | None) -> datetime | None:
    return None if when is None else when.replace(microsecond=0)
