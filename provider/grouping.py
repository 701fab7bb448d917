"""What a group of accounts means as a request, and which groups are Send/Receive All (F9). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from store.mail import AccountId
from store.mail.schedules import ALL_ACCOUNTS, Group

from .errors import InvalidRequest
from .request import SyncFlags, SyncRequest

__all__ = ["GroupRun", "f9_runs", "group_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRun:
    """What is to be sent and received for one group."""

    group: str
    request: SyncRequest
    send: bool
    receive: bool


def group_run(group: Group, here: Iterable[AccountId], request: SyncRequest = SyncRequest()) -> GroupRun:  # noqa: B008
    """Return what *group* means where the accounts *here* are; the group's folders, bodies and size count.

    Of *request* everything else counts: callback, trigger, urgency. Raises InvalidRequest when none of them is here.
    """
    known = tuple(here)
    wanted = tuple(one for one in group.accounts if one in known)
    if not known or (group.accounts and not wanted):
        raise InvalidRequest("None of the accounts of this group is here.")
    flags = request.flags & ~(SyncFlags.SYNC_GLOBAL_HEADERS | SyncFlags.SYNC_THESE_FOLDERS)
    if group.headers_only:
        flags |= SyncFlags.SYNC_GLOBAL_HEADERS
    if group.folders:
        flags |= SyncFlags.SYNC_THESE_FOLDERS
    return GroupRun(
        group=group.name,
        request=replace(
            request,
            flags=flags,
            accounts=wanted or known,
            folders=group.folders,
            size_octets_max=group.size_octets_max,
        ),
        send=group.send,
        receive=group.receive,
    )


def f9_runs(
    groups: Iterable[Group],
    here: Iterable[AccountId],
    request: SyncRequest = SyncRequest(),  # noqa: B008
    *,
    offline: bool = False,
) -> tuple[GroupRun, ...]:
    """Return what Send/Receive All means: each group that is part of it, then the accounts that no group names.

    So an account goes as its groups say, and one whose groups are all left out of F9 stays out. Groups without an
    account here are passed over. *offline*: the groups for when one works offline. Raises InvalidRequest when nothing
    is left.
    """
    known = tuple(here)
    named = [one for one in groups if one.accounts]
    wanted = [one for one in named if (one.on_f9_offline if offline else one.on_f9)]
    runs = [group_run(one, known, request) for one in wanted if set(one.accounts) & set(known)]
    rest = tuple(one for one in known if not any(one in group.accounts for group in named))
    if rest:
        everything = group_run(ALL_ACCOUNTS, known, request)
        runs.append(replace(everything, request=replace(everything.request, accounts=rest)))
    if not runs:
        raise InvalidRequest("No group of accounts that are here is part of Send/Receive All.")
    return tuple(runs)
