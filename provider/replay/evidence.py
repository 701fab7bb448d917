"""Which message on the server is the one that we sent: by what it says of itself, then by its octets. Pure.

After a lost line a target folder is searched for what may have come: only above the UIDNEXT that it had before, and
never among what is accounted for, or was listed before. Copies made by the server keep Message-ID, size and date, all
three; without a Message-ID their octets have to tell. What we added may have been rewritten on arrival (a header field
more, other line ends): every field of ours is there then, and what lies behind the header is the same.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from store.mail import MessageKey, Uid

from ..sources.base import IdentityRow

__all__ = ["Evidence", "alike", "copies_found", "newcomers", "same_header", "same_mail", "worth_reading"]

NOTHING_LISTED: Mapping[Uid, MessageKey] = MappingProxyType({})
ADDED_OCTETS_MAX = 2_000
"""So much may a server add to the header of a message that came without a Message-ID."""
_FOLDED = re.compile(rb"\n[ \t]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known here of a message that may have come."""

    message: MessageKey
    message_id: str
    size: int | None
    internal_date: datetime | None
    since: int = 1
    """Below this UID is nothing that the attempt brought."""
    after: int = 0
    """What has a row with this key or a lower one was there before the attempt."""

    def may_be(self, row: IdentityRow, keys: Mapping[Uid, MessageKey]) -> bool:
        """Tell whether the attempt can have brought *row*; *keys*: of rows that were listed."""
        key = keys.get(row.uid)
        return row.uid >= self.since and (key is None or key > self.after)


def copies_found(
    wanted: Sequence[Evidence], found: Sequence[IdentityRow], keys: Mapping[Uid, MessageKey] = NOTHING_LISTED
) -> dict[MessageKey, Uid]:
    """Return where the server put its copies of *wanted*: equal in all three respects, each row for one message only.

    What has no Message-ID or no size is never found: nothing would tell it from another one.
    """
    left: dict[tuple[str, int | None, datetime | None], list[IdentityRow]] = {}
    for row in sorted(found, key=lambda row: row.uid):
        left.setdefault(_looks(row), []).append(row)
    places: dict[MessageKey, Uid] = {}
    # Who may have the fewest rows takes first, so that nobody takes the only one of another.
    for one in sorted(wanted, key=lambda one: (-one.since, -one.after, one.message)):
        rows = left.get(_looks(one), []) if one.message_id and one.size is not None else []
        mine = next((row for row in rows if one.may_be(row, keys)), None)
        if mine is not None:
            rows.remove(mine)
            places[one.message] = mine.uid
    return places


def alike(one: Evidence, found: Iterable[IdentityRow], keys: Mapping[Uid, MessageKey] = NOTHING_LISTED) -> list[Uid]:
    """Return which of *found* may be the copy of a message without a Message-ID, by UID; their octets decide."""
    fit = [row.uid for row in found if _looks(row) == _looks(one) and one.may_be(row, keys)]
    return [] if one.size is None else sorted(fit)


def worth_reading(
    one: Evidence, found: Iterable[IdentityRow], keys: Mapping[Uid, MessageKey] = NOTHING_LISTED
) -> list[Uid]:
    """Return which of *found* may be the message that we added, the likeliest first; their octets decide.

    A server may have given a Message-ID to what had none.
    """
    rows = [row for row in found if one.may_be(row, keys) and _may_be_ours(one, row)]
    return [row.uid for row in sorted(rows, key=lambda row: (row.size != one.size, row.uid))]


def newcomers(found: Iterable[IdentityRow], known: Mapping[tuple[str, int | None], int]) -> list[IdentityRow]:
    """Return which of *found* are more than what is *known*: so many with this Message-ID and size were there before.

    Those with the lowest UIDs are taken for these: servers that renumber keep the order.
    """
    left = Counter(known)
    rows = []
    for row in sorted(found, key=lambda row: row.uid):
        look = (row.message_id, row.size)
        if left[look] > 0:
            left[look] -= 1
        else:
            rows.append(row)
    return rows


def _may_be_ours(one: Evidence, row: IdentityRow) -> bool:
    if one.message_id:
        return row.message_id == one.message_id
    return one.size is None or row.size is None or one.size <= row.size <= one.size + ADDED_OCTETS_MAX


def same_mail(ours: bytes, theirs: bytes) -> bool:
    """Tell whether *theirs* is *ours*, be it with other line ends or more header fields.

    >>> same_mail(b"A: b\\r\\n\\r\\nhello", b"A: b\\nX-Seen: yes\\n\\nhello\\n")
    True
    >>> same_mail(b"A: b\\r\\n\\r\\nhello", b"A: c\\n\\nhello\\n")
    False
    """
    if ours == theirs:
        return True
    (header, body), (their_header, their_body) = _parts(ours), _parts(theirs)
    return body.rstrip(b"\n") == their_body.rstrip(b"\n") and _holds(their_header, header)


def same_header(ours: bytes, theirs: bytes) -> bool:
    """Tell whether the header block *theirs* holds every field of *ours*, be it folded otherwise.

    >>> same_header(b"A: b\\r\\n c\\r\\n\\r\\n", b"X: y\\r\\nA: b c\\r\\n\\r\\n")
    True
    """
    return _holds(_parts(theirs)[0], _parts(ours)[0])


def _holds(theirs: bytes, ours: bytes) -> bool:
    return Counter(_fields(ours)) <= Counter(_fields(theirs))


def _fields(header: bytes) -> list[bytes]:
    """Return the fields of a header, unfolded; between two words is one space."""
    lines = _FOLDED.sub(b" ", header).split(b"\n")
    return [b" ".join(line.split()) for line in lines if line.strip()]


def _parts(octets: bytes) -> tuple[bytes, bytes]:
    """Return header and body, each line ended by a line feed."""
    lines = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if lines.startswith(b"\n"):
        return b"", lines[1:]
    header, _, body = lines.partition(b"\n\n")
    return header, body


def _looks(one: Evidence | IdentityRow) -> tuple[str, int | None, datetime | None]:
    date = one.internal_date
    return one.message_id, one.size, None if date is None else date.replace(microsecond=0)
