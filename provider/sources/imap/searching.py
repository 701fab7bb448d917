"""Which messages exist: the one question whose answer may remove mail, so it is asked with suspicion.

Room: sources/imap. ESEARCH where announced (RFC 4731), else SEARCH, else FETCH of UIDs; in pages, so that no answer is
longer than a line may be. Rules: an OK without an answer, an answer to another tag, a count that does not fit the set,
and fewer UIDs than the folder has messages prove nothing; then another way is asked, and IncompleteAnswer is raised
where that does not settle it. Sequence numbers cut the pages, however far UIDNEXT lies; they never leave this file.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from store.mail import Uid, UidSet

from ...errors import IncompleteAnswer, LimitExceeded, ProtocolBroken
from . import grammar, translate
from .answers import Completion, Line
from .busy import refuse_if_busy
from .changes import View
from .commands import Command
from .grammar import UID_LAST
from .listing import Abilities
from .rows import Row
from .wire import Wire

__all__ = ["PAGE_MESSAGES", "SET_OCTETS", "all_uids", "existing", "found_by"]

PAGE_MESSAGES = 20_000
SET_OCTETS = 7_500
_UID_OCTETS = 12
_ROW_OCTETS = 30
_PAGES_MAX = 10_000


@dataclass(slots=True)
class _Answer:
    """What came for a number of searches."""

    asked: int
    uids: UidSet = field(default_factory=UidSet)
    answers: int = 0
    refused: bool = False
    shifted: bool = False
    """A message went away meanwhile: numbers do not mean the same messages any more."""

    @property
    def whole(self) -> bool:
        """True when each question was accepted and answered."""
        return not self.refused and self.answers >= self.asked

    def complete(self, completion: Completion) -> None:
        """Take the end of one question. Raises ServerBusy."""
        refuse_if_busy(completion.status)
        self.refused = self.refused or not completion.status.ok


def existing(wire: Wire, abilities: Abilities, view: View, within: UidSet | None) -> UidSet:
    """Return which UIDs (of *within*, or of all) exist. Raises IncompleteAnswer, or an error that ends the session."""
    if within is not None and len(within) <= 2 * PAGE_MESSAGES:
        keys = [b"UID %b" % str(part).encode() for part in within.split(SET_OCTETS)]
        answer = _search(wire, abilities, keys)
        if answer.whole:
            return answer.uids & within
    found = _everything(wire, abilities, view)
    return found if within is None else found & within


def _everything(wire: Wire, abilities: Abilities, view: View) -> UidSet:
    before = view.exists or 0
    pages = _pages(before)
    answer = _search(wire, abilities, pages or [b"ALL"])
    if answer.whole and not (pages and answer.shifted) and len(answer.uids) >= min(before, view.exists or 0):
        return answer.uids
    if not before and answer.refused:
        return UidSet()  # some servers refuse to search nothing
    before = view.exists or 0
    pages = _pages(before)
    second = _fetch(wire, pages)
    # Two ways that agree are believed, even where the server counts differently.
    agreed = len(second.uids) >= min(before, view.exists or 0) or (answer.whole and second.uids == answer.uids)
    if second.whole and agreed and not (pages and second.shifted):
        return second.uids
    raise IncompleteAnswer("The server did not tell all messages of a folder, or they changed meanwhile.")


def _pages(messages: int) -> list[bytes]:
    """Return sequence numbers in pages; none when one answer can hold all."""
    if messages <= 2 * PAGE_MESSAGES:
        return []
    if messages > _PAGES_MAX * PAGE_MESSAGES:
        raise LimitExceeded(f"The server claims {messages:,} messages in one folder.")
    lows = range(1, messages + 1, PAGE_MESSAGES)
    # The last page is open at its end: mail may have come since.
    return [b"%d:%d" % (low, low + PAGE_MESSAGES - 1) for low in lows[:-1]] + [b"%d:*" % lows[-1]]


def all_uids(abilities: Abilities, key: bytes = b"ALL") -> Command:
    """Return the question which messages exist (of those that *key* names)."""
    word = (b"UID SEARCH", b"RETURN (ALL COUNT)") if abilities.can("ESEARCH") else (b"UID SEARCH",)
    return Command((*word, key), PAGE_MESSAGES * _UID_OCTETS)


def found_by(line: Line, wire: Wire) -> UidSet | None:
    """Return the UIDs that *line* tells in answer to a search of ours that is under way, else None."""
    match line.word:
        case b"ESEARCH":
            return _extended(line, wire)
        case b"SEARCH":
            return UidSet(_plain(line))
        case _:
            return None


def _search(wire: Wire, abilities: Abilities, keys: list[bytes]) -> _Answer:
    answer = _Answer(asked=len(keys))
    found: list[tuple[int, int]] = []
    for response in wire.converse(deque(all_uids(abilities, key) for key in keys)):
        match response:
            case Line(word=b"ESEARCH" | b"SEARCH"):
                uids = found_by(response, wire)
                if uids is not None:
                    answer.answers += 1
                    found.extend(uids.ranges)
            case Line(word=b"EXPUNGE" | b"VANISHED"):
                answer.shifted = True
            case Completion():
                answer.complete(response)
            case _:
                continue
    answer.uids = UidSet.of_ranges(found)
    return answer


def _plain(line: Line) -> Iterator[Uid]:
    """Yield the UIDs of a SEARCH line, whatever their order; ``(MODSEQ n)`` at its end is no UID (RFC 7162 §3.1.5)."""
    for spelled in line.parts[0].partition(b"(")[0].split():
        uid = translate.uid(spelled)
        if uid is None:
            raise ProtocolBroken("The server found a message whose number IMAP does not have.")
        yield uid


def _extended(line: Line, wire: Wire) -> UidSet | None:
    """Return the UIDs of an ESEARCH line, or None when it answers somebody else, or contradicts itself."""
    told = line.values(nesting=10)
    correlator = told.pop(0) if told and isinstance(told[0], list) else []
    tag = correlator[1] if isinstance(correlator, list) and len(correlator) == 2 else None
    if not isinstance(tag, bytes) or not wire.asks(tag) or told[:1] != [b"UID"]:
        return None
    items = {
        name.upper(): value for name, value in zip(told[1::2], told[2::2], strict=False) if isinstance(name, bytes)
    }
    spelled = items.get(b"ALL")
    uids = grammar.sequence_set(spelled) if isinstance(spelled, bytes) else UidSet()
    return uids if translate.number(items.get(b"COUNT")) == len(uids) else None


def _fetch(wire: Wire, pages: list[bytes]) -> _Answer:
    """Ask the second way: which UIDs have rows."""
    if pages:
        commands = [Command((b"FETCH", page, b"(UID)"), PAGE_MESSAGES * _ROW_OCTETS) for page in pages]
    else:
        commands = [Command((b"UID FETCH", b"1:%d" % UID_LAST, b"(UID)"), PAGE_MESSAGES * _ROW_OCTETS)]
    answer = _Answer(asked=len(commands))
    ranges: list[tuple[int, int]] = []
    page: set[Uid] = set()
    for response in wire.converse(deque(commands)):
        match response:
            case Row(uid=uid) if uid is not None:
                page.add(uid)
            case Line(word=b"EXPUNGE" | b"VANISHED"):
                answer.shifted = True
            case Completion():
                answer.complete(response)
                answer.answers += 1
                ranges.extend(UidSet(page).ranges)
                page.clear()
            case _:
                continue
    answer.uids = UidSet.of_ranges(ranges)
    return answer
