"""What to do about a folder, from what is known here and what an open folder told. Pure: facts in, actions out.

Two plans. ``plan_changes`` acts on the delta; ``plan_proof`` looks whether the delta added up: the messages here, plus
those that were asked for and did not come, must be as many as the server counted. Deletion is believed only when it was
told (VANISHED) or when a complete search proves it; a deletion that is large for its folder needs a second, independent
question (``suspicious``), and until it is answered nothing is removed.

Cases of one UID (L: a row is here, S: the server has it, C: it is below our cursor):
  a) L S    flags may differ: the delta says so, or the comparison does
  b) L -    vanished: VANISHED, or missing from a complete search
  c) - S C  asked for and never came: the gap list, never "new", never "deleted"
  d) - S    new: listed from the cursor's UIDNEXT upward
"""

from collections.abc import Iterator
from dataclasses import dataclass

from store.mail import UidSet

from ..sources.base import Exactness, FlagRow, Opened

__all__ = [
    "Action",
    "ApplyFlags",
    "CompareFlags",
    "FindGone",
    "ListNew",
    "RemoveTold",
    "plan_changes",
    "plan_proof",
    "suspicious",
]


@dataclass(frozen=True, slots=True)
class ApplyFlags:
    """Write these flags; they are the server's word about messages that are here."""

    rows: tuple[FlagRow, ...]


@dataclass(frozen=True, slots=True)
class RemoveTold:
    """Remove these messages: the server said that they vanished."""

    uids: UidSet


@dataclass(frozen=True, slots=True)
class CompareFlags:
    """Ask the flags of these messages; those that do not answer may be gone (prove it)."""

    uids: UidSet


@dataclass(frozen=True, slots=True)
class ListNew:
    """List these UIDs: mail may have come there."""

    uids: UidSet


@dataclass(frozen=True, slots=True)
class FindGone:
    """The counts do not add up: search which of all UIDs exist."""

    expected: int
    counted: int


Action = ApplyFlags | RemoveTold | CompareFlags | ListNew | FindGone


def plan_changes(local: UidSet, opened: Opened, new: UidSet) -> Iterator[Action]:
    """Yield what the delta of *opened* means for the *local* UIDs, then where *new* mail may lie.

    Invariant: flags and removals come first and are committed with the server's cursor; new mail has a cursor of its
    own (UIDNEXT), so that a crash in between costs one look, never a message.
    """
    report = opened.changes
    if report.exactness is Exactness.NONE:
        if local:
            yield CompareFlags(local)
    else:
        told = tuple(row for row in report.flags if row.uid in local)
        # VANISHED may lawfully name mail that was never here; a later FETCH row of the same UID wins over it.
        gone = (report.vanished & local) - UidSet(row.uid for row in told)
        if told:
            yield ApplyFlags(told)
        if gone:
            yield RemoveTold(gone)
    if new and opened.messages:
        yield ListNew(new)


def plan_proof(local: UidSet, gaps: UidSet, opened: Opened, *, doubt_gaps: bool = False) -> Iterator[Action]:
    """Yield nothing when *local* and *gaps* are as many as the server counted, else the search that tells.

    *doubt_gaps*: search although they are as many: a gap that went may hide a message that was never listed.
    """
    here = len(local | gaps)
    if here != opened.messages or (doubt_gaps and gaps):
        yield FindGone(expected=opened.messages, counted=here)


def suspicious(removing: UidSet, local: UidSet) -> bool:
    """Tell whether *removing* is so much of a folder that one answer is not enough: over max(50, 20 %).

    >>> suspicious(UidSet.span(1, 51), UidSet.span(1, 100)), suspicious(UidSet.span(1, 50), UidSet.span(1, 50))
    (True, False)
    """
    return len(removing) > max(50, len(local) // 5)
