"""What a list of messages shows: the few fields of a header block that people and indexes ask for.

Made by ``store.mime`` from the raw header block; the raw block stays the truth. Names follow RFC 5322.
"""

from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["Address", "Envelope"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One mailbox: a display name (may be empty) and an addr-spec as written (may be empty or invalid)."""

    name: str = ""
    address: str = ""

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Decoded header fields. A field that is absent or not to be understood is empty, never an error.

    ``message_id``, ``in_reply_to`` and ``references`` are without angle brackets; ``references`` oldest first.
    ``date`` is aware (the offset as written), or None.
    """

    subject: str = ""
    from_: tuple[Address, ...] = ()
    sender: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    date: datetime | None = None
    message_id: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = field(default=())
    list_id: str = ""
    received: bool = False
    """True when at least one Received field is there: the message travelled (evidence for identity)."""
    cut: bool = False
    """True when a limit hid something of these fields; the raw header block has it."""
