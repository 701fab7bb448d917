"""Message rows: listed, shown, flagged, removed, renumbered, brought back; pages; counters that stay right."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from store import (
    BodyState,
    FlagCounts,
    FolderCounts,
    MailStore,
    MessageKey,
    StoreClosed,
    UidSet,
    UnknownFolder,
    UnknownMessage,
    WrongEpoch,
    open_store,
)
from store.mail import FolderId, Uid, UidValidity

from .store_kit import BEGIN, EPOCH, Clock, Inbox, everything, header_of, new, raw_mail


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailStore]:
    with open_store(tmp_path / "mail.db", clock=Clock()) as opened:
        yield opened
        assert opened.check(full=True).problems == ()


@pytest.fixture
def inbox(store: MailStore) -> Inbox:
    return Inbox.made_in(store)


def counts(inbox: Inbox) -> FolderCounts:
    with inbox.store.read() as view:
        return view.folder(inbox.folder).counts


def keys(inbox: Inbox) -> dict[int, MessageKey]:
    with inbox.store.read() as view:
        return {row.uid: row.key for row in view.identities(inbox.folder)}


def test_a_listed_message_is_invisible_until_its_header_is_here(inbox: Inbox) -> None:
    assert inbox.list(new(1), new(2)) == 2
    with inbox.store.read() as view:
        assert view.messages(inbox.folder).messages == ()
        assert view.uids(inbox.folder) == view.without_header(inbox.folder) == UidSet([1, 2])
    assert inbox.show([2]) == 1
    with inbox.store.read() as view:
        (message,) = view.messages(inbox.folder).messages
        assert (message.uid, message.subject, message.body) == (2, "number 2", BodyState.HEADERS)
        assert view.without_header(inbox.folder) == UidSet([1])
    assert counts(inbox) == FolderCounts(messages=1, unseen=1, bodies=0, listed=2)


def test_a_message_shows_what_the_source_told_and_what_its_header_says(inbox: Inbox) -> None:
    date = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone(-timedelta(hours=3, minutes=30)))
    inbox.list(new(4, "\\Seen", "$Forwarded", internal_date=date, size=77, email_id="M4"))
    inbox.bring([4])
    with inbox.store.read() as view:
        message = view.find_message(inbox.folder, Uid(4))
        assert message is not None
        assert view.message(message.key) == message
        assert view.header_block(message.key) == header_of(raw_mail(4))
        assert view.envelope(message.key).message_id == "4@example.org"
    assert message.flags == {"\\Seen", "$Forwarded"}
    assert message.internal_date == date
    assert message.internal_date.utcoffset() == date.utcoffset()
    assert (message.size, message.octets, message.email_id) == (77, len(raw_mail(4)), "M4")
    assert [str(sender) for sender in message.from_] == ["Ann <ann4@example.org>"]
    assert message.date == datetime(2026, 1, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "date",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=12))),
        datetime(1969, 12, 31, tzinfo=UTC),
    ],
)
def test_the_ends_of_time_are_kept(inbox: Inbox, date: datetime) -> None:
    inbox.list(new(1, internal_date=date))
    inbox.show([1])
    with inbox.store.read() as view:
        kept = view.messages(inbox.folder).messages[0].internal_date
    assert kept == date
    assert kept.utcoffset() == date.utcoffset()


def test_listing_again_leaves_rows_alone_and_writes_nothing(inbox: Inbox) -> None:
    inbox.list(new(1, "\\Seen"))
    before, commits = everything(inbox.store.path), inbox.store.commits
    assert inbox.list(new(1, size=5)) == 0
    assert (everything(inbox.store.path), inbox.store.commits) == (before, commits)


def test_an_impossible_size_is_no_size(inbox: Inbox) -> None:
    inbox.list(new(1, size=2**63), new(2, size=-1))
    inbox.show([1, 2])
    with inbox.store.read() as view:
        assert [message.size for message in view.messages(inbox.folder).messages] == [None, None]


def test_text_that_utf8_cannot_spell_is_kept_as_well_as_can_be(inbox: Inbox) -> None:
    inbox.list(new(1, "bad\udcff", email_id="id\udcff"))
    inbox.show([1])
    with inbox.store.read() as view:
        message = view.messages(inbox.folder).messages[0]
    assert (message.flags, message.email_id) == ({"bad?"}, "id?")


def test_pages_run_from_the_newest_to_the_oldest_and_messages_without_a_date_come_last(inbox: Inbox) -> None:
    same = BEGIN + timedelta(days=1)
    rows = [new(uid) for uid in range(1, 6)] + [new(uid, internal_date=same) for uid in range(6, 9)]
    inbox.list(*rows, *(new(uid, internal_date=None) for uid in (9, 10)))
    inbox.show(range(1, 11))
    order: list[int] = []
    before = None
    with inbox.store.read() as view:
        while True:
            page = view.messages(inbox.folder, limit=3, before=before)
            order += [message.uid for message in page.messages]
            before = page.next
            if before is None:
                break
        whole = view.messages(inbox.folder, limit=10)
    assert order == [8, 7, 6, 5, 4, 3, 2, 1, 10, 9]
    assert [message.uid for message in whole.messages] == order
    assert whole.next is None


def test_a_page_key_stays_good_when_its_message_goes_and_newer_ones_come(inbox: Inbox) -> None:
    inbox.fill(6)
    with inbox.store.read() as view:
        page = view.messages(inbox.folder, limit=3)
    with inbox.store.write("change") as tx:
        tx.remove_messages(inbox.folder, EPOCH, UidSet([4]))
    inbox.list(new(9))
    inbox.show([9])
    with inbox.store.read() as view:
        rest = view.messages(inbox.folder, before=page.next)
    assert [message.uid for message in rest.messages] == [3, 2, 1]
    with inbox.store.write("tidy") as tx:
        tx.save_cursor(inbox.folder, tx.view.cursor(inbox.folder))


def test_all_folders_together_are_paged_newest_first(store: MailStore, inbox: Inbox) -> None:
    other = Inbox.made_in(store, "Lists")
    inbox.list(new(1, minutes=1), new(2, minutes=4))
    other.list(new(1, minutes=2), new(2, minutes=3))
    inbox.show([1, 2])
    other.show([1, 2])
    with store.read() as view:
        first = view.all_messages(limit=3)
        rest = view.all_messages(limit=3, before=first.next)
    shown = [(message.folder_id == inbox.folder, message.uid) for message in (*first.messages, *rest.messages)]
    assert shown == [(True, 2), (False, 2), (False, 1), (True, 1)]


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_page_of_an_impossible_size_is_refused(inbox: Inbox, limit: int) -> None:
    with inbox.store.read() as view, pytest.raises(ValueError):
        view.messages(inbox.folder, limit=limit)


def test_flags_are_written_only_where_they_differ(inbox: Inbox) -> None:
    inbox.list(new(1), new(2, "\\Seen"), new(3, "a", "b"), new(4))
    inbox.show([1, 2, 3])
    before = everything(inbox.store.path)["messages"]
    with inbox.store.write("flags") as tx:
        told = tx.set_flags(
            inbox.folder,
            EPOCH,
            [
                (Uid(1), frozenset({"\\seen", "\\Recent"}), None),
                (Uid(2), frozenset({"\\Seen"}), None),
                (Uid(3), frozenset({"b", "a"}), None),
                (Uid(4), frozenset({"\\Flagged"}), None),
                (Uid(99), frozenset({"\\Seen"}), None),
            ],
        )
    assert told == FlagCounts(modified=1, read=1)
    after = everything(inbox.store.path)["messages"]
    assert [row[4] for row, was in zip(after, before, strict=True) if row != was] == [1, 4]
    assert counts(inbox) == FolderCounts(messages=3, unseen=1, listed=4)
    with inbox.store.read() as view:
        assert dict(view.flags_of(inbox.folder))[Uid(1)] == {"\\Seen"}
        assert [uid for uid, _ in view.flags_of(inbox.folder, UidSet.parse("2:3,9"))] == [2, 3]


def test_telling_the_same_flags_twice_in_one_answer_counts_once(inbox: Inbox) -> None:
    inbox.list(new(1))
    inbox.show([1])
    with inbox.store.write("flags") as tx:
        told = [(Uid(1), frozenset({"\\Seen"}), None)] * 2
        assert tx.set_flags(inbox.folder, EPOCH, told) == FlagCounts(read=1)
    assert counts(inbox).unseen == 0


def test_a_transaction_that_changes_nothing_writes_nothing(inbox: Inbox) -> None:
    inbox.fill(3)
    before, commits = everything(inbox.store.path), inbox.store.commits
    with inbox.store.write("nothing") as tx:
        folder = tx.view.folder(inbox.folder)
        tx.ensure_account(folder.account)
        tx.add_messages(inbox.folder, EPOCH, [new(1)])
        tx.set_flags(inbox.folder, EPOCH, [(Uid(1), frozenset(), None)])
        assert tx.save_cursor(inbox.folder, tx.view.cursor(inbox.folder)) is False
        assert tx.set_folder_state(inbox.folder, folder.state) is False
        tx.clear_trouble(inbox.folder, Uid(1))
    assert inbox.show([1, 2]) == 0
    assert inbox.bring([1, 2, 50]) == 0
    assert (everything(inbox.store.path), inbox.store.commits) == (before, commits)


def test_removed_messages_are_gone_for_readers_and_kept_as_tombstones(inbox: Inbox) -> None:
    inbox.fill(4)
    inbox.list(new(5))
    with inbox.store.write("remove") as tx:
        assert tx.remove_messages(inbox.folder, EPOCH, UidSet.parse("2:3,5,77")) == 3
    assert counts(inbox) == FolderCounts(messages=2, unseen=2, bodies=2, listed=2)
    with inbox.store.read() as view:
        assert view.uids(inbox.folder) == UidSet([1, 4])
        with pytest.raises(UnknownMessage):
            view.message(MessageKey(2))
    assert len(everything(inbox.store.path)["tombstones"]) == 2, "the invisible one left nothing"
    assert len(everything(inbox.store.path)["blobs"]) == 4


def test_a_removed_message_comes_back_with_its_key_and_octets(inbox: Inbox) -> None:
    inbox.fill(3)
    with inbox.store.write("remove") as tx:
        tx.remove_messages(inbox.folder, EPOCH, UidSet([2, 3]))
    with inbox.store.write("revive") as tx:
        pairs = [(MessageKey(2), Uid(2)), (MessageKey(3), Uid(1)), (MessageKey(99), Uid(9))]
        assert tx.revive(inbox.folder, EPOCH, pairs) == 1
    with inbox.store.read() as view:
        assert view.raw(MessageKey(2)) == raw_mail(2)
    assert counts(inbox) == FolderCounts(messages=2, unseen=2, bodies=2, listed=2)


def test_of_two_removed_messages_of_one_uid_one_comes_back(inbox: Inbox) -> None:
    inbox.fill(1)
    with inbox.store.write("remove") as tx:
        tx.remove_messages(inbox.folder, EPOCH, UidSet([1]))
    inbox.fill(1)
    with inbox.store.write("remove again") as tx:
        tx.remove_messages(inbox.folder, EPOCH, UidSet([1]))
    with inbox.store.write("revive") as tx:
        pairs = [(key, uid) for key, uid, _ in tx.view.buried(inbox.folder, UidSet([1]))]
        assert len(pairs) == 2
        assert tx.revive(inbox.folder, EPOCH, pairs) == 1
    assert counts(inbox) == FolderCounts(messages=1, unseen=1, bodies=1, listed=1)


def test_keys_are_never_used_again(inbox: Inbox) -> None:
    inbox.fill(3)
    with inbox.store.write("remove") as tx:
        tx.remove_messages(inbox.folder, EPOCH, UidSet([1, 2, 3]))
    inbox.store.purge(tombstones_older_than_days=0)
    inbox.list(new(4))
    assert keys(inbox) == {4: 4}


def test_after_a_change_of_uidvalidity_messages_keep_key_header_octets_and_flags(inbox: Inbox) -> None:
    inbox.fill(4)
    other = UidValidity(8)
    with inbox.store.write("remap") as tx:
        pairs = [(MessageKey(1), Uid(3)), (MessageKey(3), Uid(1)), (MessageKey(4), Uid(40))]
        assert tx.remap(inbox.folder, EPOCH, pairs, other) == 3
        assert tx.remove_messages_by_key([MessageKey(2)]) == 1
        assert tx.add_messages(inbox.folder, other, [new(2)]) == 1
    with inbox.store.read() as view:
        assert view.uids(inbox.folder) == UidSet([1, 2, 3, 40])
        moved = view.find_message(inbox.folder, Uid(3))
        assert moved is not None
        assert (moved.key, moved.epoch) == (1, other)
        assert view.raw(moved.key) == raw_mail(1)
    assert counts(inbox) == FolderCounts(messages=3, unseen=3, bodies=3, listed=4)


def test_rows_of_another_uidvalidity_are_refused_and_nothing_is_written(inbox: Inbox) -> None:
    inbox.fill(1)
    before = everything(inbox.store.path)
    other = UidValidity(8)
    with pytest.raises(WrongEpoch), inbox.store.write("wrong") as tx:
        tx.add_messages(inbox.folder, other, [new(2)])
    assert everything(inbox.store.path) == before
    with pytest.raises(ValueError), inbox.store.write("wrong") as tx:
        tx.remap(inbox.folder, EPOCH, [], EPOCH)


def test_wanted_bodies_come_newest_first_within_policy_and_without_trouble(inbox: Inbox) -> None:
    inbox.list(*(new(uid, size=uid * 100) for uid in range(1, 8)), new(8, size=None), new(9, internal_date=None))
    inbox.show([1, 2])
    inbox.bring([5])
    with inbox.store.write("trouble") as tx:
        tx.set_trouble(inbox.folder, EPOCH, Uid(6), "missing", "not answered", BEGIN + timedelta(hours=1))
        tx.set_trouble(inbox.folder, EPOCH, Uid(4), "poison", "NIL", BEGIN - timedelta(hours=1))

    def wanted(**limits: object) -> list[int]:
        with inbox.store.read() as view:
            return [need.uid for need in view.wanted_bodies(inbox.folder, **limits)]  # type: ignore[arg-type]

    assert wanted() == [9, 8, 7, 4, 3, 2, 1]
    assert wanted(size_max=400) == [8, 4, 3, 2, 1]
    assert wanted(newer_than=BEGIN + timedelta(minutes=4)) == [9, 8, 7, 4]
    assert wanted(before_uid=4, limit=2) == [3, 2]
    with inbox.store.read() as view:
        assert [need.has_header for need in view.wanted_bodies(inbox.folder, before_uid=4)] == [False, True, True]


def test_identities_are_paged_by_key_and_say_whose_octets_are_the_same(inbox: Inbox) -> None:
    inbox.list(*(new(uid) for uid in range(1, 5)))
    inbox.bring([1, 2])
    with inbox.store.read() as view:
        first = view.identities(inbox.folder, limit=3)
        rest = view.identities(inbox.folder, after_key=first[-1].key)
    assert [row.uid for row in (*first, *rest)] == [1, 2, 3, 4]
    assert [row.message_id for row in first] == ["1@example.org", "2@example.org", ""]
    assert [(row.received, row.has_body) for row in first] == [(True, True), (True, True), (False, False)]
    assert first[0].blob_id != first[1].blob_id


def test_what_is_not_there_is_named(inbox: Inbox) -> None:
    with inbox.store.read() as view:
        with pytest.raises(UnknownFolder):
            view.folder(FolderId(99))
        with pytest.raises(UnknownFolder):
            view.messages(FolderId(99))
        with pytest.raises(UnknownMessage):
            view.raw(MessageKey(99))
        assert view.find_message(inbox.folder, Uid(1)) is None
    with pytest.raises(UnknownFolder), inbox.store.write("nowhere") as tx:
        tx.add_messages(FolderId(99), EPOCH, [new(1)])


def test_a_view_and_a_transaction_are_of_no_use_after_their_end(inbox: Inbox) -> None:
    with inbox.store.read() as view:
        pass
    with pytest.raises(StoreClosed):
        view.folders()
    with inbox.store.write("short") as tx:
        pass
    with pytest.raises(StoreClosed):
        tx.add_messages(inbox.folder, EPOCH, [new(1)])
    with pytest.raises(StoreClosed):
        tx.view.folders()


def test_a_snapshot_does_not_see_what_is_written_after_it_began(inbox: Inbox) -> None:
    inbox.fill(2)
    with inbox.store.read() as view:
        inbox.list(new(3))
        inbox.show([3])
        assert [message.uid for message in view.messages(inbox.folder).messages] == [2, 1]
    with inbox.store.read() as view:
        assert [message.uid for message in view.messages(inbox.folder).messages] == [3, 2, 1]
    with inbox.store.write("tidy") as tx:
        assert tx.view.folder(inbox.folder).counts.messages == 3
