"""The general part of the manager knows no mail: read from its sources."""

import ast
from pathlib import Path

import pytest

ROOM = Path(__file__).parent.parent.parent / "provider" / "manager" / "handlers"
GENERAL = tuple(sorted(path.stem for path in ROOM.glob("*.py") if path.stem != "__init__"))
"""What any handler meets."""
WORDS = {
    "bridge": {"Bridge"},
    "callback": {"CancelRequest"},
    "clock": {"Clock", "SystemClock"},
    "errors": {"Cancelled", "Closed", "ErrorKind", "InvalidRequest", "Needs", "ProviderError", "UnknownItem"},
    "events": {"ItemStatus", "Severity"},
    "failure": {"describe", "frames_of", "status_after"},
    "request": {"Trigger"},
}
"""Leaf -> the names of it that are about no mail."""


def strange(source: str) -> list[str]:
    """Return the imports that are about mail, or about a protocol or a store."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [one.name for one in node.names if one.name.split(".")[0] in ("store", "provider")]
        elif isinstance(node, ast.ImportFrom):
            names = {one.name for one in node.names}
            if node.level == 1 and node.module in GENERAL:
                continue
            if node.level == 3:
                found += sorted(names - WORDS.get(node.module or "", set()))
            elif node.level or (node.module or "").split(".")[0] in ("store", "provider"):
                found.append(str(node.module))
    return found


@pytest.mark.parametrize("name", GENERAL)
def test_the_general_part_imports_nothing_of_mail(name: str) -> None:
    assert strange((ROOM / f"{name}.py").read_text("utf-8")) == []


@pytest.mark.parametrize(
    "planted",
    [
        "from store import MailStore",
        "import store.mail",
        "from ...events import SyncProgress",
        "from ..manager import SyncManager",
    ],
)
def test_a_planted_import_of_mail_is_found(planted: str) -> None:
    assert len(strange(planted)) == 1
