"""Raw octets: kept exactly, shared, whole or not there at all, and never served when damaged."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import blake2b
from pathlib import Path

import pytest

from store import (
    BodiesStored,
    BodyNotHere,
    BodyState,
    EncodedChunk,
    Encoder,
    MailStore,
    MessageKey,
    RunId,
    StoreDamaged,
    UidSet,
    open_store,
)
from store.encode import CHUNK_OCTETS
from store.mail import Uid

from .store_kit import ACCOUNT, EPOCH, LARGE, Inbox, everything, header_of, new, raw_mail, raws

ODD_MAIL = {
    "no octets": b"",
    "one octet": b"x",
    "NUL and bare line ends": b"Subject: a\x00b\r\n\r\n\x00\n\r\x00",
    "LF only": b"Subject: a\n\nbody\n",
    "no empty line": b"Subject: a\r\nno body",
    "empty header": b"\r\nbody",
    "one chunk to the octet": raw_mail(1, CHUNK_OCTETS),
    "one octet more than a chunk": raw_mail(1, CHUNK_OCTETS) + b"x",
    "two chunks to the octet": raw_mail(1, 2 * CHUNK_OCTETS),
    "a header larger than a chunk": b"X: " + b"y" * CHUNK_OCTETS * 2 + b"\r\n\r\nbody",
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db") as opened:
        yield opened


@pytest.fixture
def inbox(store: MailStore) -> Inbox:
    return Inbox.made_in(store)


def write(inbox: Inbox, chunks: list[EncodedChunk], run: RunId | None = None) -> BodiesStored:
    with inbox.store.write("chunks", run=run) as tx:
        return tx.add_chunks(inbox.folder, EPOCH, chunks)


def chunks_of(uid: int, raw: bytes, *, pieces: int = CHUNK_OCTETS) -> list[EncodedChunk]:
    """*raw* through an encoder in pieces of *pieces* octets."""
    encoder = Encoder().start(Uid(uid))
    made: list[EncodedChunk] = []
    for at in range(0, max(1, len(raw)), pieces):
        made += encoder.chunk(raw[at : at + pieces], last=at + pieces >= len(raw))
    return made


@pytest.mark.parametrize("raw", ODD_MAIL.values(), ids=ODD_MAIL)
@pytest.mark.parametrize("pieces", [7_001, CHUNK_OCTETS, 10_000_000])
def test_octets_come_back_as_they_came_however_they_were_cut(inbox: Inbox, raw: bytes, pieces: int) -> None:
    inbox.list(new(1))
    assert write(inbox, chunks_of(1, raw, pieces=pieces)) == BodiesStored(whole=1)
    with inbox.store.read() as view:
        assert view.raw(MessageKey(1)) == raw
        assert raw.startswith(view.header_block(MessageKey(1)))
        assert all(len(piece) <= CHUNK_OCTETS for piece in view.open_raw(MessageKey(1)))
    assert inbox.store.check(full=True).problems == ()


def test_a_chunk_says_how_long_it_is_and_the_last_one_what_the_whole_is() -> None:
    raw = raw_mail(1, LARGE)
    chunks = chunks_of(1, raw)
    assert [(chunk.number, chunk.octets, chunk.last) for chunk in chunks] == [
        (0, CHUNK_OCTETS, False),
        (1, CHUNK_OCTETS, False),
        (2, LARGE - 2 * CHUNK_OCTETS, True),
    ]
    last = chunks[-1]
    assert (last.octets_total, last.digest) == (LARGE, blake2b(raw, digest_size=32).digest())
    assert last.header is not None
    assert last.header.block == header_of(raw)


def test_equal_octets_are_stored_once_in_one_folder_and_in_many(store: MailStore, inbox: Inbox) -> None:
    other = Inbox.made_in(store, "Archive")
    raw = raw_mail(5)
    inbox.list(new(1), new(2))
    other.list(new(1))
    assert write(inbox, chunks_of(1, raw) + chunks_of(2, raw)) == BodiesStored(whole=2, shared=1)
    assert write(other, chunks_of(1, raw)) == BodiesStored(whole=1, shared=1)
    rows = everything(store.path)
    assert [len(rows[name]) for name in ("blobs", "chunks", "headers")] == [1, 1, 1]
    assert [found for folder in (inbox, other) for _, found in raws(store, folder.folder)] == [raw] * 3
    assert store.check(full=True).ok


def test_large_equal_octets_are_stored_once_too(inbox: Inbox) -> None:
    raw = raw_mail(5, LARGE)
    inbox.list(new(1), new(2))
    write(inbox, chunks_of(1, raw))
    first, *rest = chunks_of(2, raw)
    write(inbox, [first])
    assert write(inbox, rest) == BodiesStored(whole=1, shared=1)
    rows = everything(inbox.store.path)
    assert [len(rows[name]) for name in ("blobs", "chunks", "partials")] == [1, 3, 0]
    assert inbox.store.check(full=True).ok


def test_half_a_message_is_visible_to_nobody_and_its_header_stays_what_it_was(inbox: Inbox) -> None:
    inbox.list(new(1), new(2))
    inbox.show([1])
    for uid in (1, 2):
        write(inbox, chunks_of(uid, raw_mail(uid, LARGE))[:-1])
    with inbox.store.read() as view:
        (message,) = view.messages(inbox.folder).messages
        assert (message.uid, message.body, message.octets) == (1, BodyState.HEADERS, None)
        with pytest.raises(BodyNotHere):
            view.open_raw(message.key)
        assert [need.uid for need in view.wanted_bodies(inbox.folder)] == [2, 1]
    assert inbox.store.check(full=True).ok


def test_a_message_may_come_in_several_transactions_mixed_with_others(inbox: Inbox) -> None:
    inbox.list(new(1), new(2), new(3))
    one, two = chunks_of(1, raw_mail(1, LARGE)), chunks_of(2, raw_mail(2, LARGE))
    assert write(inbox, [one[0], two[0]]).whole == 0
    assert write(inbox, [two[1], one[1], *chunks_of(3, raw_mail(3))]).whole == 1
    assert write(inbox, [one[2], two[2]]).whole == 2
    assert dict(raws(inbox.store, inbox.folder)) == {1: raw_mail(1, LARGE), 2: raw_mail(2, LARGE), 3: raw_mail(3)}


def test_a_message_fetched_from_its_beginning_again_forgets_the_half_that_was_here(inbox: Inbox) -> None:
    inbox.list(new(1))
    write(inbox, chunks_of(1, raw_mail(9, LARGE))[:2])
    assert write(inbox, chunks_of(1, raw_mail(1, LARGE))).whole == 1
    assert dict(raws(inbox.store, inbox.folder)) == {1: raw_mail(1, LARGE)}
    assert len(everything(inbox.store.path)["chunks"]) == 3


def test_the_end_of_a_message_whose_beginning_was_dropped_is_reported_as_lost(inbox: Inbox) -> None:
    inbox.list(new(1))
    chunks = chunks_of(1, raw_mail(1, LARGE))
    write(inbox, chunks[:1])
    assert inbox.store.purge().partials == 1
    assert write(inbox, chunks[1:]) == BodiesStored(lost=(Uid(1),))
    assert everything(inbox.store.path)["chunks"] == []
    assert inbox.store.check(full=True).ok


def test_what_is_half_here_is_dropped_when_the_next_run_starts_and_kept_while_one_is_open(inbox: Inbox) -> None:
    inbox.list(new(1))
    run = inbox.store.start_run(ACCOUNT, trigger="test", flags=0, owner="one")
    write(inbox, chunks_of(1, raw_mail(1, LARGE))[:1])
    assert inbox.store.purge().partials == 0
    inbox.store.finish_run(run, status="done", counts={})
    assert len(everything(inbox.store.path)["partials"]) == 1
    inbox.store.start_run(ACCOUNT, trigger="test", flags=0, owner="two")
    rows = everything(inbox.store.path)
    assert (rows["partials"], rows["blobs"], rows["chunks"]) == ([], [], [])


@pytest.fixture
def lanes(inbox: Inbox) -> tuple[RunId, RunId]:
    """A run in each lane."""
    bulk = inbox.store.start_run(ACCOUNT, trigger="test", flags=0, owner="one")
    return bulk, inbox.store.start_run(ACCOUNT, trigger="test", flags=0, owner="one", lane="quick")


@pytest.mark.parametrize("late", [0, 1, 2], ids=lambda chunks: f"{chunks} chunks behind")
def test_two_lanes_that_bring_one_message_at_once_keep_the_first_that_is_whole(
    inbox: Inbox, lanes: tuple[RunId, RunId], late: int
) -> None:
    bulk, quick = lanes
    raw = raw_mail(1, LARGE)
    inbox.list(new(1))
    one, two = chunks_of(1, raw), chunks_of(1, raw)
    whole = 0
    for at in range(len(one) + late):
        for chunks, run in ((one[at : at + 1], bulk), (two[at - late : at - late + 1] if at >= late else [], quick)):
            assert inbox.store.check(full=True).ok
            with inbox.store.read() as view:
                assert (view.find_message(inbox.folder, Uid(1)) is not None) is (whole > 0)
            stored = write(inbox, chunks, run)
            assert stored.lost == ()
            whole += stored.whole
    assert whole == 1
    assert dict(raws(inbox.store, inbox.folder)) == {1: raw}
    rows = everything(inbox.store.path)
    assert (len(rows["blobs"]), len(rows["chunks"]), rows["partials"]) == (1, 3, [])
    assert inbox.store.check(full=True).ok


def test_a_lane_that_starts_drops_what_is_left_half_and_not_what_the_other_lane_has_half(inbox: Inbox) -> None:
    store = inbox.store
    inbox.list(new(1), new(2))
    raw = raw_mail(1, LARGE)
    bulk = store.start_run(ACCOUNT, trigger="test", flags=0, owner="one")
    quick = store.start_run(ACCOUNT, trigger="test", flags=0, owner="one", lane="quick")
    write(inbox, chunks_of(1, raw)[:2], bulk)
    write(inbox, chunks_of(2, raw_mail(2, LARGE))[:1], quick)
    store.finish_run(quick, status="failed", counts={})
    assert len(everything(store.path)["partials"]) == 2
    store.start_run(ACCOUNT, trigger="test", flags=0, owner="two", lane="quick")
    assert len(everything(store.path)["partials"]) == 1
    assert write(inbox, chunks_of(1, raw)[2:], bulk) == BodiesStored(whole=1)
    assert dict(raws(store, inbox.folder)) == {1: raw}
    assert store.check(full=True).ok


def test_half_a_message_of_a_lane_that_never_came_back_is_wanted_again(
    inbox: Inbox, lanes: tuple[RunId, RunId]
) -> None:
    bulk, quick = lanes
    inbox.list(new(1))
    write(inbox, chunks_of(1, raw_mail(1, LARGE))[:2], quick)
    with inbox.store.read() as view:
        assert [need.uid for need in view.wanted_bodies(inbox.folder)] == [1]
    assert write(inbox, chunks_of(1, raw_mail(1, LARGE)), bulk).whole == 1
    inbox.store.finish_run(quick, status="failed", counts={})
    assert inbox.store.check(full=True).ok
    inbox.store.finish_run(bulk, status="done", counts={})
    inbox.store.start_run(ACCOUNT, trigger="test", flags=0, owner="two")
    assert everything(inbox.store.path)["partials"] == []


def test_octets_of_messages_that_are_gone_or_whole_are_passed_over(inbox: Inbox) -> None:
    inbox.list(new(1), new(2))
    inbox.bring([1])
    write(inbox, chunks_of(2, raw_mail(2, LARGE))[:1])
    with inbox.store.write("remove") as tx:
        tx.remove_messages(inbox.folder, EPOCH, UidSet([2]))
    assert write(inbox, chunks_of(1, b"other") + chunks_of(2, raw_mail(2, LARGE))[1:]) == BodiesStored()
    assert dict(raws(inbox.store, inbox.folder)) == {1: raw_mail(1)}
    assert len(everything(inbox.store.path)["blobs"]) == 1


def test_a_purge_removes_octets_only_when_their_last_message_is_gone_for_a_week(store: MailStore, inbox: Inbox) -> None:
    raw = raw_mail(5, LARGE)
    inbox.list(new(1), new(2))
    write(inbox, chunks_of(1, raw) + chunks_of(2, raw))
    with store.write("remove") as tx:
        tx.remove_messages(inbox.folder, EPOCH, UidSet([1]))
    assert store.purge(tombstones_older_than_days=0).blobs == 0
    with store.write("remove") as tx:
        tx.remove_messages(inbox.folder, EPOCH, UidSet([2]))
    assert not store.purge_due()
    assert store.purge().tombstones == 0
    assert store.purge_due(tombstones_older_than_days=0)
    report = store.purge(tombstones_older_than_days=0)
    assert (report.tombstones, report.blobs, report.headers) == (1, 1, 1)
    assert report.pages >= LARGE // 16384
    assert everything(store.path)["chunks"] == []
    assert store.check(full=True).ok


@pytest.mark.parametrize("at", [0, 5, 30, -3])
def test_damaged_octets_are_never_served_as_if_they_were_good(inbox: Inbox, at: int) -> None:
    inbox.list(new(1))
    write(inbox, chunks_of(1, raw_mail(1, LARGE)))
    with closing(sqlite3.connect(inbox.store.path)) as connection:
        (data,) = connection.execute("SELECT data FROM chunks WHERE number = 1").fetchone()
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        connection.execute("UPDATE chunks SET data = ? WHERE number = 1", (bytes(damaged),))
        connection.commit()
    with inbox.store.read() as view, pytest.raises(StoreDamaged):
        view.raw(MessageKey(1))


def test_a_chunk_that_is_missing_or_swapped_is_noticed_by_readers(inbox: Inbox) -> None:
    inbox.list(new(1), new(2))
    write(inbox, chunks_of(1, raw_mail(1, LARGE)) + chunks_of(2, raw_mail(2, LARGE)))
    with closing(sqlite3.connect(inbox.store.path)) as connection:
        connection.execute("DELETE FROM chunks WHERE blob_id = 1 AND number = 2")
        swapped = connection.execute("SELECT data FROM chunks WHERE blob_id = 1 AND number = 0").fetchone()
        connection.execute("UPDATE chunks SET data = ? WHERE blob_id = 2 AND number = 0", swapped)
        connection.commit()
    for key in (1, 2):
        with inbox.store.read() as view, pytest.raises(StoreDamaged):
            view.raw(MessageKey(key))
