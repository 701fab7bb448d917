"""How far each folder was synchronized. Commits together with the rows that it covers, and never runs ahead of them."""

from typing import Any, ClassVar

from .base import StoreTable, integer, reference, words

__all__ = ["CursorRow"]


class CursorRow(StoreTable, table=True):
    __tablename__: ClassVar[Any] = "cursors"

    folder_id: int = reference("folders.id", "which folder", primary_key=True, cascade=True)
    account_id: int = reference("accounts.id", "whose folder")
    epoch: int | None = integer("UIDVALIDITY of every row of the folder; NULL: never opened", None)
    mod_seq: int | None = integer("HIGHESTMODSEQ that is wholly here; NULL: none, or not trusted", None)
    uid_next: int | None = integer("UIDNEXT when last looked; NULL: not told", None)
    messages: int | None = integer("EXISTS when last looked; NULL: never looked", None)
    listed_from: int | None = integer("every existing UID from here to below uid_next has a row; NULL: none yet", None)
    distrust: str = words("why change reports about this folder are not believed; empty: they are")
    epoch_changes: int = integer("changes of UIDVALIDITY in a row without a quiet visit between")
    proven_at: int | None = integer("when it was last compared in full; NULL: never", None)
    checked_at: int | None = integer("when it was last looked at; NULL: never", None)
