"""Every place where a synchronization can be stopped, photographed: the server and the store's files as they are there.

Room: tests/twoway. One undisturbed run gives all the stops: before and behind each step that the server takes, before
and behind each commit, a picture is taken of the server's mail and of the store's file with its write-ahead log, which
is what a process that is killed at that moment leaves behind. Each picture is then carried on by another provider, as a
new process would. Pictures that are equal are taken once.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from provider import Limits
from provider.testing import ManualClock
from store import database

from .notation import Scenario
from .play import Played, begin, judge, opened, take_steps
from .servers import MemoryFar

__all__ = ["Picture", "Stops", "evenly"]

QUICK = Limits(reconnect_seconds=0.001)


@dataclass(frozen=True, slots=True)
class Picture:
    """One stop: *place* is the number of the place and its kind."""

    place: str
    far: MemoryFar
    files: Path


class Stops:
    """One scenario, brought to where its last synchronization begins; *room* is a directory of its own."""

    def __init__(self, scenario: Scenario, room: Path) -> None:
        self.scenario, self._room = scenario, room
        self._clock = datetime(2026, 1, 5, 9, tzinfo=UTC)
        self._far = _quick(MemoryFar())
        path = room / "template" / "mail.db"
        path.parent.mkdir()
        with self._played(path, self._far) as played:
            begin(played)
            take_steps(played, scenario.steps)
            self._clock = played.clock.now()
        self._template = Picture("template", self._far, path.parent)

    @contextmanager
    def _played(self, path: Path, far: MemoryFar) -> Iterator[Played]:
        clock = ManualClock(self._clock)
        with opened(path, clock) as store:
            yield Played(self.scenario, far, store, path, clock)

    def pictures(self) -> list[Picture]:
        """Run the last synchronization undisturbed and return a picture of every place."""
        start = self._copy_of(self._template, "whole")
        camera = _Camera(start.far, start.files, self._room)
        with camera.taking(), self._played(start.files / "mail.db", start.far) as played:
            played.synchronize()
        return camera.pictures

    def carry_on(self, picture: Picture, *, whole: bool) -> None:
        """Synchronize from *picture*, and compare with what the scenario says; *whole*: and once more."""
        try:
            with self._played(picture.files / "mail.db", picture.far) as played:
                assert played.store.check().problems == ()
                played.synchronize()
                judge(played, once=False, again=whole)
        except Exception as error:
            raise AssertionError(f"stopped at {picture.place}: {error}\n\n{self.scenario}") from error

    def rows(self) -> int:
        """Return how many rows and steps pass in an undisturbed synchronization."""
        start = self._copy_of(self._template, "counted")
        count = 0
        row = start.far.server.faults.row

        def counted(stop: Any) -> None:
            nonlocal count
            count += 1
            row(stop)

        start.far.server.faults.row = counted  # type: ignore[method-assign]
        with self._played(start.files / "mail.db", start.far) as played:
            played.synchronize()
        return count

    def cut(self, at: int, *, whole: bool) -> None:
        """Synchronize over a line that breaks at row *at*; the provider goes on by itself, then once more."""
        start = self._copy_of(self._template, f"cut{at}")
        start.far.server.faults.cut_after(at)
        self.carry_on(replace(start, place=f"a line that breaks at row {at}"), whole=whole)
        shutil.rmtree(start.files)

    def _copy_of(self, picture: Picture, name: str) -> Picture:
        files = self._room / name
        shutil.copytree(picture.files, files)
        return Picture(name, _copied(picture.far), files)


class _Camera:
    """Takes pictures of *far* and of the files in *files*, into directories of *room*."""

    def __init__(self, far: MemoryFar, files: Path, room: Path) -> None:
        self.pictures: list[Picture] = []
        self._far, self._files, self._room = far, files, room
        self._lock = threading.RLock()
        self._taken: set[str] = set()
        self._places = 0

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Take pictures inside."""
        camera, faults, before = self, self._far.server.faults, database.CONNECTION_CLASS

        class Photographed(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                if sql != "COMMIT":
                    return super().execute(sql, parameters)
                with camera._lock:
                    camera.take("before a commit")
                    cursor = super().execute(sql, parameters)
                    camera.take("a commit")
                return cursor

        row = faults.row

        def photographed(stop: Any) -> None:
            self.take("a row")
            row(stop)

        faults.row = photographed  # type: ignore[method-assign]
        database.CONNECTION_CLASS = Photographed
        try:
            yield
        finally:
            database.CONNECTION_CLASS = before
            faults.row = row  # type: ignore[method-assign]

    def take(self, kind: str) -> None:
        """Take a picture, unless there is an equal one."""
        with self._lock, self._far.server.lock:
            self._places += 1
            octets = {file.name: file.read_bytes() for file in self._of_the_store()}
            digest = hashlib.sha256(repr(sorted(octets.items())).encode() + repr(self._mail()).encode()).hexdigest()
            if digest in self._taken:
                return
            self._taken.add(digest)
            files = self._room / f"stop{self._places}"
            files.mkdir()
            for name, content in octets.items():
                (files / name).write_bytes(content)
            self.pictures.append(Picture(f"{kind} ({self._places})", _copied(self._far), files))

    def _of_the_store(self) -> Iterator[Path]:
        """Yield the file before its log: what a checkpoint moves between the two is in one of them at least."""
        for name in ("mail.db", "mail.db-wal"):
            if (file := self._files / name).exists():
                yield file

    def _mail(self) -> list[object]:
        server = self._far.server
        return [
            (
                str(path),
                server.folder(path).uid_validity,
                sorted(server.folder(path).messages.items(), key=lambda one: one[0]),
            )
            for path in server.paths
        ] + [sorted(self._far.subscribed())]


def _copied(far: MemoryFar) -> MemoryFar:
    """Return a server of its own with the same mail."""
    old, new = far.server, MemoryFar()
    with old.lock:
        for name in ("quota_octets", "message_octets_max", "tells_places", "object_ids", "exactness", "statuses"):
            setattr(new.server, name, getattr(old, name))
        for path in old.paths:
            if path not in new.server.paths:
                new.server.add_folder(path)
            there, here = old.folder(path), new.server.folder(path)
            for field in fields(there):
                setattr(here, field.name, copy.copy(getattr(there, field.name)))
        new.server._number = old._number + 1_000  # no number is given out again
    return _quick(new)


def _quick(far: MemoryFar) -> MemoryFar:
    far.account = replace(far.account, limits=QUICK)
    return far


def evenly(places: int, count: int) -> list[int]:
    """Return *count* of the numbers below *places*, from the first to the last, or all of them."""
    if places <= count:
        return list(range(places))
    return sorted({step * (places - 1) // (count - 1) for step in range(count)})
