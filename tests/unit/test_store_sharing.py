"""Octets that are here already: taken on proof or on a fingerprint, never on less, and never where two may be meant."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from store import (
    AccountId,
    BodyState,
    Encoder,
    FolderCursor,
    FolderId,
    MailStore,
    Message,
    MessageAdded,
    NewMessage,
    Role,
    Shared,
    open_store,
)
from store.mail import Uid, UidSet

from .store_kit import ACCOUNT, EPOCH, header_of, listed, raw_mail

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALL = UidSet.span(1, 1000)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Some folders of a store, and the verbs of a synchronization; mail is numbered, its UID is its place."""

    store: MailStore

    def folder(self, name: str, role: Role | None = None, account: AccountId = ACCOUNT) -> FolderId:
        with self.store.write("folder") as tx:
            tx.ensure_account(account)
            made = tx.add_folder(account, listed(name, role=role))
            tx.save_cursor(made, FolderCursor(epoch=EPOCH, uid_next=1, listed_from=1))
            return made

    def add(self, folder: FolderId, uid: int, **about: object) -> None:
        values: dict[str, object] = {"size": 500, "internal_date": DAY, **about}
        with self.store.write("list") as tx:
            tx.add_messages(folder, EPOCH, [NewMessage(uid=Uid(uid), **values)])  # type: ignore[arg-type]

    def bring(self, folder: FolderId, uid: int, raw: bytes, **about: object) -> Message:
        self.add(folder, uid, **about)
        with self.store.write("body") as tx:
            tx.add_chunks(folder, EPOCH, Encoder().start(Uid(uid)).chunk(raw, last=True))
        return self.message(folder, uid)

    def show(self, folder: FolderId, uid: int, raw: bytes, **about: object) -> None:
        self.add(folder, uid, **about)
        with self.store.write("header") as tx:
            tx.add_headers(folder, EPOCH, [(Uid(uid), Encoder().header(header_of(raw)))])

    def show_and_share(self, folder: FolderId, uid: int, raw: bytes, **about: object) -> Shared:
        """The header, and what follows from it, in one transaction, as a synchronization does it."""
        self.add(folder, uid, **about)
        with self.store.write("header") as tx:
            tx.add_headers(folder, EPOCH, [(Uid(uid), Encoder().header(header_of(raw)))])
            return tx.share(folder, EPOCH, ALL)

    def share(self, folder: FolderId, **how: object) -> Shared:
        with self.store.write("share") as tx:
            return tx.share(folder, EPOCH, ALL, **how)  # type: ignore[arg-type]

    def remove(self, folder: FolderId, uid: int) -> None:
        with self.store.write("remove") as tx:
            tx.remove_messages(folder, EPOCH, UidSet([uid]))

    def message(self, folder: FolderId, uid: int) -> Message:
        with self.store.read() as view:
            found = view.find_message(folder, Uid(uid))
        assert found is not None
        return found

    def raw(self, folder: FolderId, uid: int) -> bytes | None:
        message = self.message(folder, uid)
        with self.store.read() as view:
            return view.raw(message.key) if message.body is BodyState.FULL else None

    def assumed(self, folder: FolderId) -> list[int]:
        with self.store.read() as view:
            return [int(one.uid) for one in view.assumed(folder)]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """A store that is checked to its last octet when the test is over."""
    with open_store(tmp_path / "mail.db") as store:
        yield Shelf(store)
        assert store.check(full=True).problems == ()


RAW = raw_mail(1, 500)
OTHER = header_of(RAW) + b"another body of the very same length".ljust(len(RAW) - len(header_of(RAW)), b".")
NOT_RECEIVED = RAW.replace(b"Received: ", b"X-Received: ")
NO_ID = RAW.replace(b"Message-ID: ", b"X-Message-ID: ")


# -- proof --------------------------------------------------------------------------------------------


def test_a_copy_with_the_same_email_id_has_header_and_octets_at_once_and_is_not_assumed(shelf: Shelf) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    shelf.bring(inbox, 1, RAW, email_id="E1")
    shelf.add(archive, 7, email_id="E1", flags=frozenset({"\\Seen"}))
    before = shelf.store.changes(0).cursor
    assert shelf.share(archive) == Shared(shown=1, whole=UidSet([7]), octets=500)
    assert shelf.raw(archive, 7) == shelf.raw(inbox, 1) == RAW
    assert shelf.assumed(archive) == []
    assert shelf.message(archive, 7).flags == {"\\Seen"}
    assert [type(change) for change in shelf.store.changes(before).changes] == [MessageAdded]
    with shelf.store.read() as view:
        counts = view.folder(archive).counts
    assert (counts.messages, counts.unseen, counts.bodies, counts.listed) == (1, 0, 1, 1)


def test_a_removed_message_that_appears_elsewhere_keeps_its_key_and_takes_the_server_s_flags(shelf: Shelf) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    key = shelf.bring(inbox, 1, RAW, email_id="E1", flags=frozenset({"\\Flagged"})).key
    shelf.remove(inbox, 1)
    shelf.add(archive, 7, email_id="E1", flags=frozenset({"\\Seen"}))
    shelf.share(archive)
    moved = shelf.message(archive, 7)
    assert (moved.key, moved.flags) == (key, {"\\Seen"})
    assert shelf.raw(archive, 7) == RAW
    shelf.add(archive, 8, email_id="E1")
    shelf.share(archive)
    assert shelf.message(archive, 8).key != key, "a key comes back once"
    assert shelf.raw(archive, 8) == RAW


def test_a_key_that_somebody_was_told_stays_although_the_removed_message_is_found_later(shelf: Shelf) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    old = shelf.bring(inbox, 1, RAW, email_id="E1").key
    shelf.remove(inbox, 1)
    shelf.show(archive, 7, RAW, email_id="E1")
    told = shelf.message(archive, 7).key
    shelf.share(archive)
    assert shelf.message(archive, 7).key == told != old
    assert shelf.raw(archive, 7) == RAW


def test_a_message_whose_header_alone_is_here_gives_that_and_its_key(shelf: Shelf) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    shelf.show(inbox, 1, RAW, email_id="E1")
    key = shelf.message(inbox, 1).key
    shelf.remove(inbox, 1)
    shelf.add(archive, 7, email_id="E1")
    assert shelf.share(archive) == Shared(shown=1)
    assert (shelf.message(archive, 7).key, shelf.raw(archive, 7)) == (key, None)


@pytest.mark.parametrize(
    "about", [{"size": 501}, {"internal_date": DAY.replace(second=1)}, {"email_id": "E2"}, {"email_id": None}]
)
def test_another_size_or_date_or_id_is_no_proof(shelf: Shelf, about: dict[str, object]) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    shelf.bring(inbox, 1, RAW, email_id="E1")
    shelf.add(archive, 7, **{"email_id": "E1", **about})
    assert shelf.share(archive) == Shared()


def test_one_email_id_with_two_contents_or_with_another_header_is_no_proof(shelf: Shelf) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    shelf.bring(inbox, 1, RAW, email_id="E1")
    shelf.show(archive, 7, raw_mail(2), email_id="E1")
    assert shelf.share(archive) == Shared()
    shelf.bring(inbox, 2, OTHER, email_id="E1")
    shelf.add(archive, 8, email_id="E1")
    assert shelf.share(archive) == Shared()


def test_the_policy_decides_whose_octets_are_taken(shelf: Shelf) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    for uid, date in ((1, DAY), (2, DAY.replace(year=2020)), (3, None), (4, DAY)):
        shelf.bring(inbox, uid, raw_mail(uid), email_id=f"E{uid}", size=uid * 100, internal_date=date)
        shelf.add(archive, uid, email_id=f"E{uid}", size=uid * 100, internal_date=date)
    shared = shelf.share(archive, size_max=300, newer_than=DAY.replace(year=2025))
    assert (shared.shown, shared.whole) == (4, UidSet([1, 3]))
    assert shelf.raw(archive, 2) is None


# -- fingerprints -------------------------------------------------------------------------------------


def test_a_message_that_looks_the_same_is_assumed_to_be_the_same(shelf: Shelf) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    shelf.bring(inbox, 1, RAW)
    shelf.show(archive, 7, RAW)
    assert shelf.share(archive, fingerprints=False) == Shared()
    assert shelf.share(archive) == Shared(whole=UidSet([7]), octets=500)
    assert shelf.raw(archive, 7) == RAW
    assert shelf.assumed(archive) == [7]


def test_a_move_that_is_seen_by_its_fingerprint_keeps_the_key_that_nobody_knows_otherwise(shelf: Shelf) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    key = shelf.bring(inbox, 1, RAW).key
    shelf.remove(inbox, 1)
    assert shelf.show_and_share(archive, 7, RAW).whole == UidSet([7])
    assert shelf.message(archive, 7).key == key
    assert shelf.assumed(archive) == [7]
    shelf.remove(archive, 7)
    assert shelf.show_and_share(inbox, 2, RAW).whole == UidSet([2])
    assert shelf.assumed(inbox) == [2], "what is assumed stays so on its way"


@pytest.mark.parametrize("here", [RAW, NOT_RECEIVED, NO_ID], ids=["as it is", "not received", "no Message-ID"])
@pytest.mark.parametrize(
    "about",
    [
        {},
        {"size": 501},
        {"size": None},
        {"internal_date": DAY.replace(second=1)},
        {"internal_date": None},
    ],
    ids=["the same", "size", "no size", "date", "no date"],
)
def test_less_than_a_whole_fingerprint_is_nothing(shelf: Shelf, here: bytes, about: dict[str, object]) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    shelf.bring(inbox, 1, here)
    shelf.show(archive, 7, here, **about)
    assert bool(shelf.share(archive).whole) is (here is RAW and not about)


@pytest.mark.parametrize("about", [{"size": None}, {"internal_date": None}], ids=["no size", "no date"])
def test_two_unknowns_are_not_equal(shelf: Shelf, about: dict[str, object]) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    shelf.bring(inbox, 1, RAW, **about)
    shelf.show(archive, 7, RAW, **about)
    with shelf.store.read() as view:
        assert view.look_alikes(archive, ALL) == view.shareable(archive, ALL) == UidSet()
    assert shelf.share(archive) == Shared()


@pytest.mark.parametrize("roles", [(Role.DRAFTS, None), (None, Role.DRAFTS)], ids=["from", "into"])
@pytest.mark.parametrize("removed", [False, True])
def test_drafts_are_never_taken_for_another(
    shelf: Shelf, roles: tuple[Role | None, Role | None], removed: bool
) -> None:
    first, second = shelf.folder("A", roles[0]), shelf.folder("B", roles[1])
    shelf.bring(first, 1, RAW)
    if removed:
        shelf.remove(first, 1)
    assert shelf.show_and_share(second, 7, RAW) == Shared()


def test_where_two_contents_look_the_same_none_is_taken(shelf: Shelf) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    shelf.bring(inbox, 1, RAW)
    shelf.bring(inbox, 2, OTHER)
    shelf.remove(inbox, 2)
    assert shelf.show_and_share(archive, 7, RAW) == Shared()


def test_many_copies_of_one_content_are_no_doubt(shelf: Shelf) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    keys = [shelf.bring(inbox, uid, RAW).key for uid in (1, 2, 3)]
    shelf.remove(inbox, 1)
    shelf.remove(inbox, 2)
    for uid in (7, 8, 9):
        assert shelf.show_and_share(archive, uid, RAW).whole == UidSet([uid])
    after = [shelf.message(archive, uid).key for uid in (7, 8, 9)]
    assert set(after[:2]) == set(keys[:2])
    assert after[2] not in keys


@pytest.mark.parametrize("email_id", ["E1", None])
def test_accounts_never_share(shelf: Shelf, email_id: str | None) -> None:
    ours, theirs = shelf.folder("INBOX"), shelf.folder("INBOX", account=AccountId("other"))
    shelf.bring(ours, 1, RAW, email_id=email_id)
    shelf.bring(ours, 2, RAW, email_id=email_id)
    shelf.remove(ours, 2)
    assert shelf.show_and_share(theirs, 7, RAW, email_id=email_id) == Shared()
    with shelf.store.read() as view:
        assert view.look_alikes(theirs, ALL) == view.twins(theirs, ALL) == UidSet()


@pytest.mark.parametrize("email_id", ["E1", None])
def test_a_purged_message_gives_nothing(tmp_path: Path, email_id: str | None) -> None:
    now = [DAY.timestamp()]
    with open_store(tmp_path / "mail.db", clock=lambda: now[0]) as store:
        shelf = Shelf(store)
        inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
        shelf.bring(inbox, 1, RAW, email_id=email_id)
        shelf.remove(inbox, 1)
        now[0] += 8 * 86_400
        store.purge()
        assert shelf.show_and_share(archive, 7, RAW, email_id=email_id) == Shared()
        assert store.check(full=True).problems == ()


# -- what to ask --------------------------------------------------------------------------------------


def test_only_a_row_with_date_and_size_of_a_whole_message_is_worth_its_header(shelf: Shelf) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    shelf.bring(inbox, 1, RAW)
    shelf.show(inbox, 2, raw_mail(2), size=600)
    shelf.bring(inbox, 3, raw_mail(3), size=700)
    shelf.remove(inbox, 3)
    for uid, size in ((7, 500), (8, 501), (9, 600), (10, 700)):
        shelf.add(archive, uid, size=size)
    with shelf.store.read() as view:
        assert view.look_alikes(archive, ALL) == UidSet([7, 10])
        assert view.look_alikes(archive, UidSet([8, 9, 10])) == UidSet([10])


def test_twins_are_rows_that_wait_for_the_same_octets(shelf: Shelf) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    shelf.add(inbox, 1, email_id="E1")
    shelf.add(archive, 7, email_id="E1")
    shelf.add(archive, 8, email_id="E2")
    shelf.add(archive, 9)
    with shelf.store.read() as view:
        assert view.twins(archive, ALL) == UidSet([7])
    with shelf.store.write("body") as tx:
        tx.add_chunks(inbox, EPOCH, Encoder().start(Uid(1)).chunk(RAW, last=True))
    with shelf.store.read() as view:
        assert view.twins(archive, ALL) == UidSet()
        assert view.shareable(archive, ALL) == UidSet([7])


# -- comparing ----------------------------------------------------------------------------------------


def test_what_was_compared_is_no_longer_assumed(shelf: Shelf) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    shelf.bring(inbox, 1, RAW)
    shelf.show_and_share(archive, 7, RAW)
    with shelf.store.read() as view:
        (assumed,) = view.assumed(archive)
    assert (assumed.octets, assumed.size) == (len(RAW), 500)
    with shelf.store.write("compared") as tx:
        assert tx.settle_assumed(archive, EPOCH, proven=[Uid(7)]) == 0
    assert shelf.assumed(archive) == []
    assert shelf.raw(archive, 7) == RAW


def test_a_mistaken_message_loses_the_octets_and_its_fingerprint_is_not_used_again(shelf: Shelf) -> None:
    inbox, archive = shelf.folder("INBOX"), shelf.folder("Archive")
    shelf.bring(inbox, 1, RAW)
    shelf.show_and_share(archive, 7, RAW)
    before = shelf.store.changes(0).cursor
    with shelf.store.write("compared") as tx:
        assert tx.settle_assumed(archive, EPOCH, refuted=[Uid(7), Uid(99)]) == 1
    assert shelf.raw(archive, 7) is None
    assert [int(change.seq) for change in shelf.store.changes(before).changes] == [before + 1]
    with shelf.store.read() as view:
        assert [need.uid for need in view.wanted_bodies(archive)] == [7]
    assert shelf.share(archive) == Shared(), "it is fetched, whatever it looks like"
    assert shelf.show_and_share(archive, 8, RAW) == Shared()
    with shelf.store.write("body") as tx:
        tx.add_chunks(archive, EPOCH, Encoder().start(Uid(7)).chunk(OTHER, last=True))
    assert shelf.raw(archive, 7) == OTHER
    assert shelf.assumed(archive) == []
    assert shelf.share(archive) == Shared()


def test_a_store_without_octets_is_not_searched_row_by_row(shelf: Shelf) -> None:
    inbox = shelf.folder("INBOX")
    for uid in range(1, 6):
        shelf.show(inbox, uid, raw_mail(uid), email_id=f"E{uid}")
    statements: list[str] = []
    with shelf.store.write("share") as tx:
        tx._w.connection.set_trace_callback(statements.append)
        tx.share(inbox, EPOCH, ALL)
        tx._w.connection.set_trace_callback(None)
    assert len([one for one in statements if "tombstones" in one or "email_id" in one]) == 1
