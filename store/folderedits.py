"""What a person does to folders: made, renamed, deleted, subscribed to; the half of `editing` that is theirs."""

from abc import abstractmethod

from .batch import Batch
from .errors import FolderExists, FolderNotWritable
from .folders import Folder, FolderState
from .mail import AccountId, FolderId, FolderPath, Role
from .mail.operations import Operation, OperationId, OperationKind, OperationState
from .sql import accounts, folders, operations, places, rows
from .sql.places import Row

__all__ = ["FolderEdits"]


class FolderEdits(Batch):
    """The verbs of folders."""

    def create_folder(self, account: AccountId, path: FolderPath, *, role: Role | None = None) -> FolderId:
        """Create a folder, and those above it that are not there. Raises UnknownAccount, FolderExists."""
        number = accounts.number_of(self._w.connection, account)
        self._free(account, path)
        return self._create(account, number, path, role)

    def rename_folder(self, folder: FolderId, path: FolderPath) -> OperationId | None:
        """Give a folder another path, and all below it; None: it has that path.

        Raises UnknownFolder, FolderExists, FolderNotWritable (it was deleted); ValueError for INBOX, and for a path
        below itself.
        """
        old = self._changeable(folder)
        if old.state is FolderState.DELETING:
            raise FolderNotWritable(f"the folder {old.path} was deleted")
        if old.path == path:
            return None
        if path.names[: len(old.path.names)] == old.path.names:
            raise ValueError("a folder cannot lie below itself")
        self._free(old.account, path)
        number = folders.account_of(self._w.connection, folder)
        if path.parent is not None:
            self._parents(old.account, number, path.parent)
        folders.move_tree(self._w, folder, path)
        if old.state is FolderState.LOCAL:
            return None  # it is made under the path that it has by then
        earlier = self._log.of_folder(folder, OperationKind.RENAME_FOLDER)
        if earlier and earlier[0].path == path and not self._renamed_since(earlier[0]):
            self._log.forget([one.id for one in earlier])
            return None
        return self._add(OperationKind.RENAME_FOLDER, folder, path=old.path, name=old.name)

    def delete_folder(self, folder: FolderId) -> OperationId | None:
        """Delete a folder with its mail; which comes back when that is taken back. None: it was never on the server.

        Raises UnknownFolder; ValueError for INBOX, and for one with folders below it.
        """
        old = self._changeable(folder)
        if any(self.view.folder(one).state is not FolderState.DELETING for one in self._below(folder)):
            raise ValueError("this folder has others below it; delete or move those first")
        if old.state is FolderState.DELETING:
            return None
        for key in places.visible_of_folder(self._w.connection, folder):
            row = places.row(self._w.connection, key)
            if row is not None:
                self._leave(row, old)
        created = self._log.of_folder(folder, OperationKind.CREATE_FOLDER)
        if old.state is FolderState.LOCAL:
            asked = operations.of_folder(self._w.connection, folder, self._log.names)
            rest = [one for one in asked if one.message is None]  # mail that was moved on, or removed, still waits
            self._log.forget([one.id for one in (*created, *rest)])
            folders.bury_folder(self._w, folder)
            return None
        folders.set_state(self._w, old, (FolderState.DELETING, None, "it was deleted here"))
        return self._add(OperationKind.DELETE_FOLDER, folder, path=old.path, name=old.name)

    def subscribe(self, folder: FolderId, on: bool = True) -> OperationId | None:
        """Subscribe to a folder, or not any more; None when nothing differs. Raises UnknownFolder."""
        old = self.view.folder(folder)
        if bool(old.subscribed) is on:
            return None
        folders.set_subscribed(self._w, folder, on)
        kinds = (OperationKind.UNSUBSCRIBE, OperationKind.SUBSCRIBE)
        opposite = self._log.of_folder(folder, kinds[not on])
        if opposite:
            self._log.forget([one.id for one in opposite])
            return None
        return self._add(kinds[on], folder, path=old.path, name=old.name or None)

    # --- how -----------------------------------------------------------------------------------------------------

    def _free(self, account: AccountId, path: FolderPath) -> None:
        """Let a folder be made at *path*. Raises FolderExists.

        Also where one of that name, or above it, waits to be deleted on the server: both would be, one with the other.
        """
        number = accounts.number_of(self._w.connection, account)
        there: FolderPath | None = path
        while there is not None:
            found = folders.find_folder(self._w.connection, number, there, self._log.names)
            if found is not None and found.state is FolderState.DELETING:
                raise FolderExists(f"the folder {there} is still being deleted; synchronize first")
            if found is not None and there == path:
                raise FolderExists(f"there is a folder {path} already")
            there = there.parent

    def _renamed_since(self, first: Operation) -> bool:
        """Tell whether other folders were renamed since: their rows speak of names that this one had between."""
        renames = (one for one in self.view.operations(first.account) if one.kind is OperationKind.RENAME_FOLDER)
        return any(one.id > first.id and one.folder_id != first.folder_id for one in renames)

    def _changeable(self, folder: FolderId) -> Folder:
        found = self.view.folder(folder)
        if found.role is Role.INBOX or found.path.names == ("INBOX",):
            raise ValueError("INBOX stays where it is")
        return found

    def _below(self, folder: FolderId) -> list[FolderId]:
        return folders.below(self._w.connection, folder)

    def _create(self, account: AccountId, number: int, path: FolderPath, role: Role | None) -> FolderId:
        if path.parent is not None:
            self._parents(account, number, path.parent)
        folder = folders.add_local(self._w, number, path, role)
        self._add(OperationKind.CREATE_FOLDER, folder, path=path)
        return folder

    def _parents(self, account: AccountId, number: int, path: FolderPath) -> None:
        if self.view.find_folder(account, path) is None:
            self._create(account, number, path, None)

    def _leave(self, row: Row, folder: Folder) -> None:
        """Remove a message together with its folder.

        One that came from elsewhere has to be removed there: with the folder, once a person approved that.
        """
        if not row.pending:
            rows.bury(self._w, [row.key])
        elif folder.state is FolderState.LOCAL:
            self._remove(row)
        else:
            self._log.try_again(row.key)
            twin = places.twin(self._w.connection, row.key)
            rows.bury(self._w, [row.key])
            key = None if twin is None else twin.key
            made = self._add(OperationKind.DELETE, folder.id, message=row.key, target=folder.id, twin=key)
            operations.put(self._w, [made], OperationState.HELD, reason="it goes together with its folder")

    @abstractmethod
    def _remove(self, row: Row) -> tuple[OperationId, ...]:
        """Remove a message for good."""
