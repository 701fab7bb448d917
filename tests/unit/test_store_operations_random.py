"""Any sequence of changes, cancelled in reverse, leaves what was there before; the store is sound after each step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import FolderId, FolderPath, MailStore, MessageKey, Role, StoreError, open_store

from .store_kit import ACCOUNT, BEGIN, Clock, Inbox, listed, raw_mail

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


def do(store: MailStore, step: tuple[int, int, int, str, bool]) -> None:
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
def test_what_is_cancelled_in_reverse_never_was(steps: list[tuple[int, int, int, str, bool]]) -> None:
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
