"""A daemon takes up accounts that were added, changed or removed in ``accounts.toml`` while it runs."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from store.mail import AccountId

from .account_entry import AccountEntry
from .accounts_file import AccountsFile
from .exits import Trouble
from .output import hint, one_line

if TYPE_CHECKING:
    from store import MailStore

    from .. import MailStoreProvider

__all__ = ["AccountsWatch"]

_Signature = tuple[int, int, int] | None


class AccountsWatch:
    """Called now and then, it keeps *provider* as the file *path* says; *entries* is what it was made with.

    Thread-safe. A file that cannot be understood changes nothing, and is said once. What is new or was changed is
    synchronized at once (trigger: settings), where things start by themselves: not while *store* says that they are
    paused, that one works offline, or that people switched the account off.
    """

    def __init__(
        self, path: Path, store: "MailStore", provider: "MailStoreProvider", entries: tuple[AccountEntry, ...]
    ) -> None:
        self._path = path
        self._store = store
        self._provider = provider
        self._entries = {entry.name: entry for entry in entries}
        self._lock = threading.Lock()
        self._seen: _Signature = None

    def __call__(self, *, starts: bool = False) -> None:
        """Look, and take up what is different. *starts*: synchronize it, too."""
        with self._lock:
            signature = self._signature()
            if signature == self._seen:
                return
            self._seen = signature
            try:
                entries = {entry.name: entry for entry in AccountsFile.read(self._path).accounts}
                accounts = {name: entry.account() for name, entry in entries.items()}
            except Trouble as trouble:
                hint(f"maildock: {one_line(str(trouble))} The accounts stay as they were.")
                return
            before, self._entries = self._entries, entries
            gone = [name for name in before if name not in entries]
            other = [name for name in entries if entries[name] != before.get(name)]
            for name in gone + [name for name in other if name in before]:
                self._provider.remove_account(AccountId(name))
            for name in other:
                self._provider.add_account(accounts[name])
        if gone or other:
            hint(f"maildock: accounts changed: {one_line(', '.join(gone + other))}.")
        if other and starts:
            self._start(other)

    def _start(self, names: list[str]) -> None:
        from store import StoreError

        from .. import ProviderError, SyncFlags, SyncRequest, Trigger
        from ..manager.mail.items import wanted

        flags = SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_BACKGROUND
        try:
            if self._store.schedules.paused or self._store.schedules.offline:
                return
            ids = tuple(one for one in wanted(self._store, self._provider) if one in names)
            if ids:
                self._provider.send_and_receive(SyncRequest(flags=flags, accounts=ids, trigger=Trigger.SETTINGS))
        except (StoreError, ProviderError) as error:  # they are here all the same: a schedule brings them
            hint(f"maildock: what changed could not be synchronized at once ({error.kind.value}).")

    def _signature(self) -> _Signature:
        try:
            state = self._path.stat()
        except OSError:
            return None
        return state.st_ino, state.st_mtime_ns, state.st_size
