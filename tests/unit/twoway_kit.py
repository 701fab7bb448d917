"""What the tests of changes made here share: two folders with mail, the verbs of people, what the log says."""

from dataclasses import dataclass

from store import FlagWish, FolderId, MailStore, Message, MessageKey, Operation, Role
from store.mail import Uid, UidValidity

from .store_kit import ACCOUNT, EPOCH, Inbox, listed

TRASH_EPOCH = UidValidity(9)


@dataclass(frozen=True, slots=True)
class Home:
    """INBOX with messages 1 to 4 (keys and UIDs alike), Archive, and the trash; the latter two are empty."""

    store: MailStore
    inbox: FolderId
    archive: FolderId
    trash: FolderId

    @classmethod
    def made_in(cls, store: MailStore) -> "Home":
        inbox = Inbox.made_in(store)
        inbox.fill(4)
        with store.write("folders") as tx:
            archive = tx.add_folder(ACCOUNT, listed("Archive"))
            trash = tx.add_folder(ACCOUNT, listed("Trash", role=Role.TRASH))
        return cls(store, inbox.folder, archive, trash)

    def uids(self, folder: FolderId) -> list[int | None]:
        """The UIDs of the visible messages of a folder, by key; None: no place yet."""
        return [message.uid for message in self.messages(folder)]

    def keys(self, folder: FolderId) -> list[MessageKey]:
        """The keys of the visible messages of a folder."""
        return [message.key for message in self.messages(folder)]

    def messages(self, folder: FolderId) -> list[Message]:
        with self.store.read() as view:
            return sorted(view.messages(folder).messages, key=lambda message: message.key)

    def flags(self, key: int) -> list[str]:
        with self.store.read() as view:
            return sorted(view.message(MessageKey(key)).flags)

    def log(self) -> list[tuple[str, str]]:
        """Kind and state of all operations that are kept, in order."""
        with self.store.read() as view:
            return [(one.kind.value, one.state.value) for one in view.operations(pending=False)]

    def pending(self) -> list[Operation]:
        with self.store.read() as view:
            return list(view.operations())

    def wishes(self) -> list[FlagWish]:
        with self.store.read() as view:
            return view.wishes(ACCOUNT)

    def told(self, uid: int, *flags: str) -> None:
        """The server tells flags of a message of the inbox."""
        with self.store.write("told") as tx:
            tx.set_flags(self.inbox, EPOCH, [(Uid(uid), frozenset(flags), None)])

    def sound(self) -> bool:
        """True when no invariant is broken; the assertion shows which."""
        assert self.store.check(full=True).problems == ()
        return True
