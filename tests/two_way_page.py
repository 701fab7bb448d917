"""The parts of docs/two-way.md that are printed from the code: ``python -m tests.two_way_page`` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from provider.phases import NEXT, Phase
from provider.replay.conflicts import TABLE as CONFLICTS
from provider.replay.refusals import TABLE as REFUSALS
from provider.replay.refusals import Verdict
from store import OperationKind, OperationState

__all__ = ["PAGE", "PARTS", "printed", "written"]

PAGE = Path(__file__).parent.parent / "docs" / "two-way.md"

VERDICTS = {
    Verdict.CREATE_TARGET: "the folder is created, once, and the same is sent again in this run",
    Verdict.LATER: "tried again",
    Verdict.GONE: "what it was about is gone: the download shows where it is now, and the table below decides",
    Verdict.NEVER: "never: taken back here, and told",
}


def conflicts() -> str:
    """Return what is done where both sides changed the same thing, a row a case."""
    rows = [
        "| here, offline | on the server meanwhile | what is done | told as | other ways |",
        "|---|---|---|---|---|",
    ]
    for (here, there), case in CONFLICTS.items():
        kind = f"`{case.kind.value}`" if case.kind else ""
        ways = ", ".join(f"`{choice.value}`" for choice in case.choices)
        rows.append(f"| {here.value} | {there.value} | {case.outcome} | {kind} | {ways} |")
    return "\n".join(rows)


def refusals() -> str:
    """Return what is done for each response code of a refusal, a row a verdict and time."""
    groups: dict[tuple[Verdict, timedelta], list[str]] = {}
    for code, ruling in REFUSALS.items():
        groups.setdefault((ruling.verdict, ruling.after), []).append(f"`{code}`")
    rows = ["| the server says | what is done | |", "|---|---|---|"]
    for (verdict, after), codes in groups.items():
        when = "" if verdict is not Verdict.LATER else f"after {_spoken(after)}" if after else "with the next run"
        rows.append(f"| {', '.join(codes)} | {VERDICTS[verdict]} | {when} |")
    return "\n".join(rows)


def kinds() -> str:
    """Return the kinds of operations and the states that one goes through."""
    kinds = ", ".join(f"`{kind.value}`" for kind in OperationKind)
    pending = ", ".join(f"`{state.value}`" for state in OperationState if state.pending)
    over = ", ".join(f"`{state.value}`" for state in OperationState if not state.pending)
    return f"- Kinds of operations: {kinds}\n- States of a pending one: {pending}\n- States of one that is over: {over}"


def phases() -> str:
    """Return the pictures of what an account and a folder may report, one after the other."""
    account = _reached(Phase.SYNC)
    folder = [phase for phase in Phase if phase not in account and phase not in (Phase.IDLE, Phase.DONE)]
    return "\n\n".join(_picture(name, group) for name, group in (("An account", account), ("A folder", folder)))


def _reached(start: Phase) -> list[Phase]:
    found, todo = {start}, [start]
    while todo:
        for phase in NEXT[todo.pop()] - found - {Phase.DONE}:
            found.add(phase)
            todo.append(phase)
    return [phase for phase in Phase if phase in found]


def _picture(title: str, group: list[Phase]) -> str:
    lines = ["```mermaid", "---", f"title: {title}", "---", "stateDiagram-v2"]
    known = [Phase.IDLE, *group, Phase.DONE]
    lines += [f'    state "{phase.label} ({phase.number})" as {_id(phase)}' for phase in known]
    lines.append(f"    [*] --> {_id(Phase.IDLE)}")
    for before in known:
        lines += [f"    {_id(before)} --> {_id(after)}" for after in known if after in NEXT[before]]
    lines += [f"    {_id(Phase.DONE)} --> [*]", "```"]
    return "\n".join(lines)


def _id(phase: Phase) -> str:
    return phase.label.replace("-", "_")


def _spoken(after: timedelta) -> str:
    minutes = round(after.total_seconds() / 60)
    number, unit = (minutes // 60, "hour") if minutes % 60 == 0 else (minutes, "minute")
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


PARTS: dict[str, Callable[[], str]] = {
    "kinds": kinds,
    "conflicts": conflicts,
    "refusals": refusals,
    "phases": phases,
}


def printed(name: str) -> str:
    """Return a part as it has to stand in the page, its marks included."""
    return f"<!-- {name}: printed by tests/two_way_page.py -->\n\n{PARTS[name]()}\n\n<!-- end -->"


def written(page: str) -> str:
    """Return *page* with all parts as the code has them. Raises ValueError when a mark is missing."""
    for name in PARTS:
        part = printed(name)
        first = part.partition("\n")[0]
        page, count = re.subn(f"{re.escape(first)}.*?<!-- end -->", lambda _, part=part: part, page, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"the page has {count} places for {name}")
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
