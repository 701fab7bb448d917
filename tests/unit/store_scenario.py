"""One scenario of several transactions that touches every table, for the tests that make it fail or die anywhere."""

from collections.abc import Iterator
from pathlib import Path

from store import (
    Arrival,
    Encoder,
    Fate,
    FolderCursor,
    FolderPath,
    FolderState,
    MailStore,
    Recipient,
    SubmissionId,
    UidSet,
    open_store,
)
from store.mail import FolderId, MessageKey, Uid, UidValidity

from .store_kit import ACCOUNT, BEGIN, EPOCH, LARGE, Clock, Inbox, everything, listed, new, raw_mail

__all__ = ["States", "allowed_states", "prepare", "scenario", "state_of"]

LETTER = (
    b"From: me@example.org\nTo: you@example.org\nBcc: her@example.org\nSubject: number %d\n"
    b"Date: Thu, 01 Jan 2026 10:00:00 +0100\nMessage-ID: <sent-%d@example.org>\n\nHi\n"
)
States = list[dict[str, list[tuple[object, ...]]]]


def prepare(path: Path) -> None:
    """A store with an inbox of four messages and one that is half here."""
    with open_store(path, clock=Clock()) as store:
        run = store.start_run(ACCOUNT, trigger="test", flags=0, owner="earlier")
        inbox = Inbox.made_in(store)
        inbox.fill(4)
        inbox.list(new(5))
        with store.write("half") as tx:
            tx.add_chunks(inbox.folder, EPOCH, Encoder().start(Uid(5)).chunk(raw_mail(5, LARGE), last=False)[:1])
        store.finish_run(run, status="done", counts={})


def scenario(store: MailStore) -> Iterator[None]:
    """Do a bit of everything; yields after each transaction. Every value is fixed."""
    encoder = Encoder()
    with store.read() as view:
        (folder,) = (folder.id for folder in view.folders())
    run = store.start_run(ACCOUNT, trigger="test", flags=1, owner="scenario")
    yield
    with store.write("list", run=run) as tx:
        tx.add_messages(folder, EPOCH, [new(uid) for uid in (6, 7, 8)])
        tx.add_headers(folder, EPOCH, [(Uid(6), encoder.header(raw_mail(6)[:200]))])
        tx.save_cursor(folder, FolderCursor(epoch=EPOCH, uid_next=9, listed_from=1))
    yield
    chunks = encoder.start(Uid(5)).chunk(raw_mail(5, LARGE), last=True)
    with store.write("bodies", run=run, durable=True) as tx:
        tx.add_chunks(folder, EPOCH, [*chunks[:2], *encoder.start(Uid(7)).chunk(raw_mail(7), last=True)])
    yield
    with store.write("bodies", run=run) as tx:
        tx.add_chunks(folder, EPOCH, chunks[2:])
        tx.set_flags(folder, EPOCH, [(Uid(1), frozenset({"\\Seen"}), None), (Uid(5), frozenset({"work"}), None)])
        tx.set_trouble(folder, EPOCH, Uid(8), "missing", "not answered", BEGIN)
    yield
    with store.write("folders", run=run) as tx:
        other = tx.add_folder(ACCOUNT, listed("Other"))
        tx.update_folder(folder, listed("Renamed"))
        tx.set_folder_state(other, FolderState.MISSING, BEGIN, "gone")
    yield
    with store.write("remove", run=run) as tx:
        tx.remove_messages(folder, EPOCH, UidSet([2, 3, 8]))
        tx.remove_folder(other)
    yield
    with store.write("revive and remap", run=run) as tx:
        tx.revive(folder, EPOCH, [(MessageKey(2), Uid(2))])
        keys = [row.key for row in tx.view.identities(folder)]
        tx.remap(folder, EPOCH, [(key, Uid(key + 100)) for key in keys], UidValidity(8))
    yield
    with store.edit("change") as edit:
        away = edit.create_folder(ACCOUNT, FolderPath(("Away",)))
        edit.set_flags([MessageKey(6)], add=["\\Flagged"])
        edit.move([MessageKey(1), MessageKey(6)], away)
        edit.delete([MessageKey(4)], for_good=True)
        draft = edit.append(away, raw_mail(60, LARGE), flags=["\\Draft"])
    yield
    with store.write("settle", durable=True) as tx:
        created, _, one, six, gone, up = (operation.id for operation in tx.view.operations())
        tx.settle.attempt([one, gone, up], None, None)
        tx.settle.folder_created(created, b"Away", "/")
        tx.settle.flags(folder, UidValidity(8), {Uid(106): frozenset({"\\Flagged"})})
        tx.settle.arrived([up], [Arrival(message=draft, folder_id=away, epoch=UidValidity(1), uid=Uid(1))])
        tx.settle.arrived_somewhere([one])
        tx.settle.deleted([gone])
        tx.settle.refuse([six], "no")
    yield
    yield from _sending(store, away, draft)
    store.finish_run(run, status="done", counts={"new": 3})
    yield
    store.purge(tombstones_older_than_days=0)
    yield


def _sending(store: MailStore, folder: FolderId, draft: MessageKey) -> Iterator[None]:
    """Three messages leave: one is filed, one is taken back, one is in doubt."""
    outbox = store.outbox
    for number in (1, 2, 3):
        outbox.submit(ACCOUNT, LETTER % (number, number), key=str(number), draft=draft if number == 1 else None)
        yield
    for number in (1, 2, 3):
        one = outbox.claim(ACCOUNT, owner="scenario", filing=False)
        yield
        if one is None or number == 2:
            outbox.release(SubmissionId(2), "scenario")
            yield
            outbox.cancel(SubmissionId(2))
        else:
            outbox.about_to_end(one.id, "scenario")
            yield
            taken = [Recipient(address=address, fate=Fate.ACCEPTED) for address in one.waiting]
            outbox.settle(one.id, "scenario", taken if number == 1 else [], in_doubt=number == 3)
        yield
    outbox.claim(ACCOUNT, owner="scenario")
    yield
    outbox.filed(SubmissionId(1), "scenario", folder=folder)
    yield
    outbox.suspend(ACCOUNT)
    yield


def state_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row, without SQLite's own bookkeeping of ids (a rolled back insert does not move it)."""
    return everything(path)


def allowed_states(path: Path) -> States:
    """Every state in which the scenario may be found: before it, and after each of its commits."""
    states = [state_of(path)]
    with open_store(path, clock=Clock()) as store:
        store._database.tell = lambda: states.append(state_of(path))  # type: ignore[method-assign]
        for _ in scenario(store):
            continue
    return states
