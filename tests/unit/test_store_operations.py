"""What people do to mail here: the effect and the log at once, chains, second thoughts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from store import (
    Arrival,
    BodyNotHere,
    BodyState,
    Choice,
    ConflictKind,
    FolderExists,
    FolderId,
    FolderNotWritable,
    FolderPath,
    FolderState,
    MessageAdded,
    MessageChanged,
    MessageKey,
    MessageRemoved,
    NewConflict,
    NotHere,
    NotUndoable,
    OperationId,
    Role,
    Side,
    UidSet,
    UnknownFolder,
    UnknownMessage,
    UnknownOperation,
    Version,
    open_store,
)
from store.mail import AccountId, Uid
from store.mail.operations import OperationKind, Source, net

from .store_kit import ACCOUNT, EPOCH, Clock, Inbox, listed, new, raw_mail
from .twoway_kit import Home

ONE, TWO, THREE = MessageKey(1), MessageKey(2), MessageKey(3)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home(tmp_path: Path, clock: Clock) -> Iterator[Home]:
    with open_store(tmp_path / "mail.db", clock=clock) as store:
        made = Home.made_in(store)
        yield made
        assert made.sound()


# --- flags ---------------------------------------------------------------------------------------------------------


def test_a_flag_is_shown_counted_and_waits_in_the_log(home: Home) -> None:
    with home.store.edit("read") as edit:
        (made,) = edit.set_flags([ONE], add=["\\Seen", "work"])

    assert home.flags(ONE) == ["\\Seen", "work"]
    with home.store.read() as view:
        assert view.folder(home.inbox).counts.unseen == 3
        assert view.operation(made).add == {"\\Seen", "work"}
        assert dict(view.flags_of(home.inbox))[1] == frozenset(), "the server has not heard of it"
    (wish,) = home.wishes()
    assert (wish.message, wish.uid, wish.add, wish.remove) == (1, 1, {"\\Seen", "work"}, frozenset())


def test_a_flag_that_is_there_already_writes_nothing(home: Home) -> None:
    home.told(1, "Work")
    commits = home.store.commits
    with home.store.edit("nothing") as edit:
        assert edit.set_flags([ONE], add=["work"], remove=["\\Seen"]) == ()
    assert home.store.commits == commits


def test_seen_and_unseen_come_to_nothing_and_both_are_done(home: Home) -> None:
    for add, remove in (("\\Seen", ""), ("", "\\Seen")):
        with home.store.edit("twice") as edit:
            edit.set_flags([ONE], add=[add] if add else [], remove=[remove] if remove else [])
    assert home.wishes() == []
    assert home.log() == [("flags", "done")] * 2


@pytest.mark.parametrize("word", ["", "\\", "two words", "a(b", "a]", "gr\u00fcn", "line\nfeed", "\\*"])
def test_what_is_no_flag_is_refused_before_anything_is_written(home: Home, word: str) -> None:
    with home.store.edit("bad") as edit, pytest.raises(ValueError, match="no flag"):
        edit.set_flags([ONE], add=[word])
    assert home.log() == []


def test_one_unknown_message_among_many_and_none_is_changed(home: Home) -> None:
    with home.store.edit("unknown") as edit:
        with pytest.raises(UnknownMessage):
            edit.set_flags([ONE, MessageKey(99)], add=["\\Seen"])
        with pytest.raises(UnknownMessage):
            edit.move([ONE, MessageKey(99)], home.archive)
    assert home.log() == []


# --- moves, copies, deletions --------------------------------------------------------------------------------------


def test_a_moved_message_keeps_its_key_and_its_place_is_kept_by_a_twin(home: Home) -> None:
    with home.store.edit("move") as edit:
        edit.move([ONE], home.archive)

    (moved,) = home.messages(home.archive)
    assert (moved.key, moved.uid, moved.pending, moved.body) == (1, None, True, BodyState.FULL)
    assert home.uids(home.inbox) == [2, 3, 4]
    with home.store.read() as view:
        assert view.uids(home.inbox) == UidSet.parse("1:4"), "the engine goes on meeting the UID"
        assert view.uids(home.archive) == UidSet()
        assert view.without_header(home.inbox) == UidSet()
        assert view.folder(home.inbox).counts.listed == 4
        place = view.place(ONE)
        assert place is not None
        assert (place.folder_id, place.epoch, place.uid) == (home.inbox, EPOCH, 1)


def test_hosts_hear_of_a_move_as_a_change_and_of_a_deletion_as_a_removal(home: Home) -> None:
    with home.store.read() as view:
        since = view.cursor_seq()
    with home.store.edit("both") as edit:
        edit.move([ONE], home.archive)
        edit.delete([TWO], for_good=True)
        copied = edit.copy([THREE], home.archive)
    told = {
        (type(one), getattr(one, "key", None), getattr(one, "uid", None)) for one in home.store.changes(since).changes
    }
    assert told == {(MessageChanged, 1, None), (MessageRemoved, 2, 2), (MessageAdded, copied[0], None)}


def test_a_move_of_a_move_is_one_move_and_back_is_none(home: Home) -> None:
    with home.store.edit("there") as edit:
        edit.move([ONE], home.archive)
        edit.move([ONE], home.trash)
    one = net(home.pending())
    assert (one.source, one.folder_id, one.target) == (Source.SERVER, home.inbox, home.trash)

    with home.store.edit("back") as edit:
        edit.move([ONE], home.inbox)
    assert home.log() == []
    assert home.uids(home.inbox) == [1, 2, 3, 4]


def test_deleting_moves_to_the_trash_and_from_there_for_good(home: Home) -> None:
    with home.store.edit("delete") as edit:
        edit.delete([ONE])
    assert home.keys(home.trash) == [1]
    with home.store.edit("again") as edit:
        edit.delete([ONE])
    assert home.keys(home.trash) == []
    assert net(home.pending()).deleted
    with home.store.read() as view:
        assert view.place(ONE) is not None


def test_without_a_trash_a_message_is_removed_for_good(home: Home) -> None:
    with home.store.write("no trash") as tx:
        tx.remove_folder(home.trash)
    with home.store.edit("delete") as edit:
        edit.delete([ONE])
    assert home.log() == [("delete", "queued")]


def test_a_copy_has_a_key_of_its_own_and_the_same_octets(home: Home) -> None:
    with home.store.edit("copy") as edit:
        edit.set_flags([ONE], add=["work"])
        (copied,) = edit.copy([ONE], home.archive)
    with home.store.read() as view:
        assert view.raw(copied) == view.raw(ONE)
        _, operation, wish = view.operations()
        assert (operation.message, operation.origin, operation.folder_id) == (copied, ONE, home.archive)
        assert (wish.message, wish.add, wish.batch) == (copied, {"work"}, operation.batch)
    assert home.flags(copied) == ["work"]
    with home.store.write("no") as tx:
        tx.settle.refuse([wish.id], "no such flag")
    assert home.flags(copied) == []


def test_a_copy_of_what_is_only_here_is_an_append_of_its_octets(home: Home) -> None:
    with home.store.edit("copy") as edit:
        draft = edit.append(home.archive, raw_mail(50), flags=["\\Draft"])
        (copied,) = edit.copy([draft], home.inbox)
    assert home.log() == [("append", "queued")] * 2
    with home.store.read() as view:
        assert view.upload(copied).flags == {"\\Draft"}
        assert view.upload(copied).digest == view.upload(draft).digest


def test_a_copy_of_what_is_neither_there_nor_whole_here_is_refused(home: Home) -> None:
    inbox = Inbox(home.store, home.inbox)
    inbox.list(new(5))
    inbox.show([5])
    with home.store.edit("move") as edit:
        edit.copy([MessageKey(5)], home.archive)
        edit.move([MessageKey(5)], home.archive)
    ids = [one.id for one in home.pending() if one.message == 5]
    with home.store.write("settle") as tx:
        tx.settle.arrived_somewhere(ids)
    with home.store.edit("copy") as edit, pytest.raises(BodyNotHere):
        edit.copy([MessageKey(5)], home.inbox)


def test_an_appended_message_is_there_at_once_and_tells_what_an_upload_needs(home: Home) -> None:
    octets = raw_mail(77, 600_000)
    date = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
    with home.store.edit("append") as edit:
        key = edit.append(home.archive, octets, flags=["\\Seen"], internal_date=date)
    (message,) = home.messages(home.archive)
    assert (message.size, message.octets, message.subject, message.internal_date) == (
        len(octets),
        len(octets),
        "number 77",
        date,
    )
    with home.store.read() as view:
        assert view.raw(key) == octets
        upload = view.upload(key)
        assert (upload.size, upload.flags, upload.message_id) == (len(octets), {"\\Seen"}, "77@example.org")
        assert view.place(key) is None
    assert home.wishes() == [], "its flags go along with it"


def test_a_draft_that_replaces_another_one_deletes_that_for_good(home: Home) -> None:
    with home.store.edit("first") as edit:
        first = edit.append(home.archive, raw_mail(50))
    with home.store.edit("second") as edit:
        edit.append(home.archive, raw_mail(51), replaces=first)
        edit.append(home.archive, raw_mail(52), replaces=ONE)
    assert home.log() == [("append", "queued"), ("append", "queued"), ("delete", "queued")]


def test_what_is_only_here_and_is_deleted_leaves_nothing_to_send(home: Home) -> None:
    with home.store.edit("append") as edit:
        key = edit.append(home.archive, raw_mail(50), flags=["\\Draft"])
        edit.set_flags([key], add=["\\Seen"])
        edit.move([key], home.inbox)
        edit.delete([key], for_good=True)
    assert home.log() == []


def test_what_was_perhaps_sent_and_is_deleted_leaves_a_deletion_behind_it(home: Home) -> None:
    with home.store.edit("append") as edit:
        key = edit.append(home.archive, raw_mail(50))
    with home.store.write("attempt") as tx:
        tx.settle.attempt([home.pending()[0].id], None, None)
    with home.store.edit("delete") as edit:
        edit.delete([key], for_good=True)
    assert home.log() == [("append", "attempted"), ("delete", "queued")]


def test_mail_stays_in_its_account_and_out_of_folders_that_take_none(home: Home) -> None:
    with home.store.write("other") as tx:
        tx.ensure_account(AccountId("work"))
        other = tx.add_folder(AccountId("work"), listed("INBOX"))
        noselect = tx.add_folder(ACCOUNT, listed("Closed", selectable=False))
        tx.set_folder_state(home.archive, FolderState.MISSING)
    with home.store.edit("bad") as edit:
        for folder, error in ((other, NotHere), (noselect, FolderNotWritable), (home.archive, FolderNotWritable)):
            with pytest.raises(error):
                edit.move([ONE], folder)
        with pytest.raises(FolderNotWritable):
            edit.append(noselect, raw_mail(50))
        with pytest.raises(NotHere):
            edit.append(other, raw_mail(50), replaces=ONE)
        with pytest.raises(UnknownFolder):
            edit.copy([ONE], FolderId(99))
    assert home.log() == []


def test_what_is_marked_for_download_waits_once(home: Home) -> None:
    inbox = Inbox(home.store, home.inbox)
    inbox.list(new(5))
    inbox.show([5])
    with home.store.edit("mark") as edit:
        assert len(edit.mark_for_download([ONE, MessageKey(5)])) == 1
        assert edit.mark_for_download([MessageKey(5)]) == ()
    with home.store.write("settle") as tx:
        tx.settle.downloaded(one.id for one in home.pending())
    assert home.log() == [("download", "done")]


# --- folders -------------------------------------------------------------------------------------------------------


def test_a_folder_is_made_with_those_above_it_and_takes_mail_at_once(home: Home) -> None:
    with home.store.edit("create") as edit:
        folder = edit.create_folder(ACCOUNT, FolderPath(("Lists", "python")), role=Role.ARCHIVE)
        edit.move([ONE], folder)
    with home.store.read() as view:
        made = view.folder(folder)
        assert (made.state, made.name, made.role) == (FolderState.LOCAL, b"", Role.ARCHIVE)
        assert view.find_folder(ACCOUNT, FolderPath(("Lists",))) is not None
    assert home.log() == [("create-folder", "queued")] * 2 + [("move", "queued")]
    with home.store.edit("again") as edit, pytest.raises(FolderExists):
        edit.create_folder(ACCOUNT, FolderPath(("Lists",)))


def test_a_renamed_folder_takes_those_below_along_and_back_is_nothing(home: Home) -> None:
    with home.store.write("below") as tx:
        below = tx.add_folder(ACCOUNT, listed("Archive/2025"))
    with home.store.edit("rename") as edit:
        edit.rename_folder(home.archive, FolderPath(("Old", "Mail")))
    with home.store.read() as view:
        assert str(view.folder(below).path) == "Old/Mail/2025"
        (_, renamed) = view.operations()
        assert (str(renamed.path), renamed.name) == ("Archive", b"Archive")
    with home.store.edit("back") as edit:
        assert edit.rename_folder(home.archive, FolderPath(("Archive",))) is None
    assert [one.kind.value for one in home.pending()] == ["create-folder"]


def test_inbox_and_folders_with_others_below_stay(home: Home) -> None:
    with home.store.write("below") as tx:
        tx.add_folder(ACCOUNT, listed("Archive/2025"))
    with home.store.edit("bad") as edit:
        for verb in (
            lambda: edit.rename_folder(home.inbox, FolderPath(("x",))),
            lambda: edit.delete_folder(home.inbox),
            lambda: edit.delete_folder(home.archive),
            lambda: edit.rename_folder(home.archive, FolderPath(("Archive", "in itself"))),
        ):
            with pytest.raises(ValueError, match=r"INBOX|below"):
                verb()
    assert home.log() == []


def test_a_deleted_folder_is_hidden_with_its_mail_and_what_left_it_goes_on(home: Home) -> None:
    inside = Inbox(home.store, home.archive)
    inside.fill(3)
    with home.store.edit("before") as edit:
        keys = home.keys(home.archive)
        edit.move(keys[:1], home.inbox)
        edit.move([ONE], home.archive)
        edit.append(home.archive, raw_mail(50))
    with home.store.edit("delete") as edit:
        edit.delete_folder(home.archive)
    with home.store.read() as view:
        assert home.archive not in {folder.id for folder in view.folders()}
        assert home.archive in {folder.id for folder in view.folders(hidden=True)}
        assert [one.kind.value for one in view.operations()] == [
            *("move", "move", "append", "delete", "delete", "delete-folder")
        ]
        assert view.place(keys[0]) is not None
    assert home.keys(home.inbox) == [2, 3, 4, keys[0]]


def test_nothing_is_made_where_a_folder_waits_to_be_deleted(home: Home) -> None:
    with home.store.edit("delete") as edit:
        edit.delete_folder(home.archive)
        for path in (("Archive",), ("Archive", "below")):
            with pytest.raises(FolderExists):
                edit.create_folder(ACCOUNT, FolderPath(path))
        with pytest.raises(FolderNotWritable):
            edit.rename_folder(home.archive, FolderPath(("x",)))
        assert edit.view.find_folder(ACCOUNT, FolderPath(("Archive",))) is None
    assert home.log() == [("delete-folder", "queued")]


def test_a_folder_that_is_only_here_is_deleted_without_a_trace(home: Home) -> None:
    with home.store.edit("both") as edit:
        folder = edit.create_folder(ACCOUNT, FolderPath(("New",)))
        assert edit.delete_folder(folder) is None
    assert home.log() == []
    with home.store.read() as view, pytest.raises(UnknownFolder):
        view.folder(folder)


def test_subscribing_and_not_any_more_is_nothing(home: Home) -> None:
    with home.store.edit("on") as edit:
        assert edit.subscribe(home.archive) is not None
        assert edit.subscribe(home.archive) is None
    with home.store.edit("off") as edit:
        assert edit.subscribe(home.archive, False) is None
    assert home.log() == []


# --- second thoughts -----------------------------------------------------------------------------------------------


def test_cancelling_takes_back_what_followed_on_the_same_message_only(home: Home) -> None:
    with home.store.edit("three") as edit:
        (first,) = edit.move([ONE], home.archive)
        edit.move([ONE], home.trash)
        edit.move([TWO], home.archive)
    with home.store.edit("cancel") as edit:
        assert edit.cancel([first]) == 2
        with pytest.raises(UnknownOperation):
            edit.cancel([OperationId(99)])
    assert home.keys(home.inbox) == [1, 3, 4]
    assert home.keys(home.archive) == [2]


def test_what_is_sent_cannot_be_cancelled_nor_undone(home: Home) -> None:
    with home.store.edit("move") as edit:
        (made,) = edit.move([ONE], home.archive)
        batch = edit.batch
    with home.store.write("attempt") as tx:
        tx.settle.attempt([made], EPOCH, 5)
    with home.store.edit("cancel") as edit:
        assert edit.cancel([made]) == 0
        with pytest.raises(NotUndoable):
            edit.undo(batch)
        edit.move([ONE], home.inbox)
    assert home.log() == [("move", "attempted"), ("move", "queued")], "back is another move once the first was sent"


def test_undo_cancels_what_was_not_sent_and_reverses_what_was_done(home: Home) -> None:
    with home.store.edit("batch") as edit:
        edit.set_flags([ONE], add=["\\Seen"])
        edit.move([TWO, THREE], home.archive)
        batch = edit.batch
    (moved, _) = (one.id for one in home.pending() if one.kind is OperationKind.MOVE)
    with home.store.write("settle") as tx:
        tx.settle.flags(home.inbox, EPOCH, {new(1).uid: frozenset({"\\Seen"})})
        tx.settle.arrived_somewhere([moved])
    with home.store.edit("undo") as edit:
        edit.undo(batch)
    assert home.flags(ONE) == []
    assert home.keys(home.inbox) == [1, 2, 3, 4]
    assert [(one.kind.value, one.message) for one in home.pending()] == [("move", 2), ("flags", 1)]


def test_what_was_removed_for_good_or_long_ago_is_not_undone(home: Home, clock: Clock) -> None:
    with home.store.edit("delete") as edit:
        edit.delete([ONE], for_good=True)
        deleted = edit.batch
    with home.store.edit("flags") as edit:
        edit.set_flags([TWO], add=["\\Seen"])
        flagged = edit.batch
    with home.store.write("settle") as tx:
        tx.settle.deleted([home.pending()[0].id])
        tx.settle.flags(home.inbox, EPOCH, {new(2).uid: frozenset({"\\Seen"})})
    clock.now += 90_000
    for batch in (deleted, flagged, 77):
        with home.store.edit("undo") as edit, pytest.raises(NotUndoable):
            edit.undo(batch)


def test_the_log_is_purged_after_the_grace_period_and_what_waits_never(home: Home, clock: Clock) -> None:
    with home.store.edit("two") as edit:
        edit.delete([ONE], for_good=True)
        edit.set_flags([TWO], add=["\\Seen"])
    with home.store.write("settle") as tx:
        tx.settle.flags(home.inbox, EPOCH, {new(2).uid: frozenset({"\\Seen"})})
    clock.now += 10 * 86_400
    assert home.store.purge().operations == 1
    assert home.log() == [("delete", "queued")]
    with home.store.edit("cancel") as edit:
        edit.cancel([home.pending()[0].id])
    assert home.keys(home.inbox) == [1, 2, 3, 4], "a tombstone that an operation is about outlives its week"


@pytest.mark.parametrize("then", ["cancel", "retry"])
def test_what_a_refused_and_kept_deletion_is_about_outlives_its_week(home: Home, clock: Clock, then: str) -> None:
    with home.store.edit("delete") as edit:
        (made,) = edit.delete([ONE], for_good=True)
    with home.store.write("settle") as tx:
        tx.settle.refuse([made], "it may not be removed", keep=True)
    clock.now += 40 * 86_400
    home.store.purge()
    with home.store.edit("decide") as edit:
        assert getattr(edit, then)([made]) == 1
    if then == "retry":
        assert home.log() == [("delete", "queued")]
        with home.store.edit("cancel after all") as edit:
            edit.cancel([made])
    assert home.keys(home.inbox) == [1, 2, 3, 4]


@pytest.mark.parametrize("gone", [False, True])
def test_a_conflict_is_decided_otherwise_when_the_log_has_forgotten_what_it_was_about(
    home: Home, clock: Clock, gone: bool
) -> None:
    with home.store.edit("move") as edit:
        (moved,) = edit.move([ONE], home.archive)
    mine, theirs = Version(side=Side.MINE, place="Archive"), Version(side=Side.THEIRS, place="INBOX")
    with home.store.write("moved back there") as tx:
        found = NewConflict(
            kind=ConflictKind.MOVED_TWICE,
            account=ACCOUNT,
            operation=moved,
            message=ONE,
            versions=(mine, theirs),
            choices=(Choice.KEEP_THEIRS, Choice.KEEP_MINE),
            done=Choice.KEEP_THEIRS,
        )
        made = tx.settle.conflict(found)
        there = Arrival(message=ONE, folder_id=home.inbox, epoch=EPOCH, uid=Uid(50))
        tx.settle.arrived([moved], [there])
    assert home.keys(home.archive) == []
    clock.now += 10 * 86_400
    home.store.purge()
    assert home.log() == []
    if gone:  # the message, and the folder that it was to be in
        with home.store.write("gone there") as tx:
            tx.remove_messages(home.inbox, EPOCH, UidSet([50]))
            tx.remove_folder(home.archive)
    with home.store.edit("otherwise") as edit:
        edit.resolve(made, Choice.KEEP_MINE)
    assert home.log() == ([] if gone else [("move", "queued")])
    assert gone or home.keys(home.archive) == [1]
