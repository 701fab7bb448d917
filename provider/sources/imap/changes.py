"""Opening a folder: what it is now, and what changed since we knew it, as exactly as the server can be trusted to tell.

Room: sources/imap. EXAMINE, never SELECT: reading must not disturb ``\\Recent``. Three exactnesses: QRESYNC in the
EXAMINE itself (RFC 7162 §3.2.5), CONDSTORE by a FETCH that rides behind it (§3.1.4), or comparison. Rules:

- A cursor comes only from the HIGHESTMODSEQ of this EXAMINE, in a session with mod-sequences on; 0, none, NOMODSEQ and
  one lower than known give no cursor, and then silence proves nothing.
- Rows belong to the epoch that this EXAMINE tells; where that is not the one known, they are thrown away.
- A row without UID, numbers that contradict each other, a count that falls without a word: ``Exactness.NONE``.
- VANISHED is read leniently and met with what is known; a FETCH of a UID behind it wins.
"""

from collections import deque
from dataclasses import dataclass

from store.mail import ModSeq, Uid, UidSet, UidValidity

from ...errors import CommandRefused, ErrorKind, FolderUnusable, ProtocolBroken, printable
from ..base import ChangeReport, Exactness, FlagRow, Known, Notice, Opened
from . import grammar, quirks, translate
from .answers import Completion, Line
from .busy import refuse_if_busy
from .commands import Command, String
from .grammar import UID_LAST, Status
from .listing import Abilities
from .rows import Row
from .wire import Wire

__all__ = ["Attempt", "View", "attempt", "leaving", "marks_borders", "open_folder", "opened_by", "refusal"]

_KNOWN_UIDS_OCTETS = 6_000
_FLAG_ROW_OCTETS = 120
_PAGE_UIDS = 50_000


class View:
    """What the server told of the folder that is (or is about to be) open."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.begin()
        self.settled = False
        """True once the EXAMINE was completed: from then on another UIDVALIDITY is a fault."""
        self.writable = False
        """It was opened by SELECT: CLOSE would expunge it."""

    def begin(self) -> None:
        """Forget what was told so far: it was about the folder that was open before (RFC 7162 §3.2.11)."""
        self.exists: int | None = None
        self.uid_validity: UidValidity | None = None
        self.uid_next: int | None = None
        self.mod_seq: ModSeq | None = None
        self.object_id: str | None = None
        self.read_only = False
        self.permanent_flags: frozenset[str] | None = None
        self.new_keywords = True
        self.expunges = 0
        self.vanished = UidSet()
        self.rows: dict[Uid, FlagRow] = {}
        self.contradiction = ""
        self._number_of: dict[Uid, int] = {}
        self._uid_at: dict[int, Uid] = {}

    def note(self, told: Line | Status) -> None:
        """Take an untagged answer. Raises ProtocolBroken when the epoch changes under us."""
        if isinstance(told, Status):
            self._note_code(told)
        elif told.word == b"EXISTS" and told.number is not None:
            if self.exists is not None and told.number < self.exists and not self.expunges:
                self.contradiction = "the count of messages fell without a word"
            self.exists, self.expunges = told.number, 0
        elif told.word == b"EXPUNGE" and told.number is not None:
            self._note_expunge(told.number)
        elif told.word == b"VANISHED":
            self._note_vanished(told.parts[0])

    def note_row(self, row: Row) -> None:
        """Take a FETCH row that came while the folder was being opened."""
        if row.uid is None or row.flags is None:
            self.contradiction = "a change did not say of which message, or which flags"
            return
        if self._number_of.setdefault(row.uid, row.number) != row.number:
            self.contradiction = "one message has two numbers"
        if self._uid_at.setdefault(row.number, row.uid) != row.uid:
            self.contradiction = "two messages have one number"
        self.rows[row.uid] = FlagRow(uid=row.uid, flags=row.flags, mod_seq=row.mod_seq)
        if row.uid in self.vanished:
            self.vanished -= UidSet([row.uid])

    def _note_code(self, told: Status) -> None:
        match told.code:
            case b"CLOSED":
                self.begin()
            case b"UIDVALIDITY":
                uid_validity = translate.uid_validity(told.argument)
                if self.settled and uid_validity != self.uid_validity:
                    raise ProtocolBroken(
                        "The server renumbered a folder while it was open.",
                        kind=ErrorKind.FOLDER_UNSTABLE,
                        folder=printable(self.name),
                    )
                self.uid_validity = uid_validity
            case b"UIDNEXT":
                self.uid_next = translate.number(told.argument, UID_LAST) or None
            case b"HIGHESTMODSEQ":
                if not self.settled:
                    self.mod_seq = translate.mod_seq(told.argument)
            case b"NOMODSEQ":
                self.mod_seq = None
            case b"PERMANENTFLAGS":
                told_flags = translate.flags(told.argument.strip(b"()"))
                self.new_keywords = "\\*" in told_flags
                self.permanent_flags = told_flags - {"\\*"}
            case b"MAILBOXID":
                self.object_id = translate.email_id(told.argument.strip(b"()"))
            case _:
                return

    def _note_expunge(self, number: int) -> None:
        if self.exists is None or not 1 <= number <= self.exists:
            self.contradiction = "a message went away that was never there"
            return
        self.exists -= 1
        self.expunges += 1
        self._number_of.clear()
        self._uid_at.clear()

    def _note_vanished(self, octets: bytes) -> None:
        earlier = octets[:10].upper() == b"(EARLIER) "
        gone = grammar.uid_ranges(octets[10:] if earlier else octets)
        self.vanished |= gone
        if not earlier:
            self.expunges += 1
            self.exists = max(0, (self.exists or 0) - len(gone))
            self._number_of.clear()
            self._uid_at.clear()
        for uid in [uid for uid in self.rows if uid in gone]:
            del self.rows[uid]


def leaving(view: View | None, abilities: Abilities, *, implicit: bool) -> list[Command]:
    """Return the commands that leave the open folder.

    *implicit*: an EXAMINE follows, and a server that knows CONDSTORE marks the border by itself with ``[CLOSED]``.
    CLOSE would expunge a folder that is open for writing, so it is used only where the server said READ-ONLY.
    """
    if view is None or (implicit and marks_borders(abilities)):
        return []
    if abilities.can("UNSELECT"):
        return [Command((b"UNSELECT",))]
    if view.writable:  # only where EXAMINE is known to make a folder read-only, CLOSE does no harm behind it
        examine = Command((b"EXAMINE", String(view.name)))
        return [examine, Command((b"CLOSE",))] if abilities.examines else []
    return [Command((b"CLOSE",))] if view.read_only or abilities.examines else []


def marks_borders(abilities: Abilities) -> bool:
    """Tell whether the server itself marks where the answers about one folder end and those about the next begin."""
    return abilities.condstore or abilities.can("IMAP4REV2")


@dataclass(slots=True)
class Attempt:
    """One attempt to open a folder: its commands, and how they ended."""

    leave: list[Command]
    examine: Command
    deltas: list[Command]
    by_qresync: bool
    ending: Status | None = None
    deltas_ok: bool = True
    messages: int = 0
    """EXISTS when the folder was open: what comes later is not yet counted by UIDNEXT and HIGHESTMODSEQ."""


def open_folder(
    wire: Wire, abilities: Abilities, view: View, known: Known | None, *, leave: list[Command]
) -> tuple[Opened, list[Notice]]:
    """Open ``view.name`` and tell what changed since *known*, and which demotions that took.

    Raises FolderUnusable, CommandRefused, ServerBusy, or an error that ends the connection.
    """
    notices = []
    while True:
        visit = attempt(abilities, view.name, known, leave)
        _play(wire, view, visit)
        ending = visit.ending
        if ending is None:
            raise ProtocolBroken("The server never said how it opened a folder.")
        if ending.ok:
            break
        refuse_if_busy(ending, about_folder=True)
        if len(visit.examine.pieces) == 2:
            raise refusal(view.name, ending)
        # A parameter that was announced is refused: the folder may still open without.
        words = ("QRESYNC",) if visit.by_qresync else ("CONDSTORE", "QRESYNC")
        if ending.word == b"BAD":
            abilities.demote(*words)
            notices.append(
                Notice(
                    kind=ErrorKind.SERVER_DEMOTED.value,
                    text=f"The server announces {words[0]} and refuses it; it is not used in this session.",
                    folder=printable(view.name),
                    server_text=printable(ending.text),
                )
            )
            leave = []
            view.begin()
            continue
        raise refusal(view.name, ending)
    if ending.code == b"READ-ONLY":
        view.read_only = abilities.examines = True
    return opened_by(abilities, view, visit, known), notices


def attempt(abilities: Abilities, name: bytes, known: Known | None, leave: list[Command]) -> Attempt:
    since = known.mod_seq if known is not None and known.uids else None
    large = known is not None and len(known.uids) > 2 * _PAGE_UIDS
    parameter, by_qresync = b"", False
    if abilities.qresync and since is not None and known is not None and not large:
        uids = str(known.uids).encode()
        # Without the list, VANISHED also names mail that we never had: true, longer, and met with what is known.
        known_uids = b" " + uids if len(uids) <= _KNOWN_UIDS_OCTETS - 2 * len(name) else b""
        parameter, by_qresync = b"(QRESYNC (%d %d%b))" % (known.epoch, since, known_uids), True
    elif abilities.condstore and not abilities.qresync:
        parameter = b"(CONDSTORE)"
    examine = Command((b"EXAMINE", String(name), *([parameter] if parameter else [])))
    deltas = []
    if abilities.condstore and since is not None and known is not None and not by_qresync:
        vanished = b" VANISHED" if abilities.qresync else b""
        modifier = b"(CHANGEDSINCE %d%b)" % (since, vanished)
        for uids in _ranges(known.uids):
            deltas.append(Command((b"UID FETCH", uids, b"(UID FLAGS)", modifier), _FLAG_ROW_OCTETS * 100))
    return Attempt(leave=leave, examine=examine, deltas=deltas, by_qresync=by_qresync)


def _ranges(uids: UidSet) -> list[bytes]:
    """Return ranges that cover everything, so that no answer is longer than about one page of rows.

    The last one is spelled ``n:4294967295``: Cyrus omits the highest UID from ``n:*``.
    """
    if len(uids) <= 2 * _PAGE_UIDS:
        return [b"1:%d" % UID_LAST]
    borders = [page.lowest for page in uids.pages(_PAGE_UIDS)][:-1]
    lows = [1, *sorted(borders)]
    highs = [*(low - 1 for low in lows[1:]), UID_LAST]
    return [b"%d:%d" % pair for pair in zip(lows, highs, strict=True)]


def _play(wire: Wire, view: View, visit: Attempt) -> None:
    commands = deque([*visit.leave, visit.examine, *visit.deltas])
    for response in wire.converse(commands):
        match response:
            case Row():
                view.note_row(response)
            case Completion(command=command, status=status):
                if command is visit.examine:
                    visit.ending = status
                    view.settled, visit.messages = status.ok, view.exists or 0
                elif command in visit.deltas:
                    visit.deltas_ok = visit.deltas_ok and status.ok
                else:
                    view.begin()
            case Line() | Status():
                continue  # the session's observer showed it to the view


def refusal(name: bytes, ending: Status) -> FolderUnusable | CommandRefused:
    folder, code = printable(name), ending.code.decode("ascii", "replace") or None
    if quirks.folder_is_gone(ending):
        return FolderUnusable(
            "The folder does not exist on the server.",
            kind=ErrorKind.FOLDER_GONE,
            folder=folder,
            response_code=code,
            server_text=ending.text,
        )
    if ending.code in (b"NOPERM", b"CANNOT"):
        return FolderUnusable(
            "The server does not let us read this folder.",
            folder=folder,
            response_code=code,
            server_text=ending.text,
        )
    return CommandRefused(
        "The server refused to open a folder.", folder=folder, response_code=code, server_text=ending.text
    )


def opened_by(abilities: Abilities, view: View, visit: Attempt, known: Known | None) -> Opened:
    epoch = view.uid_validity
    cursor = view.mod_seq if abilities.condstore else None
    same = known is not None and epoch is not None and known.epoch == epoch
    changes = ChangeReport()
    if known is not None and same and known.mod_seq is not None:
        if cursor is None or cursor < known.mod_seq:
            cursor = None
        elif not view.contradiction:
            changes = _report(abilities, view, visit, known)
    return Opened(
        epoch=epoch,
        messages=visit.messages,
        uid_next=view.uid_next,
        mod_seq=cursor,
        changes=changes,
        object_id=view.object_id,
    )


def _report(abilities: Abilities, view: View, visit: Attempt, known: Known) -> ChangeReport:
    if not known.uids:
        return ChangeReport(exactness=Exactness.EXACT)  # nothing known: nothing of it changed
    if not visit.deltas_ok and view.exists:
        return ChangeReport()
    tells_vanished = visit.by_qresync or abilities.qresync
    return ChangeReport(
        exactness=Exactness.EXACT if tells_vanished else Exactness.FLAGS,
        flags=tuple(view.rows.values()),
        vanished=view.vanished & known.uids,
    )
