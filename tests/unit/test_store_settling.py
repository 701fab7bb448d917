"""What the server said of changes made here: rows, twins, log and counters are as if it had always been so."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from store import (
    Arrival,
    Choice,
    ConflictKind,
    Encoder,
    FolderAdded,
    FolderCursor,
    FolderPath,
    FolderRemoved,
    FolderState,
    MessageAdded,
    MessageKey,
    MessageRemoved,
    NewConflict,
    Role,
    Side,
    UidSet,
    UnknownConflict,
    Version,
    open_store,
)
from store.mail import Uid, UidValidity
from store.mail.operations import Source, net

from .store_kit import ACCOUNT, BEGIN, EPOCH, Clock, Inbox, header_of, listed, new, raw_mail
from .twoway_kit import Home

ONE, TWO, THREE = MessageKey(1), MessageKey(2), MessageKey(3)
NINE = UidValidity(9)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home(tmp_path: Path, clock: Clock) -> Iterator[Home]:
    with open_store(tmp_path / "mail.db", clock=clock) as store:
        made = Home.made_in(store)
        with store.write("epoch") as tx:
            tx.save_cursor(made.archive, FolderCursor(epoch=EPOCH, uid_next=1))
        yield made
        assert made.sound()


def arrival(home: Home, key: int, uid: int, *flags: str) -> Arrival:
    where = (home.archive, EPOCH)
    told = frozenset(flags) if flags else None
    return Arrival(message=MessageKey(key), folder_id=where[0], epoch=where[1], uid=Uid(uid), flags=told)


def ids_of(home: Home, key: int) -> list[int]:
    return [one.id for one in home.pending() if one.message == key]


# --- arrivals ------------------------------------------------------------------------------------------------------


def test_a_moved_message_takes_its_place_and_the_twin_goes(home: Home) -> None:
    with home.store.edit("move") as edit:
        edit.move([ONE], home.archive)
    with home.store.write("settle") as tx:
        tx.settle.attempt(ids_of(home, 1), EPOCH, 1)
        tx.settle.arrived(ids_of(home, 1), [arrival(home, 1, 7)])
        tx.settle.arrived(ids_of(home, 1), [arrival(home, 1, 8)])  # a replay that comes twice does nothing twice
    assert home.uids(home.archive) == [7]
    with home.store.read() as view:
        assert view.uids(home.inbox) == UidSet.parse("2:4")
        assert view.uids(home.archive) == UidSet([7])
    assert home.log() == [("move", "done")]


def test_a_row_that_was_listed_there_already_gives_way(home: Home) -> None:
    with home.store.edit("copy") as edit:
        (copied,) = edit.copy([ONE], home.archive)
    with home.store.write("listed meanwhile") as tx:
        tx.add_messages(home.archive, EPOCH, [new(7, "work", minutes=1, size=1001)])
        tx.add_headers(home.archive, EPOCH, [(Uid(7), Encoder().header(header_of(raw_mail(1))))])
    assert len(home.keys(home.archive)) == 2
    with home.store.write("settle") as tx:
        tx.settle.arrived(ids_of(home, copied), [arrival(home, copied, 7, "work")])
    (message,) = home.messages(home.archive)
    assert (message.key, message.uid, message.flags) == (copied, 7, {"work"})


def test_a_message_that_was_moved_on_meanwhile_leaves_its_twin_where_it_came_to(home: Home) -> None:
    with home.store.edit("move") as edit:
        edit.move([ONE], home.archive)
    first = ids_of(home, 1)
    with home.store.write("attempt") as tx:
        tx.settle.attempt(first, EPOCH, 1)
    with home.store.edit("on") as edit:
        edit.move([ONE], home.trash)
    with home.store.write("settle") as tx:
        tx.settle.arrived(first, [arrival(home, 1, 7)])
    with home.store.read() as view:
        place = view.place(ONE)
        assert place is not None
        assert (place.folder_id, place.uid) == (home.archive, 7)
    (rest,) = home.pending()
    assert (rest.folder_id, rest.target_id, rest.twin is not None) == (home.archive, home.trash, True)


def test_a_message_that_was_deleted_meanwhile_is_deleted_where_it_came_to(home: Home) -> None:
    with home.store.edit("append") as edit:
        key = edit.append(home.archive, raw_mail(50))
    first = ids_of(home, key)
    with home.store.write("attempt") as tx:
        tx.settle.attempt(first, EPOCH, 1)
    with home.store.edit("delete") as edit:
        edit.delete([key], for_good=True)
    with home.store.write("settle") as tx:
        tx.settle.arrived(first, [arrival(home, key, 7)])
    with home.store.read() as view:
        assert view.uids(home.archive) == UidSet([7])
        assert view.place(key) is not None
        assert view.without_header(home.archive) == UidSet()
    with home.store.write("settle") as tx:
        tx.settle.deleted(ids_of(home, key))
    with home.store.read() as view:
        assert view.uids(home.archive) == UidSet()


def test_the_next_listing_tells_where_an_upload_came_to(home: Home) -> None:
    with home.store.edit("append") as edit:
        key = edit.append(home.archive, raw_mail(50), flags=["\\Draft"])
    with home.store.write("settle") as tx:
        tx.settle.attempt(ids_of(home, key), EPOCH, 5)
        tx.settle.arrived_somewhere(ids_of(home, key))
    assert home.uids(home.archive) == [None]
    with home.store.write("listed") as tx:
        tx.add_messages(home.archive, EPOCH, [new(4), new(6, "\\Draft", "\\Seen")])
        block = Encoder().header(header_of(raw_mail(50)))
        tx.add_headers(home.archive, EPOCH, [(Uid(4), block)])
        assert tx.view.message(key).pending, "what was there before is another one"
        tx.add_headers(home.archive, EPOCH, [(Uid(6), block)])
    found = {message.key: message for message in home.messages(home.archive)}
    assert (found[key].uid, found[key].flags, len(found)) == (6, {"\\Draft", "\\Seen"}, 2)


def test_of_two_equal_uploads_none_takes_the_place_of_the_other(home: Home) -> None:
    with home.store.edit("twice the same") as edit:
        keys = [edit.append(home.archive, raw_mail(50)) for _ in range(2)]
    with home.store.write("settle") as tx:
        for key in keys:
            made = ids_of(home, key)
            tx.settle.attempt(made, EPOCH, 5)
            tx.settle.arrived_somewhere(made)
    with home.store.read() as view:
        seen = view.cursor_seq()
    with home.store.write("listed") as tx:
        tx.add_messages(home.archive, EPOCH, [new(5), new(6)])
        tx.add_headers(home.archive, EPOCH, [(Uid(5), Encoder().header(header_of(raw_mail(50))))])
        tx.add_headers(home.archive, EPOCH, [(Uid(6), Encoder().header(header_of(raw_mail(50))))])
    assert {message.key: message.uid for message in home.messages(home.archive)} == {keys[0]: 5, keys[1]: 6}
    assert {type(one).__name__ for one in home.store.changes(seen).changes} == {"MessageChanged"}


def test_a_moved_message_of_which_nobody_told_where_is_found_by_its_octets_coming(home: Home) -> None:
    with home.store.edit("move") as edit:
        edit.move([ONE, TWO], home.archive)
    with home.store.write("settle") as tx:
        tx.settle.arrived_somewhere([*ids_of(home, 1), *ids_of(home, 2)])
    there = Inbox(home.store, home.archive)
    there.list(new(2), new(1))
    there.bring([2, 1])
    assert home.uids(home.archive) == [1, 2]
    assert home.keys(home.archive) == [1, 2]


def test_a_place_of_another_epoch_is_not_believed(home: Home) -> None:
    with home.store.edit("move") as edit:
        edit.move([ONE], home.archive)
    where = Arrival(message=ONE, folder_id=home.archive, epoch=NINE, uid=Uid(7))
    with home.store.write("settle") as tx:
        tx.settle.arrived(ids_of(home, 1), [where])
    assert home.uids(home.archive) == [None]


# --- flags ---------------------------------------------------------------------------------------------------------


def test_flags_that_the_server_has_now_are_settled_and_others_wait(home: Home) -> None:
    with home.store.edit("flags") as edit:
        edit.set_flags([ONE, TWO], add=["\\Seen", "work"])
    with home.store.write("settle") as tx:
        told = {Uid(1): frozenset({"\\Seen", "work"}), Uid(2): frozenset({"\\Seen"}), Uid(9): frozenset({"x"})}
        assert tx.settle.flags(home.inbox, EPOCH, told) == 1
        assert tx.settle.flags(home.inbox, NINE, told) == 0
    assert home.log() == [("flags", "done"), ("flags", "queued")]
    (wish,) = home.wishes()
    assert (wish.message, wish.add) == (2, {"work"})


def test_news_of_flags_meets_what_is_wanted_here(home: Home) -> None:
    home.told(1, "\\Flagged")
    with home.store.edit("flags") as edit:
        edit.set_flags([ONE], add=["\\Seen"], remove=["\\Flagged"])
    home.told(1, "\\Flagged", "news")
    assert home.flags(1) == ["\\Seen", "news"]
    home.told(1, "\\Seen", "news")
    assert home.wishes() == []
    assert home.log() == [("flags", "done")]


def test_flags_told_of_a_twin_are_those_of_its_message(home: Home) -> None:
    with home.store.edit("both") as edit:
        edit.set_flags([ONE], add=["\\Seen"])
        edit.move([ONE], home.archive)
    home.told(1, "news")
    assert home.flags(1) == ["\\Seen", "news"]
    (wish,) = home.wishes()
    assert (wish.folder_id, wish.uid, wish.add) == (home.inbox, 1, {"\\Seen"})
    with home.store.write("settle") as tx:
        assert tx.settle.flags(home.inbox, EPOCH, {Uid(1): frozenset({"\\Seen", "news"})}) == 1
    assert home.log() == [("flags", "done"), ("move", "queued")]


@pytest.mark.parametrize("known", [True, False])
def test_flags_that_are_changed_while_new_mail_is_sent_are_wanted_beyond_those_it_was_sent_with(
    home: Home, known: bool
) -> None:
    with home.store.edit("append") as edit:
        key = edit.append(home.archive, raw_mail(50), flags=["\\Seen"])
    made = ids_of(home, key)
    with home.store.write("attempt") as tx:
        tx.settle.attempt(made, EPOCH, 1)
    assert home.flags(key) == ["\\Seen"]
    with home.store.edit("meanwhile") as edit:
        edit.set_flags([key], add=["work"], remove=["\\Seen"])
    assert home.log() == [("append", "attempted"), ("flags", "queued")]
    with home.store.write("settle") as tx:
        tx.settle.arrived(made, [arrival(home, key, 7, *(["\\Seen"] if known else []))])
    assert home.flags(key) == ["work"]
    (wish,) = home.wishes()
    assert (wish.uid, wish.add, wish.remove) == (7, {"work"}, {"\\Seen"})


@pytest.mark.parametrize("verb", ["unsent", "later", "refuse"])
def test_new_mail_that_was_not_taken_is_sent_with_the_flags_that_it_has_by_then(home: Home, verb: str) -> None:
    with home.store.edit("append") as edit:
        key = edit.append(home.archive, raw_mail(50), flags=["\\Seen"])
    made = ids_of(home, key)
    with home.store.write("attempt") as tx:
        tx.settle.attempt(made, EPOCH, 1)
    with home.store.edit("meanwhile") as edit:
        edit.set_flags([key], add=["work"], remove=["\\Seen"])
    with home.store.write("settle") as tx:
        match verb:
            case "unsent":
                tx.settle.unsent(made)
            case "later":
                tx.settle.later(made, BEGIN, "full")
            case _:
                tx.settle.refuse(made, "too big")
        row = tx.view.message(key)
        assert row.flags == {"work"}
    with home.store.edit("again") as edit:
        edit.retry(made)
        edit.set_flags([key], remove=["work"])
    with home.store.write("attempt") as tx:
        tx.settle.attempt(made, EPOCH, 1)
        assert tx.view.upload(key).flags == frozenset()
        tx.settle.arrived(made, [arrival(home, key, 7)])
    assert home.flags(key) == []
    assert home.pending() == []


def test_a_wish_survives_that_others_move_the_message(home: Home) -> None:
    with home.store.edit("flags") as edit:
        edit.set_flags([ONE], add=["\\Seen"])
    with home.store.write("moved there") as tx:
        tx.remove_messages(home.inbox, EPOCH, UidSet([1]))
    assert home.wishes() == []
    with home.store.write("found") as tx:
        tx.add_messages(home.archive, EPOCH, [new(7, "news", minutes=1, size=1001)])
        tx.add_headers(home.archive, EPOCH, [(Uid(7), Encoder().header(header_of(raw_mail(1))))])
        tx.share(home.archive, EPOCH, UidSet([7]))
    (wish,) = home.wishes()
    assert (wish.message, wish.folder_id, wish.uid, wish.add) == (1, home.archive, 7, {"\\Seen"})


# --- what is gone, refused, for later ------------------------------------------------------------------------------


def test_a_refused_move_goes_back_with_all_that_followed(home: Home) -> None:
    with home.store.edit("moves") as edit:
        edit.move([ONE], home.archive)
        edit.delete([ONE], for_good=True)
        edit.set_flags([TWO], add=["\\Seen"])
    first, second, flags = home.pending()
    with home.store.write("settle") as tx:
        tx.settle.attempt([first.id, second.id], None, None)
        tx.settle.refuse([first.id], "it may not be moved", "NO [NOPERM]")
        tx.settle.refuse([flags.id], "it may not be flagged")
    assert home.uids(home.inbox) == [1, 2, 3, 4]
    assert home.flags(2) == []
    assert home.log() == [("move", "refused"), ("delete", "refused"), ("flags", "refused")]


def test_a_refused_append_is_kept_when_asked_and_can_be_tried_again(home: Home) -> None:
    with home.store.edit("append") as edit:
        key = edit.append(home.archive, raw_mail(50))
    made = ids_of(home, key)
    with home.store.write("settle") as tx:
        tx.settle.refuse(made, "it is too big", "NO [TOOBIG]", keep=True)
    assert home.keys(home.archive) == [key]
    assert home.sound()
    with home.store.edit("retry") as edit:
        assert edit.retry(made) == 1
    assert home.log() == [("append", "queued")]


def refused_draft(home: Home, verb: str = "refuse") -> tuple[int, list[int]]:
    """Message 1 was replaced by a newer version, and moved on, and the server refuses that: its key, its rows."""
    with home.store.edit("append") as edit:
        key = edit.append(home.archive, raw_mail(50), flags=["\\Draft"], replaces=ONE)
        edit.move([key], home.inbox)
        edit.set_flags([key], add=["\\Seen"])
    made = ids_of(home, key)
    with home.store.write("settle") as tx:
        tx.settle.attempt(made[:2], EPOCH, 1)
        getattr(tx.settle, verb)(made[:1], "it is too big")
    return key, made[:2]


@pytest.mark.parametrize("verb", ["refuse", "gone"])
def test_new_mail_that_is_refused_stays_here_and_so_does_what_it_was_to_replace(
    home: Home, clock: Clock, verb: str
) -> None:
    key, made = refused_draft(home, verb)
    assert home.keys(home.inbox) == [1, 2, 3, 4, key]
    assert home.log()[:3] == [("append", "refused"), ("delete", "refused"), ("move", "refused")]
    clock.now += 90 * 86_400
    home.store.purge()
    with home.store.read() as view:
        assert view.raw(key) == raw_mail(50)
    with home.store.edit("again") as edit:
        assert edit.retry(made) == 2
    one = net([one for one in home.pending() if one.id in made])
    assert (one.source, one.target) == (Source.OCTETS, home.inbox)


@pytest.mark.parametrize("way", ["cancel", "delete", "delete for good"])
def test_new_mail_that_was_refused_can_be_given_up(home: Home, way: str) -> None:
    key, made = refused_draft(home)
    with home.store.edit("give up") as edit:
        if way == "cancel":
            edit.cancel(made)
        else:
            edit.delete([MessageKey(key)], for_good=way == "delete for good")
    assert home.keys(home.inbox) == [1, 2, 3, 4]
    assert home.keys(home.trash) == []
    assert home.pending() == []
    assert home.log() == [("delete", "refused")]


def test_new_mail_that_was_deleted_here_before_it_was_refused_stays_deleted(home: Home) -> None:
    with home.store.edit("append") as edit:
        key = edit.append(home.archive, raw_mail(50))
    made = ids_of(home, key)
    with home.store.write("attempt") as tx:
        tx.settle.attempt(made, EPOCH, 1)
    with home.store.edit("delete") as edit:
        edit.delete([key], for_good=True)
    with home.store.write("settle") as tx:
        tx.settle.refuse(made, "it is too big")
    assert home.keys(home.archive) == []
    assert home.log() == [("append", "refused"), ("delete", "refused")]


def test_new_mail_in_a_folder_that_is_refused_stays_with_the_folder(home: Home) -> None:
    with home.store.edit("create") as edit:
        folder = edit.create_folder(ACCOUNT, FolderPath(("New",)))
        below = edit.create_folder(ACCOUNT, FolderPath(("New", "below")))
        edit.move([ONE], folder)
        edit.copy([TWO], below)
        key = edit.append(below, raw_mail(50))
    made = [one.id for one in home.pending() if one.message in (None, key)]
    with home.store.write("settle") as tx:
        tx.settle.refuse([home.pending()[0].id], "no more folders")
    assert home.uids(home.inbox) == [1, 2, 3, 4]
    assert home.keys(below) == [key]
    assert {state for _, state in home.log()} == {"refused"}
    with home.store.edit("again") as edit:
        assert edit.retry(made) == 3
    with home.store.edit("given up") as edit:
        edit.cancel(made[:1])
    assert home.pending() == []
    with home.store.read() as view:
        assert {str(one.path) for one in view.folders()} == {"INBOX", "Archive", "Trash"}


@pytest.mark.parametrize("verb", ["move", "copy", "append"])
def test_flags_of_a_message_that_is_gone_do_not_end_what_is_wanted_of_its_place(home: Home, verb: str) -> None:
    with home.store.edit("both") as edit:
        match verb:
            case "move":
                key, _ = ONE, edit.move([ONE], home.archive)
            case "copy":
                (key,) = edit.copy([ONE], home.archive)
            case _:
                key = edit.append(home.archive, raw_mail(50))
        (flags,) = edit.set_flags([key], add=["work"])
    with home.store.write("gone") as tx:
        tx.settle.gone([flags], "it is gone on the server")
    assert home.keys(home.archive) == [key]
    assert home.log() == [(verb, "queued"), ("flags", "done")]
    with home.store.read() as view:
        assert (view.place(key) is not None) == (verb == "move")


def test_what_was_refused_and_kept_is_sent_again_with_what_builds_on_it(home: Home) -> None:
    with home.store.edit("append") as edit:
        key = edit.append(home.archive, raw_mail(50))
    with home.store.write("settle") as tx:
        tx.settle.refuse(ids_of(home, key), "the folder is closed", keep=True)
    with home.store.edit("elsewhere") as edit:
        edit.move([key], home.inbox)
    one = net(home.pending())
    assert (one.source, one.target) == (Source.OCTETS, home.inbox)


def test_later_waits_and_counts_a_try_and_unsent_is_queued_again(home: Home) -> None:
    with home.store.edit("move") as edit:
        (made,) = edit.move([ONE], home.archive)
    with home.store.write("settle") as tx:
        tx.settle.attempt([made], EPOCH, 4)
        tx.settle.later([made], BEGIN + timedelta(hours=1), "the folder is full", "NO [OVERQUOTA]")
        tx.settle.later([made], BEGIN + timedelta(hours=2), "still full")
        found = tx.view.operation(made)
        assert (found.tries, found.reason, found.next_try_at) == (2, "still full", BEGIN + timedelta(hours=2))
        assert (found.epoch_before, found.uid_next_before) == (EPOCH, 4)
        tx.settle.attempt([made], EPOCH, 4)
        tx.settle.unsent([made])
        assert tx.view.operation(made).state.value == "queued"
        tx.settle.hold([made], "too many at once")
    with home.store.edit("approve") as edit:
        assert edit.approve([made]) == 1
    assert home.log() == [("move", "queued")]


def test_what_is_gone_there_is_removed_here_and_all_its_work_closed(home: Home) -> None:
    with home.store.edit("both") as edit:
        edit.set_flags([ONE], add=["\\Seen"])
        edit.move([ONE], home.archive)
    with home.store.write("vanished") as tx:
        tx.remove_messages(home.inbox, EPOCH, UidSet([1]))
        assert tx.view.place(ONE) is None
        tx.settle.gone([ids_of(home, 1)[1]], "it is gone on the server")
    assert home.keys(home.archive) == []
    assert home.log() == [("flags", "done"), ("move", "done")]


def test_cancelling_a_move_of_what_is_gone_there_removes_it(home: Home) -> None:
    with home.store.edit("move") as edit:
        (made,) = edit.move([ONE], home.archive)
    with home.store.write("vanished") as tx:
        tx.remove_messages(home.inbox, EPOCH, UidSet([1]))
    with home.store.edit("cancel") as edit:
        edit.cancel([made])
    assert home.keys(home.inbox) == [2, 3, 4]
    assert home.keys(home.archive) == []


# --- what the engine meets meanwhile -------------------------------------------------------------------------------


def test_a_twin_is_renumbered_by_the_header_of_its_message(home: Home) -> None:
    with home.store.edit("both") as edit:
        edit.move([ONE], home.archive)
        edit.delete([TWO], for_good=True)
    with home.store.read() as view:
        rows = view.identities(home.inbox)
        assert sorted(row.message_id for row in rows) == [f"{n}@example.org" for n in (1, 2, 3, 4)]
        assert view.identities(home.archive) == []
        assert view.header_block(rows[-1].key).startswith(b"Received")
    with home.store.write("remap") as tx:
        tx.remap(home.inbox, EPOCH, [(row.key, Uid(row.uid + 10)) for row in rows], NINE)
    with home.store.read() as view:
        place = view.place(ONE)
        assert place is not None
        assert (place.epoch, place.uid) == (9, 11)


def test_headers_and_octets_that_come_for_a_twin_make_nothing_visible(home: Home) -> None:
    with home.store.edit("move") as edit:
        edit.move([ONE], home.archive)
    inbox = Inbox(home.store, home.inbox)
    assert inbox.show([1]) == 0
    assert inbox.bring([1]) == 0
    assert inbox.list(new(1)) == 0
    with home.store.read() as view:
        assert view.wanted_bodies(home.inbox) == []
        assert view.twins(home.inbox, UidSet.parse("1:9")) == UidSet()
    with home.store.write("revive") as tx:
        assert tx.revive(home.archive, EPOCH, [(ONE, Uid(7))]) == 0


def test_a_removed_message_that_a_deletion_is_about_does_not_come_back_elsewhere(home: Home) -> None:
    with home.store.edit("delete") as edit:
        edit.delete([ONE], for_good=True)
    with home.store.write("a copy there") as tx:
        assert tx.revive(home.archive, EPOCH, [(ONE, Uid(7))]) == 0
        tx.add_messages(home.archive, EPOCH, [new(7, minutes=1, size=1001)])
        tx.add_headers(home.archive, EPOCH, [(Uid(7), Encoder().header(header_of(raw_mail(1))))])
        tx.share(home.archive, EPOCH, UidSet([7]))
    assert 1 not in home.keys(home.archive)


# --- folders -------------------------------------------------------------------------------------------------------


def test_a_folder_that_was_made_here_is_the_one_that_is_listed(home: Home) -> None:
    with home.store.edit("create") as edit:
        folder = edit.create_folder(ACCOUNT, FolderPath(("New",)))
    with home.store.write("listed") as tx:
        assert tx.add_folder(ACCOUNT, listed("New")) == folder
        assert tx.view.folder(folder).state is FolderState.ACTIVE
    assert home.log() == [("create-folder", "done")]


def test_a_created_folder_has_its_name_and_a_renamed_one_keeps_its_path_meanwhile(home: Home) -> None:
    with home.store.edit("create") as edit:
        folder = edit.create_folder(ACCOUNT, FolderPath(("New",)))
        edit.rename_folder(home.archive, FolderPath(("Old",)))
        edit.subscribe(home.archive)
    created, renamed, _ = home.pending()
    with home.store.write("settle") as tx:
        tx.update_folder(home.archive, listed("Archive", subscribed=False))
        below = tx.add_folder(ACCOUNT, listed("Archive/below"))
        assert str(tx.view.folder(home.archive).path) == "Old"
        assert tx.view.folder(home.archive).subscribed
        assert str(tx.view.folder(below).path) == "Old/below"
        tx.settle.folder_created(created.id, b"New", "/")
        tx.settle.folder_renamed(renamed.id, {home.archive: b"Old", below: b"Old/below"})
        assert (tx.view.folder(folder).state, tx.view.folder(folder).name) == (FolderState.ACTIVE, b"New")
        assert tx.view.folder(home.archive).name == b"Old"
    assert [state for _, state in home.log()] == ["done", "done", "queued"]


def test_a_folder_that_was_renamed_on_while_the_first_name_was_sent_is_renamed_once_more(home: Home) -> None:
    with home.store.edit("rename") as edit:
        first = edit.rename_folder(home.archive, FolderPath(("One",)))
        second = edit.rename_folder(home.archive, FolderPath(("Two",)))
    assert first is not None
    assert second is not None
    with home.store.write("settle") as tx:
        tx.settle.folder_renamed(first, {home.archive: b"One"})
        assert (tx.view.folder(home.archive).name, str(tx.view.folder(home.archive).path)) == (b"One", "Two")
        assert [one.id for one in tx.view.operations()] == [second]
        tx.settle.folder_renamed(second, {home.archive: b"Two"})
    assert home.log() == [("rename-folder", "done")] * 2
    with home.store.edit("rename") as edit:
        third = edit.rename_folder(home.archive, FolderPath(("Three",)))
        edit.rename_folder(home.archive, FolderPath(("Four",)))
        edit.rename_folder(home.archive, FolderPath(("Five",)))
    assert third is not None
    with home.store.write("settle") as tx:
        tx.settle.folder_renamed(third, {home.archive: b"Four"}, FolderPath(("Four",)))
    assert [state for _, state in home.log()] == ["done", "done", "done", "done", "queued"]


def test_a_deleted_folder_is_not_added_again_and_goes_once_it_is_gone(home: Home) -> None:
    inside = Inbox(home.store, home.archive)
    inside.fill(2)
    with home.store.edit("delete") as edit:
        edit.set_flags(home.keys(home.archive), add=["\\Seen"])
        made = edit.delete_folder(home.archive)
    assert made is not None
    with home.store.write("listed") as tx:
        assert tx.add_folder(ACCOUNT, listed("Archive")) == home.archive
    with home.store.write("settle") as tx:
        tx.settle.folder_done(made)
        assert {str(folder.path) for folder in tx.view.folders(hidden=True)} == {"INBOX", "Trash"}
    assert {state for _, state in home.log()} == {"done"}


def test_a_refused_deletion_of_a_folder_shows_it_again_with_its_mail(home: Home) -> None:
    inside = Inbox(home.store, home.archive)
    inside.fill(2)
    keys = home.keys(home.archive)
    with home.store.read() as view:
        since = view.cursor_seq()
    with home.store.edit("delete") as edit:
        made = edit.delete_folder(home.archive)
    assert made is not None
    page = home.store.changes(since)
    assert {type(one) for one in page.changes} == {MessageRemoved, FolderRemoved}
    with home.store.write("settle") as tx:
        tx.settle.refuse([made], "it is in use")
    assert home.keys(home.archive) == keys
    assert {type(one) for one in home.store.changes(page.cursor).changes} == {MessageAdded, FolderAdded}
    with home.store.read() as view:
        assert view.folder(home.archive).state is FolderState.ACTIVE


def test_a_refused_folder_takes_back_what_was_to_come_into_it(home: Home) -> None:
    with home.store.edit("create") as edit:
        folder = edit.create_folder(ACCOUNT, FolderPath(("New",)))
        below = edit.create_folder(ACCOUNT, FolderPath(("New", "below")))
        edit.move([ONE], folder)
        edit.append(below, raw_mail(50))
    with home.store.write("settle") as tx:
        tx.settle.refuse([home.pending()[0].id], "no more folders")
    assert home.uids(home.inbox) == [1, 2, 3, 4]
    assert {state for _, state in home.log()} == {"refused"}
    assert len(home.log()) == 4


def test_a_folder_that_is_gone_stays_for_the_mail_that_waits_to_get_into_it(home: Home) -> None:
    with home.store.edit("move") as edit:
        edit.move([ONE], home.archive)
    with home.store.write("gone") as tx:
        tx.remove_folder(home.archive)
        assert tx.view.folder(home.archive).state is FolderState.LOCAL
        tx.settle.recreate(home.archive, FolderPath(("Archive",)))
    assert home.keys(home.archive) == [1]
    assert [one.kind.value for one in home.pending()] == ["move", "create-folder"]


def test_an_account_is_removed_with_all_that_waits(home: Home) -> None:
    with home.store.edit("all") as edit:
        folder = edit.create_folder(ACCOUNT, FolderPath(("New",)))
        edit.move([ONE], folder)
        edit.append(home.archive, raw_mail(50))
    with home.store.write("remove") as tx:
        tx.remove_account(ACCOUNT)
    with home.store.read() as view:
        assert view.operations() == ()
        assert view.folders(hidden=True) == ()


def test_what_is_to_be_copied_out_of_a_deleted_folder_has_its_place_there_until_it_is(home: Home, clock: Clock) -> None:
    Inbox(home.store, home.archive).fill(2)
    (first, second) = home.keys(home.archive)
    with home.store.edit("copy") as edit:
        (copied,) = edit.copy([first], home.inbox)
    with home.store.edit("delete") as edit:
        edit.delete_folder(home.archive)
    clock.now += 30 * 86_400
    home.store.purge()
    with home.store.read() as view:
        place = view.place(first)
        assert place is not None
        assert (place.folder_id, place.epoch, place.uid) == (home.archive, EPOCH, 1)
        assert view.leaving(home.archive)
        assert not view.leaving(home.inbox)
        assert second not in home.keys(home.archive)
    with home.store.write("settle") as tx:
        at = Arrival(message=copied, folder_id=home.inbox, epoch=EPOCH, uid=Uid(9))
        tx.settle.arrived(ids_of(home, copied), [at])
        assert not tx.view.leaving(home.archive)
    assert home.uids(home.inbox) == [1, 2, 3, 4, 9]


def test_a_folder_that_is_to_be_deleted_waits_for_what_is_moved_out_of_it_and_not_for_what_is_removed(
    home: Home,
) -> None:
    Inbox(home.store, home.archive).fill(2)
    first, second = home.keys(home.archive)
    with home.store.edit("out") as edit:
        edit.move([first, second], home.inbox)
        edit.delete([second], for_good=True)
        edit.delete_folder(home.archive)
    with home.store.write("settle") as tx:
        assert tx.view.leaving(home.archive)
        tx.settle.unplaced([first])
        assert tx.view.place(first) is None
        assert not tx.view.leaving(home.archive)


def test_what_was_to_be_copied_and_is_gone_there_is_added_from_its_octets(home: Home) -> None:
    Inbox(home.store, home.archive).fill(1)
    (first,) = home.keys(home.archive)
    with home.store.edit("copy") as edit:
        (copied,) = edit.copy([first], home.inbox)
        edit.delete_folder(home.archive)
    with home.store.write("gone there") as tx:
        tx.settle.unplaced([first])
        assert tx.view.place(first) is None
        assert tx.settle.upload_instead(ids_of(home, copied))
    assert home.log() == [("copy", "done"), ("delete-folder", "queued"), ("append", "queued")]


def deleted_with_mail(home: Home) -> tuple[int, int]:
    """INBOX 1 was moved to Archive, and a draft was added there; then Archive was deleted. Its row, the draft's key."""
    Inbox(home.store, home.archive).fill(1)
    with home.store.edit("into it") as edit:
        edit.move([ONE], home.archive)
        draft = edit.append(home.archive, raw_mail(50), flags=["\\Draft"])
    with home.store.edit("delete") as edit:
        made = edit.delete_folder(home.archive)
    assert made is not None
    return made, draft


def test_mail_that_was_moved_into_a_folder_is_removed_with_it_and_not_before(home: Home) -> None:
    made, _ = deleted_with_mail(home)
    ids = [one.id for one in home.pending()]
    assert [state for kind, state in home.log() if kind == "delete"] == ["held", "held"]
    with home.store.read() as view:
        assert view.removed_with(home.archive) == 3
    with home.store.edit("not by itself") as edit:
        assert edit.approve(ids) == 0
    with home.store.write("held") as tx:
        tx.settle.hold([made], "it has mail")
    with home.store.edit("approve") as edit:
        assert edit.approve([made]) == 3
    assert {state for _, state in home.log()} == {"queued"}
    with home.store.read() as view:
        assert all(one.approved for one in view.operations() if one.kind.value == "delete")


@pytest.mark.parametrize("way", ["cancel", "refuse", "cancel everything", "cancel one of its mail"])
def test_a_deletion_of_a_folder_that_is_taken_back_brings_back_what_was_moved_into_it(home: Home, way: str) -> None:
    made, draft = deleted_with_mail(home)
    if way == "refuse":
        with home.store.write("no") as tx:
            tx.settle.refuse([made], "it is in use")
    else:
        ids = [one.id for one in home.pending()]
        with home.store.edit("cancel") as edit:
            edit.cancel({"cancel": [made], "cancel everything": ids}.get(way, [ids[2]]))
    if way == "cancel everything":
        assert home.uids(home.inbox) == [1, 2, 3, 4]
        assert home.uids(home.archive) == [1]
        return
    assert home.keys(home.inbox) == [2, 3, 4]
    assert {1, draft} < set(home.keys(home.archive))
    assert [one.kind.value for one in home.pending()] == ["move", "append"]
    assert home.flags(draft) == ["\\Draft"]


def test_mail_that_was_moved_into_a_folder_that_is_gone_before_anybody_approved_is_where_it_was(home: Home) -> None:
    deleted_with_mail(home)
    with home.store.write("gone there") as tx:
        tx.remove_folder(home.archive)
    assert home.uids(home.inbox) == [1, 2, 3, 4]
    assert home.pending() == []


def test_mail_on_its_way_into_a_folder_that_was_deleted_and_is_gone_goes_with_it(home: Home) -> None:
    with home.store.edit("move") as edit:
        edit.move([ONE, TWO], home.archive)
    with home.store.write("moved") as tx:
        tx.settle.arrived(ids_of(home, 1), [arrival(home, 1, 7)])
        tx.settle.arrived_somewhere(ids_of(home, 2))
    with home.store.edit("delete") as edit:
        edit.move([THREE], home.archive)
        edit.delete_folder(home.archive)
    with home.store.write("gone there") as tx:
        tx.remove_folder(home.archive)
    assert home.keys(home.inbox) == [3, 4]
    assert home.pending() == []


def test_mail_that_was_moved_into_a_folder_and_is_approved_is_removed_though_the_folder_is_gone(home: Home) -> None:
    made, _ = deleted_with_mail(home)
    with home.store.write("held") as tx:
        tx.settle.hold([made], "it has mail")
    with home.store.edit("approve") as edit:
        edit.approve([made])
    with home.store.write("done") as tx:
        tx.settle.folder_done(made)
    assert [(one.kind.value, one.message) for one in home.pending()] == [("move", 1), ("delete", 1)]
    assert net(home.pending()).deleted


# --- conflicts -----------------------------------------------------------------------------------------------------


def conflict(home: Home, *choices: Choice, kind: ConflictKind = ConflictKind.CHANGED_AND_GONE) -> NewConflict:
    (one, *_) = home.pending()
    mine = Version(side=Side.MINE, place="Archive", at=BEGIN)
    theirs = Version(side=Side.THEIRS, deleted=True, flags=("a", "b"))
    return NewConflict(
        kind=kind, account=ACCOUNT, operation=one.id, message=one.message, versions=(mine, theirs), choices=choices
    )


@pytest.mark.parametrize(
    ("choice", "archive", "log"),
    [
        (Choice.KEEP_MINE, [1], ["done", "queued"]),
        (Choice.KEEP_BOTH, [1], ["done", "queued"]),
        (Choice.KEEP_RECENT, [1], ["done", "queued"]),
        (Choice.KEEP_THEIRS, [], []),
        (Choice.REMOVE, [], ["done"]),
    ],
)
def test_a_moved_message_that_is_gone_there_is_decided_by_a_person(
    home: Home, choice: Choice, archive: list[int], log: list[str]
) -> None:
    with home.store.edit("move") as edit:
        edit.move([ONE], home.archive)
    with home.store.write("vanished") as tx:
        tx.remove_messages(home.inbox, EPOCH, UidSet([1]))
        made = tx.settle.conflict(conflict(home, choice))
        assert [one.id for one in tx.view.conflicts(ACCOUNT)] == [made]
        assert tx.view.operations()[0].state.value == "conflict"
    with home.store.write("decided") as tx:
        tx.settle.resolve(made, Choice.SKIP)
        with pytest.raises(ValueError, match="does not offer"):
            tx.settle.resolve(made, next(one for one in Choice if one not in (choice, Choice.SKIP)))
        tx.settle.resolve(made, choice)
        with pytest.raises(UnknownConflict):
            tx.settle.resolve(made, choice)
        assert tx.view.conflicts() == ()
        (kept,) = tx.view.conflicts(open=False)
        assert kept.found.versions[1].flags == ("a", "b")
    assert home.keys(home.archive) == archive
    assert [state for _, state in home.log()] == log


def test_a_conflict_of_what_was_taken_back_is_closed(home: Home) -> None:
    with home.store.edit("move") as edit:
        (made,) = edit.move([ONE], home.archive)
    with home.store.write("conflict") as tx:
        tx.settle.conflict(conflict(home, Choice.KEEP_MINE, kind=ConflictKind.MOVED_TWICE))
    with home.store.edit("cancel") as edit:
        edit.cancel([made])
    with home.store.read() as view:
        assert view.conflicts() == ()


def test_a_new_folder_that_is_refused_lets_go_of_what_was_put_below_and_into_it(home: Home) -> None:
    Inbox(home.store, home.archive).fill(2)
    (first, second) = home.keys(home.archive)
    with home.store.edit("deep") as edit:
        edit.move([first], home.trash)
        deep = edit.create_folder(ACCOUNT, FolderPath(("New", "er", "est")))
        edit.rename_folder(home.archive, FolderPath(("New", "er", "Archive")))
        edit.move([ONE, TWO], deep)
        edit.move([TWO], home.trash)
    with home.store.write("refused") as tx:
        tx.settle.refuse([tx.view.operations()[1].id], "not here")
        paths = sorted(str(folder.path) for folder in tx.view.folders(ACCOUNT))
        assert paths == ["Archive", "INBOX", "Trash"]
    assert (home.keys(home.inbox)[:2], home.keys(home.archive), home.keys(home.trash)) == (
        [ONE, TWO],
        [second],
        [first],
    )
    assert [one.kind.value for one in home.pending()] == ["move"]


def test_new_mail_that_was_moved_on_out_of_a_refused_folder_stays(home: Home) -> None:
    with home.store.edit("new") as edit:
        folder = edit.create_folder(ACCOUNT, FolderPath(("New",)))
        key = edit.append(folder, raw_mail(9))
        edit.move([key], home.trash)
        edit.rename_folder(home.archive, FolderPath(("New", "Archive")))
    with home.store.write("refused") as tx:
        tx.settle.refuse([tx.view.operations()[0].id], "not here")
        assert str(tx.view.folder(home.archive).path) == "Archive"
    assert home.keys(home.trash) == [key]
    assert home.pending() == []


def test_a_folder_that_keeps_its_name_is_the_one_that_was_made_in_its_place(home: Home) -> None:
    Inbox(home.store, home.archive).fill(2)
    (first, second) = home.keys(home.archive)
    with home.store.write("below") as tx:
        below = tx.add_folder(ACCOUNT, listed("Archive/2025"))
    with home.store.edit("replace") as edit:
        renamed = edit.rename_folder(home.archive, FolderPath(("Old",)))
        made = edit.create_folder(ACCOUNT, FolderPath(("Archive", "2025")))
        edit.subscribe(made)
        edit.move([first], made)
        edit.move([ONE], made)
        new = edit.append(made, raw_mail(9))
    assert renamed is not None
    with home.store.write("refused") as tx:
        tx.settle.refuse([renamed], "it stays")
        paths = {str(folder.path): folder.id for folder in tx.view.folders(ACCOUNT)}
        assert paths == {"Archive": home.archive, "Archive/2025": below, "INBOX": home.inbox, "Trash": home.trash}
    assert sorted(home.keys(below)) == sorted([first, ONE, new])
    assert home.keys(home.archive) == [second]
    assert [(one.kind.value, one.target_id or one.folder_id) for one in home.pending()] == [
        ("move", below),
        ("move", below),
        ("append", below),
    ]


def test_a_folder_and_the_one_below_keep_the_paths_they_were_given_whatever_is_listed_meanwhile(home: Home) -> None:
    with home.store.write("below") as tx:
        below = tx.add_folder(ACCOUNT, listed("Archive/2025"))
        deep = tx.add_folder(ACCOUNT, listed("Archive/2025/May"))
    with home.store.edit("rename") as edit:
        edit.rename_folder(home.archive, FolderPath(("Old",)))
        edit.rename_folder(below, FolderPath(("Last",)))
        edit.rename_folder(home.trash, FolderPath(("Old", "Archive")))
        edit.rename_folder(home.archive, FolderPath(("Archive",)))
    with home.store.write("listed") as tx:
        for folder, name in ((home.archive, "Archive"), (below, "Archive/2025"), (deep, "Archive/2025/May")):
            tx.update_folder(folder, listed(name))
        tx.update_folder(home.trash, listed("Trash", role=Role.TRASH))
        paths = [str(tx.view.folder(id).path) for id in (home.archive, below, deep, home.trash)]
    assert paths == ["Archive", "Last", "Last/May", "Archive/Archive"]
