"""``maildock status`` and ``maildock check``: how the accounts stand, and whether the store is whole."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from store.mail import AccountId

from .. import Standing, standing_of
from .accounts_file import AccountsFile
from .exits import ExitCode
from .options import Json
from .output import count, hint, one_line, put, put_json, table
from .session import home_of, opened_to_read
from .watching import HEADS, RIGHT, cells_of, watching

if TYPE_CHECKING:
    from store import MailStore

__all__ = ["check", "held_back", "status"]


def status(
    context: typer.Context,
    json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on telling, until Ctrl-C; without a terminal one line a change.")
    ] = False,
) -> None:
    """Tell how each account stands: state, last synchronization, last success, last error, counts."""
    from store import StoreMissing

    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    servers: dict[str, str | None] = {entry.name: entry.host for entry in file.accounts}
    servers |= {entry.name: entry.path for entry in file.imports}
    kinds = {entry.name: "imap" for entry in file.accounts} | {entry.name: entry.kind for entry in file.imports}
    try:
        with opened_to_read(home) as store:
            if watch:
                watching(lambda: _rows(store, servers, kinds), json=json)
                return
            rows = _rows(store, servers, kinds)
            held = held_back(store)
    except StoreMissing:
        if not servers:
            raise
        rows = [_facts(Standing(), name, kinds[name], server) for name, server in servers.items()]
        held = ()
    if json:
        for row in rows:
            put_json(row)
        return
    table(HEADS, [cells_of(row) for row in rows], right=RIGHT)
    for line in held:
        hint(line)


def held_back(store: "MailStore") -> tuple[str, ...]:
    """Return why nothing starts by itself, a line for each reason and what ends it; a pause is easily forgotten."""
    schedules = store.schedules
    paused = ("maildock: paused, nothing starts by itself: maildock resume",) if schedules.paused else ()
    offline = ("maildock: offline, schedules and push rest: maildock online",) if schedules.offline else ()
    return paused + offline


def _rows(store: "MailStore", servers: "dict[str, str | None]", kinds: dict[str, str]) -> list[dict[str, object]]:
    """Return the accounts of the file, then those that only the store knows."""
    now = datetime.now(UTC)
    with store.read() as view:
        names = dict.fromkeys([*servers, *view.accounts()])
        rows = []
        alerts = {alert.account: alert.raised_at for alert in store.alerts.entries(open=True, limit=len(names) or 1)}
        for name in names:
            id_ = AccountId(name)
            due = store.schedules.next_run(id_) if name in servers else None
            standing = standing_of(view, id_, now, due, alerts.get(id_))
            rows.append(_facts(standing, name, kinds.get(name), servers.get(name)))
        return rows


def _facts(one: Standing, name: str, kind: str | None, server: str | None) -> dict[str, object]:
    return {
        "account": name,
        "kind": kind,
        "server": server,
        "state_code": one.state_code,
        "state": one.state,
        "state_at": _iso(one.state_at),
        "phase": one.phase,
        "done": one.done,
        "total": one.total,
        "last_success": _iso(one.last_success),
        "last_error": one.last_error,
        "alert_since": _iso(one.alert_since),
        "link_status": one.link_status,
        "link_checked_at": _iso(one.link_checked_at),
        "one_connection": one.one_connection,
        "store_version": one.store_version,
        "folders": one.folders,
        "messages": one.messages,
        "unseen": one.unseen,
        "bodies": one.bodies,
        "pending": one.pending,
        "conflicts": one.conflicts,
        "last_trigger": one.last_trigger,
        "started_manually": one.started_manually,
        "last_start": _iso(one.last_start),
        "last_end": _iso(one.last_end),
        "next_run": _iso(one.next_run),
        "outbox": dict(one.outbox),
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def check(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Read every octet too.")] = False,
    json: Json = False,
) -> int:
    """Prove that the store is whole. Exit code 5 when it is not."""
    with opened_to_read(home_of(context)) as store:
        report = store.check(full=full)
    if json:
        for problem in report.problems:
            put_json(
                {"type": "problem", "invariant": problem.invariant, "text": problem.text, "keys": list(problem.keys)}
            )
        put_json({"type": "report", "ok": report.ok, "problems": len(report.problems), "full": full})
    elif report.ok:
        put("The store is whole." if full else "The store is whole. (--full reads every octet too.)")
    else:
        for problem in report.problems:
            put(f"{problem.invariant}: {one_line(problem.text)}")
        hint(f"maildock: {count(len(report.problems), 'problem')} in {home_of(context).store_path}.")
        hint("  Keep a copy of the file; maildock sync --full brings back from the server what is damaged.")
    return ExitCode.COMPLETE if report.ok else ExitCode.STORE
