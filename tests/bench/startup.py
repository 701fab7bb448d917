"""What it costs to be started: imports over a bare interpreter, and the shortest command.

Room: tests/bench. Each figure is wall time of whole processes, taken in turns so that a busy moment hits all alike;
imports have the bare interpreter of the same turn subtracted.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["IMPORTS", "import_seconds", "version_seconds"]

ROOT = Path(__file__).parent.parent.parent
IMPORTS = ("provider", "store", "store.mail")


def import_seconds(rounds: int) -> dict[str, list[float]]:
    """Return, for each of `IMPORTS`, the seconds that importing it adds to an interpreter that does nothing."""
    found: dict[str, list[float]] = {name: [] for name in IMPORTS}
    _seconds([sys.executable, "-c", "import provider, store, store.mail"])  # byte code and disk cache
    for _ in range(rounds):
        bare = _seconds([sys.executable, "-c", "pass"])
        for name, times in found.items():
            times.append(_seconds([sys.executable, "-c", f"import {name}"]) - bare)
    return found


def version_seconds(rounds: int) -> list[float]:
    """Return the wall seconds of `maildock --version`, interpreter included."""
    script = Path(sys.executable).parent / "maildock"
    command = [str(script)] if script.exists() else [sys.executable, "-m", "provider.cli"]
    _seconds([*command, "--version"])
    return [_seconds([*command, "--version"]) for _ in range(rounds)]


def _seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
