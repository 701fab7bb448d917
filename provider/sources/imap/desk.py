"""The folder that is open for writing, and the talk about it: SELECT chains, and which answer belongs to what.

Room: sources/imap. Rules:

- SELECT, never EXAMINE, and nothing that changes a folder before its UIDVALIDITY was read and is the expected one.
- The next folder's SELECT rides behind the last commands of this one, so that many folders cost one wait each. Where
  this one then needs another word after all, it is selected again first, and so is the next: dearer, and never wrong.
- CLOSE is never sent here: it would expunge what others marked.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from store.mail import Uid, UidSet

from ...errors import ErrorKind, FolderUnusable, ProtocolBroken, SourceError, printable
from ...limits import Limits
from ..base import Notice
from ..writing import FolderWrite
from . import grammar
from .answers import Completion, Line, Response
from .busy import refuse_if_busy, refuse_step_if_busy
from .changes import View, marks_borders, refusal
from .commands import Command, String
from .grammar import Status
from .listing import Abilities, prepare
from .rows import Row
from .searching import all_uids, existing, found_by
from .wire import Wire

__all__ = ["Desk", "Heard"]


@dataclass(slots=True, eq=False)
class Heard:
    """What came for a number of commands."""

    endings: dict[Command, Status] = field(default_factory=dict)
    flags: dict[Uid, frozenset[str]] = field(default_factory=dict)
    """The last that was told of each message."""
    found: dict[Command, UidSet] = field(default_factory=dict)
    """Searches that were answered, and accepted."""
    codes: list[Status] = field(default_factory=list)
    """Untagged status answers. Whose they are, they say themselves: a server may tell of several commands at once."""
    vanished: UidSet = field(default_factory=UidSet)
    expunges: int = 0
    asked: UidSet = field(default_factory=UidSet)
    expected: int = 0
    """How many of *asked* the commands were to remove; see ``expect``."""

    def take(self, response: Response, due: Command, wire: Wire) -> None:
        """Take an untagged answer that came while *due* was due."""
        match response:
            case Row(uid=uid, flags=flags) if uid is not None and flags is not None:
                self.flags[uid] = flags
            case Status():
                self.codes.append(response)
            case Line(word=b"EXPUNGE"):
                self.expunges += 1
            case Line(word=b"VANISHED"):
                self.vanished |= grammar.uid_ranges(response.parts[0])
            case Line():
                uids = found_by(response, wire)
                if uids is not None:
                    self.found[due] = self.found.get(due, UidSet()) | uids
            case _:
                return

    def complete(self, completion: Completion) -> None:
        """Take the end of a command. Raises ServerBusy."""
        refuse_step_if_busy(completion.status)
        self.endings[completion.command] = completion.status
        if not completion.status.ok:
            self.found.pop(completion.command, None)

    def expect(self, uids: UidSet, count: int) -> None:
        """Note, before anything is judged, that *count* of *uids* were to be removed."""
        self.asked |= uids
        self.expected += count

    def shows_gone(self, uids: UidSet) -> bool:
        """Tell whether *uids* were told to be gone: by their numbers, or because as many went away as were to."""
        return not uids - self.vanished or (not self.vanished and self.expunges >= self.expected)

    @property
    def excess(self) -> bool:
        """More went away than was to be removed."""
        return bool(self.vanished - self.asked) or self.expunges > len(self.asked)


@dataclass(slots=True, eq=False)
class _Entry:
    """One SELECT, and how it ended."""

    write: FolderWrite
    view: View
    leave: list[Command]
    select: Command
    ending: Status | None = None

    @property
    def commands(self) -> list[Command]:
        return [*self.leave, self.select]

    def complete(self, completion: Completion) -> None:
        if completion.command is self.select:
            self.ending = completion.status
            self.view.settled = completion.status.ok
        else:
            self.view.begin()


class Desk:
    """Folders that are changed, one after the other. *at* hears whose answers come next."""

    def __init__(
        self,
        wire: Wire,
        abilities: Abilities,
        writes: Iterable[FolderWrite],
        *,
        before: View | None,
        at: Callable[[View | None], None],
        notice: Callable[[Notice], None],
    ) -> None:
        self.abilities = abilities
        self.notice = notice
        self.open: View | None = before
        """What the server has open, as far as it told."""
        self._wire = wire
        self._at = at
        self._rest: Iterator[FolderWrite] = iter(writes)
        self._next = next(self._rest, None)
        self._ahead: _Entry | None = None
        self._entry: _Entry | None = None

    @property
    def view(self) -> View:
        """The folder whose steps are played."""
        assert self._entry is not None, "a folder was entered"
        return self._entry.view

    def greet(self, limits: Limits) -> None:
        """Say what opens a session, where it was not said yet; the first SELECT rides behind it. Raises ServerBusy."""
        if self._next is None or self.abilities.greeted or not self.abilities.fresh:
            prepare(self._wire, self.abilities, limits=limits)
            return
        entry = self._entry_of(self._next)
        self._at(entry.view)
        reply = prepare(self._wire, self.abilities, *entry.commands, limits=limits)
        if reply is not None:
            entry.ending = reply.endings[entry.select]
            entry.view.settled = entry.ending.ok
            self._ahead, self.open = entry, entry.view

    def enter(self) -> tuple[FolderWrite, SourceError | None] | None:
        """Open the next folder and say whether it may be changed; None: there is none. Raises ServerBusy."""
        write, self._next = self._next, next(self._rest, None)
        if write is None:
            return None
        entry, self._ahead = self._ahead, None
        return write, self._enter(write, entry)

    def run(self, commands: list[Command], *, last: bool = False) -> Heard:
        """Send commands about the folder and return what came. *last*: as far as is known, no more will follow.

        Raises FolderUnusable when the folder had to be selected once more and is another one now.
        """
        self._return()
        heard, entry = Heard(), None
        if last and self._next is not None:
            entry = self._entry_of(self._next)
        due = dict.fromkeys(commands)
        self._at(self.view if due or entry is None else entry.view)
        for response in self._wire.converse(deque([*commands, *(entry.commands if entry else [])])):
            if not isinstance(response, Completion):
                if due:  # what comes behind is about the next folder, whose view hears it
                    heard.take(response, next(iter(due)), self._wire)
            elif response.command in due:
                del due[response.command]
                heard.complete(response)
                if not due and entry is not None:
                    self._at(entry.view)
            elif due or entry is None:
                raise ProtocolBroken("The server answered about one folder while another one was open.")
            else:
                entry.complete(response)
        if entry is not None:
            self._ahead, self.open = entry, entry.view
        return heard

    def existing(self, uids: UidSet) -> UidSet:
        """Return which of *uids* exist. Raises IncompleteAnswer when the server does not tell, and as ``run``."""
        self._return()
        return existing(self._wire, self.abilities, self.view, uids)

    def report_excess(self, heard: Heard) -> None:
        """Tell when more went away than was asked for: by others, at the same moment, or because the server erred."""
        if heard.asked and heard.excess:
            self.notice(
                Notice(
                    kind=ErrorKind.MESSAGE_MISSING.value,
                    text="While messages were removed from a folder, more went away than were to be removed.",
                    folder=printable(self.view.name),
                )
            )

    def search(self, uids: UidSet) -> Command:
        """Return the question which of *uids* (few enough for a command) exist."""
        return all_uids(self.abilities, b"UID %b" % str(uids).encode())

    # -- opening -----------------------------------------------------------------------------------------

    def _return(self) -> None:
        """Select the folder again where the next one is open already."""
        if self._ahead is None:
            return
        self._ahead = None
        error = self._enter(self.view_write, None)
        if error is not None:
            raise error

    @property
    def view_write(self) -> FolderWrite:
        assert self._entry is not None
        return self._entry.write

    def _enter(self, write: FolderWrite, entry: _Entry | None) -> SourceError | None:
        while True:
            entry = entry or self._play(self._entry_of(write))
            ending = entry.ending
            if ending is None:
                raise ProtocolBroken("The server never said how it opened a folder.")
            if ending.ok or ending.word != b"BAD" or len(entry.select.pieces) == 2:
                break
            self.abilities.demote("CONDSTORE", "QRESYNC")
            self.notice(
                Notice(
                    kind=ErrorKind.SERVER_DEMOTED.value,
                    text="The server announces CONDSTORE and refuses it; it is not used in this session.",
                    folder=printable(write.name),
                    server_text=printable(ending.text),
                )
            )
            self.open, entry = None, None
        self._entry = entry
        self._at(entry.view)
        return self._judge(write, entry.view, ending)

    def _judge(self, write: FolderWrite, view: View, ending: Status) -> SourceError | None:
        if not ending.ok:
            self.open = None
            refuse_if_busy(ending, about_folder=True)
            return refusal(write.name, ending)
        if ending.code == b"READ-ONLY":
            return FolderUnusable(
                "The server lets nobody change this folder.", folder=printable(write.name), response_code="READ-ONLY"
            )
        if view.uid_validity != write.epoch:
            return FolderUnusable(
                "The folder was made anew on the server: its messages have other numbers now.",
                kind=ErrorKind.UIDVALIDITY_CHANGED,
                folder=printable(write.name),
            )
        return None

    def _entry_of(self, write: FolderWrite) -> _Entry:
        leave = []
        if self.open is not None and not marks_borders(self.abilities) and self.abilities.can("UNSELECT"):
            leave = [Command((b"UNSELECT",))]
        parameter = [b"(CONDSTORE)"] if self.abilities.condstore and not self.abilities.qresync else []
        view = View(write.name)
        view.writable = True
        return _Entry(write=write, view=view, leave=leave, select=Command((b"SELECT", String(write.name), *parameter)))

    def _play(self, entry: _Entry) -> _Entry:
        self._at(entry.view)
        for response in self._wire.converse(deque(entry.commands)):
            if isinstance(response, Completion):
                entry.complete(response)
        self.open = entry.view
        return entry
