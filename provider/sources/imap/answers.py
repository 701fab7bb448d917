"""What the wire hands on: one value for each answer of a server.

Room: sources/imap. Pure. A FETCH row is the one that is still being read while it is handed on: see ``rows``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from ...errors import LimitExceeded, ProtocolBroken, ProviderError
from . import grammar
from .commands import Command
from .grammar import Status, Value
from .rows import Row

__all__ = ["Completion", "Line", "Reply", "Response", "answers_understood"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An untagged answer that is neither a status nor a FETCH row. *parts*: text, literal, text ... behind the word."""

    word: bytes
    number: int | None = None
    parts: tuple[bytes, ...] = (b"",)

    def values(self, *, nesting: int) -> list[Value]:
        """Return what the parts spell. Raises Malformed."""
        return grammar.values(self.parts, nesting=nesting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A command's own tagged answer."""

    command: Command
    status: Status


Response: TypeAlias = Line | Status | Row | Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """All that came for a few small commands: untagged answers in order, and how each command ended."""

    lines: tuple[Line | Status | Row, ...]
    endings: dict[Command, Status]

    def of(self, word: bytes) -> list[Line]:
        """Return the untagged lines with that word, in order."""
        return [line for line in self.lines if isinstance(line, Line) and line.word == word]


@contextmanager
def answers_understood() -> Iterator[None]:
    """Turn whatever a strange answer makes our own code raise into ProtocolBroken.

    The text names the place and the class only: the exception's own text may quote mail.
    """
    try:
        yield
    except ProviderError:
        raise
    except grammar.TooDeep as error:
        raise LimitExceeded(f"The server's answer is too much: {error}.") from None
    except grammar.Malformed as error:  # its texts are ours
        raise ProtocolBroken(f"The server's answer makes no sense: {error}.") from None
    except Exception as error:
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = "?" if place is None else f"{place.tb_frame.f_code.co_name}:{place.tb_lineno}"
        raise ProtocolBroken(f"The server's answer makes no sense ({type(error).__name__} in {where}).") from None
