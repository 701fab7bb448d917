"""``maildock running``, ``stop``, ``pause``, ``resume``, ``offline``, ``online``: a say in what a daemon does."""

from typing import TYPE_CHECKING, Annotated

import typer

from .beside import desk_of
from .exits import ExitCode, Trouble
from .options import Json
from .output import count, hint, octets, one_line, put, put_json, table
from .session import home_of, opened, opened_to_read
from .state_commands import held_back

if TYPE_CHECKING:
    from store.mail import AccountId

    from .. import SyncProgress
    from ..manager.control.client import RemoteDesk
    from ..manager.control.desk import Underway

__all__ = ["offline", "online", "pause", "resume", "running", "stop"]

NO_DAEMON = "There is no daemon: maildock daemon"


def running(context: typer.Context, json: Json = False) -> None:
    """List what the daemon does at this moment: each run, its accounts and the folders at work."""
    with opened_to_read(home_of(context)) as store:
        desk, held = desk_of(store), held_back(store)
    if desk is None:
        hint(NO_DAEMON)
        return
    found = desk.running()
    for line in held:
        hint(line)
    if json:
        from ..manager.control.wire import underway_facts

        for one in found:
            put_json(underway_facts(one))
        return
    if not found:
        put("Nothing runs.")
        return
    heads = ("run", "by", "account", "folder", "status", "phase", "messages", "octets")
    table(heads, [row for one in found for row in _rows(one)], right=[0, 6, 7])


def stop(
    context: typer.Context,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN|ACCOUNT]", help="A run, as `maildock running` prints it, or an account; else all."
        ),
    ] = None,
    folder: Annotated[str | None, typer.Argument(metavar="[FOLDER]", help="Of that account, this folder only.")] = None,
    json: Json = False,
) -> None:
    """Stop what the daemon does, all of it or a part; what has arrived is kept."""
    if folder is not None and (what is None or what.isdecimal()):
        raise Trouble("A folder is of an account: name that first.", ExitCode.USAGE, "maildock running shows both.")
    with opened(home_of(context)) as store:
        desk = desk_of(store)
        if desk is None:
            raise Trouble("There is no daemon to be told.", ExitCode.ERRORS, "A sync in a terminal ends by Ctrl-C.")
        found = desk.running()
        if what is None:
            stopped = sum(desk.cancel(one.run_id) for one in found)
        elif what.isdecimal():
            stopped = int(desk.cancel(int(what)))
        else:
            with store.read() as view:
                account = _account(what, [*view.accounts(), *(item.account for one in found for item in one.items)])
            stopped = sum(_stop_item(desk, one, account, folder) for one in found)
    if what is not None and what.isdecimal() and not stopped:
        raise Trouble(f"There is no run {what}.", ExitCode.USAGE, "maildock running shows what there is.")
    if json:
        put_json({"verb": "stop", "stopped": stopped})
    else:
        put(f"Stopping: {count(stopped, 'run')}." if stopped else "Nothing of that runs.")


def pause(context: typer.Context, json: Json = False) -> None:
    """Let nothing start by itself until it is resumed; what runs goes on."""
    with opened(home_of(context)) as store:
        (desk_of(store) or store.schedules).pause()
    _put_verb("pause", "Paused: maildock resume", json=json)


def resume(context: typer.Context, json: Json = False) -> None:
    """Let what is due start again: one run for all that were missed."""
    with opened(home_of(context)) as store:
        (desk_of(store) or store.schedules).resume()
    _put_verb("resume", "Resumed.", json=json)


def offline(context: typer.Context, json: Json = False) -> None:
    """Let the daemon work offline: what runs is cancelled, and nothing starts but schedules that end in "offline"."""
    _set_link(context, "OFFLINE", "The daemon works offline: maildock online", json=json)


def online(context: typer.Context, json: Json = False) -> None:
    """Let the daemon work online again: everything is synchronized, and the outboxes are sent."""
    _set_link(context, "ONLINE", "The daemon works online.", json=json)


def _set_link(context: typer.Context, state: str, text: str, *, json: bool) -> None:
    from ..manager.surroundings.online import LinkState

    with opened(home_of(context)) as store:
        desk = desk_of(store)
        if desk is None:
            store.schedules.set_offline(state == "OFFLINE")
        else:
            desk.set_link(LinkState[state])
    _put_verb(state.lower(), text, json=json)


def _put_verb(verb: str, text: str, *, json: bool) -> None:
    if json:
        put_json({"verb": verb})
    else:
        put(text)


def _account(name: str, known: "list[AccountId]") -> "AccountId":
    from .session import unknown_account

    for one in known:
        if one == name:
            return one
    raise unknown_account(name, sorted(set(known)))


def _stop_item(desk: "RemoteDesk", one: "Underway", account: "AccountId", folder: str | None) -> bool:
    """Stop *account*, or a folder of it, where *one* is about it. True: it was."""
    from .. import ItemKind

    if one.accounts is not None and account not in one.accounts:
        return False
    if folder is None:
        # An account that waits for its turn was not heard of yet: both of its halves are told.
        desk.cancel_item(one.run_id, account, outbox=True)
        return desk.cancel_item(one.run_id, account)
    path = "INBOX" if folder.upper() == "INBOX" else folder
    at_work = any(
        (item.account, item.folder, item.item) == (account, path, ItemKind.FOLDER) and not item.status.terminal
        for item in one.items
    )
    return at_work and desk.cancel_item(one.run_id, account, path)


def _rows(one: "Underway") -> list[tuple[str, ...]]:
    """Return a line for each account and each folder at work; one for a run that waits for its turn."""
    head = (str(one.run_id), one.trigger.value)
    shown = [item for item in one.items if item.folder is None or not item.status.terminal]
    if not shown:
        accounts = "(all)" if one.accounts is None else one_line(", ".join(one.accounts), 40)
        return [(*head, accounts, "", "pending", "", "", "")]
    return [(*head, *_item_row(item)) for item in shown]


def _item_row(item: "SyncProgress") -> tuple[str, ...]:
    from .. import ItemKind

    name = "(outbox)" if item.item is ItemKind.OUTBOX else one_line(item.folder or "")
    of = "" if item.messages_total is None else f" of {item.messages_total:,}"
    messages = f"{item.messages_done:,}{of}" if item.messages_done or of else ""
    come = octets(item.octets_done) if item.octets_done else ""
    return one_line(item.account, 34), name, item.status.value, item.phase.label, messages, come
