"""Edge cases E1 to E10 of the catalogue, as whole synchronizations: numbers, cursors, deltas that lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider import ErrorKind, SyncRequest
from store import FolderState

from ..servers.fake_answer import Answer, shift_uid_validity
from ..servers.fakeimap import BARE, NO_QRESYNC
from .edge import BODIES, FOLDER, Edge, Scene, add, bend, closes, ends, fetch, honest, opening, swap
from .rig import folder_of, mail_of

K = ErrorKind


def renumber_in_the_middle(scene: Scene) -> None:
    def hook(answer: Answer) -> None:
        scene.fake.mailbox.reset_uid_validity(FOLDER)
        closes(answer)

    scene.lie("UID FETCH", hook, asks=BODIES, times=1)


def five_renumberings(scene: Scene) -> None:
    scene.lie("EXAMINE", shift_uid_validity(7), asks=b"Lists", folder=None)
    for _ in range(5):
        result, _ = scene.run()
        assert result.ok


def unstable(scene: Scene) -> None:
    assert folder_of(scene.store, FOLDER).state is FolderState.UNSTABLE


def back_to_an_old_number(scene: Scene) -> None:
    """The folder had this UIDVALIDITY before; now other messages have those UIDs."""
    folder = scene.fake.folder(FOLDER)
    folder.messages = dict(reversed(folder.messages.items()))
    folder.renumber(1_700_000_002)


def too_high(scene: Scene) -> None:
    """Every HIGHESTMODSEQ is one that no flag will ever reach, so that no delta ever tells one."""
    fix = swap(rb"HIGHESTMODSEQ \d+", b"HIGHESTMODSEQ 999999")
    for command in ("EXAMINE", "LIST"):
        scene.lie(command, fix, folder=None)


def flags_that_no_delta_tells(scene: Scene) -> None:
    scene.run()
    scene.fake.set_flags(FOLDER, 2, ["\\Answered", "$Unseen"])
    scene.run()
    assert "$Unseen" not in {m.uid: m.flags for m in mail_of(scene.store, FOLDER)}[2], "the row proves nothing"  # type: ignore[index]


ROWS = [
    Edge(
        row="E1",
        title="UIDVALIDITY is another in the next run",
        outcome="K",
        lie=lambda scene: scene.fake.reset_uid_validity(FOLDER),
        kinds={K.UIDVALIDITY_CHANGED},
        also=honest,
    ),
    Edge(
        row="E2",
        title="UIDVALIDITY changes in the middle of a fetch, with the connection",
        outcome="R",
        met=False,
        lie=renumber_in_the_middle,
        kinds={K.CONNECTION_LOST, K.UIDVALIDITY_CHANGED},
        also=honest,
    ),
    Edge(
        row="E3 H42",
        title="UIDVALIDITY goes down, and later back to an old value with other mail",
        outcome="K",
        lie=lambda scene: scene.fake.folder(FOLDER).renumber(5),
        kinds={K.UIDVALIDITY_CHANGED},
        also=honest,
        heal=back_to_an_old_number,
    ),
    *(
        Edge(
            row="E3 H41",
            title=f"UIDVALIDITY {told!r}",
            outcome="F",
            met=met,
            lie=opening(swap(rb"\[UIDVALIDITY \d+\]", told)),
            kinds={K.FOLDER_UNUSABLE},
        )
        for told in (b"[UIDVALIDITY 0]", b"", b"[UIDVALIDITY 4294967296]")
        for met in (False, True)
    ),
    Edge(
        row="E4 H42",
        title="UIDVALIDITY changes at every look",
        outcome="F",
        lie=five_renumberings,
        kinds={K.FOLDER_UNSTABLE},
        also=unstable,
        healing=SyncRequest(full=True),
    ),
    *(
        Edge(
            row="E5 H44",
            title=f"UIDNEXT {told!r}",
            outcome="K",
            met=met,
            capabilities=capabilities,
            lie=opening(swap(rb"\[UIDNEXT \d+\]", told)),
            also=honest,
        )
        for told in (b"no word", b"[UIDNEXT 3]", b"[UIDNEXT 4294967295]")
        for met in (False, True)
        for capabilities in (NO_QRESYNC, BARE)
    ),
    Edge(
        row="E6 H68",
        title="a range above everything brings the last message",
        by_delta=True,  # where all flags are compared, the row is one that was asked for
        outcome="K",
        lie=fetch(add(b"* 12 FETCH (UID 12 FLAGS (odd) RFC822.SIZE 1)")),
        also=honest,
    ),
    *(
        Edge(
            row="E7 H45",
            title=f"HIGHESTMODSEQ {told!r}",
            outcome="K",
            capabilities=capabilities,
            lie=opening(swap(rb"\[HIGHESTMODSEQ \d+\]", told)),
            also=honest,
        )
        for told in (
            b"[HIGHESTMODSEQ 0]",
            b"gone",
            b"[HIGHESTMODSEQ]",
            b"[NOMODSEQ]",
            b"[HIGHESTMODSEQ 1]",
            b"[HIGHESTMODSEQ 9007199254740993]",
            b"[HIGHESTMODSEQ 18446744073709551615]",
        )
        for capabilities in (NO_QRESYNC, BARE | {"CONDSTORE", "QRESYNC", "ENABLE"})
    ),
    Edge(
        row="E8 H77",
        title="HIGHESTMODSEQ is told too high for ever: the proof finds what no delta tells",
        by_delta=True,
        outcome="K",
        lie=too_high,
        also=flags_that_no_delta_tells,
        heal=too_high,
    ),
    *(
        Edge(
            row="E9 H75",
            title=f"ENABLE ends {hook.__qualname__.split('.')[0]}",
            outcome="K",
            lie=bend("ENABLE", hook, folder=None),
            also=honest,
        )
        for hook in (ends(b"OK done"), ends(b"BAD no such command"), ends(b"NO no"), swap(b"QRESYNC", b""))
    ),
    Edge(
        row="E10 H72",
        title="VANISHED tells that all mail is gone",
        by_delta=True,
        outcome="K",
        lie=opening(add(b"* VANISHED (EARLIER) 1:26183")),
        kinds={K.MASS_DELETION, K.SERVER_DEMOTED},
        also=honest,
    ),
    Edge(
        row="E10 H73",
        title="VANISHED tells a set that is no set",
        outcome="K",
        lie=opening(add(b"* VANISHED (EARLIER) 400:900,")),
        also=honest,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_an_edge_case_ends_as_stated(row: Edge, tmp_path: Path) -> None:
    row.play(tmp_path)
