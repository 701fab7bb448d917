"""How much of a message is looked at. Raw octets never depend on these: they are stored first and whole.

Room: store.mime. Pure. Honest mail stays far below. Taking a message apart raises ``MimeLimit`` where a limit is
hit; ``scan_header`` and ``text`` take what lies before it.
"""

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "MimeLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MimeLimits:
    """Octets and counts, as the names say."""

    depth: int = 50
    """Parts within parts."""
    parts: int = 1_000
    """Parts of one message, containers included."""
    delimiters: int = 1_000_000
    """Lines of one message that start like a delimiter, whether or not they are one."""
    header_octets: int = 1_000_000
    """One header block."""
    line_octets: int = 64_000
    """One line of a header block."""
    addresses: int = 2_000
    """Addresses of one field."""
    parameters: int = 200
    """Parameters of one Content-Type or Content-Disposition."""
    decoded_octets: int = 64_000_000
    """One part, decoded."""
    text_octets: int = 2_000_000
    """All octets of a message that ``text`` reads; what comes after is left out."""


DEFAULT_LIMITS = MimeLimits()
