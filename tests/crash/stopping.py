"""Places where a synchronization can be stopped, counted; at the chosen one the process ends at once.

Room: tests/crash. The hooks wrap the product from outside: a command written, a line read, an item of an answer
consumed, a commit about to happen, a commit done. ``os._exit`` runs no ``finally``, closes no file by hand, tells the
server nothing.
"""

import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from provider import channel
from provider.engine import bodies, folderrun, listing, pipe, portion, resume
from provider.sources.imap import bodies as imap_bodies
from provider.sources.imap.source import ImapSession
from store import database

from .forks import STOPPED

__all__ = ["KINDS", "Stopper", "make_steps_small"]

KINDS = ("command", "item", "before commit", "commit")


class Stopper:
    """Counts places by kind; stops at number *at* (from 1) of *kind*. At 0 it only counts."""

    def __init__(self, kind: str, at: int) -> None:
        self.counts: Counter[str] = Counter()
        self._kind, self._at = kind, at
        self._lock = threading.Lock()

    def hit(self, kind: str) -> None:
        """Come by a place."""
        with self._lock:
            self.counts[kind] += 1
            if kind == self._kind and self.counts[kind] == self._at:
                os._exit(STOPPED)

    def install(self) -> None:
        """Wrap the product. For good: the process belongs to one stop."""
        self._watch_commands()
        self._watch_items()
        self._watch_commits()

    def _watch_commands(self) -> None:
        send, hit = channel.Channel.send, self.hit

        def counted(self: channel.Channel, octets: bytes) -> None:
            for line in octets.splitlines(keepends=True):  # so a batch can be stopped between two of its commands
                send(self, line)
                hit("command")

        channel.Channel.send = counted  # type: ignore[method-assign]
        readline = channel.Channel.readline

        def read(self: channel.Channel) -> bytes:
            line = readline(self)
            hit("line")
            return line

        channel.Channel.readline = read  # type: ignore[method-assign]

    def _watch_items(self) -> None:
        for name in ("bodies", "headers", "summaries", "flags", "identities", "write", "append"):
            setattr(ImapSession, name, self._each(getattr(ImapSession, name)))
        for name in ("folders", "open", "existing", "statuses", "create", "rename", "remove", "subscribe"):
            setattr(ImapSession, name, self._whole(getattr(ImapSession, name)))

    def _each(self, rows: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def counted(*arguments: Any, **more: Any) -> Iterator[Any]:
            for row in rows(*arguments, **more):
                yield row
                self.hit("item")  # asked for the next one: this one was consumed

        return counted

    def _whole(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            answer = call(*arguments, **more)
            self.hit("item")
            return answer

        return counted

    def _watch_commits(self) -> None:
        hit = self.hit

        class Counted(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                if sql != "COMMIT":
                    return super().execute(sql, parameters)
                hit("before commit")
                cursor = super().execute(sql, parameters)
                hit("commit")
                return cursor

        database.CONNECTION_CLASS = Counted


def make_steps_small() -> None:
    """Shrink pages, groups and batches, so that a small mailbox takes as many steps as a large one."""
    for room, name, value in (
        (pipe, "BATCH_MESSAGES", 3),
        (imap_bodies, "_GROUP_MESSAGES", 3),
        (bodies, "PAGE_MESSAGES", 12),
        (bodies, "HEADERS_PER_COMMIT", 4),
        (portion, "NEWEST_PAGE", 6),
        (portion, "NEW_AT_ONCE", 4),
        (listing, "ROWS_PER_PAGE", 8),
        (folderrun, "SMALL_WORK_OCTETS", 4_000),
    ):
        assert hasattr(room, name), f"{room.__name__} has no {name} any more"
        setattr(room, name, value)
    resume.windows.__defaults__ = (8,)
