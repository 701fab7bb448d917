"""What a refusal means for an operation: done after all, now in another way, later, or never. Pure.

By the response code where there is one (RFC 5530, RFC 7889, RFC 9051 §7.1), which few servers leave out today; a
refusal without one is tried again, some times, with growing pauses. The table is the whole rule: documentation is made
of it.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from ..errors import ErrorKind, Needs, ProviderError

__all__ = ["TABLE", "TRIES_MAX", "Ruling", "Verdict", "ruling"]

TRIES_MAX = 5
"""A refusal that says nothing is final after so many."""


class Verdict(Enum):
    """What is done with a refused operation."""

    CREATE_TARGET = "create-target"
    """The folder is to be created, once; then the same again, in this run."""
    LATER = "later"
    GONE = "gone"
    """What it was about is not there any more."""
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict, and when to try again (LATER)."""

    verdict: Verdict
    after: timedelta = timedelta()


_HOURS = timedelta(hours=1)

TABLE: dict[str, Ruling] = {
    "TRYCREATE": Ruling(Verdict.CREATE_TARGET),
    "NONEXISTENT": Ruling(Verdict.GONE),
    "EXPUNGEISSUED": Ruling(Verdict.GONE),
    "OVERQUOTA": Ruling(Verdict.LATER, 6 * _HOURS),
    "LIMIT": Ruling(Verdict.LATER, _HOURS),
    "INUSE": Ruling(Verdict.LATER, timedelta(minutes=5)),
    "UNAVAILABLE": Ruling(Verdict.LATER, timedelta(minutes=5)),
    "SERVERBUG": Ruling(Verdict.LATER, _HOURS),
    "CORRUPTION": Ruling(Verdict.LATER, 24 * _HOURS),
    "EXPIRED": Ruling(Verdict.LATER, _HOURS),
    "AUTHENTICATIONFAILED": Ruling(Verdict.LATER),
    "PRIVACYREQUIRED": Ruling(Verdict.NEVER),
    "TOOBIG": Ruling(Verdict.NEVER),
    "READ-ONLY": Ruling(Verdict.NEVER),
    "NOPERM": Ruling(Verdict.NEVER),
    "CANNOT": Ruling(Verdict.NEVER),
    "CLIENTBUG": Ruling(Verdict.NEVER),
    "ALREADYEXISTS": Ruling(Verdict.NEVER),
    "HASCHILDREN": Ruling(Verdict.NEVER),
    "USEATTR": Ruling(Verdict.NEVER),
    "BADCHARSET": Ruling(Verdict.NEVER),
    "UNKNOWN-CTE": Ruling(Verdict.NEVER),
}
"""By response code."""


def ruling(error: ProviderError, tries: int) -> Ruling:
    """Return what *error* means for an operation that was tried *tries* times, this one included.

    >>> from ..errors import CommandRefused
    >>> ruling(CommandRefused("", response_code="OVERQUOTA"), 1).verdict
    <Verdict.LATER: 'later'>
    >>> [ruling(CommandRefused(""), tries).verdict.value for tries in (1, 5)]
    ['later', 'never']
    """
    if error.kind is ErrorKind.FOLDER_GONE:
        return Ruling(Verdict.GONE)
    known = TABLE.get(error.response_code or "")
    if known is not None and known.verdict is not Verdict.GONE:
        return known
    if error.needs is Needs.USER or tries >= TRIES_MAX:
        return Ruling(Verdict.NEVER)
    if known is not None:
        return known  # not for ever: it may be there, whatever the server says
    after = error.retry_after_seconds
    return Ruling(Verdict.LATER, timedelta(minutes=4**tries) if after is None else timedelta(seconds=after))
