"""Folders: which of the listed ones are those we know, which are new, which are gone. Pure.

Identity, strongest first (MAILBOXID is RFC 8474): the same object id; the same name, unless what the server says of
its epoch contradicts; a *unique* match of UIDVALIDITY, UIDNEXT and count (a rename, a swap of two names); the same name
after all (then the folder was recreated, and its messages are matched by content; where its epoch is the same one, only
an equal object id, or none, makes it the same folder). A server that gave every folder another object id proves nothing
by them.

Absence means something in a complete listing only, and a listing that forgets INBOX, or most of what was there
yesterday, is not believed: such folders are *missing*, and gone only when a later run misses them again.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from store.mail import FolderId, Role

from ..sources.base import FolderListing, RemoteFolder

__all__ = ["KnownFolder", "TreePlan", "plan_tree"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFolder:
    """A folder of the store, as far as identity goes. Numbers are those of the last complete visit."""

    id: FolderId
    name: bytes
    role: Role | None = None
    object_id: str | None = None
    epoch: int | None = None
    uid_next: int | None = None
    messages: int | None = None
    missing: bool = False
    """An earlier run already missed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreePlan:
    """What a listing says about the tree. Every known folder is in exactly one of *kept*, *missing*, *gone*."""

    added: tuple[RemoteFolder, ...] = ()
    kept: tuple[tuple[FolderId, RemoteFolder], ...] = ()
    renamed: frozenset[FolderId] = frozenset()
    """Those of *kept* whose name is another now."""
    missing: tuple[FolderId, ...] = ()
    """Not listed, and not yet believed to be gone."""
    gone: tuple[FolderId, ...] = ()
    suspicious: str = ""
    """Why absence was not believed, for a person; empty when it was."""


def plan_tree(known: Sequence[KnownFolder], listing: FolderListing) -> TreePlan:
    """Compare the *known* folders of an account with a *listing* of it."""
    pairs = _pairs(known, listing.folders)
    matched = {old.id for old, _ in pairs}
    taken = {remote.name for _, remote in pairs}
    absent = [old for old in known if old.id not in matched]
    doubt = _doubt(known, absent, listing)
    gone = {old.id: None for old in absent if not doubt or (old.missing and listing.complete)}
    return TreePlan(
        added=tuple(remote for remote in listing.folders if remote.name not in taken),
        kept=tuple((old.id, remote) for old, remote in pairs),
        renamed=frozenset(old.id for old, remote in pairs if old.name != remote.name),
        missing=tuple(old.id for old in absent if old.id not in gone),
        gone=tuple(gone),
        suspicious=doubt,
    )


def _doubt(known: Sequence[KnownFolder], absent: Sequence[KnownFolder], listing: FolderListing) -> str:
    """Return why *absent* folders are not believed to be gone, or nothing."""
    if not absent:
        return ""
    if not listing.complete:
        return "the list of folders did not come whole"
    if any(old.role is Role.INBOX for old in absent):
        return "the list of folders lacks INBOX"
    if len(absent) > max(3, len(known) // 2):
        return f"{len(absent)} of {len(known)} folders are not in the list of folders any more"
    return ""


def _pairs(known: Sequence[KnownFolder], listed: Sequence[RemoteFolder]) -> list[tuple[KnownFolder, RemoteFolder]]:
    """Return which known folder is which listed one, each at most once, in the order of the listing."""
    pairs: list[tuple[KnownFolder, RemoteFolder]] = []
    old_left, new_left = dict.fromkeys(known), dict.fromkeys(listed)

    def pair(old: KnownFolder, remote: RemoteFolder) -> None:
        pairs.append((old, remote))
        del old_left[old], new_left[remote]

    by_object = _unique((old.object_id, old) for old in known if old.object_id)
    for object_id, remote in _unique((new.object_id, new) for new in listed if new.object_id).items():
        if object_id in by_object:
            pair(by_object[object_id], remote)
    reissued = not pairs
    by_name = {remote.name: remote for remote in new_left}
    for old in list(old_left):
        same = by_name.get(old.name)
        if same is not None and same in new_left and not _contradicts(old, same, reissued):
            pair(old, same)
    by_numbers = _unique((_numbers_of_old(old), old) for old in old_left)
    for numbers, remote in _unique((_numbers_of_new(new), new) for new in new_left).items():
        if numbers is not None and numbers in by_numbers:
            pair(by_numbers[numbers], remote)
    for old in list(old_left):
        same = by_name.get(old.name)
        if (
            same is not None
            and same in new_left
            and (reissued or not _other_object(old, same) or _renumbered(old, same))
        ):
            pair(old, same)
    order = {remote: at for at, remote in enumerate(listed)}
    return sorted(pairs, key=lambda both: order[both[1]])


def _contradicts(old: KnownFolder, remote: RemoteFolder, reissued: bool) -> bool:
    """Tell whether a folder of the same name is plainly another one; *reissued*: its object id says nothing."""
    return (not reissued and _other_object(old, remote)) or _renumbered(old, remote)


def _other_object(old: KnownFolder, remote: RemoteFolder) -> bool:
    return bool(old.object_id and remote.object_id and old.object_id != remote.object_id)


def _renumbered(old: KnownFolder, remote: RemoteFolder) -> bool:
    epoch = remote.status.uid_validity if remote.status else None
    return epoch is not None and old.epoch is not None and epoch != old.epoch


Numbers = tuple[int, int, int] | None
K = TypeVar("K")
V = TypeVar("V")


def _numbers_of_old(old: KnownFolder) -> Numbers:
    if old.epoch is None or old.uid_next is None or old.messages is None:
        return None
    return old.epoch, old.uid_next, old.messages


def _numbers_of_new(remote: RemoteFolder) -> Numbers:
    status = remote.status
    if status is None or status.uid_validity is None or status.uid_next is None or status.messages is None:
        return None
    return status.uid_validity, status.uid_next, status.messages


def _unique(rows: Iterable[tuple[K, V]]) -> dict[K, V]:
    """Return what stands under a key that no other row has."""
    listed = list(rows)
    often = Counter(key for key, _ in listed)
    return {key: value for key, value in listed if often[key] == 1}
