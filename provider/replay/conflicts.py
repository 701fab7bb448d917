"""What is done where both sides changed the same thing: one table, pure, printed in the documentation.

Rules behind it: flags merge one by one and are no conflict; what one side threw away and the other one *worked on* is
kept (U7); what both sides did to the same end is done; where both cannot be, the far side's stands, because it already
is so for everybody else, and the choice that was passed over stays open to the person. Reading (``\\Seen``) is no work.
"""

from dataclasses import dataclass
from enum import Enum

from store.mail.conflicts import Choice, ConflictKind

__all__ = ["TABLE", "Case", "Here", "There", "case_of", "worked_on"]


class Here(Enum):
    """What was done here, offline."""

    FLAGS = "flags changed"
    MOVE = "moved"
    TRASH = "moved to the trash"
    COPY = "copied"
    DELETE = "deleted for good"
    APPEND = "new mail in a folder"
    DRAFT = "draft replaced"
    RENAME = "folder renamed"
    DELETE_FOLDER = "folder deleted"


class There(Enum):
    """What was done on the server meanwhile."""

    FLAGS = "flags changed"
    READ = "marked read or unread"
    MOVE = "moved elsewhere"
    MOVE_SAME = "moved to the same folder"
    TRASH = "moved to the trash"
    EXPUNGE = "removed"
    FOLDER_RENAMED = "its folder renamed"
    FOLDER_GONE = "its folder deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is done by itself. *kind* None: nothing that a person has to hear of as a conflict."""

    outcome: str
    """One sentence, for the documentation."""
    done: Choice
    kind: ConflictKind | None = None
    choices: tuple[Choice, ...] = ()
    """Other ways that stay open."""


_FOLLOW = Case(outcome="The operation follows the message or folder to where it is now.", done=Choice.KEEP_BOTH)
_SAME = Case(outcome="Both wanted the same: done.", done=Choice.KEEP_THEIRS)
_KEPT = Case(
    outcome="The message is kept: where its octets are here it is added again where it was moved to.",
    done=Choice.KEEP_MINE,
    kind=ConflictKind.CHANGED_AND_GONE,
    choices=(Choice.KEEP_THEIRS,),
)
_THEIR_PLACE = Case(
    outcome="It stays where the server has it.",
    done=Choice.KEEP_THEIRS,
    kind=ConflictKind.MOVED_TWICE,
    choices=(Choice.KEEP_MINE,),
)
_MERGED = Case(outcome="Flags merge, one by one.", done=Choice.KEEP_BOTH)
_COPIED = Case(outcome="The copy is made from the octets that are here.", done=Choice.KEEP_BOTH)
_GONE = Case(outcome="The message is gone; what was marked is dropped, and told.", done=Choice.KEEP_THEIRS)
_UNDELETED = Case(
    outcome="The message is kept and comes back here.",
    done=Choice.KEEP_THEIRS,
    kind=ConflictKind.DELETED_AND_CHANGED,
    choices=(Choice.KEEP_MINE,),
)
_RECREATED = Case(
    outcome="The folder is created again for the mail that waits to get into it, and that is told.",
    done=Choice.KEEP_MINE,
)
_BOTH_DRAFTS = Case(
    outcome="Both drafts are kept; a person deletes the one that is not wanted.",
    done=Choice.KEEP_BOTH,
    kind=ConflictKind.DRAFT_EDITED_TWICE,
)
_THEIR_NAME = Case(
    outcome="The folder keeps the name that the server has.",
    done=Choice.KEEP_THEIRS,
    kind=ConflictKind.FOLDER_RENAMED_TWICE,
    choices=(Choice.KEEP_MINE,),
)

TABLE: dict[tuple[Here, There], Case] = {
    (Here.FLAGS, There.FLAGS): _MERGED,
    (Here.FLAGS, There.READ): _MERGED,
    (Here.FLAGS, There.MOVE): _FOLLOW,
    (Here.FLAGS, There.MOVE_SAME): _FOLLOW,
    (Here.FLAGS, There.EXPUNGE): _GONE,
    (Here.FLAGS, There.FOLDER_RENAMED): _FOLLOW,
    (Here.FLAGS, There.FOLDER_GONE): _GONE,
    (Here.MOVE, There.FLAGS): _FOLLOW,
    (Here.MOVE, There.READ): _FOLLOW,
    (Here.MOVE, There.MOVE): _THEIR_PLACE,
    (Here.MOVE, There.MOVE_SAME): _SAME,
    (Here.MOVE, There.EXPUNGE): _KEPT,
    (Here.MOVE, There.FOLDER_RENAMED): _FOLLOW,
    (Here.MOVE, There.FOLDER_GONE): _KEPT,
    (Here.TRASH, There.FLAGS): _FOLLOW,
    (Here.TRASH, There.READ): _FOLLOW,
    (Here.TRASH, There.MOVE): _THEIR_PLACE,
    (Here.TRASH, There.MOVE_SAME): _SAME,
    (Here.TRASH, There.EXPUNGE): _SAME,
    (Here.TRASH, There.FOLDER_RENAMED): _FOLLOW,
    (Here.TRASH, There.FOLDER_GONE): _SAME,
    (Here.COPY, There.FLAGS): _FOLLOW,
    (Here.COPY, There.READ): _FOLLOW,
    (Here.COPY, There.MOVE): _COPIED,
    (Here.COPY, There.MOVE_SAME): _COPIED,
    (Here.COPY, There.EXPUNGE): _COPIED,
    (Here.COPY, There.FOLDER_RENAMED): _FOLLOW,
    (Here.COPY, There.FOLDER_GONE): _COPIED,
    (Here.DELETE, There.FLAGS): _UNDELETED,
    (Here.DELETE, There.READ): _SAME,
    (Here.DELETE, There.MOVE): Case(
        outcome="It stays where the server has it.",
        done=Choice.KEEP_THEIRS,
        kind=ConflictKind.DELETED_AND_CHANGED,
        choices=(Choice.KEEP_MINE,),
    ),
    (Here.DELETE, There.TRASH): _SAME,
    (Here.DELETE, There.EXPUNGE): _SAME,
    (Here.DELETE, There.FOLDER_RENAMED): _FOLLOW,
    (Here.DELETE, There.FOLDER_GONE): _SAME,
    (Here.APPEND, There.FOLDER_RENAMED): _FOLLOW,
    (Here.APPEND, There.FOLDER_GONE): _RECREATED,
    (Here.DRAFT, There.EXPUNGE): _BOTH_DRAFTS,
    (Here.DRAFT, There.FLAGS): _MERGED,
    (Here.RENAME, There.FOLDER_RENAMED): _THEIR_NAME,
    (Here.RENAME, There.FOLDER_GONE): _GONE,
    (Here.DELETE_FOLDER, There.FOLDER_RENAMED): _FOLLOW,
    (Here.DELETE_FOLDER, There.FOLDER_GONE): _SAME,
}


def case_of(here: Here, there: There) -> Case:
    """Return what is done. Raises KeyError for what cannot meet."""
    return TABLE[here, there]


def worked_on(before: frozenset[str], now: frozenset[str]) -> bool:
    """Tell whether somebody did more to a message than read it, or mark it as deleted, too.

    >>> worked_on(frozenset(), frozenset({"\\\\Seen"})), worked_on(frozenset(), frozenset({"\\\\Flagged"}))
    (False, True)
    >>> worked_on(frozenset(), frozenset({"\\\\Deleted"})), worked_on(frozenset({"\\\\Deleted"}), frozenset())
    (False, True)
    """
    was = {flag.casefold() for flag in before}
    no_work = {"\\seen", "\\recent"} | ({"\\deleted"} - was)
    return was - no_work != {flag.casefold() for flag in now} - no_work
