"""``maildock groups``, ``schedule``: what runs by itself, and when."""

from typing import TYPE_CHECKING, Annotated

import typer

from .accounts_file import AccountsFile
from .exits import ExitCode, Trouble
from .options import Json
from .output import iso, moment, octets, one_line, put, put_json, table
from .session import chosen_accounts, home_of, opened, opened_to_read

if TYPE_CHECKING:
    from datetime import datetime

    from store import Group, MailStore, ScheduleRecord

__all__ = ["groups", "schedule"]

ALL = "All accounts"
groups = typer.Typer(help="Groups of accounts that are sent and received together.", invoke_without_command=True)
schedule = typer.Typer(help="When groups run by themselves: maildock daemon runs them.", invoke_without_command=True)

Name = Annotated[str, typer.Argument(metavar="GROUP", help="A group, as `maildock groups` prints it.")]
Id = Annotated[int, typer.Argument(metavar="ID", help="A schedule, by the id that `maildock schedule` prints.")]
Members = Annotated[list[str], typer.Option("--account", metavar="A", help="An account in it; may be repeated.")]
Some = Annotated[list[str] | None, typer.Option("--account", metavar="A", help="An account in it; may be repeated.")]
Folders = Annotated[
    list[str] | None, typer.Option("--folder", metavar="F", help="Only this folder; may be repeated; '' for all.")
]
HeadersOnly = Annotated[bool | None, typer.Option("--headers-only/--bodies", help="Headers, no bodies.")]
Size = Annotated[
    int | None, typer.Option("--size-max", metavar="N", help="Larger messages stay headers; octets; -1: no limit.")
]
Send = Annotated[bool | None, typer.Option("--send/--no-send", help="Send what is due.")]
Receive = Annotated[bool | None, typer.Option("--receive/--no-receive", help="Synchronize.")]
OnF9 = Annotated[bool | None, typer.Option("--f9/--no-f9", help="Part of Send/Receive All.")]
F9 = {(True, True): "yes", (True, False): "online", (False, True): "offline", (False, False): "no"}
"""When a group is part of Send/Receive All: by whether it is online, and offline."""
OffF9 = Annotated[bool | None, typer.Option("--f9-offline/--no-f9-offline", help="Part of it while one works offline.")]


@groups.callback()
def list_groups(context: typer.Context, json: Json = False) -> None:
    """List the groups."""
    if context.invoked_subcommand is not None:
        return
    with opened_to_read(home_of(context)) as store:
        found = store.schedules.groups()
    if json:
        for one in found:
            put_json(_group_facts(one))
        return
    rows = [
        (
            one_line(one.name),
            one_line(", ".join(one.accounts), 40) or "(all)",
            "both" if one.send and one.receive else "send" if one.send else "receive",
            one_line(", ".join(map(str, one.folders)), 40) or "(all)",
            "headers" if one.headers_only else octets(one.size_octets_max),
            F9[one.on_f9, one.on_f9_offline],
        )
        for one in found
    ]
    table(("group", "accounts", "does", "folders", "limit", "F9"), rows)


@groups.command("add")
def add_group(
    context: typer.Context,
    name: Name,
    account: Members,
    folder: Folders = None,
    headers_only: HeadersOnly = None,
    size_max: Size = None,
    send: Send = None,
    receive: Receive = None,
    f9: OnF9 = None,
    f9_offline: OffF9 = None,
    json: Json = False,
) -> None:
    """Make a group. An account may be in several."""
    from store import Group
    from store.mail import AccountId

    with opened(home_of(context), create=True) as store:
        if any(one.name == name for one in store.schedules.groups()):
            raise Trouble(f"There is a group {name!r} already.", ExitCode.USAGE, "maildock groups set changes it.")
        try:
            group = Group(name=name, accounts=tuple(map(AccountId, account)))
        except ValueError as error:
            raise _refused(error) from None
        group = _written(context, store, group, account, folder, headers_only, size_max, send, receive, f9, f9_offline)
    _put_group("add", group, json=json)


@groups.command("set")
def set_group(
    context: typer.Context,
    name: Name,
    account: Some = None,
    folder: Folders = None,
    headers_only: HeadersOnly = None,
    size_max: Size = None,
    send: Send = None,
    receive: Receive = None,
    f9: OnF9 = None,
    f9_offline: OffF9 = None,
    json: Json = False,
) -> None:
    """Change a group; what is not named stays as it is."""
    with opened(home_of(context)) as store:
        group = store.schedules.group(name)
        group = _written(context, store, group, account, folder, headers_only, size_max, send, receive, f9, f9_offline)
    _put_group("set", group, json=json)


@groups.command("remove")
def remove_group(context: typer.Context, name: Name, json: Json = False) -> None:
    """Remove a group and its schedules; accounts and mail stay."""
    with opened(home_of(context)) as store:
        try:
            store.schedules.remove_group(name)
        except ValueError as error:
            raise _refused(error) from None
    _put_verb({"verb": "remove", "group": name}, f"Removed: {one_line(name)}.", json=json)


def _written(
    context: typer.Context,
    store: "MailStore",
    group: "Group",
    accounts: list[str] | None,
    folders: list[str] | None,
    headers_only: bool | None,
    size_max: int | None,
    send: bool | None,
    receive: bool | None,
    f9: bool | None,
    f9_offline: bool | None,
) -> "Group":
    from dataclasses import replace

    from store.mail import AccountId, FolderPath

    if accounts:
        chosen_accounts(AccountsFile.read(home_of(context).accounts_path), accounts)
    try:
        group = replace(
            group,
            accounts=tuple(map(AccountId, accounts)) if accounts else group.accounts,
            folders=group.folders if folders is None else tuple(FolderPath.parse(one) for one in folders if one),
            headers_only=group.headers_only if headers_only is None else headers_only,
            size_octets_max=group.size_octets_max if size_max is None else None if size_max == -1 else size_max,
            send=group.send if send is None else send,
            receive=group.receive if receive is None else receive,
            on_f9=group.on_f9 if f9 is None else f9,
            on_f9_offline=group.on_f9_offline if f9_offline is None else f9_offline,
        )
        store.schedules.put_group(group)
    except ValueError as error:
        raise _refused(error) from None
    return group


def _put_group(verb: str, group: "Group", *, json: bool) -> None:
    text = f"Group {one_line(group.name)}: {one_line(', '.join(group.accounts))}."
    _put_verb({"verb": verb, **_group_facts(group)}, text, json=json)


def _put_verb(facts: dict[str, object], text: str, *, json: bool) -> None:
    if json:
        put_json(facts)
    else:
        put(text)


def _refused(error: ValueError) -> Trouble:
    text = str(error)
    return Trouble(f"{text[:1].upper()}{text[1:]}.", ExitCode.USAGE, "maildock groups shows what there is.")


@schedule.callback()
def list_schedules(context: typer.Context, json: Json = False) -> None:
    """List the schedules, and when each runs next."""
    if context.invoked_subcommand is not None:
        return
    with opened_to_read(home_of(context)) as store:
        found, paused = store.schedules.all(), store.schedules.paused
    if json:
        for one in found:
            put_json({**_schedule_facts(one), "paused": paused})
        return
    if paused:
        put("Paused: maildock resume")
    rows = [
        (
            str(one.id),
            one_line(one.group),
            one_line(one.text),
            one.zone,
            "off" if not one.enabled else "running" if one.running else moment(one.due_at),
            moment(one.last_run),
            one_line(one.last_outcome, 60) or "-",
        )
        for one in found
    ]
    table(("id", "group", "when", "zone", "next run", "last run", "outcome"), rows, right=[0])


@schedule.command("add")
def add_schedule(
    context: typer.Context,
    group: Name,
    text: Annotated[str, typer.Argument(metavar="WHEN", help='For example "every 15 min" or "weekdays 08:00".')],
    zone: Annotated[str, typer.Option("--zone", metavar="Z", help="Whose clocks are meant: an IANA name.")] = "UTC",
    json: Json = False,
) -> None:
    """Let a group run by itself; 'All accounts' is always there."""
    due = _next(text, zone)
    if due is None:
        raise Trouble("This time is over.", ExitCode.USAGE)
    with opened(home_of(context), create=True) as store:
        id_ = store.schedules.add(group, text, zone=zone, next_run=due)
        facts = _schedule_facts(_found(store, id_))
    _put_verb({"verb": "add", **facts}, f"Schedule {id_}: next run {moment(due)}.", json=json)


@schedule.command("remove")
def remove_schedule(context: typer.Context, id: Id, json: Json = False) -> None:
    """Remove a schedule; its group stays."""
    with opened(home_of(context)) as store:
        store.schedules.remove(_found(store, id).id)
    _put_verb({"verb": "remove", "id": id}, f"Removed: schedule {id}.", json=json)


@schedule.command("enable")
def enable(context: typer.Context, id: Id, json: Json = False) -> None:
    """Let a schedule run again, from its next time on."""
    with opened(home_of(context)) as store:
        one = _found(store, id)
        due = _next(one.text, one.zone)
        store.schedules.set_enabled(one.id, enabled=True, next_run=due)
        facts = _schedule_facts(_found(store, id))
    _put_verb({"verb": "enable", **facts}, f"Schedule {id}: next run {moment(due)}.", json=json)


@schedule.command("disable")
def disable(context: typer.Context, id: Id, json: Json = False) -> None:
    """Let a schedule rest, and keep it."""
    with opened(home_of(context)) as store:
        store.schedules.set_enabled(_found(store, id).id, enabled=False, next_run=None)
        facts = _schedule_facts(_found(store, id))
    _put_verb({"verb": "disable", **facts}, f"Schedule {id} rests.", json=json)


def _found(store: "MailStore", number: int) -> "ScheduleRecord":
    for one in store.schedules.all():
        if one.id == number:
            return one
    raise Trouble(f"There is no schedule {number}.", ExitCode.USAGE, "maildock schedule shows what there is.")


def _next(text: str, zone: str) -> "datetime | None":
    from random import Random

    from .. import SystemClock
    from ..manager.schedule import BadSchedule, next_run, parse

    try:
        return next_run(parse(text, zone), SystemClock().now(), Random())
    except BadSchedule as error:
        raise Trouble(one_line(str(error)), ExitCode.USAGE) from None


def _group_facts(one: "Group") -> dict[str, object]:
    return {
        "group": one.name,
        "accounts": list(one.accounts),
        "send": one.send,
        "receive": one.receive,
        "folders": [str(path) for path in one.folders],
        "headers_only": one.headers_only,
        "size_max": one.size_octets_max,
        "f9": one.on_f9,
        "f9_offline": one.on_f9_offline,
    }


def _schedule_facts(one: "ScheduleRecord") -> dict[str, object]:
    return {
        "id": one.id,
        "group": one.group,
        "when": one.text,
        "zone": one.zone,
        "enabled": one.enabled,
        "running": one.running,
        "next_run": iso(one.next_run),
        "retry_at": iso(one.retry_at),
        "failures": one.failures,
        "last_run": iso(one.last_run),
        "outcome": one.last_outcome,
    }
