"""``maildock status`` and ``maildock check``: how the accounts stand, and whether the store is whole."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from .accounts_file import AccountsFile
from .exits import ExitCode
from .output import count, hint, moment, one_line, put, put_json, table
from .session import home_of, opened_to_read

if TYPE_CHECKING:
    from store import ReadView, Run

__all__ = ["check", "status"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

NEVER, STARTED, SUCCESS, FAILED = (0, "never"), (6701, "running"), (6702, "success"), (6703, "failed")
OUT_OF_STEP = (6707, "out-of-step")
"""State codes of ConfigMgr's synchronization; a run that ended with errors or was cancelled leaves us out of step."""

HEALTHY, DEGRADED, BROKEN = 0, 1, 2
"""ReplicationLinkStatus."""


def status(context: typer.Context, json: Json = False) -> None:
    """Tell how each account stands: state, last synchronization, last success, last error, counts."""
    from store import StoreMissing

    home = home_of(context)
    file = AccountsFile.read(home.accounts_path)
    servers = {entry.name: entry.host for entry in file.accounts} | {entry.name: entry.path for entry in file.imports}
    kinds = {entry.name: "imap" for entry in file.accounts} | {entry.name: entry.kind for entry in file.imports}
    try:
        with opened_to_read(home) as store, store.read() as view:
            names = dict.fromkeys([*servers, *view.accounts()])
            rows = [_account_facts(view, name, kinds.get(name), servers.get(name)) for name in names]
    except StoreMissing:
        if not servers:
            raise
        rows = [_standing((), name, kinds[name], server) | NOTHING_KEPT for name, server in servers.items()]
    if json:
        for row in rows:
            put_json(row)
        return
    table(
        (
            "account",
            "state",
            "since",
            "last success",
            "messages",
            "unseen",
            "bodies",
            "to send",
            "version",
            "last error",
        ),
        [
            (
                one_line(str(row["account"])),
                str(row["state"]),
                _moment(row["state_at"]),
                _moment(row["last_success"]),
                f"{row['messages']:,}",
                f"{row['unseen']:,}",
                f"{row['bodies']:,}",
                f"{row['pending']:,}",
                str(row["store_version"]),
                one_line(str(row["last_error"] or "")),
            )
            for row in rows
        ],
        right=[4, 5, 6, 7, 8],
    )


NOTHING_KEPT: dict[str, object] = {
    "one_connection": None,
    "store_version": 0,
    "folders": 0,
    "messages": 0,
    "unseen": 0,
    "bodies": 0,
    "pending": 0,
    "conflicts": 0,
}


def _account_facts(view: "ReadView", name: str, kind: str | None, server: str | None) -> dict[str, object]:
    from store.mail import AccountId

    account = AccountId(name)
    known = account in view.accounts()
    folders = view.folders(account) if known else ()
    runs = view.runs(account) if known else ()
    return _standing(runs, name, kind, server) | {
        "one_connection": view.one_connection(account) or None,
        "store_version": view.cursor_seq(),
        "folders": len(folders),
        "messages": sum(folder.counts.messages for folder in folders),
        "unseen": sum(folder.counts.unseen for folder in folders),
        "bodies": sum(folder.counts.bodies for folder in folders),
        "pending": len(view.operations(account)) if known else 0,
        "conflicts": len(view.conflicts(account)) if known else 0,
    }


def _standing(runs: "tuple[Run, ...]", name: str, kind: str | None, server: str | None) -> dict[str, object]:
    """Return what the runs of one account, newest first, say: the columns of ConfigMgr's status table."""
    whole = [run for run in runs if run.status != "yielded"]  # a yielded run is the first half of the one after it
    ended = next((run for run in whole if run.finished_at is not None), None)
    good = next((run for run in whole if run.finished_at is not None and not _failures(run)), None)
    open_ones = [run for run in runs if run.finished_at is None and run.expires_at > datetime.now(UTC)]
    if open_ones:
        (code, state), at = STARTED, open_ones[0].started_at
    elif ended is None:
        (code, state), at = NEVER, None
    else:
        code, state = SUCCESS if ended is good else _BY_STATUS.get(ended.status, OUT_OF_STEP)
        at = ended.finished_at
    link = HEALTHY if ended is good else BROKEN if ended and ended.status in _BY_STATUS else DEGRADED
    return {
        "account": name,
        "kind": kind,
        "server": server,
        "state_code": code,
        "state": state,
        "state_at": _iso(at),
        "last_success": _iso(good.finished_at if good else None),
        "last_error": next(iter(_failures(ended)), None) if ended is not None else None,
        "link_status": link,
        "link_checked_at": _iso(ended.finished_at if ended else None),
    }


_BY_STATUS = {"failed": FAILED, "disconnected": FAILED, "lost": FAILED}
"""How a run ended -> state; every other end (with errors, cancelled) leaves us out of step."""


def _failures(run: "Run") -> list[str]:
    """Return what went wrong in *run*, the first first; empty when it did what it was asked for."""
    told = [error.text for error in run.errors if error.severity == "error"]
    return told or ([f"The run ended as {run.status}."] if run.status != "succeeded" else [])


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _moment(text: object) -> str:
    return moment(datetime.fromisoformat(text) if isinstance(text, str) else None)


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
