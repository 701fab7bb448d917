"""Mail as items: an account, each folder of it, and its outbox. Ids are stable; a folder's survives its renames.

    account:work · outbox:work · folder:17

Reading a store, and no more. Beside it the ``Book`` that remembers people's choices in that store.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from store import FolderState, HandlerRecord
from store.mail import AccountId, FolderId, FolderPath

from ...account import Account, FolderPolicy, Keep
from ..handlers.book import Kept
from ..handlers.handler import ID_CHARACTERS_MAX, HandlerId, Item, ItemId
from ..handlers.masks import ItemCan

if TYPE_CHECKING:
    from store import MailStore, ReadView

    from ...entry import MailStoreProvider

__all__ = [
    "MAIL",
    "OFF",
    "MailItems",
    "Place",
    "StoreBook",
    "account_item",
    "folder_item",
    "keep_nothing_of",
    "obey",
    "outbox_item",
    "switched_off",
    "wanted",
]

MAIL = HandlerId("maildock")
OFF = FolderPolicy(keep=Keep.NONE, size_octets_max=0)
"""The policy of a folder that people switched off: told from a host's own by its limit, which has no meaning here."""


def account_item(account: AccountId) -> ItemId:
    """Return the id of an account as a whole.

    >>> account_item("work"), len(account_item("w" * 64))
    ('account:work', 57)
    """
    return _named("account", account)


def outbox_item(account: AccountId) -> ItemId:
    """Return the id of an account's outbox."""
    return _named("outbox", account)


def folder_item(folder: FolderId) -> ItemId:
    """Return the id of a folder."""
    return ItemId(f"folder:{int(folder)}")


def _named(kind: str, account: AccountId) -> ItemId:
    """Account ids may be as long as an item's, and what is cut off must not make two of them one."""
    plain = f"{kind}:{account}"
    if len(plain) <= ID_CHARACTERS_MAX and plain == plain.strip() and not account.startswith("#"):
        return ItemId(plain)
    return ItemId(f"{kind}:#{hashlib.blake2b(account.encode(), digest_size=24).hexdigest()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What an item is about. *folder* None: the account, or its outbox."""

    account: AccountId
    folder: FolderPath | None = None
    outbox: bool = False


class MailItems:
    """The items of some accounts at one moment, by id and by place. Those that are *off* are found by id only."""

    def __init__(self, store: "MailStore", accounts: Iterable[Account], *, off: Collection[ItemId] = ()) -> None:
        self.items: dict[ItemId, Item] = {}
        self.places: dict[ItemId, Place] = {}
        self._ids: dict[tuple[AccountId, str | None, bool], ItemId] = {}
        with store.read() as view:
            known = frozenset(view.accounts())
            for account in accounts:
                for item, place in _of_account(view, account, account.id in known):
                    self.items[item.id], self.places[item.id] = item, place
                    path = None if place.folder is None else str(place.folder)
                    if item.id not in off:
                        self._ids[place.account, path, place.outbox] = item.id

    def id_of(self, account: AccountId, folder: str | None, outbox: bool = False) -> ItemId | None:
        """Return the id of what is at a place; *folder* by its path for people. None: nothing that is known."""
        return self._ids.get((account, folder, outbox))


def _of_account(view: "ReadView", account: Account, known: bool) -> Iterator[tuple[Item, Place]]:
    last = _last_success(view, account.id) if known else None
    folders = [one for one in view.folders(account.id) if one.selectable] if known else []
    messages = sum(one.counts.messages for one in folders)
    yield (
        Item(
            id=account_item(account.id),
            name=account.id,
            type_label="Account",
            comment=f"{messages:,} messages",
            last_sync=last,
            can=ItemCan.CONFLICT_STORE | ItemCan.EVENT_STORE,
        ),
        Place(account=account.id),
    )
    for one in folders:
        if one.state is FolderState.ACTIVE:
            yield (
                Item(
                    id=folder_item(one.id),
                    name=f"{account.id}: {one.path}",
                    type_label="Folder",
                    comment=f"{one.counts.messages:,} messages, {one.counts.unseen:,} unread",
                    last_sync=last,
                    can=ItemCan.CAN_DELETE,
                ),
                Place(account=account.id, folder=one.path),
            )
    if account.smtp is not None:
        waiting = len(view.submissions(account.id)) if known else 0
        yield (
            Item(
                id=outbox_item(account.id),
                name=f"{account.id}: outbox",
                type_label="Outbox",
                comment=f"{waiting:,} messages",
                last_sync=last,
            ),
            Place(account=account.id, outbox=True),
        )


def _last_success(view: "ReadView", account: AccountId) -> datetime | None:
    return next((run.finished_at for run in view.runs(account) if run.status == "succeeded"), None)


class StoreBook:
    """A ``Book`` in a mail store: it outlives the process, and other processes read it."""

    def __init__(self, store: "MailStore") -> None:
        self._store = store

    def kept(self, handler: HandlerId) -> Mapping[str, Kept]:
        """Return what is remembered, by item."""
        return {
            one.item: Kept(
                enabled=one.enabled,
                active=one.active,
                removed=one.removed,
                policies=one.policies,
                reason=one.reason,
                synced_at=one.synced_at,
            )
            for one in self._store.handlers.records(handler)
        }

    def keep(self, handler: HandlerId, item: ItemId | None, kept: Kept) -> None:
        """Remember it."""
        self._store.handlers.put(
            HandlerRecord(
                handler=handler,
                item=item or "",
                enabled=kept.enabled,
                active=kept.active,
                removed=kept.removed,
                policies=kept.policies,
                reason=kept.reason,
                synced_at=kept.synced_at,
            )
        )

    def synced(self, handler: HandlerId, items: Iterable[ItemId], at: datetime) -> None:
        """Remember when."""
        self._store.handlers.synced(handler, items, at)


def _off_items(store: "MailStore") -> frozenset[ItemId]:
    """Return the items that people do not want to be synchronized, or took out of the sync set."""
    kept = StoreBook(store).kept(MAIL)
    return frozenset(ItemId(item) for item, one in kept.items() if item and (one.enabled is False or one.removed))


def keep_nothing_of(provider: "MailStoreProvider", items: MailItems, off: Collection[ItemId]) -> None:
    """Let *provider* bring nothing of the folders that are *off*, and of the others what the host says.

    By today's paths: folders are renamed. Again and again is fine, by any number of those who say it.
    """
    for account in provider.accounts:
        paths = [
            str(place.folder)
            for item, place in items.places.items()
            if item in off and place.account == account.id and place.folder is not None
        ]
        hosts = tuple(one for one in account.policies if one[1] != OFF)
        policies = (*hosts, *((path, OFF) for path in paths))
        if policies != account.policies:
            # Whoever sets it anew at this moment wins: the next look puts our policies to that.
            provider.replace_account(replace(account, policies=policies), before=account)


def obey(store: "MailStore", provider: "MailStoreProvider") -> None:
    """Let *provider* do what people chose, as *store* remembers it."""
    off = _off_items(store)
    if off or any(one[1] == OFF for account in provider.accounts for one in account.policies):
        keep_nothing_of(provider, MailItems(store, provider.accounts), off)


def wanted(store: "MailStore", provider: "MailStoreProvider") -> tuple[AccountId, ...]:
    """Return the accounts of *provider* that may be started, and let it obey what people chose of their folders."""
    obey(store, provider)
    here = [one.id for one in provider.accounts]
    off = switched_off(store, here)
    return tuple(one for one in here if one not in off)


def switched_off(store: "MailStore", accounts: Iterable[AccountId]) -> frozenset[AccountId]:
    """Return those of *accounts* that people do not want to be synchronized; all when mail as a whole is off."""
    kept = StoreBook(store).kept(MAIL)
    own = kept.get("", Kept())
    if own.enabled is False or not own.active:
        return frozenset(accounts)
    off = {item for item, one in kept.items() if one.enabled is False or one.removed}
    return frozenset(one for one in accounts if account_item(one) in off)
