"""What forms do: each takes the fields of a POST, does one thing, and says where to go on and what to say there.

Everything here is done for a person who pressed a button; what runs goes on when the page is closed. Raises BadForm for
fields that make no sense, with one sentence for a person.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar
from urllib.parse import urlencode

from store import UnknownConflict, UnknownGroup, UnknownSubmission
from store.mail import AccountId
from store.mail.conflicts import Choice, ConflictId
from store.mail.submission import Cancelled, SubmissionId

from .. import InvalidRequest, SyncFlags, SyncRequest, Trigger, is_gone
from ..manager.control.group import f9_runs
from ..manager.control.retrying import retry_runs
from ..manager.mail.items import switched_off
from ..manager.surroundings.online import LinkState
from .center import Center
from .forms import BadForm, Fields, sentence

__all__ = ["ACTIONS", "Done"]

CHOSEN_MAX = 500
_T = TypeVar("_T")


class Done(NamedTuple):
    """Where to go on, and the word of ``words.SAID`` for what was done."""

    path: str
    said: str


def _back(fields: Fields, said: str, otherwise: str = "/") -> Done:
    """Go back to the page that the form names, one of ours; else *otherwise*."""
    word = fields.text("back")
    if word == "account":
        return Done(f"/account?{urlencode({'name': fields.text('account')})}", said)
    return Done({"running": "/running", "schedules": "/schedules"}.get(word, otherwise), said)


# --- what runs -------------------------------------------------------------------------------------------------------


def _sync(center: Center, fields: Fields) -> Done:
    group, account, folder = fields.text("group"), fields.text("account"), fields.text("folder")
    if account and account not in center.here:
        return _back(fields, "not-here")
    if fields.ticked("f9"):
        return _send_receive_all(center, fields)
    request = SyncRequest(trigger=Trigger.MANUAL, accounts=(AccountId(account),) if account else None)
    if folder:
        request = replace(request, flags=request.flags | SyncFlags.SYNC_THESE_FOLDERS, folders=(folder,))
    try:
        center.watch.start(request, send=not folder, group=group or None)
    except (InvalidRequest, UnknownGroup) as error:
        raise BadForm(sentence(error)) from None
    return _back(fields, "started")


def _send_receive_all(center: Center, fields: Fields) -> Done:
    """F9: each group that is part of it, then the accounts that no group names; not what people switched off."""
    off = switched_off(center.store, center.here)
    here = [one for one in center.here if one not in off]
    offline = center.store.schedules.offline
    asked = SyncRequest(trigger=Trigger.MANUAL)
    try:
        for one in f9_runs(center.store.schedules.groups(), here, asked, offline=offline):
            center.watch.start(one.request, send=one.send, receive=one.receive)
    except InvalidRequest as error:
        raise BadForm(sentence(error)) from None
    return _back(fields, "started")


def _stop(center: Center, fields: Fields) -> Done:
    """Stop one run, one account in all of them, or everything."""
    account = AccountId(fields.text("account"))
    if fields.text("run"):
        done = [center.desk.cancel(fields.number("run"))]
    elif account:
        runs = [(one.run_id, one.accounts) for one in center.desk.running()]
        done = [
            center.desk.cancel(run) if accounts == (account,) else center.desk.cancel_item(run, account)
            for run, accounts in runs
            if accounts is None or account in accounts
        ]
    else:
        done = [center.desk.cancel(one.run_id) for one in center.desk.running()]
    return _back(fields, "stopped" if any(done) else "over")


def _cancel(center: Center, fields: Fields) -> Done:
    """Stop one item of a run; the account itself when no folder is named."""
    account, folder = AccountId(fields.text("account")), fields.text("folder") or None
    outbox = fields.ticked("outbox")
    done = center.desk.cancel_item(fields.number("run"), account, folder, outbox=outbox)
    return _back(fields, "item-stopped" if done else "over", "/running")


def _pause(center: Center, fields: Fields) -> Done:
    return _wait_or_go(center, fields, center.desk.pause, "waits", "paused")


def _resume(center: Center, fields: Fields) -> Done:
    return _wait_or_go(center, fields, center.desk.resume, "goes-on", "resumed")


def _wait_or_go(center: Center, fields: Fields, tell: Callable[[int | None], bool], run: str, everything: str) -> Done:
    """Tell one run, those of an account, or the schedules."""
    account = fields.text("account")
    if fields.text("run"):
        return _back(fields, run if tell(fields.number("run")) else "over")
    if account:
        done = [tell(number) for number in center.watch.runs_of(AccountId(account))]
        return _back(fields, run if any(done) else "over")
    tell(None)
    return _back(fields, everything)


def _offline(center: Center, fields: Fields) -> Done:
    _set_link(center, LinkState.OFFLINE)
    return _back(fields, "offline")


def _online(center: Center, fields: Fields) -> Done:
    _set_link(center, LinkState.ONLINE)
    return _back(fields, "online")


def _set_link(center: Center, new: LinkState) -> None:
    center.desk.set_link(new)
    # A manager that is so already writes nothing, and a daemon that is gone may have left it otherwise.
    if center.store.schedules.offline is not (new is LinkState.OFFLINE):
        center.store.schedules.set_offline(new is LinkState.OFFLINE)


# --- what went wrong -------------------------------------------------------------------------------------------------


def _retry(center: Center, fields: Fields) -> Done:
    """Synchronize again what events are about: folders, whole accounts, or outboxes. A success clears them."""
    wanted = set(fields.numbers("id", CHOSEN_MAX))
    here = set(center.here)
    entries = [one for one in center.store.eventlog.entries(limit=2**31) if one.id in wanted]
    runs = retry_runs(one for one in entries if one.account in here)
    for run in runs:
        center.watch.start(run.request, send=run.send, receive=run.receive)
    if runs:
        return Done("/running", "started")
    return Done("/results", "not-here" if entries else "gone" if wanted else "nothing")


def _forget(center: Center, fields: Fields) -> Done:
    wanted = set(fields.numbers("id", CHOSEN_MAX))
    ids = [one.id for one in center.store.eventlog.entries(limit=2**31) if one.id in wanted]
    done = center.store.eventlog.remove(ids)
    return Done("/results", "forgotten" if done else "gone" if wanted else "nothing")


def _resolve(center: Center, fields: Fields) -> Done:
    """Resolve one conflict, or with it all of its kind that offer this choice."""
    number = fields.number("id")
    try:
        choice = Choice(fields.text("choice"))
    except ValueError:
        raise BadForm("This resolves no conflict.") from None
    try:
        with center.store.edit("resolve") as batch:
            waiting = batch.view.conflicts()
            first = next((one for one in waiting if one.id == number), None)
            ids = [ConflictId(number)]
            if first is not None and fields.ticked("all"):
                kind = first.found.kind
                ids = [one.id for one in waiting if one.found.kind is kind and choice in one.found.choices]
            for id_ in ids:
                batch.resolve(id_, choice)
    except UnknownConflict:
        return Done("/conflicts", "gone")
    except ValueError as error:
        raise BadForm(sentence(error)) from None
    return Done("/conflicts", "resolved")


# --- what goes out ---------------------------------------------------------------------------------------------------


def _take_back(center: Center, fields: Fields) -> Done:
    outcome = _of_submission(lambda id_: center.store.outbox.cancel(id_, is_gone=is_gone), fields)
    words = {Cancelled.REMOVED: "taken-back", Cancelled.BEING_SENT: "being-sent", Cancelled.NOT_IN_QUEUE: "sent"}
    return Done("/outbox", "gone" if outcome is None else words[outcome])


def _send_again(center: Center, fields: Fields) -> Done:
    done = _of_submission(lambda id_: center.store.outbox.retry(id_, is_gone=is_gone), fields)
    return Done("/outbox", "gone" if done is None else "again" if done else "being-sent")


def _of_submission(act: Callable[[SubmissionId], _T], fields: Fields) -> _T | None:
    try:
        return act(SubmissionId(fields.number("id")))
    except UnknownSubmission:
        return None


def _suspend(center: Center, fields: Fields) -> Done:
    center.store.outbox.suspend(_known(center, fields))
    return Done("/outbox", "suspended")


def _send(center: Center, fields: Fields) -> Done:
    center.store.outbox.resume(_known(center, fields))
    return Done("/outbox", "outbox-resumed")


def _known(center: Center, fields: Fields) -> AccountId:
    """Return the account that a form names, which the store or we have to know: a typed name makes no account."""
    account = AccountId(fields.text("account"))
    with center.store.read() as view:
        if account not in center.names(view):
            raise BadForm("There is no such account.")
    return account


ACTIONS: dict[str, Callable[[Center, Fields], Done]] = {
    "/sync": _sync,
    "/stop": _stop,
    "/cancel": _cancel,
    "/pause": _pause,
    "/resume": _resume,
    "/offline": _offline,
    "/online": _online,
    "/events/retry": _retry,
    "/events/forget": _forget,
    "/conflicts/resolve": _resolve,
    "/outbox/cancel": _take_back,
    "/outbox/retry": _send_again,
    "/outbox/suspend": _suspend,
    "/outbox/resume": _send,
}
"""By the path that a form is sent to; those of schedules and groups are in ``planning``."""
