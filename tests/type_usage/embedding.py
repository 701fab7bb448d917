"""A host that embeds maildock, for the type checker: `mypy --strict` reads this file, nobody runs it.

Whatever the README tells people to write must pass here without a cast and without an ignore.
"""

import asyncio
from collections.abc import Iterator
from email.message import EmailMessage

from provider import (
    Account,
    CancelRequest,
    Credential,
    FolderPolicy,
    InvalidRequest,
    ItemStatus,
    Keep,
    MailStoreProvider,
    ProgressCallback,
    Security,
    SyncError,
    SyncFlags,
    SyncHandle,
    SyncProgress,
    SyncRequest,
    SyncResult,
    as_json,
)
from store import BadMessage, Cancelled, Folder, MailStore, Message, StoreError, Submission, open_store
from store.mail import AccountId, FolderPath, MessageKey, UidSet


class Window:
    """A callback as a host writes it: no base class, three verbs."""

    def progress(self, progress: SyncProgress, /) -> CancelRequest | None:
        if progress.messages_total is not None and progress.messages_done > progress.messages_total:
            return CancelRequest.ITEM
        return CancelRequest.ALL if progress.status is ItemStatus.PAUSED else None

    def error(self, error: SyncError, /) -> None:
        print(error.kind.value, error.needs.value, error.text, error.account, error.folder, error.uid)

    def done(self, result: SyncResult, /) -> None:
        new: int = result.downloaded.new
        print(result.ok, new, [item.status.value for item in result.items])


class Keyring:
    """A credential supplier as a host writes it."""

    def __call__(self, account: Account, *, refused: bool) -> Credential:
        return Credential("another" if refused else "secret")


def account() -> Account:
    return Account(
        id=AccountId("work"),
        host="imap.example.org",
        security=Security.STARTTLS,
        user="jo",
        credentials=Keyring(),
        policy=FolderPolicy(keep=Keep.HEADERS),
        policies=(("INBOX", FolderPolicy(size_octets_max=1_000_000)),),
    )


def synchronize(path: str) -> SyncResult:
    callback: ProgressCallback = Window()
    with open_store(path) as store, MailStoreProvider(store, [account()]) as provider:
        handle: SyncHandle = provider.SynchronizeInBackground(SyncRequest(callback=callback))
        handle.pause()
        handle.resume()
        handle.cancel()
        return handle.wait(timeout=5)


async def watch(store: MailStore) -> dict[str, object]:
    request = SyncRequest(
        flags=SyncFlags.ALL_DIRECTIONS | SyncFlags.SYNC_THESE_FOLDERS,
        folders=(FolderPath(("Lists", "a/b")), "INBOX"),
        deliver=asyncio.get_running_loop(),
    )
    with MailStoreProvider(store, [account()]) as provider:
        handle = provider.synchronize_in_background(request)
        async for event in handle.events():
            match event:
                case SyncProgress(folder=folder, phase=phase):
                    print(folder, phase.label)
                case SyncError(severity=severity):
                    print(severity.name)
                case SyncResult():
                    break
        return as_json(await handle)


def read(store: MailStore) -> Iterator[tuple[Folder, Message, bytes]]:
    with store.read() as view:
        for folder in view.folders(AccountId("work")):
            page = view.messages(folder.id, limit=50)
            while page.next is not None:
                for message in page.messages:
                    yield folder, message, b"".join(view.open_raw(message.key))
                page = view.messages(folder.id, limit=50, before=page.next)
            known: UidSet = view.uids(folder.id)
            print(len(known), folder.counts.unseen, str(folder.path))


def fetch(provider: MailStoreProvider, key: MessageKey) -> bool:
    try:
        return provider.fetch([key]).wait(timeout=30).ok
    except (InvalidRequest, StoreError, TimeoutError) as error:
        print(error)
        return False


def send(store: MailStore, letter: EmailMessage) -> Submission | None:
    try:
        submitted = store.outbox.submit(AccountId("work"), letter, key="letter 1")
    except BadMessage as error:
        print(error, error.line)
        return None
    if store.outbox.cancel(submitted.id) is Cancelled.BEING_SENT:
        with store.read() as view:
            return view.submission(submitted.id)
    print([(one.address, one.fate.value) for one in submitted.recipients], submitted.next_try)
    return None
