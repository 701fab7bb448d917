"""What a session of mail comes to: requests for a provider, and decisions for a store. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from store.mail import AccountId, FolderPath
from store.mail.conflicts import Choice, Conflict, Version

from ...request import SyncFlags, SyncRequest, Trigger
from ..handlers.conflicts import Abilities, ConflictInfo, ConflictVersion, Resolution
from ..handlers.handler import ItemId, SessionCallback
from ..handlers.progress import PEOPLE
from .items import MailItems, Place, account_item

__all__ = ["Order", "choice_of", "conflict_of", "orders"]

_WAYS = {
    Choice.KEEP_MINE: Abilities.KEEP_SINGLE,
    Choice.KEEP_THEIRS: Abilities.KEEP_SINGLE,
    Choice.KEEP_BOTH: Abilities.KEEP_MULTIPLE,
    Choice.KEEP_RECENT: Abilities.KEEP_RECENT,
    Choice.REMOVE: Abilities.REMOVE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One request of a session."""

    request: SyncRequest
    items: tuple[ItemId, ...]
    send: bool = False
    receive: bool = True


def orders(items: MailItems, session: SessionCallback) -> list[Order]:
    """Return the requests that the items of a session come to: whole accounts together, folders account by account."""
    places = {one: items.places[one] for one in session.items if one in items.places}
    whole = [one.account for one in places.values() if one == Place(account=one.account)]
    outboxes = [one.account for one in places.values() if one.outbox]
    found: list[Order] = []

    def of(accounts: Iterable[AccountId], *, outbox: bool, received: bool) -> tuple[ItemId, ...]:
        chosen = set(accounts)
        return tuple(id for id, one in places.items() if one.account in chosen and (outbox if one.outbox else received))

    def add(accounts: list[AccountId], *, send: bool, receive: bool) -> None:
        if accounts:
            request = _request(session.trigger, tuple(accounts))
            chosen = of(accounts, outbox=send, received=receive)
            found.append(Order(request=request, items=chosen, send=send, receive=receive))

    add([one for one in whole if one in outboxes], send=True, receive=True)
    add([one for one in whole if one not in outboxes], send=False, receive=True)
    add([one for one in outboxes if one not in whole], send=True, receive=False)
    for account in dict.fromkeys(one.account for one in places.values() if one.folder is not None):
        if account not in whole:
            folders = {
                id: one.folder for id, one in places.items() if one.account == account and one.folder is not None
            }
            request = _request(session.trigger, (account,), tuple(folders.values()))
            found.append(Order(request=request, items=tuple(folders)))
    return found


def _request(trigger: Trigger, accounts: tuple[AccountId, ...], folders: tuple[FolderPath, ...] = ()) -> SyncRequest:
    flags = SyncFlags.ALL_DIRECTIONS
    if folders:
        flags |= SyncFlags.SYNC_THESE_FOLDERS
    if trigger not in PEOPLE:
        flags |= SyncFlags.SYNC_BACKGROUND
    return SyncRequest(flags=flags, accounts=accounts, folders=folders, trigger=trigger)


def conflict_of(one: Conflict) -> ConflictInfo:
    """Return a conflict of mail as one of any handler; both versions, ours first."""
    abilities = Abilities.NOTHING
    for choice in one.found.choices:
        abilities |= _WAYS.get(choice, Abilities.NOTHING)
    return ConflictInfo(
        id=str(int(one.id)),
        item=account_item(one.found.account),
        name=one.found.kind.value,
        detected_at=one.detected_at,
        versions=tuple(map(_version, one.found.versions)),
        abilities=abilities,
    )


def _version(one: Version) -> ConflictVersion:
    return ConflictVersion(name=one.side.value, place=one.place, deleted=one.deleted, at=one.at)


def choice_of(resolution: Resolution) -> Choice:
    """Return what a decision means for mail; SKIP: nothing."""
    if resolution.way is Abilities.KEEP_SINGLE:
        return Choice.KEEP_MINE if resolution.keep == (0,) else Choice.KEEP_THEIRS
    ways = {
        Abilities.KEEP_MULTIPLE: Choice.KEEP_BOTH,
        Abilities.KEEP_RECENT: Choice.KEEP_RECENT,
        Abilities.REMOVE: Choice.REMOVE,
    }
    return ways.get(resolution.way, Choice.SKIP)
