"""Edge cases E11 to E25 of the catalogue, as whole synchronizations: rows and octets that do not come as asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from provider import ErrorKind
from provider.limits import Limits
from store import BodyState

from ..servers.fake_answer import Answer, drop_rows_without_uid, nil_bodies, omit_uids
from ..servers.fakeimap import BARE, NO_CONDSTORE
from ..wire.canned import EXAMINE as CANNED_EXAMINE
from ..wire.canned import canned
from ..wire.rig import scripted_session
from .edge import BODIES, FOLDER, Edge, Scene, add, bend, drop, ends, fetch, honest, opening, swap
from .rig import mail_of

K = ErrorKind


def gone_meanwhile(scene: Scene) -> None:
    def hook(answer: Answer) -> None:
        scene.fake.mailbox.folder(FOLDER).expunge(5)
        omit_uids(5)(answer)

    scene.lie("UID FETCH", hook, asks=BODIES, times=1)


def header_only(uid: int) -> object:
    def check(scene: Scene) -> None:
        assert {m.uid: m.body for m in mail_of(scene.store, FOLDER)}[uid] is BodyState.HEADERS  # type: ignore[index]

    return check


def no_search(scene: Scene) -> None:
    scene.fake.expunge(FOLDER, 3)
    scene.lie("UID SEARCH", ends(b"BAD no SEARCH here"))


def odd_octets(scene: Scene) -> None:
    for octets in (b"Subject: nul\r\n\r\na\0b\0", b"Subject: lf\n\nonly\nlf", b"bare\rcr\r\rend", b"\n", b"\r\n\0"):
        scene.fake.append(FOLDER, octets)


def strict_about_sets(scene: Scene) -> None:
    """Sparse mail, and a server that refuses a set that descends or is long."""
    uid = scene.fake.folder(FOLDER).uid_next
    for number in range(1_400):
        scene.fake.append(FOLDER, b"Subject: %d\r\n\r\n" % number, uid=uid + number * 50)

    def hook(answer: Answer) -> None:
        uids = answer.command.arguments[0]
        assert isinstance(uids, bytes)
        numbers = [int(number) for part in uids.split(b",") for number in part.split(b":")]
        if numbers != sorted(numbers) or len(answer.command.raw) > 8_000:
            ends(b"BAD invalid set")(answer)

    scene.fake.faults.on("UID FETCH", hook)


def no_messages(answer: Answer) -> None:
    if answer.folder == FOLDER.encode():
        ends(b"BAD no messages")(answer)


def emptied(scene: Scene) -> None:
    folder = scene.fake.folder(FOLDER)
    scene.fake.expunge(FOLDER, *folder.messages)
    scene.lie("EXAMINE", drop(b"EXISTS"), asks=b"Lists", folder=None)
    scene.fake.faults.on("UID FETCH", no_messages)


def quarantined(uid: int) -> object:
    def check(scene: Scene) -> None:
        with scene.store.read() as view:
            assert [(t.uid, t.kind) for t in view.troubles()] == [(uid, "poison")]

    return check


ROWS = [
    Edge(
        row="E11 H69",
        title="EXPUNGE in the middle of a FETCH by UID",
        outcome="K",
        met=False,
        lie=fetch(add(b"* 3 EXPUNGE"), BODIES),
        also=honest,
    ),
    Edge(
        row="E12",
        title="a message goes away between its listing and its octets",
        outcome="Q",
        met=False,
        lie=gone_meanwhile,
        kinds={K.MESSAGE_MISSING},
    ),
    Edge(
        row="E13 H56",
        title="OK, but some of what was asked does not come: octets",
        outcome="Q",
        met=False,
        lie=fetch(omit_uids(4, 9), BODIES),
        kinds={K.MESSAGE_MISSING},
        also=header_only(4),
    ),
    Edge(
        row="E13 H56",
        title="OK, but some of what was asked does not come: the list",
        outcome="Q",
        met=False,
        lie=fetch(omit_uids(4, 9)),
        kinds={K.MESSAGE_MISSING},
    ),
    Edge(
        row="E13 H56",
        title="OK, but some of what was asked does not come: flags",
        outcome="K",
        capabilities=NO_CONDSTORE,
        lie=fetch(omit_uids(4, 9), b"(UID FLAGS)"),
        also=honest,
    ),
    Edge(
        row="E14 H52",
        title="rows without UID",
        outcome="Q",
        met=False,
        lie=fetch(drop_rows_without_uid, BODIES),
        kinds={K.MESSAGE_MISSING},
    ),
    Edge(
        row="E14",
        title="rows without FLAGS",
        outcome="Q",
        met=False,
        lie=fetch(swap(rb"FLAGS \([^)]*\) ", b"")),
        kinds={K.MESSAGE_MISSING},
    ),
    Edge(
        row="E14 H66",
        title="each row twice, and one split in two",
        outcome="K",
        met=False,
        lie=fetch(swap(rb"(\* (\d+) FETCH \((UID \d+) FLAGS)", rb"* \2 FETCH (\3 RFC822.SIZE 9)\r\n\1")),
        heals=False,
    ),
    Edge(
        row="E14 H60",
        title="items behind the literal",
        outcome="K",
        met=False,
        lie=fetch(swap(rb"\)\Z", b" X-JUNK (1 2))"), BODIES),
        also=honest,
    ),
    Edge(
        row="E15 H57",
        title="NIL in place of octets",
        outcome="Q",
        met=False,
        lie=fetch(nil_bodies(7), BODIES),
        kinds={K.MESSAGE_QUARANTINED},
        also=quarantined(7),
    ),
    Edge(
        row="E15 H57",
        title="a message of no octets",
        outcome="K",
        met=False,
        lie=lambda scene: scene.fake.append(FOLDER, b"") and None,
        also=honest,
    ),
    Edge(
        row="E17",
        title="NUL, LF alone, bare CR, no last line end",
        outcome="K",
        lie=odd_octets,
        also=honest,
    ),
    Edge(
        row="E18",
        title="an empty line behind a literal",
        outcome="K",
        met=False,
        lie=fetch(swap(rb"\)\Z", b"\r\n)"), BODIES),
        also=honest,
    ),
    Edge(
        row="E18",
        title="blanks doubled, and junk behind the rows",
        outcome="K",
        capabilities=NO_CONDSTORE,
        lie=fetch(swap(rb"\A\* (\d+) FETCH \((.*)\)\Z", rb"*  \1  FETCH  (\2) junk"), b"(UID FLAGS)"),
        also=honest,
    ),
    Edge(row="E20", title="an empty folder does not say how many", outcome="K", lie=emptied, also=honest),
    Edge(
        row="E21",
        title="a set that descends or is long is refused",
        outcome="K",
        lie=strict_about_sets,
        also=honest,
    ),
    Edge(row="E22", title="SEARCH is refused", outcome="K", capabilities=BARE, lie=no_search, also=honest),
    Edge(
        row="E23",
        title="STATUS fails for one folder",
        outcome="K",
        capabilities=BARE,
        lie=bend("STATUS", ends(b"NO not this one"), asks=b"Lists", folder=None),
        also=honest,
    ),
    Edge(
        row="E23",
        title="STATUS of one folder comes empty",
        outcome="K",
        lie=bend("LIST", swap(rb"\* STATUS Lists \(.*\)", b"* STATUS Lists ()"), folder=None),
        also=honest,
    ),
    Edge(
        row="E23",
        title="STATUS tells other numbers than the folder",
        outcome="K",
        lie=bend(
            "LIST",
            swap(rb"STATUS Lists \(MESSAGES \d+ UIDNEXT \d+", b"STATUS Lists (MESSAGES 77 UIDNEXT 99"),
            folder=None,
        ),
        also=honest,
    ),
    Edge(
        row="E24 H46",
        title="several EXISTS, the last one true",
        outcome="K",
        lie=opening(swap(rb"(\* \d+ EXISTS)", rb"* 900 EXISTS\r\n* 3 EXISTS\r\n\1")),
        also=honest,
    ),
    Edge(
        row="E25 H62 H63",
        title="ENVELOPE and BODYSTRUCTURE that nobody asked for",
        outcome="K",
        met=False,
        lie=fetch(swap(rb"FETCH \(", b'FETCH (ENVELOPE NIL BODYSTRUCTURE ((("text" NIL) NIL) NIL) ')),
        also=honest,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_an_edge_case_ends_as_stated(row: Edge, tmp_path: Path) -> None:
    row.play(tmp_path)


def test_e19_a_search_over_a_million_messages_comes_in_pages_that_fit_a_line() -> None:
    """A server that answers in one line whatever is asked: each answer stays far below the cap, none is held whole."""
    longest = 0

    def reply(tag: bytes, rest: bytes) -> bytes | None:
        nonlocal longest
        if (page := re.match(rb"UID SEARCH (\d+):(\d+|\*)", rest)) is None:
            million = CANNED_EXAMINE.replace(b"3 EXISTS", b"1000000 EXISTS").replace(b"UIDNEXT 4", b"UIDNEXT 3000001")
            return canned({"EXAMINE": million})(tag, rest)
        numbers = range(int(page[1]), 1_000_001 if page[2] == b"*" else int(page[2]) + 1)
        line = b"* SEARCH " + b" ".join(b"%d" % (3 * number) for number in numbers) + b"\r\n"
        longest = max(longest, len(line))
        return line + tag + b" OK done\r\n"

    with scripted_session(reply) as (session, _):
        assert session.open(b"INBOX", None).messages == 1_000_000
        found = session.existing()
    assert (len(found), found.lowest, found.highest) == (1_000_000, 3, 3_000_000)
    assert longest < Limits().line_octets // 2
