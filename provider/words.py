"""Numbers in words, for a person: the same in a terminal and on a page. Pure."""

__all__ = ["count", "octets"]


def octets(number: float | None, *, unknown: str = "-") -> str:
    """Return a size for a person, in powers of ten.

    >>> octets(999), octets(1_234_567), octets(None)
    ('999 B', '1.2 MB', '-')
    """
    if number is None:
        return unknown
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def count(number: int, noun: str, nouns: str = "") -> str:
    """Return *number* and *noun*, in the plural (*nouns* where it is irregular) when it is not one.

    >>> count(1, "message"), count(5120, "message")
    ('1 message', '5,120 messages')
    """
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"
