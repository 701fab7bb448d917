"""Tours: many folders visited on one connection without waiting between them. The optional half of ``sources.base``.

A ``Leg`` says what is asked of one folder, a ``LegEvent`` what came of it. Which folder an answer belongs to is the
source's business; a session that cannot tell offers no tour, and its folders are visited one by one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from store.mail import UidSet, UidValidity

from ..errors import SourceError
from .base import BodyChunk, BodyWanted, FlagRow, HeaderRow, Known, Opened

__all__ = [
    "Leg",
    "LegBody",
    "LegEnded",
    "LegEvent",
    "LegExisting",
    "LegFlags",
    "LegHeader",
    "LegOpened",
    "TouringSession",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leg:
    """One folder of a tour: open it, and in the same breath ask for what is probably wanted there.

    *headers* are asked with their summaries. Rows are handed on only when the folder's epoch is *epoch*.
    """

    name: bytes
    epoch: UidValidity
    known: Known | None = None
    headers: UidSet = field(default_factory=UidSet)
    messages: int = 0
    """How many messages *headers* holds, about."""
    flags: UidSet = field(default_factory=UidSet)
    """Of which messages the flags are asked, whatever the change report tells."""
    existing: bool = False
    """Ask which messages exist, unless the change report will tell what vanished."""
    bodies: tuple[BodyWanted, ...] = ()


@dataclass(frozen=True, slots=True)
class LegOpened:
    """The folder is open; what was asked of it comes next."""

    leg: Leg
    opened: Opened


@dataclass(frozen=True, slots=True)
class LegHeader:
    """One of the headers that were asked for."""

    leg: Leg
    row: HeaderRow


@dataclass(frozen=True, slots=True)
class LegFlags:
    """Flags of a message of which they were asked."""

    leg: Leg
    row: FlagRow


@dataclass(frozen=True, slots=True)
class LegExisting:
    """Which messages exist: whole, or it does not come."""

    leg: Leg
    uids: UidSet


@dataclass(frozen=True, slots=True)
class LegBody:
    """A piece of one of the bodies that were asked for."""

    leg: Leg
    chunk: BodyChunk


@dataclass(frozen=True, slots=True)
class LegEnded:
    """Nothing more comes of this folder. *error*: it could not be opened, or an answer was refused."""

    leg: Leg
    error: SourceError | None = None


LegEvent = LegOpened | LegHeader | LegFlags | LegExisting | LegBody | LegEnded


@runtime_checkable
class TouringSession(Protocol):
    """A session that can visit many folders without waiting between them. Optional: others are visited one by one."""

    def tour(self, legs: Iterable[Leg]) -> Iterator[LegEvent]:
        """Visit *legs* in order; they are taken as room allows, so the caller may end them at any time.

        For each leg: LegOpened (unless it could not be opened), its rows in any order, LegEnded. A failing folder costs
        only itself; errors that end the connection are raised. No folder is open afterwards. Where the source cannot
        tell two folders' answers apart, legs simply end.
        """
        ...
