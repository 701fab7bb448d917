"""The date of a message as an aware datetime, or None.

Room: store.mime. Pure. RFC 5322 §3.3 and its obsolete forms (§4.3), and the C library's ``asctime`` form of old mail.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

__all__ = ["parse_date"]

_MONTHS = {
    name: number
    for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)  # noqa: SIM905
}
_ZONES = {"est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420}
"""Minutes east; all other letters mean "unknown" (RFC 5322 §4.3), which is UTC."""

_CLOCK = r"(\d{1,2})\s*[:.]\s*(\d{1,2})(?:\s*[:.]\s*(\d{1,2}))?(?:[.,]\d{1,9})?"
_DATE = re.compile(
    r"\s*(?:[A-Za-z]{2,10}\.?,?\s*)?(\d{1,2})[\s-]+([A-Za-z]{3})[A-Za-z]{0,6}\.?,?[\s-]+(\d{2,4})[\s,]+"
    + _CLOCK
    + r"\s*(?:([+-]\d{4})|([A-Za-z]{1,5}))?(?![\d:])",
    re.ASCII,
)
_ASCTIME = re.compile(
    r"\s*[A-Za-z]{3}\s+([A-Za-z]{3})\s+(\d{1,2})\s+" + _CLOCK + r"\s+(?:([A-Za-z]{1,5})\s+)?(\d{4})(?!\d)", re.ASCII
)
DATE_CHARACTERS_MAX = 200


@lru_cache(maxsize=256)
def _zone(minutes: int) -> timezone:
    return timezone(timedelta(minutes=minutes)) if minutes else UTC


def parse_date(text: str) -> datetime | None:
    """Return the instant that a Date field means, with its offset as written; None when there is none.

    Two-digit years follow RFC 5322 §4.3 (00-49: 2000s). An unknown or impossible zone counts as UTC. A date that
    cannot be told in UTC within the years 1 to 9999 is None.

    >>> parse_date("Fri, 21 Nov 1997 09:55:06 -0600").isoformat()
    '1997-11-21T09:55:06-06:00'
    """
    text = text[:DATE_CHARACTERS_MAX]
    if "(" in text:
        text = re.sub(r"\([^()]*\)", " ", text)
    found = _DATE.match(text)
    if found:
        day, month, year, hour, minute, second, offset, name = found.groups()
    else:
        found = _ASCTIME.match(text)
        if not found:
            return None
        month, day, hour, minute, second, name, year = found.groups()
        offset = None
    if offset:
        minutes = int(offset[1:3]) * 60 + int(offset[3:])
        minutes = 0 if minutes >= 1440 else -minutes if offset[0] == "-" else minutes
    else:
        minutes = _ZONES.get(name.lower(), 0) if name else 0
    number = int(year)
    if len(year) < 4:
        number += 2000 if len(year) == 2 and number < 50 else 1900
    try:
        date = datetime(
            number,
            _MONTHS[month.lower()],
            int(day),
            int(hour),
            int(minute),
            min(int(second or 0), 59),  # a leap second
            tzinfo=_zone(minutes),
        )
        if number in (1, 9999):
            date.astimezone(UTC)
    except (ValueError, KeyError, OverflowError):
        return None
    return date
