"""How single values lie in columns: flags as bits and text, text as UTF-8, sizes within 63 bits. Pure."""

from collections.abc import Collection
from functools import lru_cache

from ..mail import clean_flags

__all__ = ["SEEN", "packed", "size_or_none", "storable", "unpacked"]

_BITS = {"\\Answered": 1, "\\Flagged": 2, "\\Deleted": 4, "\\Seen": 8, "\\Draft": 16}
SEEN = _BITS["\\Seen"]
INTEGER_MAX = 2**63 - 1


@lru_cache(maxsize=4096)
def packed(flags: frozenset[str]) -> tuple[int, str]:
    """Return system flags as bits, and all others sorted and joined by line feeds (no flag can hold one).

    >>> packed(frozenset({"\\\\Seen", "work", "$Junk"}))
    (8, '$Junk\\nwork')
    """
    flags = clean_flags(flags)
    bits = sum(bit for name, bit in _BITS.items() if name in flags)
    return bits, joined(flags - _BITS.keys())


@lru_cache(maxsize=4096)
def unpacked(bits: int, others: str) -> frozenset[str]:
    """Return the flags that ``packed`` made *bits* and *others* of."""
    names = {name for name, bit in _BITS.items() if bits & bit}
    return frozenset(names.union(others.split("\n") if others else ()))


def joined(words: Collection[str]) -> str:
    """Return *words* sorted, joined by line feeds. Raises ValueError when one holds a line feed."""
    if any("\n" in word for word in words):
        raise ValueError("a flag or an attribute is one word")
    return storable("\n".join(sorted(words)))


def storable(text: str) -> str:
    """Return *text* as it can be written: lone surrogates, which UTF-8 cannot spell, become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def size_or_none(size: int | None) -> int | None:
    """Return a size as told, or None when it is impossible."""
    return size if size is not None and 0 <= size <= INTEGER_MAX else None
