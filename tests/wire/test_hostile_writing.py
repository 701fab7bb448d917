"""Hostile servers, lines 80 to 91 of the catalogue: what they say of that which we change."""

from __future__ import annotations

import pytest

from provider.errors import CommandRefused, ConnectionLost, FolderUnusable, ProtocolBroken, TimedOut
from provider.limits import Limits
from provider.sources.imap.source import ImapSession
from provider.sources.writing import Appended, Deleted, FolderWrite, Marked, Transferred
from store.mail import FolderPath, UidSet
from tests.wire.canned import Hostile, canned, check, ok
from tests.wire.rig import Ear, scripted_session
from tests.wire.writes import SELECT, deletion, flagging, only, played, transfer, upload

PLUS = "IMAP4REV1 LITERAL+ UIDPLUS"
MOVE = "IMAP4REV1 UIDPLUS MOVE"
CONDSTORE = "IMAP4REV1 CONDSTORE"


def appended(session: ImapSession) -> list[Appended]:
    return list(session.append(b"INBOX", [upload(), upload()]))


def marked(write: FolderWrite) -> object:
    return lambda session: only(played(session, write), Marked)


def moved(session: ImapSession) -> Transferred:
    return only(played(session, transfer()), Transferred)


def copied(session: ImapSession) -> Transferred:
    return only(played(session, transfer(move=False)), Transferred)


def deleted(session: ImapSession) -> Deleted:
    return only(played(session, deletion()), Deleted)


def ends(told: object) -> tuple[object, ...]:
    """Return the outcome of a transfer: places, unplaced, gone, left, lingering."""
    assert isinstance(told, Transferred)
    return told.places, str(told.unplaced), str(told.gone), str(told.left), str(told.lingering)


def nowhere(told: object) -> bool:
    """Both are there, and nobody knows where."""
    assert isinstance(told, list)
    return [(one.error, one.epoch, one.uid) for one in told] == [(None, None, None)] * 2


def refusals(code: str | None, text: str = "") -> object:
    def judge(told: object) -> bool:
        assert isinstance(told, list)
        return all(
            one.error is not None and one.error.response_code == code and text in one.error.server_text for one in told
        )

    return judge


def store(ending: bytes, *rows: bytes, search: bytes = b"* SEARCH 1 3") -> dict[str, object]:
    """What STORE ends with, FETCH of flags tells, and SEARCH finds."""
    flags = b"".join(b"* %d FETCH (UID %d FLAGS (%b))\r\n" % (int(row[:1]), int(row[:1]), row[2:]) for row in rows)
    return {"SELECT": SELECT, "UID STORE": ending, "UID FETCH": ok(flags), "UID SEARCH": ok(search + b"\r\n")}


def moving(
    *lines: bytes, ending: bytes = b"OK done", search: bytes = b"* SEARCH", verb: str = "MOVE"
) -> dict[str, object]:
    rows = b"".join(line + b"\r\n" for line in lines)
    return {
        "SELECT": SELECT,
        f"UID {verb}": rows + b"<T> " + ending + b"\r\n",
        "UID SEARCH": ok(search + b"\r\n"),
    }


COPYUID = b"* OK [COPYUID 9 1:3 11:13] ok"
GONE = [b"* 1 EXPUNGE"] * 3

ROWS = [
    *(
        Hostile(
            "80",
            f"APPEND OK with {code.decode()}",
            {"APPEND": b"<T> OK %b done\r\n" % code},
            appended,
            nowhere,
            PLUS,
        )
        for code in (
            b"[NICE]",
            b"[APPENDUID 9 0]",
            b"[APPENDUID 0 7]",
            b"[APPENDUID 9 7:8]",
            b"[APPENDUID 9 x]",
            b"[APPENDUID 9]",
            b"[APPENDUID 9 4294967296]",
        )
    ),
    Hostile(
        "80",
        "APPENDUID with another UIDVALIDITY the second time",
        {"APPEND": [b"<T> OK [APPENDUID 9 7] done\r\n", b"<T> OK [APPENDUID 8 8] done\r\n"]},
        appended,
        lambda told: [(one.epoch, one.uid) for one in told] == [(9, 7), (None, None)],  # type: ignore[attr-defined]
        PLUS,
    ),
    Hostile(
        "80",
        "APPENDUID tells one number twice",
        {"APPEND": b"<T> OK [APPENDUID 9 7] done\r\n"},
        appended,
        lambda told: [one.uid for one in told] == [7, None],  # type: ignore[attr-defined]
        PLUS,
    ),
    Hostile("81", "APPEND OK and nothing is stored", {}, appended, nowhere, PLUS),
    Hostile(
        "82",
        "APPEND OK, and other octets are stored: the place is told, the octets are read like anybody's",
        {"APPEND": [b"<T> OK [APPENDUID 9 7] done\r\n", b"<T> OK [APPENDUID 9 8] done\r\n"]},
        appended,
        lambda told: [(one.epoch, one.uid) for one in told] == [(9, 7), (9, 8)],  # type: ignore[attr-defined]
        PLUS,
    ),
    *(
        Hostile(
            "83",
            f"{word} [{code}]",
            {"APPEND": f"<T> {word} [{code}] no\r\n".encode()},
            appended,
            refusals(code),
            capabilities,
        )  # type: ignore[arg-type]
        for word, code in (
            ("NO", "TRYCREATE"),
            ("NO", "OVERQUOTA"),
            ("NO", "TOOBIG"),
            ("BAD", "TOOBIG"),
            ("NO", "LIMIT"),
        )
        for capabilities in (PLUS, PLUS + " MULTIAPPEND", "IMAP4REV1")
    ),
    *(
        Hostile("84", text, {"APPEND": f"<T> {word} {text}\r\n".encode()}, appended, refusals(None, text), PLUS)  # type: ignore[arg-type]
        for word, text in (
            ("NO", "Maximum size of appendable message has been exceeded."),
            ("BAD", "Invalid system flag"),
            ("BAD", "Command Argument Error. 11"),
        )
    ),
    Hostile(
        "86",
        "COPYUID in the untagged OK",
        moving(COPYUID, *GONE),
        moved,
        lambda told: ends(told) == ({1: 11, 2: 12, 3: 13}, "", "", "", ""),
        MOVE,
    ),
    Hostile(
        "86",
        "COPYUID in the tagged OK",
        moving(*GONE, ending=b"OK [COPYUID 9 1:3 11:13] done"),
        moved,
        lambda told: ends(told) == ({1: 11, 2: 12, 3: 13}, "", "", "", ""),
        MOVE,
    ),
    *(
        Hostile(
            "86",
            f"COPYUID {told.decode()}",
            moving(ending=b"OK [COPYUID %b] done" % told, search=b"* SEARCH 1 2 3", verb="COPY"),
            copied,
            lambda told: ends(told) == ({}, "1:3", "", "", ""),
            MOVE,
        )
        for told in (
            b"9 1:3 11:12",
            b"9 3:1 11:13",
            b"9 1,3,2 11:13",
            b"0 1:3 11:13",
            b"9 1:3",
            b"9 1:3 11,11,12",
            b"9 4:6 11:13",
            b"9 1:9 11:19",
            b"9 1:4294967295 1:4294967295",
        )
    ),
    Hostile(
        "86",
        "COPYUID is missing",
        moving(*GONE),
        moved,
        lambda told: ends(told) == ({}, "1:3", "", "", ""),
        MOVE,
    ),
    Hostile(
        "87",
        "MOVE OK, and one was not moved",
        moving(b"* OK [COPYUID 9 1,3 11:12] ok", b"* 1 EXPUNGE", b"* 2 EXPUNGE", search=b"* SEARCH 2"),
        moved,
        lambda told: ends(told) == ({1: 11, 3: 12}, "", "", "2", "") and told.error is not None,  # type: ignore[attr-defined]
        MOVE,
    ),
    Hostile(
        "87",
        "MOVE OK, all copied, none removed: they are removed then",
        {
            **moving(COPYUID, search=b"* SEARCH 1 2 3"),
            "UID EXPUNGE": ok(b"".join(line + b"\r\n" for line in GONE)),
        },
        moved,
        lambda told: ends(told) == ({1: 11, 2: 12, 3: 13}, "", "", "", ""),
        MOVE,
    ),
    Hostile(
        "87",
        "EXPUNGE before COPYUID",
        moving(*GONE, COPYUID),
        moved,
        lambda told: ends(told) == ({1: 11, 2: 12, 3: 13}, "", "", "", ""),
        MOVE,
    ),
    Hostile(
        "87",
        "VANISHED before COPYUID",
        moving(b"* VANISHED 1:3", COPYUID),
        moved,
        lambda told: ends(told) == ({1: 11, 2: 12, 3: 13}, "", "", "", ""),
        MOVE,
    ),
    Hostile(
        "87",
        "NO after a part was moved",
        moving(b"* OK [COPYUID 9 1 11] ok", b"* 1 EXPUNGE", ending=b"NO [LIMIT] enough", search=b"* SEARCH 2 3"),
        moved,
        lambda told: ends(told) == ({1: 11}, "", "", "2:3", "") and told.error.response_code == "LIMIT",  # type: ignore[attr-defined]
        MOVE,
    ),
    Hostile(
        "87",
        "NO after a part was moved, and not a word where to",
        moving(b"* 1 EXPUNGE", ending=b"NO enough", search=b"* SEARCH 2 3"),
        moved,
        lambda told: ends(told) == ({}, "1", "", "2:3", ""),
        MOVE,
    ),
    Hostile(
        "87",
        "NO, and one had been gone before",
        moving(ending=b"NO [EXPUNGEISSUED] one is gone", search=b"* SEARCH 2 3"),
        moved,
        lambda told: ends(told) == ({}, "", "1", "2:3", ""),
        MOVE,
    ),
    *(
        Hostile(
            "88",
            f"STORE of a message that is gone: {ending.decode()}",
            store(b"<T> " + ending + b"\r\n", b"1 \\Seen", b"3 \\Seen"),
            marked(flagging("\\Seen")),  # type: ignore[arg-type]
            lambda told: (told.gone, told.error, set(told.flags)) == (UidSet([2]), None, {1, 3}),  # type: ignore[attr-defined]
        )
        for ending in (b"OK done", b"NO [EXPUNGEISSUED] gone", b"BAD no such message")
    ),
    Hostile(
        "88",
        "a message that is gone held the others up",
        {
            **store(b"", search=b"* SEARCH 1 3"),
            "UID STORE": [b"<T> NO [EXPUNGEISSUED] gone\r\n", b"<T> OK done\r\n"],
            "UID FETCH": [
                ok(b"* 1 FETCH (UID 1 FLAGS ())\r\n* 3 FETCH (UID 3 FLAGS ())\r\n"),
                ok(b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 2 FETCH (UID 3 FLAGS (\\Seen))\r\n"),
            ],
        },
        marked(flagging("\\Seen")),  # type: ignore[arg-type]
        lambda told: (told.gone, told.error, told.flags[3]) == (UidSet([2]), None, {"\\Seen"}),  # type: ignore[attr-defined]
    ),
    Hostile(
        "88",
        "rows without UID, then with",
        {
            **store(b"<T> OK done\r\n", search=b"* SEARCH 1 2 3"),
            "UID FETCH": [
                ok(b"* 1 FETCH (FLAGS (\\Seen))\r\n"),
                ok(b"".join(b"* %d FETCH (UID %d FLAGS (\\Seen))\r\n" % (n, n) for n in (1, 2, 3))),
            ],
        },
        marked(flagging("\\Seen")),  # type: ignore[arg-type]
        lambda told: (told.gone, told.error, set(told.flags)) == (UidSet(), None, {1, 2, 3}),  # type: ignore[attr-defined]
    ),
    Hostile(
        "88",
        "a flag is refused",
        store(b"<T> NO [CANNOT] not this\r\n", b"1 ", b"2 ", b"3 "),
        marked(flagging("odd")),  # type: ignore[arg-type]
        lambda told: told.error.response_code == "CANNOT" and not told.lost,  # type: ignore[attr-defined]
    ),
    Hostile(
        "88",
        "a flag is accepted, and not kept",
        store(b"<T> OK done\r\n", b"1 ", b"2 ", b"3 "),
        marked(flagging("odd")),  # type: ignore[arg-type]
        lambda told: (told.lost, told.error) == ({"odd"}, None),  # type: ignore[attr-defined]
    ),
    *(
        Hostile(
            "89",
            f"MODIFIED 2:3 in a tagged {word.decode()}",
            {
                **store(b"", b"1 mine", b"2 theirs mine", b"3 mine"),
                "UID STORE": [b"<T> %b [MODIFIED 2:3] no\r\n" % word, b"<T> OK done\r\n"],
            },
            marked(flagging("mine", since=7)),  # type: ignore[arg-type]
            lambda told: (  # type: ignore[attr-defined]
                (told.changed_elsewhere, told.error, told.flags[2]) == (UidSet([2, 3]), None, {"theirs", "mine"})
            ),
            CONDSTORE,
        )
        for word in (b"OK", b"NO")
    ),
    Hostile(
        "90",
        "UID EXPUNGE says that more went away",
        {"SELECT": SELECT, "UID EXPUNGE": ok(b"* 1 EXPUNGE\r\n" * 3)},
        deleted,
        lambda told: (told.gone, told.left, told.error) == (UidSet([1, 2]), UidSet(), None),  # type: ignore[attr-defined]
        MOVE,
    ),
    Hostile(
        "90",
        "UID EXPUNGE OK, and nothing went away",
        {"SELECT": SELECT},
        deleted,
        lambda told: (told.gone, told.left) == (UidSet(), UidSet([1, 2])) and told.error is not None,  # type: ignore[attr-defined]
        MOVE,
    ),
    *(
        Hostile(
            "91",
            f"CREATE of what exists: {ending.decode()}",
            {"CREATE": b"<T> " + ending + b"\r\n", "LIST": b'* LIST () "/" A\r\n<T> OK done\r\n'},
            lambda session: session.create(FolderPath(("A",)), parent=None),
            lambda name: name == b"A",
        )
        for ending in (b"NO [ALREADYEXISTS] is there", b"NO Mailbox exists")
    ),
    Hostile(
        "91",
        "CREATE is refused",
        {"CREATE": b"<T> NO [NOPERM] no\r\n"},
        lambda session: session.create(FolderPath(("A",)), parent=None),
        CommandRefused,
    ),
    Hostile(
        "91",
        "RENAME of INBOX",
        {},
        lambda session: session.rename(b"inbox", FolderPath(("A",)), parent=None),
        CommandRefused,
    ),
    Hostile(
        "91",
        "RENAME of what is gone",
        {"RENAME": b"<T> NO Mailbox does not exist\r\n"},
        lambda session: session.rename(b"A", FolderPath(("B",)), parent=None),
        FolderUnusable,
    ),
    Hostile(
        "91",
        "RENAME to what exists",
        {"RENAME": b"<T> NO [ALREADYEXISTS] is there\r\n"},
        lambda session: session.rename(b"A", FolderPath(("B",)), parent=None),
        CommandRefused,
    ),
    Hostile("91", "DELETE of INBOX", {}, lambda session: session.remove(b"INBOX"), CommandRefused),
    Hostile(
        "91",
        "DELETE of what is gone",
        {"DELETE": b"<T> NO [NONEXISTENT] gone\r\n"},
        lambda session: session.remove(b"A"),
        lambda told: told is None,
    ),
    Hostile(
        "91",
        "DELETE of what has folders in it",
        {"DELETE": b"<T> NO [HASCHILDREN] no\r\n"},
        lambda session: session.remove(b"A"),
        CommandRefused,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_strange_answer_ends_as_stated(row: Hostile) -> None:
    check(row)


def test_every_line_of_this_part_has_a_row() -> None:
    assert {int(row.number) for row in ROWS} | {85} == set(range(80, 92))


def refused_before_its_literal(tag: bytes, rest: bytes) -> bytes:
    return tag + b" NO [TOOBIG] too large\r\n"


def test_line_85_a_refusal_instead_of_the_continuation_costs_that_message_only() -> None:
    with scripted_session(canned({})) as (session, server):
        server.asked = refused_before_its_literal
        told = appended(session)
        assert [one.error and one.error.response_code for one in told] == ["TOOBIG", "TOOBIG"]
        assert b"body" not in server.octets
        assert session.open(b"INBOX", None).messages == 3, "the session is still good"


def test_line_85_a_continuation_that_never_comes_ends_the_connection() -> None:
    with scripted_session(canned({}), limits=Limits(command_seconds=0.3)) as (session, server):
        server.asked = lambda tag, rest: b"* 3 EXISTS\r\n"
        with pytest.raises(TimedOut):
            appended(session)
        with pytest.raises(ConnectionLost):
            session.folders()


def test_line_85_a_continuation_that_comes_twice_ends_the_connection() -> None:
    with scripted_session(canned({})) as (session, server):
        server.asked = lambda tag, rest: b"+ go on\r\n+ and again\r\n"
        with pytest.raises(ProtocolBroken):
            appended(session)


def test_line_85_a_refusal_after_half_the_literal_is_told_or_ends_the_connection() -> None:
    answers = {"APPEND": b"<T> NO [TOOBIG] half is enough\r\nbody BAD what is this\r\n"}
    with scripted_session(canned(answers)) as (session, _), pytest.raises(ProtocolBroken):
        appended(session)


def test_line_29_a_line_that_breaks_behind_an_append_leaves_it_in_doubt() -> None:
    with scripted_session(canned({"APPEND": None}), capabilities=PLUS) as (session, _):
        told: list[Appended] = []
        with pytest.raises(ConnectionLost):
            told.extend(session.append(b"INBOX", [upload(), upload()]))
        assert told == [], "nobody says that it arrived, nor that it did not"


def test_line_90_more_than_was_asked_for_is_told() -> None:
    ear = Ear()
    answers = {"SELECT": SELECT, "UID EXPUNGE": ok(b"* 1 EXPUNGE\r\n" * 3)}
    with scripted_session(canned(answers), capabilities=MOVE, ear=ear) as (session, _):
        deleted(session)
    assert ear.kinds() == ["message-missing"]
