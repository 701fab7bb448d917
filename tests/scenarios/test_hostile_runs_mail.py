"""Hostile servers, lines 30 to 79 of the catalogue, as whole synchronizations: what ``test_edges*`` leave."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from provider import ErrorKind

from ..servers.fake_answer import Answer
from ..servers.fakeimap import NO_CONDSTORE, NO_QRESYNC
from .edge import BODIES, FOLDER, QUICK, Edge, Scene, add, bend, ends, fetch, honest, letter, opening, swap
from .rig import mail_of

K = ErrorKind
PARTS = replace(QUICK, whole_octets=1_000, part_octets=1_000)
"""Everything above 1,000 octets is fetched in parts."""


def folders(*wire: bytes) -> Callable[[Scene], None]:
    def lie(scene: Scene) -> None:
        for name in wire:
            scene.fake.add_folder(name)
            scene.fake.append(name, letter(1, name.hex()))

    return lie


def nothing_outside_the_store(scene: Scene) -> None:
    honest(scene)
    assert {path.name for path in scene.store.path.parent.iterdir()} <= {
        "mail.db",
        "mail.db-wal",
        "mail.db-shm",
        "mail.db.lock",
    }


def listed(*rows: bytes) -> Callable[[Scene], None]:
    return bend("LIST", add(*(b"* LIST () " + row for row in rows)), folder=None)


def nothing_of_it_was_sent(scene: Scene) -> None:
    assert not any(b"DELETE" in command.raw for command in scene.fake.commands)
    honest(scene)


def replaced(scene: Scene) -> None:
    """The folder's mail is other mail now, under the same UIDVALIDITY and the same UIDs."""
    folder = scene.fake.folder(FOLDER)
    for uid, message in folder.messages.items():
        message.octets = letter(10_000 + uid, FOLDER, octets=900)
        message.internal_date = f"{1 + uid % 28:02}-Mar-2024 00:00:00 +0000"


def one_read_twice(scene: Scene) -> None:
    """The second time the same message comes with other octets and another size."""
    message = scene.fake.folder(FOLDER).messages[5]
    message.octets = message.octets + b"more\r\n"


def refuse_with(uid: int, completion: bytes) -> Callable[[Scene], None]:
    """Whoever asks for this message among others gets those below it, and a refusal."""

    def hook(answer: Answer) -> None:
        at = next((at for at, row in enumerate(answer.rows) if b"(UID %d " % uid in row), None)
        if at is not None:
            answer.rows[at:] = []
            answer.completion = completion

    return fetch(hook, BODIES)


def large_message(scene: Scene) -> None:
    scene.fake.append(FOLDER, letter(77, octets=3_500))


def parts(hook: Callable[[Answer], None]) -> Callable[[Scene], None]:
    def lie(scene: Scene) -> None:
        large_message(scene)
        scene.lie("UID FETCH", hook, asks=b"BODY.PEEK[]<")

    return lie


def endless(answer: Answer) -> None:
    """Every part is full, wherever it begins."""
    offset = re.search(rb"<(\d+)\.(\d+)>", answer.command.raw)
    assert offset is not None
    uid = answer.command.arguments[0]
    answer.rows[:] = [b"* 1 FETCH (UID %b BODY[]<%b> {1000}\r\n%b)" % (uid, offset[1], b"x" * 1_000)]


def whole_is_refused_too(scene: Scene) -> None:
    parts(endless)(scene)
    scene.lie("UID FETCH", ends(b"NO cannot"), asks=b" 14 (UID BODY.PEEK[])")


def expunged(scene: Scene) -> None:
    scene.fake.expunge(FOLDER, 3, 4)


def vanished_in_many_lines(scene: Scene) -> None:
    expunged(scene)
    opening(swap(rb"\* VANISHED \(EARLIER\) 3:4", b"* VANISHED (EARLIER) 3\r\n* VANISHED (EARLIER) 4"))(scene)


def search(hook: Callable[[Answer], None]) -> Callable[[Scene], None]:
    """A message went away, so that the count asks for a search; the answer to it is odd."""

    def lie(scene: Scene) -> None:
        expunged(scene)
        scene.lie("UID SEARCH", hook)

    return lie


def first_read_wins(scene: Scene) -> None:
    [message] = [message for message in mail_of(scene.store, FOLDER) if message.uid == 5]
    with scene.store.read() as view:
        assert view.raw(message.key) == letter(5)


ROWS = [
    Edge(
        row="H30",
        title="names that look like paths of a file system",
        outcome="K",
        lie=folders(b"../../etc/passwd", b"/abs", b"a/../b", b".", b"C:\\con"),
        also=nothing_outside_the_store,
    ),
    Edge(row="H30", title="an empty name", outcome="K", lie=listed(b'"/" ""'), kinds={K.FOLDER_UNUSABLE}, also=honest),
    Edge(
        row="H35",
        title="a name of 100,000 octets",
        outcome="K",
        lie=listed(b'"/" "' + b"n" * 100_000 + b'"'),
        kinds={K.FOLDER_UNUSABLE},
        also=honest,
    ),
    Edge(
        row="H35",
        title="more folders than we keep",
        outcome="RL",
        limits=replace(QUICK, folders=100),
        lie=listed(*(b'"/" f%d' % number for number in range(101))),
        kinds={K.LIMIT},
    ),
    Edge(
        row="H36",
        title="a name with a line break in it",
        outcome="K",
        lie=listed(b'"/" {13}\r\na\r\nX1 DELETE b'),
        kinds={K.FOLDER_UNUSABLE},
        also=nothing_of_it_was_sent,
    ),
    Edge(
        row="H43",
        title="the same UIDVALIDITY and UIDs, and other mail",
        outcome="K",
        stirred=False,
        lie=replaced,
    ),
    Edge(row="H47", title="0 EXISTS in the middle", outcome="K", lie=fetch(add(b"* 0 EXISTS")), also=honest),
    Edge(row="H46", title="the count falls without EXPUNGE", outcome="K", lie=fetch(add(b"* 2 EXISTS")), also=honest),
    Edge(
        row="H48",
        title="4,294,967,295 messages",
        outcome="FRL",
        lie=opening(swap(rb"\* \d+ EXISTS", b"* 4294967295 EXISTS")),
        kinds={K.LIMIT},
    ),
    Edge(
        row="H49 H50",
        title="READ-WRITE after READ-ONLY, no PERMANENTFLAGS",
        outcome="K",
        lie=opening(swap(rb"\* OK \[PERMANENTFLAGS.*", b"* OK [READ-WRITE] now")),
        also=honest,
    ),
    Edge(
        row="H51",
        title="an ALERT with markup",
        outcome="K",
        lie=opening(add(b"* OK [ALERT] <script>alert(1)</script>")),
        kinds={K.SERVER_ALERT},
        also=honest,
    ),
    *(
        Edge(
            row="H53",
            title=f"UID {uid.decode()}, once",
            outcome="Q",
            met=False,
            lie=fetch(swap(rb"\(UID 12 ", b"(UID " + uid + b" "), BODIES),
            kinds={K.MESSAGE_MISSING},
        )
        for uid in (b"0", b"-1", b"4294967296", b"abc", b"1 UID 2")
    ),
    Edge(
        row="H54",
        title="two messages with one number, one with two",
        by_delta=True,
        outcome="K",
        capabilities=NO_QRESYNC,
        lie=fetch(add(b"* 1 FETCH (UID 5 FLAGS (bad))", b"* 2 FETCH (UID 5 FLAGS (bad))"), b"CHANGEDSINCE"),
        also=honest,
    ),
    Edge(
        row="H55",
        title="octets and rows that nobody asked for",
        outcome="K",
        met=False,
        lie=fetch(add(b"* 99 FETCH (UID 900 FLAGS (x) BODY[] {3}\r\nabc)"), BODIES),
        also=honest,
    ),
    Edge(
        row="H58",
        title="the size told is not the size that comes",
        outcome="K",
        met=False,
        lie=fetch(swap(rb"RFC822.SIZE \d+", b"RFC822.SIZE 9")),
        heals=False,
    ),
    Edge(
        row="H58",
        title="a message that is other octets when it is read again",
        outcome="K",
        lie=one_read_twice,
        also=first_read_wins,
        heals=False,
    ),
    *(
        Edge(row="H59", title=f"a part {title}", outcome="K", limits=PARTS, lie=parts(hook), also=honest)
        for title, hook in (
            ("longer than asked", swap(rb"\{1000\}\r\n(.*)\)\Z", rb"{1001}\r\n\1x)")),
            ("without its offset", swap(rb"BODY\[\]<\d+>", b"BODY[]")),
            ("of another offset", swap(rb"BODY\[\]<\d+>", b"BODY[]<7>")),
        )
    ),
    Edge(
        row="H59",
        title="a part that never ends",
        outcome="Q",
        limits=PARTS,
        lie=parts(endless),
        kinds={K.MESSAGE_QUARANTINED},
    ),
    Edge(
        row="H59",
        title="a part that never ends, and no whole either",
        outcome="Q",
        limits=PARTS,
        lie=whole_is_refused_too,
        kinds={K.MESSAGE_QUARANTINED},
    ),
    *(
        Edge(
            row="H64",
            title=f"flags {told.decode()}",
            outcome="K",
            capabilities=NO_CONDSTORE,
            lie=fetch(swap(rb"FLAGS \([^)]*\)", told.replace(b"\\", b"\\\\")), b"(UID FLAGS)"),
        )
        for told in (b"FLAGS \\Seen", b"FLAGS NIL", b"FLAGS (a a A)")
    ),
    Edge(
        row="H65",
        title="numbers above EXISTS",
        outcome="K",
        met=False,
        lie=fetch(swap(rb"\A\* (\d+) ", rb"* 9\1 ")),
        also=honest,
    ),
    *(
        Edge(
            row="H67",
            title=f"one message of a group is refused: {completion.decode()}",
            outcome="Q",
            met=False,
            lie=refuse_with(7, completion),
            kinds={K.MESSAGE_MISSING},
        )
        for completion in (b"NO Some messages could not be FETCHed", b"BAD internal error")
    ),
    *(
        Edge(
            row="H70",
            title=title,
            by_delta=True,
            outcome="K",
            capabilities=NO_QRESYNC - {"ESEARCH"},
            lie=search(hook),
            also=honest,
        )
        for title, hook in (
            ("SEARCH with a trailing blank", swap(rb"(\* SEARCH .*)", rb"\1 ")),
            ("SEARCH in two lines, doubled, unordered", swap(rb"\* SEARCH 1 2", b"* SEARCH 9 2 1 1\r\n* SEARCH 1 2")),
            ("SEARCH without its line", swap(rb"\* SEARCH.*", b"* OK nothing")),
        )
    ),
    *(
        Edge(
            row="H71",
            title=title,
            outcome="K",
            capabilities=NO_QRESYNC,
            lie=search(hook),
            also=honest,
        )
        for title, hook in (
            ("ESEARCH with another tag", swap(rb'TAG "[^"]*"', b'TAG "zz"')),
            ("ESEARCH without its line", swap(rb"\* ESEARCH.*", b"* OK nothing")),
        )
    ),
    *(
        Edge(
            row="H71",
            title=f"ESEARCH ALL {told.decode()}",
            by_delta=True,
            outcome="FR",
            capabilities=NO_QRESYNC,
            lie=search(swap(rb"ALL [0-9:,]+", b"ALL " + told)),
            kinds={K.PROTOCOL},
        )
        for told in (b"5:", b"*", b"9:1")
    ),
    Edge(
        row="H74", title="VANISHED in many lines", outcome="K", lie=vanished_in_many_lines, by_delta=True, also=honest
    ),
    *(
        Edge(
            row="H78",
            title=f"EXPUNGE of {number.decode()}",
            by_delta=True,
            outcome="K",
            capabilities=NO_QRESYNC,
            lie=fetch(add(b"* " + number + b" EXPUNGE"), b"CHANGEDSINCE"),
            also=honest,
        )
        for number in (b"900", b"0")
    ),
    Edge(
        row="H78",
        title="a flood of EXPUNGE",
        by_delta=True,
        outcome="FRL",
        capabilities=NO_QRESYNC,
        limits=replace(QUICK, untagged_rows=1_000),
        lie=fetch(add(*[b"* 1 EXPUNGE"] * 1_001), b"CHANGEDSINCE"),
        kinds={K.LIMIT},
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_hostile_server_ends_as_stated(row: Edge, tmp_path: Path) -> None:
    row.play(tmp_path)


def test_h76_the_highest_uid_is_never_left_to_a_star(tmp_path: Path) -> None:
    """Cyrus omits it from ``n:*`` with CHANGEDSINCE: every range that is open above names 4294967295."""

    def no_star(scene: Scene) -> None:
        asked = [command.raw for command in scene.fake.commands if command.name.startswith("UID")]
        assert any(b"4294967295 " in raw for raw in asked)
        assert not any(re.search(rb":\*|\*:", raw) for raw in asked)

    row = Edge(
        row="H76",
        title="an honest server",
        outcome="K",
        by_delta=True,
        capabilities=NO_QRESYNC,
        lie=expunged,
        also=no_star,
    )
    row.play(tmp_path)


def test_d7_a_vanished_that_names_most_of_a_large_folder_needs_a_second_question(tmp_path: Path) -> None:
    """H72 at full size: 60 of 200 messages are told to be gone, once truly and once not."""

    def many(scene: Scene) -> None:
        for number in range(100, 300):
            scene.fake.append(FOLDER, letter(number, octets=60))
        assert scene.run()[0].ok

    def truly(scene: Scene) -> None:
        many(scene)
        scene.fake.expunge(FOLDER, *range(20, 80))

    def falsely(scene: Scene) -> None:
        many(scene)
        opening(add(b"* VANISHED (EARLIER) 20:80"))(scene)
        scene.fake.append(FOLDER, letter(999))

    (tmp_path / "truly").mkdir()
    (tmp_path / "falsely").mkdir()
    Edge(row="H72", title="truly", outcome="K", lie=truly, also=honest).play(tmp_path / "truly")
    kinds = {K.MASS_DELETION, K.SERVER_DEMOTED}
    untrue = Edge(row="H72", title="falsely", outcome="K", by_delta=True, lie=falsely, kinds=kinds, also=honest)
    untrue.play(tmp_path / "falsely")
