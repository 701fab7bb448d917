"""Any sequence of changes, cancelled in reverse, leaves what was there before; the store is sound after each step."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import (
    Arrival,
    BodyNotHere,
    Encoder,
    FolderExists,
    FolderId,
    FolderNotWritable,
    FolderPath,
    FolderState,
    MailStore,
    MessageKey,
    NotUndoable,
    Operation,
    OperationKind,
    Role,
    StoreError,
    UidSet,
    UnknownFolder,
    UnknownMessage,
    WriteTransaction,
    open_store,
)
from store.mail import Uid, UidValidity

from .store_kit import ACCOUNT, BEGIN, EPOCH, Clock, Inbox, header_of, listed, new, raw_mail

Step = tuple[int, int, int, str, bool]
BROUGHT = (OperationKind.MOVE, OperationKind.COPY, OperationKind.APPEND)
FLAGS = ("\\Seen", "\\Flagged", "work")
STEP = st.tuples(st.integers(0, 8), st.integers(0, 7), st.integers(0, 4), st.sampled_from(FLAGS), st.booleans())
"""Which verb, which message, which folder, which flag, and which of two."""


@contextmanager
def small_store() -> Iterator[MailStore]:
    """Three folders, one of them the trash, and six messages, one of them without octets."""
    with TemporaryDirectory() as directory, open_store(Path(directory) / "mail.db", clock=Clock()) as store:
        inbox = Inbox.made_in(store)
        inbox.fill(4)
        with store.write("folders") as tx:
            archive = Inbox(store, tx.add_folder(ACCOUNT, listed("Archive", subscribed=True)))
            tx.add_folder(ACCOUNT, listed("Trash", role=Role.TRASH))
        archive.fill(2)
        yield store


def seen_by_people(store: MailStore) -> object:
    """All that a view shows; a folder of which nobody told counts as not subscribed to."""
    with store.read() as view:
        return [
            (
                replace(folder, subscribed=bool(folder.subscribed)),
                sorted(view.messages(folder.id).messages, key=lambda message: message.key),
            )
            for folder in view.folders()
        ]


def do(store: MailStore, step: Step) -> None:
    """One change; one that makes no sense now raises and does nothing."""
    verb, which, where, flag, yes = step
    with store.read() as view:
        keys = [message.key for message in view.all_messages(ACCOUNT).messages]
        folders = [folder.id for folder in view.folders()]
    key = keys[which % len(keys)] if keys else MessageKey(999)
    folder = folders[where % len(folders)] if folders else FolderId(999)
    with store.edit("step") as edit:
        match verb:
            case 0:
                edit.set_flags([key], add=[flag] if yes else [], remove=[] if yes else [flag])
            case 1 | 2:
                edit.move([key], folder)
            case 3:
                edit.copy([key], folder)
            case 4:
                edit.delete([key], for_good=yes)
            case 5:
                edit.append(folder, raw_mail(100 + which), flags=[flag] if yes else [], internal_date=BEGIN)
            case 6:
                edit.create_folder(ACCOUNT, FolderPath(("New", str(which))))
            case 7:
                edit.rename_folder(folder, FolderPath((f"Moved {which}",)))
            case _:
                edit.delete_folder(folder) if yes else edit.subscribe(folder, which % 2 == 0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEP, min_size=1, max_size=10))
def test_what_is_cancelled_in_reverse_never_was(steps: list[Step]) -> None:
    with small_store() as store:
        before = seen_by_people(store)
        for step in steps:
            try:
                do(store, step)
            except (StoreError, ValueError):
                continue
            assert store.check().problems == ()
        while True:
            with store.read() as view:
                waiting = view.operations()
            if not waiting:
                break
            with store.edit("cancel") as edit:
                assert edit.cancel([waiting[-1].id]) >= 1
            assert store.check().problems == ()
        assert seen_by_people(store) == before


SAID = st.tuples(st.just(100), st.integers(0, 17), st.integers(0, 5), st.sampled_from(FLAGS), st.booleans())
"""What the server says, of which operation or message, and how."""


def hear(store: MailStore, step: Step, uids: Iterator[int]) -> None:
    """The server, or a person's second thought, about something that waits; nothing when nothing does."""
    _, what, which, flag, yes = step
    with store.read() as view:
        waiting, done = view.operations(), view.operations(pending=False)
        folders = [folder for folder in view.folders() if folder.state is FolderState.ACTIVE]
    if not folders:
        return
    folder = folders[which % len(folders)].id
    one = waiting[which % len(waiting)] if waiting else None
    with store.write("said") as tx:
        epoch = tx.view.cursor(folder).epoch or EPOCH
        here = list(tx.view.uids(folder))
        match what:
            case 0 if here:
                tx.set_flags(folder, epoch, [(Uid(here[which % len(here)]), frozenset({flag}), None)])
            case 1 if here:
                tx.remove_messages(folder, epoch, UidSet([here[which % len(here)]]))
            case 2:
                uid = Uid(next(uids))
                tx.add_messages(folder, epoch, [new(uid, minutes=which, size=1000 + which)])
                tx.add_headers(folder, epoch, [(uid, Encoder().header(header_of(raw_mail(100 + which))))])
                tx.share(folder, epoch, UidSet([uid]))
            case 3 if here:
                shift = [(row.key, Uid(row.uid + 1000)) for row in tx.view.identities(folder)]
                if epoch == EPOCH:
                    tx.remap(folder, epoch, shift, UidValidity(8))
            case 4 if len(folders) > 2:
                tx.remove_folder(folder)
            case _ if one is None:
                return
            case 5:
                tx.settle.attempt([other.id for other in waiting if other.message == one.message], None, None)
            case 6 | 7 if one.kind in BROUGHT:
                settle_message(tx, one, waiting, None if yes else Uid(next(uids)))
            case 8 if one.kind is OperationKind.DELETE:
                tx.settle.deleted([other.id for other in waiting if other.message == one.message])
            case 9 if one.kind is OperationKind.CREATE_FOLDER:
                tx.settle.folder_created(one.id, f"made {one.id}".encode(), "/")
            case 9 if one.kind is OperationKind.RENAME_FOLDER:
                tx.settle.folder_renamed(one.id, {one.folder_id: f"moved {one.id}".encode()})
            case 9 if one.message is None:
                tx.settle.folder_done(one.id)
            case 10:
                tx.settle.refuse([one.id], "no", keep=yes and one.message is not None)
            case 11 if one.message is not None:
                tx.settle.gone([one.id], "it is gone")
            case 14:
                tx.settle.hold([one.id], "a person has to approve it")
            case 15 if one.message is not None:
                tx.settle.unplaced([one.origin or one.message])
            case _:
                tx.settle.later([one.id], BEGIN, "not now") if yes else tx.settle.unsent([one.id])
    if what >= 16 and done:
        with store.edit("second thoughts") as edit:
            edit.approve(other.id for other in waiting)
            chosen = done[which % len(done)].id
            if not yes:
                edit.retry([chosen])
            elif what == 17:
                edit.cancel([chosen])
    if what == 13 and done:
        with store.edit("undo") as edit, suppress(NotUndoable):
            edit.undo(done[which % len(done)].batch)


def settle_message(tx: WriteTransaction, one: Operation, waiting: tuple[Operation, ...], uid: Uid | None) -> None:
    """Everything that waits for the message of *one* but its deletion and its flags is done."""
    mine = [other for other in waiting if other.message == one.message and other.kind in BROUGHT]
    target = tx.view.folder(mine[-1].target_id or mine[-1].folder_id)
    if uid is None or target.state is not FolderState.ACTIVE or one.message is None:
        tx.settle.arrived_somewhere([other.id for other in mine])
        return
    epoch = tx.view.cursor(target.id).epoch or EPOCH
    came = Arrival(message=one.message, folder_id=target.id, epoch=epoch, uid=uid)
    tx.settle.arrived([other.id for other in mine], [came])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.one_of(STEP, SAID), min_size=2, max_size=16))
def test_whatever_people_do_and_the_server_says_the_store_is_sound(
    steps: list[Step],
) -> None:
    uids = count(100)
    with small_store() as store:
        for step in steps:
            try:
                if step[0] == 100:
                    hear(store, step, uids)
                else:
                    do(store, step)
            except (UnknownFolder, FolderNotWritable, FolderExists, UnknownMessage, BodyNotHere, ValueError):
                continue
            assert store.check().problems == (), step
