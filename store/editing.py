"""What a person does to mail, online or not: each verb writes its local effect and its rows of the log, or nothing.

From ``MailStore.edit()``: one durable transaction, one batch. Messages are named by key, folders by id; nothing here
waits for a network, and everything here is sent by the next synchronization that uploads. A verb that changes nothing
writes nothing. Every verb checks all of its arguments before it writes: it raises StoreError, or ValueError for
arguments that make no sense, and then has done nothing.
"""

from collections.abc import Iterable
from datetime import datetime

from .mail import AccountId, FolderId, FolderPath, MessageKey, Role
from .mail.operations import OperationId
from .readview import ReadView

__all__ = ["Editing"]


class Editing:
    """One batch of changes, from ``MailStore.edit()``. Not to be kept, nor given to another thread."""

    view: ReadView
    batch: int

    # --- messages ----------------------------------------------------------------------------------------------

    def set_flags(
        self, keys: Iterable[MessageKey], *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> tuple[OperationId, ...]:
        """Add and remove flags and keywords. Raises UnknownMessage; ValueError for what is no flag."""
        raise NotImplementedError

    def move(self, keys: Iterable[MessageKey], target: FolderId) -> tuple[OperationId, ...]:
        """Move messages into *target*; they keep their keys. Raises UnknownMessage, UnknownFolder, NotHere (another
        account's folder), FolderNotWritable."""
        raise NotImplementedError

    def copy(self, keys: Iterable[MessageKey], target: FolderId) -> tuple[MessageKey, ...]:
        """Copy messages into *target*; return the keys of the copies, in the order of *keys*. Raises as ``move``."""
        raise NotImplementedError

    def delete(self, keys: Iterable[MessageKey], *, for_good: bool = False) -> tuple[OperationId, ...]:
        """Move messages to the trash of their account; *for_good*, in the trash, or without one: remove them."""
        raise NotImplementedError

    def append(
        self,
        folder: FolderId,
        octets: bytes,
        *,
        flags: Iterable[str] = (),
        internal_date: datetime | None = None,
        replaces: MessageKey | None = None,
    ) -> MessageKey:
        """Add a message (a draft, a sent copy, an import) and return its key.

        *internal_date*: aware; None: now. *replaces*: the message whose newer version this is (a draft that was
        edited); it is deleted for good. Raises UnknownFolder, UnknownMessage, FolderNotWritable.
        """
        raise NotImplementedError

    def mark_for_download(self, keys: Iterable[MessageKey]) -> tuple[OperationId, ...]:
        """Ask for the octets at the next synchronization, whatever the policy; nothing for those that are here."""
        raise NotImplementedError

    # --- folders -----------------------------------------------------------------------------------------------

    def create_folder(self, account: AccountId, path: FolderPath, *, role: Role | None = None) -> FolderId:
        """Create a folder, and those above it that are not there. Raises UnknownAccount, FolderExists."""
        raise NotImplementedError

    def rename_folder(self, folder: FolderId, path: FolderPath) -> OperationId | None:
        """Give a folder another path, and all below it. Raises UnknownFolder, FolderExists; ValueError for INBOX."""
        raise NotImplementedError

    def delete_folder(self, folder: FolderId) -> OperationId | None:
        """Delete a folder with its mail; queued work inside is cancelled. Raises UnknownFolder; ValueError for INBOX,
        and for one with folders below it."""
        raise NotImplementedError

    def subscribe(self, folder: FolderId, on: bool = True) -> OperationId | None:
        """Subscribe to a folder, or not any more. Raises UnknownFolder."""
        raise NotImplementedError

    # --- second thoughts ---------------------------------------------------------------------------------------

    def undo(self, batch: int) -> None:
        """Take a batch back: what was not sent yet is cancelled, what was done is done the other way round.

        Raises NotUndoable (an unknown batch; the grace period is over; removed for good; sent, and no answer yet).
        """
        raise NotImplementedError

    def cancel(self, ids: Iterable[OperationId]) -> int:
        """Take back operations that were not sent, and what was wanted of the same message afterwards.

        Return how many rows that were. ATTEMPTED ones are left alone. Raises UnknownOperation.
        """
        raise NotImplementedError

    def retry(self, ids: Iterable[OperationId]) -> int:
        """Let LATER, and REFUSED ones whose effect was kept, be sent by the next synchronization; return how many."""
        raise NotImplementedError

    def approve(self, ids: Iterable[OperationId]) -> int:
        """Let HELD ones be sent; return how many. Raises UnknownOperation."""
        raise NotImplementedError
