"""Flags as they are sent: which names IMAP can spell, and which of them a folder keeps.

Room: sources/imap. Pure. Rules: a keyword is an atom; of the names with a backslash only the five that clients may set,
and those that the folder lists itself; ``\\Recent`` is never sent. Names compare without regard to case. RFC 9051
§2.3.2, §9.
"""

import re
from collections.abc import Iterable, Iterator

from store.mail import is_keyword
from store.mail.flags import SYSTEM_FLAGS

__all__ = ["flag_lists", "keeps", "lacks", "shows", "spellable"]

_ATOM = re.compile(r"[^\x00-\x20\x7f-\U0010ffff(){%*\"\\\]]{1,255}\Z")
_LIST_OCTETS = 2_000


def spellable(flag: str) -> bool:
    """Tell whether a client may send *flag* at all.

    >>> [spellable(flag) for flag in ("$Junk", "\\\\Seen", "\\\\Recent", "\\\\*", "two words", "ä", "")]
    [True, True, False, False, False, False, False]
    """
    return flag.lower() != "\\recent" and _ATOM.match(flag.removeprefix("\\")) is not None


def keeps(flag: str, permanent: frozenset[str] | None, *, new_keywords: bool) -> bool:
    """Tell whether a folder that lists *permanent* (None: it did not say) keeps *flag*.

    >>> keeps("work", frozenset({"\\\\Seen", "Work"}), new_keywords=False)
    True
    >>> keeps("\\\\Extra", None, new_keywords=True)
    False
    """
    if permanent is None:
        return is_keyword(flag) or flag.lower() in SYSTEM_FLAGS
    return shows(permanent, flag) or (is_keyword(flag) and new_keywords)


def shows(flags: Iterable[str], flag: str) -> bool:
    """Tell whether *flag* is one of *flags*, in whatever case."""
    return flag in flags or flag.lower() in {one.lower() for one in flags}


def lacks(flags: frozenset[str], *, add: Iterable[str], remove: Iterable[str]) -> bool:
    """Tell whether *flags* are not yet what *add* and *remove* want."""
    return not all(shows(flags, flag) for flag in add) or any(shows(flags, flag) for flag in remove)


def flag_lists(flags: Iterable[str]) -> Iterator[bytes]:
    """Yield *flags* as lists in brackets that are short enough for a command.

    >>> list(flag_lists({"b", "a"}))
    [b'(a b)']
    """
    part: list[str] = []
    octets = 0
    for flag in sorted(flags):
        if part and octets + len(flag) > _LIST_OCTETS:
            yield f"({' '.join(part)})".encode("ascii")
            part, octets = [], 0
        part.append(flag)
        octets += len(flag) + 1
    if part:
        yield f"({' '.join(part)})".encode("ascii")
