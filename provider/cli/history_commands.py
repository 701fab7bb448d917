"""``maildock history`` and ``maildock events``: what ran and how it went; what is wrong, and trying that again."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .accounts_file import AccountsFile
from .exits import ExitCode, Trouble
from .options import Json
from .output import count, moment, one_line, put, put_json, table
from .session import home_of, known_accounts, known_entry, opened, opened_to_read

if TYPE_CHECKING:
    from store import LogEntry, MailStore, Run

__all__ = ["app", "history"]

app = typer.Typer(help="What went wrong: one entry for as long as a thing lasts.", invoke_without_command=True)

Of = Annotated[str | None, typer.Option("--account", metavar="A", help="Only this account.")]
Ids = Annotated[list[int], typer.Argument(metavar="ID...", help="Events, by the id that `maildock events` prints.")]
ROWS_MAX = 10_000
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=ROWS_MAX, help="So many, the newest first.")]

RESULTS = {"": (4, "running"), "succeeded": (1, "succeeded"), "canceled": (3, "canceled"), "yielded": (4, "yielded")}
"""How a run ended -> ISynchronizationInfo.Result (4 Unknown) and a word; every other end is (2, failed)."""


def history(
    context: typer.Context,
    account: Of = None,
    limit: Limit = 20,
    errors: Annotated[bool, typer.Option("--errors", help="Only runs with errors, and each error.")] = False,
    json: Json = False,
) -> None:
    """List what ran: what started it, from when to when, how it ended, what it brought."""
    with opened_to_read(home_of(context)) as store, store.read() as view:
        found = view.runs(known_accounts(view, account), ROWS_MAX if errors else limit)
    runs = [run for run in found if not errors or run.errors or _result(run)[0] == 2][:limit]
    if json:
        for run in runs:
            put_json(_run_facts(run))
        return
    if not runs:
        put("No run had an error." if errors else "Nothing ran yet.")
        return
    heads = ("id", "account", "started", "ended", "by", "result", "new", "changed", "deleted", "errors")
    table(heads, [_run_row(run) for run in runs], right=[0, 6, 7, 8, 9])
    if errors:
        for run in runs:
            for error in run.errors:
                where = f" in {error.folder}" if error.folder else ""
                put(f"{run.id}: {error.severity}{one_line(where)}: {one_line(error.text)}")


@app.callback()
def events(
    context: typer.Context,
    account: Of = None,
    severity: Annotated[
        Literal["information", "warning", "error"] | None, typer.Option("--severity", help="Only these.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is over.")] = False,
    limit: Limit = 100,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one event a line.")] = False,
) -> None:
    """List what is wrong now, the newest first."""
    if context.invoked_subcommand is not None:
        return
    from ..manager.reports.alerts import alert_text

    with opened_to_read(home_of(context)) as store:
        with store.read() as view:
            chosen = known_accounts(view, account)
        entries = store.eventlog.entries(chosen, severity=severity, open=not everything, limit=limit)
        alerts = store.alerts.entries(chosen, open=True, limit=limit)
    if json:
        for entry in entries:
            put_json(_event_facts(entry))
        return
    for alert in alerts:
        put(f"Alert: {one_line(alert_text(alert))}")
    if entries:
        heads = ("id", "account", "severity", "first", "last", "times", "over", "about", "text")
        table(heads, [_event_row(entry) for entry in entries], right=[0, 5])
    else:
        put("Nothing is wrong.")


@app.command()
def alerts(
    context: typer.Context,
    account: Of = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Limit = 100,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one alert a line.")] = False,
) -> None:
    """List the alerts: accounts that fail, since when, and who was told."""
    from ..manager.reports.alerts import alert_facts, alert_text

    with opened_to_read(home_of(context)) as store:
        with store.read() as view:
            chosen = known_accounts(view, account)
        found = store.alerts.entries(chosen, open=not everything, limit=limit)
    if json:
        for one in found:
            put_json({**alert_facts(one), "told": sorted(one.told)})
    elif found:
        rows = [
            (
                one_line(one.account),
                moment(one.raised_at),
                moment(one.cleared_at),
                one_line(", ".join(sorted(one.told))) or "-",
                one_line(alert_text(one)),
            )
            for one in found
        ]
        table(("account", "raised", "over", "told", "text"), rows)
    else:
        put("There is no alert.")


@app.command()
def remove(context: typer.Context, ids: Ids, json: Json = False) -> None:
    """Forget events; one that comes again begins anew."""
    with opened(home_of(context)) as store:
        entries = _chosen(store, ids)
        done = store.eventlog.remove(entry.id for entry in entries)
    if json:
        put_json({"verb": "remove", "ids": [entry.id for entry in entries], "events": done})
    else:
        put(f"Forgotten: {count(done, 'event')}.")


@app.command()
def retry(context: typer.Context, ids: Ids, json: Json = False) -> int:
    """Synchronize again what events are about: the folder, the whole account, or its outbox. A success clears them."""
    from ..manager.control.retrying import retry_runs
    from .sync_command import run_request

    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    worst, hooks = ExitCode.COMPLETE, file.alerts.hooks()
    with opened(home) as store:
        for run in retry_runs(_chosen(store, ids)):
            values = [known_entry(file, name).account(None) for name in run.request.accounts or ()]
            code = run_request(store, values, run.request, json=json, send=run.send, receive=run.receive, hooks=hooks)
            worst = worst if code is ExitCode.COMPLETE else code
    return worst


def _chosen(store: "MailStore", ids: list[int]) -> "list[LogEntry]":
    """Return the events *ids*, each once. Raises Trouble for one that is not there."""
    known = {int(entry.id): entry for entry in store.eventlog.entries(limit=2**31)}
    for number in ids:
        if number not in known:
            raise Trouble(f"There is no event {number}.", ExitCode.USAGE, "maildock events --all shows the ids.")
    return [known[number] for number in dict.fromkeys(ids)]


def _result(run: "Run") -> tuple[int, str]:
    return RESULTS.get(run.status, (2, run.status))


def _run_facts(run: "Run") -> dict[str, object]:
    code, word = _result(run)
    return {
        "id": run.id,
        "account": run.account,
        "lane": run.lane,
        "trigger": run.trigger,
        "started_manually": run.trigger == "manual",
        "started": run.started_at.isoformat(),
        "ended": run.finished_at.isoformat() if run.finished_at else None,
        "result_code": code,
        "result": word,
        "counts": dict(run.counts),
        "errors": [
            {"severity": one.severity, "kind": one.kind, "folder": one.folder, "uid": one.uid, "text": one.text}
            for one in run.errors
        ],
    }


def _run_row(run: "Run") -> tuple[str, ...]:
    counts = run.counts
    return (
        str(run.id),
        one_line(run.account),
        moment(run.started_at),
        moment(run.finished_at),
        one_line(run.trigger),
        one_line(_result(run)[1]),
        f"{counts.get('new', 0):,}",
        f"{counts.get('modified', 0) + counts.get('read', 0):,}",
        f"{counts.get('deleted', 0):,}",
        str(sum(one.severity == "error" for one in run.errors)),
    )


def _event_facts(entry: "LogEntry") -> dict[str, object]:
    return {
        "id": entry.id,
        "account": entry.account,
        "item": entry.item,
        "severity": entry.severity,
        "kind": entry.kind,
        "folder": entry.folder,
        "uid": entry.uid,
        "text": entry.text,
        "run": entry.run,
        "first": entry.first_at.isoformat(),
        "last": entry.last_at.isoformat(),
        "count": entry.count,
        "cleared": entry.cleared_at.isoformat() if entry.cleared_at else None,
    }


def _event_row(entry: "LogEntry") -> tuple[str, ...]:
    return (
        str(entry.id),
        one_line(entry.account),
        entry.severity,
        moment(entry.first_at),
        moment(entry.last_at),
        f"{entry.count:,}",
        moment(entry.cleared_at),
        one_line(entry.folder or entry.item),
        one_line(entry.text),
    )
