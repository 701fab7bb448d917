"""A handler of your own: folders of files mirrored to another place, in the same center as maildock's mail.

Each subfolder of the first place is an item. What is new or changed there is copied; a file that is newer in the
second place is a conflict, and waits for a person. A package offers such a handler by an entry point:

    [project.entry-points."maildock.handlers"]
    mirror = "my_package:make_mirror"
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from provider import InvalidRequest, ItemStatus, Severity, Trigger, UnknownItem
from provider.manager import (
    Abilities,
    ConflictInfo,
    ConflictVersion,
    Feedback,
    HandlerCan,
    HandlerId,
    HandlerInfo,
    HandlerKind,
    HandlerRegistry,
    Item,
    ItemCan,
    ItemId,
    Resolution,
    SessionCallback,
    SyncCenter,
)


class Mirror:
    id = HandlerId("mirror")

    def __init__(self, source: Path, target: Path) -> None:
        self.source, self.target = source, target

    def info(self) -> HandlerInfo:
        return HandlerInfo(
            name="Mirror",
            kind=HandlerKind.FOLDER,
            comment=f"to {self.target.name}",
            connected=self.source.is_dir(),
            can=HandlerCan.CONFLICT_STORE,
        )

    def items(self) -> Iterable[Item]:
        return [self._item(folder) for folder in sorted(self.source.iterdir()) if folder.is_dir()]

    def accepts(self, trigger: Trigger, cookie: str) -> bool:
        return True

    def prepare(self, session: SessionCallback) -> None:
        """The only place to ask a person something."""
        if not self.target.exists() and session.may_prompt:
            session.prompt(f"Make {self.target.name}?")
        self.target.mkdir(parents=True, exist_ok=True)

    def synchronize(self, session: SessionCallback) -> None:
        for item in session.items:
            if not session.can_continue():
                return
            if not session.is_skipped(item):
                self._mirror(session, item)
        for found in self.items():
            with suppress(InvalidRequest):  # not new
                session.propose(found)
                session.commit(found.id)
                self._mirror(session, found.id)

    def conflicts(self) -> Iterable[ConflictInfo]:
        for item in self.items():
            for mine, theirs in self._pairs(item.id):
                if is_newer(theirs, mine):
                    yield ConflictInfo(
                        id=f"{item.name}/{mine.name}",
                        item=item.id,
                        name=mine.name,
                        detected_at=changed(theirs),
                        versions=(version(mine), version(theirs)),
                        abilities=Abilities.KEEP_SINGLE | Abilities.KEEP_RECENT,
                    )

    def resolve(self, conflict: str, resolution: Resolution) -> Feedback:
        if conflict not in {one.id for one in self.conflicts()}:
            raise UnknownItem("There is no such conflict any more.")
        mine, theirs = self.source / conflict, self.target / conflict
        if resolution.keep == (0,):
            shutil.copy2(mine, theirs)
        else:
            shutil.copy2(theirs, mine)
        return Feedback.CONTINUE

    def copy(self, mine: Path, theirs: Path) -> None:
        shutil.copy2(mine, theirs)

    def _item(self, folder: Path) -> Item:
        files = sum(1 for one in folder.iterdir() if one.is_file())
        can = ItemCan.CAN_DELETE | ItemCan.CONFLICT_STORE
        return Item(id=ItemId(f"dir:{folder.name}"), name=folder.name, comment=f"{files} files", can=can)

    def _pairs(self, item: ItemId) -> Iterator[tuple[Path, Path]]:
        name = item.removeprefix("dir:")
        for mine in sorted((self.source / name).iterdir()):
            if mine.is_file():
                yield mine, self.target / name / mine.name

    def _mirror(self, session: SessionCallback, item: ItemId) -> None:
        try:
            pairs = list(self._pairs(item))
            (self.target / item.removeprefix("dir:")).mkdir(exist_ok=True)
            for number, (mine, theirs) in enumerate(pairs):
                if session.progress(item, text=mine.name, step=number, steps=len(pairs)):
                    session.progress(item, ItemStatus.CANCELED)
                    return
                if is_newer(theirs, mine):
                    session.conflicts_changed(added=1)
                elif not theirs.exists() or changed(theirs) != changed(mine):
                    self.copy(mine, theirs)
            session.progress(item, ItemStatus.SUCCEEDED, step=len(pairs), steps=len(pairs))
        except FileNotFoundError:
            session.progress(item, ItemStatus.REMOVED)
        except OSError as error:
            session.report(Severity.ERROR, "A file could not be copied", str(error.strerror), item=item)
            session.progress(item, ItemStatus.FAILED)


def changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def version(path: Path) -> ConflictVersion:
    return ConflictVersion(name=path.name, place=str(path.parent), at=changed(path))


def is_newer(theirs: Path, mine: Path) -> bool:
    return theirs.exists() and changed(theirs) > changed(mine)


def main() -> None:
    here = Path("mirror-example")
    for folder, name in (("letters", "ann.txt"), ("letters", "bob.txt"), ("pictures", "sea.txt")):
        (here / "source" / folder).mkdir(parents=True, exist_ok=True)
        (here / "source" / folder / name).write_text(f"{name}\n")
    registry = HandlerRegistry()
    registry.register("mirror", lambda: Mirror(here / "source", here / "target"))
    with SyncCenter(registry, prompter=lambda question, secret: "yes") as center:
        for session in center.sync("mirror"):
            result = session.wait(timeout=60)
            print(f"{session.handler}: {result.status.value}")
        for view in center.handler("mirror").items:
            print(f"{view.item.name}: {view.item.comment}")


if __name__ == "__main__":
    main()
