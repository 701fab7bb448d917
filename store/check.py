"""Is the store what it must be? One named function per invariant; what it says is its docstring.

All of them look at one snapshot, so other processes may go on. A structural problem of the file is looked for first and
ends the check: nothing behind it could be believed. ``full`` reads and hashes every octet (``check_octets``).
"""

import sqlite3
import time
from collections.abc import Callable, Iterator

from .check_octets import Octets, blob_digests_match, header_digests_match
from .database import Database
from .errors import StoreDamaged, StoreForeign
from .reports import CheckReport, Problem
from .sql import invariants as q
from .sql import outbox_invariants as o
from .sql.values import packed, unpacked

__all__ = ["INVARIANTS", "check"]

KEYS_MAX = 1_000
Finding = tuple[str, tuple[int, ...]]


def _found(connection: sqlite3.Connection, statement: str, text: str) -> Iterator[Finding]:
    """Yield one finding when *statement* returns rows; their first column are the keys."""
    keys = tuple(row[0] for row in connection.execute(statement).fetchmany(KEYS_MAX))
    if keys:
        yield text, keys


def file_is_sound(connection: sqlite3.Connection) -> Iterator[Finding]:
    """The pages of the file hang together, and indexes match tables (SQLite's quick_check)."""
    for (text,) in connection.execute("PRAGMA quick_check(20)"):
        if text != "ok":
            yield f"the file is damaged: {text}", ()


def references_lead_somewhere(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Every reference to an account, folder, header or blob finds its row."""
    for name, row, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchmany(KEYS_MAX):
        yield f"row {row} of {name} points to nothing in {parent}", ()


def counters_equal_counts(connection: sqlite3.Connection) -> Iterator[Finding]:
    """The counters of every folder equal what counting its rows gives."""
    for row in connection.execute(q.COUNTS):
        folder, kept, counted = row[0], row[1:5], row[5:9]
        if tuple(kept) != tuple(counted):
            text = f"folder {folder} says messages, unseen, bodies, listed = {kept}; counted: {counted}"
            yield text, ()


def bodies_have_headers(connection: sqlite3.Connection) -> Iterator[Finding]:
    """A message whose octets are here is visible: its header is here too."""
    return _found(connection, q.BODY_WITHOUT_HEADER, "messages have octets but no header")


def assumed_octets_are_here(connection: sqlite3.Connection) -> Iterator[Finding]:
    """A message whose octets are assumed to be those of another one has them."""
    return _found(connection, q.ASSUMED_NOTHING, "messages assume octets that they do not have")


def visible_messages_were_told(connection: sqlite3.Connection) -> Iterator[Finding]:
    """A visible message has a change number of its becoming so; an invisible one has none."""
    return _found(connection, q.VISIBLE_UNTOLD, "messages are visible without a change number, or the other way")


def chunks_are_contiguous(connection: sqlite3.Connection) -> Iterator[Finding]:
    """The chunks of every blob are numbered from 0 without gaps, and are as many as the blob says."""
    return _found(connection, q.GAPS, "contents have gaps between their chunks (ids of blobs)")


def blob_lengths_add_up(connection: sqlite3.Connection) -> Iterator[Finding]:
    """The lengths of a blob's chunks add up to its length."""
    return _found(connection, q.LENGTHS, "contents are longer or shorter than their chunks (ids of blobs)")


def half_blobs_are_hidden(connection: sqlite3.Connection) -> Iterator[Finding]:
    """A blob that is not whole is in ``partials`` and in no message; a whole one is not in ``partials``."""
    yield from _found(connection, q.HALF_VISIBLE, "messages show octets that are not whole")
    yield from _found(connection, q.HALF_ASTRAY, "contents are neither whole nor under way, or both (ids of blobs)")


def uids_are_unique(connection: sqlite3.Connection) -> Iterator[Finding]:
    """There is one message a (folder, epoch, UID)."""
    return _found(connection, q.DOUBLED, "messages share one UID")


def epochs_are_current(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Every message of a folder has the epoch of the folder's cursor."""
    return _found(connection, q.OLD_EPOCH, "messages are left from another UIDVALIDITY")


def cursors_make_sense(connection: sqlite3.Connection) -> Iterator[Finding]:
    """A cursor that covers anything has an epoch, and its numbers are ones that a source can have."""
    yield from _found(connection, q.CURSOR_WITHOUT_EPOCH, "folders have a cursor without an epoch (ids of folders)")
    yield from _found(connection, q.CURSOR_IMPOSSIBLE, "folders have a cursor with impossible numbers (ids of folders)")


def uids_are_positive(connection: sqlite3.Connection) -> Iterator[Finding]:
    """UID, epoch and size are numbers that a source can have."""
    return _found(connection, q.IMPOSSIBLE_NUMBERS, "messages have an impossible UID, epoch or size")


def tombstones_are_not_alive(connection: sqlite3.Connection) -> Iterator[Finding]:
    """A message key is either alive or in the tombstones; the same for folders."""
    yield from _found(connection, q.UNDEAD, "messages are alive and removed at once")
    yield from _found(connection, q.UNDEAD_FOLDERS, "folders are alive and removed at once (ids of folders)")


def change_numbers_are_given_once(connection: sqlite3.Connection) -> Iterator[Finding]:
    """No change number is above the last one given out, none stands twice, and none is before its creation."""
    yield from _found(connection, q.SEQ_AHEAD, "change numbers are above the last one given out (numbers)")
    yield from _found(connection, q.SEQ_TWICE, "change numbers were given out twice (numbers)")
    yield from _found(connection, q.SEQ_BACKWARDS, "messages were changed before they were created")


def flags_are_canonical(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Flags are spelled in the one way in which equal flags are equal columns; ``\\Recent`` is never kept."""
    for bits, others, key in connection.execute(q.FLAGS):
        if packed(unpacked(bits, others)) != (bits, others):
            yield "flags of messages are not in canonical form", (key,)


def folders_are_listed_once(connection: sqlite3.Connection) -> Iterator[Finding]:
    """No two active folders of an account have the same name."""
    return _found(connection, q.FOLDER_TWICE, "folders of one account share a name (ids of folders)")


def one_run_an_account_and_lane(connection: sqlite3.Connection) -> Iterator[Finding]:
    """An account has at most one unfinished run in each lane."""
    return _found(connection, q.TWO_RUNS, "accounts have two unfinished runs in one lane (numbers of accounts)")


def twins_keep_places(connection: sqlite3.Connection) -> Iterator[Finding]:
    """A twin is never visible, and keeps the one place of a message that a pending operation is about."""
    yield from _found(connection, q.TWIN_VISIBLE, "twins are visible, or have octets, wishes or no place")
    yield from _found(connection, q.TWIN_OF_NOBODY, "twins are left of messages of which nothing is wanted any more")
    yield from _found(connection, q.TWO_TWINS, "messages have two twins")
    yield from _found(connection, q.TWIN_AND_PLACE, "messages have a place and a twin")


def pending_messages_are_wanted(connection: sqlite3.Connection) -> Iterator[Finding]:
    """A message without a place has its key as UID, and something that will give it one: pending, refused and kept, or
    done without its place being told. Flags and octets that are wanted give none."""
    yield from _found(connection, q.PENDING_UNWANTED, "messages have no place, and nothing will give them one")
    yield from _found(connection, q.PENDING_UID, "messages have no place, and a UID that is not their key")


def wishes_differ(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Flags that are wanted here stand there only where the server has others."""
    return _found(connection, q.WISH_FOR_NOTHING, "messages are to get the flags that they have")


def operations_have_their_subject(connection: sqlite3.Connection) -> Iterator[Finding]:
    """A pending operation finds its message, alive or removed; a folder that is only here has one that makes it."""
    yield from _found(connection, q.WANTED_OF_NOTHING, "operations are about messages that are not here (ids)")
    yield from _found(connection, q.OPEN_AND_OVER, "operations are over and pending at once (ids)")
    yield from _found(connection, q.FOLDER_UNWANTED, "folders are only here, or hidden, for no reason (ids)")


def submissions_stand_by_their_recipients(connection: sqlite3.Connection) -> Iterator[Finding]:
    """A submission has recipients, and the state that follows from what became of them."""
    yield from _found(connection, o.NOBODY, "submissions have no recipients, or some are lost (ids of submissions)")
    yield from _found(connection, o.OTHER_STATE, "submissions have another state than their recipients (ids)")
    yield from _found(connection, o.OPEN_AND_OVER, "submissions are over and open at once (ids)")


def submissions_are_held_or_free(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Who holds a submission has a lease; only what is held is SENDING, or has its final dot out."""
    return _found(connection, o.LEASED_ODDLY, "submissions are held by nobody, or held and at rest (ids)")


def doubts_are_counted(connection: sqlite3.Connection) -> Iterator[Finding]:
    """What is in doubt was so once at least, and has a next try unless a person is to decide."""
    return _found(connection, o.NEVER_TRIED, "submissions are in doubt without a count or a next try (ids)")


def submissions_are_whole(connection: sqlite3.Connection) -> Iterator[Finding]:
    """The octets of a submission are all here."""
    return _found(connection, o.HALF_SUBMITTED, "submissions lack octets (ids)")


INVARIANTS: tuple[Callable[[sqlite3.Connection], Iterator[Finding]], ...] = (
    references_lead_somewhere,
    counters_equal_counts,
    bodies_have_headers,
    assumed_octets_are_here,
    visible_messages_were_told,
    chunks_are_contiguous,
    blob_lengths_add_up,
    half_blobs_are_hidden,
    uids_are_unique,
    epochs_are_current,
    cursors_make_sense,
    uids_are_positive,
    tombstones_are_not_alive,
    change_numbers_are_given_once,
    flags_are_canonical,
    folders_are_listed_once,
    one_run_an_account_and_lane,
    twins_keep_places,
    pending_messages_are_wanted,
    wishes_differ,
    operations_have_their_subject,
    submissions_stand_by_their_recipients,
    submissions_are_held_or_free,
    doubts_are_counted,
    submissions_are_whole,
)


def check(database: Database, *, full: bool) -> CheckReport:
    """Return every broken invariant. Raises StoreError only when the file cannot be opened at all."""
    began = time.monotonic()
    problems: list[Problem] = []
    looked: list[str] = []
    octets = Octets()
    messages = 0

    def look(invariant: Callable[[sqlite3.Connection], Iterator[Finding]], connection: sqlite3.Connection) -> None:
        looked.append(invariant.__name__)
        for text, keys in invariant(connection):
            problems.append(Problem(invariant=invariant.__name__, text=text, keys=keys))

    try:
        with database.reading() as connection:
            look(file_is_sound, connection)
            if not problems:
                (messages,) = connection.execute(q.MESSAGES).fetchone()
                for invariant in INVARIANTS:
                    look(invariant, connection)
            if full:
                for reading in (header_digests_match, blob_digests_match):
                    looked.append(reading.__name__)
                    for text, keys in reading(connection, octets):
                        problems.append(Problem(invariant=reading.__name__, text=text, keys=keys))
    except (StoreDamaged, StoreForeign) as error:
        problems.append(Problem(invariant=file_is_sound.__name__, text=str(error)))
    return CheckReport(
        problems=tuple(problems),
        invariants=tuple(looked),
        messages=messages,
        blobs_read=octets.blobs,
        octets_read=octets.octets,
        seconds=time.monotonic() - began,
    )
