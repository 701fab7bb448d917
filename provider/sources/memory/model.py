"""What a mail server in memory holds: folders, messages, and the history that change reports are made of."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from store.mail import FolderPath, ModSeq, Role, Uid, UidSet, UidValidity, clean_flags

__all__ = ["MemoryFolder", "MemoryMessage"]

DEFAULT_DATE = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryMessage:
    """A message in a folder of the server."""

    uid: Uid
    octets: bytes = field(repr=False)
    flags: frozenset[str] = frozenset()
    internal_date: datetime | None = DEFAULT_DATE
    size: int | None = None
    """As the server reports it; None: not known."""
    mod_seq: ModSeq = ModSeq(1)
    email_id: str | None = None


@dataclass(slots=True, kw_only=True)
class MemoryFolder:
    """A folder; changed by ``MemoryServer`` only, which holds its lock meanwhile."""

    path: FolderPath
    uid_validity: UidValidity
    object_id: str
    role: Role | None = None
    selectable: bool = True
    subscribed: bool | None = None
    read_only: bool = False
    permanent_flags: frozenset[str] | None = None
    """Flags that it keeps, and no others; None: all."""
    uid_next: int = 1
    mod_seq: int = 1
    """HIGHESTMODSEQ: rises with every change."""
    messages: dict[int, MemoryMessage] = field(default_factory=dict)
    vanished: dict[int, int] = field(default_factory=dict)
    """UID to the mod_seq at which it went."""

    @property
    def name(self) -> bytes:
        """The octets that name it in the protocol: names of the path, "/" between, "%" and "/" within spelled %XX."""
        return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in self.path.names).encode()

    def next_mod_seq(self) -> ModSeq:
        """Return the number of one more change."""
        self.mod_seq += 1
        return ModSeq(self.mod_seq)

    def add(
        self,
        octets: bytes,
        *,
        flags: Iterable[str],
        internal_date: datetime | None,
        size: int | None,
        uid: int | None,
        email_id: str | None,
    ) -> Uid:
        """Add a message and return its UID. Raises ValueError for a UID that was used before."""
        number = Uid(self.uid_next if uid is None else uid)
        if number < self.uid_next:
            raise ValueError(f"UID {number} lies below UIDNEXT {self.uid_next}")
        self.uid_next = number + 1
        self.messages[number] = MemoryMessage(
            uid=number,
            octets=octets,
            flags=clean_flags(flags),
            internal_date=internal_date,
            size=size,
            mod_seq=self.next_mod_seq(),
            email_id=email_id,
        )
        return number

    def expunge(self, uids: Iterable[int]) -> None:
        """Remove messages. Raises KeyError for one that is not there."""
        mod_seq = self.next_mod_seq()
        for uid in uids:
            del self.messages[uid]
            self.vanished[uid] = mod_seq

    def vanished_since(self, mod_seq: int) -> UidSet:
        """Return which UIDs went after *mod_seq*."""
        return UidSet(uid for uid, when in self.vanished.items() if when > mod_seq)
