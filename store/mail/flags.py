"""Flags of a message: system flags (RFC 9051 §2.3.2) and keywords, spelled as the server spells them.

Flags compare without regard to case on the wire, but are kept as the server wrote them. ``\\Recent`` belongs to a
session, not to a message, and is never stored.
"""

from collections.abc import Iterable

__all__ = ["SYSTEM_FLAGS", "clean_flags", "is_keyword"]

SYSTEM_FLAGS = {name.lower(): name for name in ("\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen")}
"""System flags by their lower-case spelling."""


def is_keyword(flag: str) -> bool:
    """Tell a keyword (``$Forwarded``, ``work``) from a system flag.

    >>> is_keyword("$Junk"), is_keyword("\\\\Seen")
    (True, False)
    """
    return not flag.startswith("\\")


def clean_flags(flags: Iterable[str]) -> frozenset[str]:
    """Return *flags* without ``\\Recent`` and without doubles; the five system flags in their usual spelling.

    Of keywords that differ in case only, the first in sorted order stays.

    >>> sorted(clean_flags(["\\\\SEEN", "\\\\Recent", "Work", "work", "$Junk"]))
    ['$Junk', 'Work', '\\\\Seen']
    """
    kept: dict[str, str] = {}
    for flag in sorted(flags):
        lower = flag.lower()
        if lower != "\\recent":
            kept.setdefault(lower, SYSTEM_FLAGS.get(lower, flag))
    return frozenset(kept.values())
