"""What folders are called on the server while their renames wait, and what each may be called next. Pure.

A name has to be free before a folder gets it. Where folders wait for each other's names (two exchange theirs; one is to
lie below a folder that is to get its old name), one of them goes by way of a name that it had between, which is in the
log, or else of one that is made up here, and is written into the log before it is sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from store.mail import FolderId, FolderPath
from store.mail.operations import Operation, OperationKind

from .collapse import FolderFact

__all__ = ["Naming", "naming"]


@dataclass(frozen=True, slots=True)
class Naming:
    """The folders of an account, and the renames that wait, in order."""

    facts: Mapping[FolderId, FolderFact]
    renames: Sequence[Operation]
    there: Mapping[FolderId, FolderPath]
    """Where each folder is on the server; those that are only here are left out."""

    def below(self, folder: FolderFact) -> list[FolderFact]:
        """Return what lies below *folder* on the server now, at any depth."""
        own = self.there[folder.id].names
        below = (id for id, path in self.there.items() if path.names[: len(own)] == own and id != folder.id)
        return [self.facts[id] for id in below]

    def may_be_created(self, folder: FolderFact) -> bool:
        """Tell whether *folder* can be created: the one above it is there, and its name is not another one's still."""
        return self._place(folder, folder.path, here=True) is not None

    def next_step(self, folder: FolderFact) -> tuple[FolderPath, bytes | None] | None:
        """Return what *folder* is to be called next, and the name of the folder above it; None: it has to wait.

        Its last name at once, where that can be; else the last that is free of those that it was given on the way.
        """
        place = self._place(folder, folder.path, here=True)
        for path in reversed(self._names(folder)[1:]):
            place = place or self._place(folder, path, here=False)
        return place

    def made_up(self, folder: FolderFact) -> FolderPath:
        """Return a name beside its own that no folder has, nor is to get.

        >>> from store.mail import FolderId
        >>> work = FolderFact(id=FolderId(1), name=b"Work", path=FolderPath(("Attic", "Work")))
        >>> str(naming([work], []).made_up(work))
        'Work~'
        """
        own = self.there[folder.id]
        taken = {*self.there.values(), *(fact.path for fact in self.facts.values()), *self._names(folder)}
        above = () if own.parent is None or own.parent not in self.there.values() else own.parent.names
        name = own.name
        while True:
            name += "~"
            if FolderPath((*above, name)) not in taken:
                return FolderPath((*above, name))

    def _names(self, folder: FolderFact) -> list[FolderPath]:
        """Return what *folder* was called, from the name that it has on the server on."""
        return [one.path for one in self.renames if one.folder_id == folder.id and one.path is not None]

    def _place(self, folder: FolderFact, path: FolderPath, *, here: bool) -> tuple[FolderPath, bytes | None] | None:
        """Return *path* and the name of the folder above it, if it can be had now; *here*: as folders are called here,
        or else as on the server.
        """
        above, parent, result = path.parent, None, path
        if above is not None:
            known = (
                {fact.path: id for id, fact in self.facts.items()} if here else {p: id for id, p in self.there.items()}
            )
            up = known.get(above)
            if up is None and not here:
                return None
            if up is not None:
                if up not in self.there or self._within(up, folder):
                    return None  # it is not there yet, or below what is to lie in it
                parent, result = self.facts[up].name, FolderPath((*self.there[up].names, path.name))
        for id, taken in self.there.items():
            if taken == result and id != folder.id and (not here or taken != self.facts[id].path):
                return None  # another one's still; one that stays there makes the server refuse it
        return path, parent

    def _within(self, id: FolderId, folder: FolderFact) -> bool:
        own = self.there.get(folder.id)
        return own is not None and self.there[id].names[: len(own.names)] == own.names


def naming(folders: Iterable[FolderFact], pending: Iterable[Operation]) -> Naming:
    """Return the names of all *folders*. *pending*: all operations of the account, in order."""
    facts = {fact.id: fact for fact in folders}
    renames = [one for one in pending if one.kind is OperationKind.RENAME_FOLDER and one.path is not None]
    there = {id: fact.path for id, fact in facts.items() if fact.name}
    for one in reversed(renames):  # the last first: each is undone, with all that lies below
        if one.folder_id in there and one.path is not None:
            now = there[one.folder_id].names
            for id, path in there.items():
                if path.names[: len(now)] == now and (id == one.folder_id or path.names != now):
                    there[id] = FolderPath((*one.path.names, *path.names[len(now) :]))
    return Naming(facts, renames, there)
