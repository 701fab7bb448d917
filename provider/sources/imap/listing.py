"""One look at the whole account: what the server can, which folders there are, and how each stands, in one flight.

Room: sources/imap. Ladder: LIST with STATUS (RFC 5819), else LIST and then STATUS of each folder,
pipelined, else no status at all. ENABLE, ID and NAMESPACE ride in the same batch. Rules: a LIST that was refused, or
lists nothing, proves nothing; one folder without STATUS costs that folder its status. ENABLED tells what was enabled,
the capability list does not (iCloud announces QRESYNC and enables nothing). MAILBOXID is asked of folders that are not
known, or not with this UIDVALIDITY: for the others it would be the longest item of an answer that says nothing new.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata

from store.mail import UidValidity

from ...errors import IncompleteAnswer
from ...limits import Limits
from ..base import FolderListing, FolderStatus
from . import translate
from .answers import Completion, Line, Reply
from .busy import refuse_if_busy
from .commands import Command, LiteralStyle, String
from .folderlines import Folders, Namespaces, key, namespaces, status_of
from .grammar import Malformed
from .wire import Wire

__all__ = ["Abilities", "ask_statuses", "list_folders", "prepare", "status_items"]

_STATUS_ROW_OCTETS = 200
_IN_REV2 = frozenset(
    (
        "ENABLE",
        "ESEARCH",
        "LIST-EXTENDED",
        "LIST-STATUS",
        "LITERAL-",
        "MOVE",
        "NAMESPACE",
        "SPECIAL-USE",
        "UIDPLUS",
        "UNSELECT",
    )
)
"""Extensions that became a part of IMAP4rev2 (RFC 9051 appendix E), as far as we ask for them."""


@dataclass(slots=True)
class Abilities:
    """What this server showed to work in this session; demotions take words away."""

    capabilities: frozenset[str] = frozenset()
    fresh: bool = False
    """False: the capabilities were told before the login, or never; they must be asked for."""
    greeted: bool = False
    """ENABLE and ID were sent."""
    examines: bool = False
    """An EXAMINE was answered READ-ONLY: CLOSE then expunges nothing (RFC 9051 §6.4.1)."""
    enabled: set[str] = field(default_factory=set)
    spaces: Namespaces = Namespaces()

    def can(self, word: str) -> bool:
        """Tell whether the server announces *word*, or a version of IMAP that contains it."""
        return word in self.capabilities or (word in _IN_REV2 and self._only_rev2)

    @property
    def _only_rev2(self) -> bool:
        return "IMAP4REV2" in self.capabilities and "IMAP4REV1" not in self.capabilities

    @property
    def utf8_names(self) -> bool:
        """Folder names are UTF-8, not modified UTF-7: the server speaks IMAP4rev2 only (RFC 9051 §5.1)."""
        return self._only_rev2

    @property
    def condstore(self) -> bool:
        """Mod-sequences may be asked for (RFC 7162 §3.1)."""
        return self.can("CONDSTORE") or self.can("QRESYNC")

    @property
    def qresync(self) -> bool:
        """QRESYNC was enabled, and the server said so."""
        return "QRESYNC" in self.enabled

    @property
    def literal_style(self) -> LiteralStyle:
        """How literals are sent."""
        if self.can("LITERAL+"):
            return LiteralStyle.FREE
        return LiteralStyle.SMALL if self.can("LITERAL-") else LiteralStyle.WAITING

    def demote(self, *words: str) -> None:
        """Ask for these no more: they were announced, and refused."""
        self.capabilities -= set(words)
        self.enabled -= set(words)


def prepare(wire: Wire, abilities: Abilities, *rest: Command, limits: Limits) -> Reply | None:
    """Ask what is not known yet, and send ENABLE and ID, with *rest* in the same batch; None: nothing was to be sent.

    Raises ServerBusy when the server has let us in and yet obeys no command (Exchange).
    """
    if not abilities.fresh:
        reply = wire.run(Command((b"CAPABILITY",)))
        _refuse_if_busy(reply)
        for line in reply.of(b"CAPABILITY"):
            abilities.capabilities = frozenset(translate.text(word).upper() for word in line.parts[0].split())
        abilities.fresh = True
    wire.style = abilities.literal_style
    commands = [] if abilities.greeted else _greetings(abilities)
    commands += rest
    if not commands:
        return None
    reply = wire.run(*commands)
    _refuse_if_busy(reply)
    abilities.greeted = True
    for line in reply.of(b"ENABLED"):
        abilities.enabled |= {translate.text(word).upper() for word in line.parts[0].split()}
    for line in reply.of(b"NAMESPACE"):
        with suppress(Malformed):  # it only helps to guess roles: nothing is lost without it
            abilities.spaces = namespaces(line, nesting=limits.nesting)
    return reply


def _greetings(abilities: Abilities) -> list[Command]:
    commands = []
    if abilities.can("ENABLE") and abilities.condstore:
        commands.append(Command((b"ENABLE", b"QRESYNC" if abilities.can("QRESYNC") else b"CONDSTORE")))
    if abilities.can("ID"):
        try:
            version = metadata.version("maildock")
        except metadata.PackageNotFoundError:  # run from a checkout that was never installed
            version = "unknown"
        commands.append(Command((b"ID", b'("name" "maildock" "version" "%b")' % version.encode("ascii", "ignore"))))
    if abilities.can("NAMESPACE"):
        commands.append(Command((b"NAMESPACE",)))
    return commands


def _refuse_if_busy(reply: Reply) -> None:
    for status in reply.endings.values():
        refuse_if_busy(status)


def list_folders(
    wire: Wire,
    abilities: Abilities,
    *,
    limits: Limits,
    known: Mapping[bytes, UidValidity],
    leave: Callable[[], list[Command]],
) -> FolderListing:
    """List all folders; *known*: see ``Session.folders``. Raises IncompleteAnswer when the server refuses to.

    *leave* gives the commands that leave the open folder: the answer of LIST-STATUS is stale where one is selected.
    """
    if not abilities.fresh:
        prepare(wire, abilities, limits=limits)
    listing = _list_command(abilities, with_ids=not known)
    subscriptions = None if abilities.can("LIST-EXTENDED") else Command((b"LSUB", b'""', b'"*"'))
    commands = [*leave(), listing, *([subscriptions] if subscriptions else [])]
    reply = prepare(wire, abilities, *commands, limits=limits)
    if reply is None or not reply.endings[listing].ok:
        raise IncompleteAnswer(
            "The server refused to list the folders.",
            server_text=b"" if reply is None else reply.endings[listing].text,
        )
    folders = Folders(limits)
    for line in reply.of(b"LIST"):
        folders.add(line)
    told = dict(_statuses(reply, limits))
    selectable = [name for name, folder in folders.found.items() if folder.selectable]
    if not abilities.can("LIST-STATUS"):
        told.update(ask_statuses(wire, selectable, status_items(abilities, with_ids=not known), limits))
    if known and abilities.can("OBJECTID"):
        epochs = {name: status.uid_validity for name, (status, _) in told.items() if status is not None}
        others = [name for name in selectable if known.get(name) is None or known[name] != epochs.get(name)]
        for name, (_, object_id) in ask_statuses(wire, others, b"(MAILBOXID)", limits).items():
            told[name] = (told[name][0] if name in told else None, object_id)
    folders.tell(told)
    all_told = subscriptions is None or reply.endings[subscriptions].ok
    folders.subscribe((_subscribed(line, limits) for line in reply.of(b"LSUB")), known=all_told)
    folders.guess_roles(abilities.spaces)
    # INBOX exists always (RFC 9051 §5.1): an answer that lists nothing at all is no listing.
    return FolderListing(
        folders=tuple(folders.found.values()), complete=bool(folders.found), problems=tuple(folders.problems)
    )


def _list_command(abilities: Abilities, *, with_ids: bool) -> Command:
    options = []
    if abilities.can("LIST-EXTENDED"):
        options.append(b"SUBSCRIBED")
        if abilities.can("SPECIAL-USE"):
            options.append(b"SPECIAL-USE")
    if abilities.can("LIST-STATUS"):
        options.append(b"STATUS " + status_items(abilities, with_ids=with_ids))
    if not options:
        return Command((b"LIST", b'""', b'"*"'))
    return Command((b"LIST", b'""', b'"*"', b"RETURN (%b)" % b" ".join(options)))


def status_items(abilities: Abilities, *, with_ids: bool) -> bytes:
    items = [b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY"]
    if abilities.condstore:
        items.append(b"HIGHESTMODSEQ")
    if with_ids and abilities.can("OBJECTID"):
        items.append(b"MAILBOXID")
    return b"(%b)" % b" ".join(items)


def _statuses(reply: Reply, limits: Limits) -> dict[bytes, tuple[FolderStatus | None, str | None]]:
    found = {}
    for line in reply.of(b"STATUS"):
        name, status, object_id = status_of(line, nesting=limits.nesting)
        found[name] = (status, object_id)
    return found


def ask_statuses(
    wire: Wire,
    names: Iterable[bytes],
    items: bytes,
    limits: Limits,
    leave: Iterable[Command] = (),
) -> dict[bytes, tuple[FolderStatus | None, str | None]]:
    """Ask STATUS *items* of each folder, in as few flights as the window of unanswered octets allows."""
    commands = deque([*leave, *(Command((b"STATUS", String(name), items), _STATUS_ROW_OCTETS) for name in names)])
    found = {}
    for response in wire.converse(commands):
        if isinstance(response, Line) and response.word == b"STATUS":
            name, status, object_id = status_of(response, nesting=limits.nesting)
            found[name] = (status, object_id)
        elif isinstance(response, Completion):
            refuse_if_busy(response.status, about_folder=True)
    return found


def _subscribed(line: Line, limits: Limits) -> bytes:
    told = line.values(nesting=limits.nesting)
    return key(told[2]) if len(told) > 2 else b""
