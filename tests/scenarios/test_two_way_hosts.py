"""What a host decides about two-way: directions, folders, dry runs, refusals, conflicts, drafts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from provider import Counts, ErrorKind, MailStoreProvider, SyncFlags, SyncRequest, SyncResult
from provider.errors import ProviderError
from provider.testing import MemoryServer
from store import MailStore
from store.mail import FolderId, FolderPath, MessageKey, Role
from store.mail.conflicts import Choice, ConflictKind, NewConflict
from store.mail.operations import Operation, OperationState

from .rig import HANG_SECONDS, checked_store

UP_CONTENTS, UP_TREE = SyncFlags.SYNC_UPLOAD_CONTENTS, SyncFlags.SYNC_UPLOAD_HIERARCHY
DOWN = SyncFlags.SYNC_DOWNLOAD_CONTENTS | SyncFlags.SYNC_DOWNLOAD_HIERARCHY


def letter(number: int) -> bytes:
    return f"Subject: {number}\r\nMessage-ID: <{number}@x>\r\nReceived: by y\r\n\r\nbody {number}\r\n".encode()


@dataclass
class Desk:
    """A server, a store in step with it, and a provider."""

    server: MemoryServer
    store: MailStore
    provider: MailStoreProvider

    def synchronize(self, **request: object) -> SyncResult:
        return self.provider.SynchronizeInBackground(SyncRequest(**request)).wait(HANG_SECONDS)  # type: ignore[arg-type]

    def folder(self, path: str) -> FolderId:
        with self.store.read() as view:
            return next(one.id for one in view.folders() if str(one.path) == path)

    def keys(self, path: str) -> list[MessageKey]:
        """Keys of a folder, oldest first."""
        with self.store.read() as view:
            return sorted(one.key for one in view.messages(self.folder(path)).messages)

    def subjects(self, path: str) -> list[str]:
        with self.store.read() as view:
            return sorted(one.subject for one in view.messages(self.folder(path)).messages)

    def there(self, path: str) -> list[str]:
        """Subjects on the server."""
        return sorted(one.octets.split(b"\r\n")[0].decode()[9:] for one in self.server.messages(path))

    def states(self) -> list[OperationState]:
        with self.store.read() as view:
            return [one.state for one in view.operations(pending=False)]

    def conflicts(self) -> list[ConflictKind]:
        with self.store.read() as view:
            return [one.found.kind for one in view.conflicts()]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    server = MemoryServer()
    for path, role in (("Work", None), ("Other", None), ("Trash", Role.TRASH), ("Drafts", Role.DRAFTS)):
        server.add_folder(path, role=role)
    for number in range(1, 4):
        server.append("INBOX", letter(number))
    with checked_store(tmp_path / "mail.db") as store, MailStoreProvider(store, [server.account()]) as provider:
        made = Desk(server, store, provider)
        assert made.synchronize().ok
        yield made


@dataclass
class Wise:
    """A host's resolver that remembers what it was asked."""

    keep: bool = False
    choose: Callable[[NewConflict], Choice | None] = lambda found: None
    asked: list[object] = field(default_factory=list)

    def keeps(self, operation: Operation, error: ProviderError) -> bool:
        self.asked.append((operation.kind, error.response_code))
        return self.keep

    def resolve(self, conflict: NewConflict) -> Choice | None:
        self.asked.append(conflict.kind)
        return self.choose(conflict)


def test_each_direction_works_alone(desk: Desk) -> None:
    with desk.store.edit("file it") as edit:
        edit.move(desk.keys("INBOX")[:1], desk.folder("Work"))
        edit.create_folder(desk.server.account().id, FolderPath(("New",)))
    desk.server.append("INBOX", letter(9))
    desk.server.add_folder("Theirs")

    desk.synchronize(flags=DOWN)
    assert desk.there("Work") == []
    assert desk.subjects("INBOX") == ["2", "3", "9"]
    desk.server.append("INBOX", letter(10))

    desk.synchronize(flags=UP_TREE)
    assert FolderPath(("New",)) in desk.server.paths
    assert (desk.there("Work"), desk.subjects("INBOX")) == ([], ["2", "3", "9"])

    desk.synchronize(flags=UP_CONTENTS)
    assert (desk.there("Work"), desk.subjects("INBOX")) == (["1"], ["2", "3", "9"])

    assert desk.synchronize().ok
    assert desk.subjects("INBOX") == ["10", "2", "3", "9"]


def test_only_the_folders_asked_for_are_sent(desk: Desk) -> None:
    with desk.store.edit("mark") as edit:
        edit.set_flags(desk.keys("INBOX"), add=["\\Flagged"])
        edit.append(desk.folder("Drafts"), letter(20))

    desk.synchronize(flags=SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_THESE_FOLDERS, folders=("Drafts",))

    assert desk.there("Drafts") == ["20"]
    assert all("\\Flagged" not in one.flags for one in desk.server.messages("INBOX"))


def test_a_dry_run_counts_both_ways_and_writes_nothing(desk: Desk) -> None:
    with desk.store.edit("much") as edit:
        new = edit.create_folder(desk.server.account().id, FolderPath(("New",)))
        edit.set_flags(desk.keys("INBOX")[1:2], add=["\\Flagged"])
        edit.move(desk.keys("INBOX")[:1], new)
        edit.append(desk.folder("Drafts"), letter(20))
    desk.server.append("Work", letter(30))
    desk.server.set_flags("INBOX", 3, ["\\Seen"])
    before, calls = desk.states(), len(desk.server.calls)

    result = desk.synchronize(dry_run=True)

    assert result.uploaded == Counts(new=2, modified=1, deleted=1, folders_new=1)
    assert (result.downloaded.new, result.downloaded.modified) == (1, 1)
    assert desk.states() == before
    assert not {call.split()[0] for call in desk.server.calls[calls:]} & {"move", "mark", "append", "create", "delete"}
    assert desk.subjects("Work") == []


def test_refused_new_mail_is_told_and_stays_here_until_a_person_gives_it_up(desk: Desk) -> None:
    desk.server.message_octets_max = 10
    with desk.store.edit("save") as edit:
        key = edit.append(desk.folder("Drafts"), letter(20))

    result = desk.synchronize()

    assert [error.response_code for error in result.errors] == ["TOOBIG"]
    assert desk.subjects("Drafts") == ["20"]
    assert desk.states() == [OperationState.REFUSED]
    assert desk.synchronize().ok
    with desk.store.edit("give up") as edit:
        edit.delete([key])
    assert desk.subjects("Drafts") == []
    assert desk.states() == []


def test_a_host_may_keep_what_was_refused_and_try_again(desk: Desk) -> None:
    desk.server.message_octets_max = 10
    with desk.store.edit("save") as edit:
        edit.append(desk.folder("Drafts"), letter(20))
    wise = Wise(keep=True)

    desk.synchronize(resolver=wise)

    assert desk.subjects("Drafts") == ["20"]
    assert len(wise.asked) == 1
    desk.server.message_octets_max = None
    with desk.store.read() as view:
        refused = [one.id for one in view.operations(pending=False)]
    with desk.store.edit("again") as edit:
        assert edit.retry(refused) == 1
    assert desk.synchronize().ok
    assert desk.there("Drafts") == ["20"]


def test_a_resolver_that_raises_changes_nothing(desk: Desk) -> None:
    class Broken:
        def keeps(self, operation: Operation, error: ProviderError) -> bool:
            raise RuntimeError("no idea")

        def resolve(self, conflict: NewConflict) -> Choice | None:
            raise RuntimeError("no idea")

    desk.server.message_octets_max = 10
    with desk.store.edit("save") as edit:
        edit.append(desk.folder("Drafts"), letter(20))

    assert [error.response_code for error in desk.synchronize(resolver=Broken()).errors] == ["TOOBIG"]
    assert desk.states() == [OperationState.REFUSED]


def moved_on_both_sides(desk: Desk) -> None:
    with desk.store.edit("mine") as edit:
        edit.move(desk.keys("INBOX")[:1], desk.folder("Work"))
    mail = desk.server.messages("INBOX")[0]
    desk.server.expunge("INBOX", mail.uid)
    desk.server.append("Other", mail.octets)


def test_what_was_moved_on_both_sides_stays_where_the_server_has_it_and_keeps_its_key(desk: Desk) -> None:
    key = desk.keys("INBOX")[0]
    moved_on_both_sides(desk)

    desk.synchronize()

    assert (desk.there("Work"), desk.there("Other")) == ([], ["1"])
    assert desk.keys("Other") == [key]
    assert desk.conflicts() == [ConflictKind.MOVED_TWICE]
    assert desk.synchronize().uploaded == Counts()


def test_a_person_may_decide_otherwise_afterwards(desk: Desk) -> None:
    moved_on_both_sides(desk)
    desk.synchronize()
    with desk.store.read() as view:
        (conflict,) = view.conflicts()

    with desk.store.edit("mine after all") as edit:
        edit.resolve(conflict.id, Choice.KEEP_MINE)
    desk.synchronize()

    assert (desk.there("Work"), desk.there("Other")) == (["1"], [])
    assert desk.conflicts() == []


def test_a_resolver_may_decide_at_once(desk: Desk) -> None:
    moved_on_both_sides(desk)

    desk.synchronize(resolver=Wise(choose=lambda found: Choice.KEEP_MINE))

    assert (desk.there("Work"), desk.there("Other")) == (["1"], [])


def test_what_was_moved_here_and_removed_there_is_added_again(desk: Desk) -> None:
    with desk.store.edit("keep") as edit:
        edit.move(desk.keys("INBOX")[:1], desk.folder("Work"))
    desk.server.expunge("INBOX", 1)

    desk.synchronize()

    assert desk.there("Work") == ["1"]
    assert desk.conflicts() == [ConflictKind.CHANGED_AND_GONE]
    again = desk.synchronize()
    assert (again.uploaded, again.downloaded) == (Counts(), Counts())


def test_what_was_deleted_here_and_worked_on_there_comes_back(desk: Desk) -> None:
    key = desk.keys("INBOX")[0]
    with desk.store.edit("away") as edit:
        edit.delete([key], for_good=True)
    desk.server.set_flags("INBOX", 1, ["\\Answered"])

    desk.synchronize()

    assert desk.there("INBOX") == ["1", "2", "3"]
    assert desk.keys("INBOX")[0] == key
    assert desk.conflicts() == [ConflictKind.DELETED_AND_CHANGED]


def test_what_was_deleted_here_and_only_read_there_goes(desk: Desk) -> None:
    with desk.store.edit("away") as edit:
        edit.delete(desk.keys("INBOX")[:1], for_good=True)
    desk.server.set_flags("INBOX", 1, ["\\Seen"])

    desk.synchronize()

    assert desk.there("INBOX") == ["2", "3"]
    assert desk.conflicts() == []


def draft_edited(desk: Desk) -> None:
    desk.server.append("Drafts", letter(40))
    desk.synchronize()
    with desk.store.edit("edit the draft") as edit:
        edit.append(desk.folder("Drafts"), letter(41), flags=["\\Draft"], replaces=desk.keys("Drafts")[0])


def test_the_newer_draft_is_there_before_the_older_one_goes(desk: Desk) -> None:
    draft_edited(desk)
    calls = len(desk.server.calls)

    desk.synchronize()

    assert desk.there("Drafts") == ["41"]
    verbs = [call for call in desk.server.calls[calls:] if call.startswith(("append", "delete"))]
    assert verbs.index("append Drafts") < verbs.index("delete Drafts")


def test_a_draft_whose_newer_version_is_refused_stays(desk: Desk) -> None:
    draft_edited(desk)
    desk.server.message_octets_max = 10

    desk.synchronize()

    assert desk.there("Drafts") == ["40"]
    assert desk.subjects("Drafts") == ["40", "41"]


def test_a_draft_edited_on_two_devices_is_kept_twice(desk: Desk) -> None:
    draft_edited(desk)
    desk.server.expunge("Drafts", desk.server.messages("Drafts")[0].uid)
    desk.server.append("Drafts", letter(42))

    desk.synchronize()

    assert desk.there("Drafts") == ["41", "42"]
    assert desk.subjects("Drafts") == ["41", "42"]
    assert desk.conflicts() == [ConflictKind.DRAFT_EDITED_TWICE]


def test_mail_marked_for_download_comes_whatever_the_policy(tmp_path: Path) -> None:
    from provider import FolderPolicy, Keep
    from store import BodyState

    server = MemoryServer()
    server.append("INBOX", letter(1))
    account = server.account(policy=FolderPolicy(keep=Keep.HEADERS))
    with checked_store(tmp_path / "mail.db") as store, MailStoreProvider(store, [account]) as provider:
        desk = Desk(server, store, provider)
        desk.synchronize()
        with store.edit("later") as edit:
            edit.mark_for_download(desk.keys("INBOX"))
        assert desk.synchronize().ok
        with store.read() as view:
            assert view.message(desk.keys("INBOX")[0]).body is BodyState.FULL
            assert view.operations() == ()


def test_mail_that_waits_for_room_and_is_moved_meanwhile_is_not_given_up(desk: Desk) -> None:
    desk.server.quota_octets = desk.server.octets()
    with desk.store.edit("save") as edit:
        key = edit.append(desk.folder("Drafts"), letter(20))
    desk.synchronize()
    with desk.store.edit("move it") as edit:
        edit.move([key], desk.folder("Work"))

    desk.synchronize()

    assert desk.subjects("Work") == ["20"]
    assert OperationState.LATER in desk.states()


def test_only_some_folders_asked_for_never_tear_what_is_wanted_of_one_message(desk: Desk) -> None:
    keys = desk.keys("INBOX")[:1]
    with desk.store.edit("there") as edit:
        edit.move(keys, desk.folder("Work"))
    with desk.store.edit("and on") as edit:
        edit.move(keys, desk.folder("Other"))

    desk.synchronize(flags=SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_THESE_FOLDERS, folders=("Other",))
    desk.synchronize()

    assert (desk.there("Work"), desk.there("Other")) == ([], ["1"])


def test_what_is_still_to_be_copied_is_not_removed_before(desk: Desk) -> None:
    desk.server.quota_octets = desk.server.octets()
    keys = desk.keys("INBOX")[:1]
    with desk.store.edit("copy") as edit:
        edit.copy(keys, desk.folder("Other"))
    desk.synchronize()
    with desk.store.edit("remove") as edit:
        edit.delete(keys, for_good=True)

    desk.synchronize()

    assert "1" in desk.there("INBOX")


def test_a_mass_deletion_waits_for_a_person_and_goes_once_it_is_approved(desk: Desk) -> None:
    for number in range(100, 160):
        desk.server.append("Other", letter(number))
    desk.synchronize()
    with desk.store.read() as view:
        keys = [one.key for one in view.messages(desk.folder("Other"), limit=100).messages]
    with desk.store.edit("away") as edit:
        edit.delete(keys, for_good=True)

    result = desk.synchronize()

    assert len(desk.there("Other")) == 60
    assert result.uploaded == Counts()
    with desk.store.read() as view:
        held = [one.id for one in view.operations() if one.state is OperationState.HELD]
    assert len(held) == 60
    with desk.store.edit("yes") as edit:
        assert edit.approve(held) == 60
    desk.synchronize()
    assert desk.there("Other") == []


def test_what_cannot_be_changed_says_so_and_stays_pending(tmp_path: Path) -> None:
    from provider import Account
    from store.mail import AccountId

    (tmp_path / "Maildir" / "cur").mkdir(parents=True)
    (tmp_path / "Maildir" / "new").mkdir()
    (tmp_path / "Maildir" / "tmp").mkdir()
    (tmp_path / "Maildir" / "cur" / "1:2,").write_bytes(letter(1))
    account = Account(id=AccountId("files"), kind="maildir", path=tmp_path / "Maildir")
    with checked_store(tmp_path / "mail.db") as store, MailStoreProvider(store, [account]) as provider:
        provider.SynchronizeInBackground().wait(HANG_SECONDS)
        with store.read() as view:
            key = view.all_messages().messages[0].key
        with store.edit("mark") as edit:
            edit.set_flags([key], add=["\\Flagged"])
        result = provider.SynchronizeInBackground().wait(HANG_SECONDS)
        with store.read() as view:
            assert len(view.operations()) == 1
    assert not [error for error in result.errors if error.kind is not ErrorKind.COMMAND_REFUSED]
