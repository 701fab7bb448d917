"""`make bench`: measure, print one table, keep it as JSON and Markdown. No figure ever makes it fail.

Room: tests/bench. Start it on a machine that does nothing else; `--quick` takes a tenth of the mail.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from ..servers.dovecot import DOVECOT
from .cancelling import cancel_seconds
from .figures import Figure, Machine, Samples, as_json, as_markdown, percentile
from .mail_figures import mail_figures
from .mailserver import mailbox
from .peers import MBSYNC, mbsync_version
from .startup import import_seconds, version_seconds

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results"
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "performance.md"
MARK = "<!-- figures: written by `python -m tests.bench --document` -->"
MESSAGES, MESSAGES_QUICK = 10_000, 1_000
ROUNDS, ROUNDS_QUICK = 5, 2
CANCELS_EACH = 20
STARTS = 11
IMPORT_SECONDS_MAX, VERSION_SECONDS_MAX = 0.060, 0.250
CANCEL_SECONDS_P99, CANCEL_SECONDS_MAX = 0.250, 1.0
BUSY_LOAD = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for; return 1 only when something could not be run as it has to."""
    options = _options(arguments)
    load = os.getloadavg()[0]
    if load > BUSY_LOAD:
        _say(f"WARNING: this machine is busy (load {load:.1f}); the figures are worth little.")
    figures: list[Figure] = []
    with _directory() as directory:
        machine = _machine(directory, load)
        if "mail" in options.only:
            figures += _mail(options, directory)
        if "cancel" in options.only:
            figures += _cancels(directory)
        if "start" in options.only:
            figures += _starts()
    table = as_markdown(figures, machine)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "bench.md").write_text(table)
    record = {"machine": asdict(machine), "quick": options.quick, "figures": as_json(figures)}
    (RESULTS / "bench.json").write_text(json.dumps(record, indent=2))
    if options.document:
        before, _, _ = DOCUMENT.read_text().partition(MARK)
        DOCUMENT.write_text(f"{before}{MARK}\n\n{table}")
    print(table)
    for figure in figures:
        if figure.missing:
            _say(f"NOT MEASURED: {figure.name}: {figure.missing}.")
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the mail, fewer rounds")
    parser.add_argument("--rounds", type=int, help=f"runs of each side (default {ROUNDS})")
    parser.add_argument(
        "--only", nargs="+", choices=("mail", "cancel", "start"), default=("mail", "cancel", "start"), help="what"
    )
    parser.add_argument("--document", action="store_true", help=f"also put the table into docs/{DOCUMENT.name}")
    return parser.parse_args(arguments)


def _mail(options: argparse.Namespace, directory: Path) -> list[Figure]:
    if DOVECOT is None:
        _say("NOT MEASURED: synchronization, for Dovecot (Debian: dovecot-imapd) is not installed.")
        return []
    if MBSYNC is None:
        _say("NOT MEASURED beside us: mbsync (Debian: isync) is not installed.")
    messages = MESSAGES_QUICK if options.quick else MESSAGES
    rounds = options.rounds or (ROUNDS_QUICK if options.quick else ROUNDS)
    _say(f"filling Dovecot with {messages:,} messages")
    with mailbox(messages) as filled:
        _say(f"{filled.octets / 1e6:,.0f} MB loaded in {filled.load_seconds:.1f} s")
        return mail_figures(filled, directory, rounds=rounds, say=_say)


def _cancels(directory: Path) -> list[Figure]:
    _say("cancelling at random moments")
    by_moment = cancel_seconds(CANCELS_EACH, directory)
    every = [seconds for latencies in by_moment.values() for seconds in latencies]
    figures = [
        Figure(name=f"cancel, {len(every)} random moments, {name}", ours=Samples((value,), "ms"), limit=limit)
        for name, value, limit in (
            ("p50", percentile(every, 0.5), CANCEL_SECONDS_P99),
            ("p99", percentile(every, 0.99), CANCEL_SECONDS_P99),
            ("worst", max(every), CANCEL_SECONDS_MAX),
        )
    ]
    return figures + [
        Figure(name=f"cancel during {name}", ours=Samples(tuple(latencies), "ms"))
        for name, latencies in by_moment.items()
    ]


def _starts() -> list[Figure]:
    _say("starting processes")
    figures = [
        Figure(
            name=f"`import {name}` over a bare interpreter", ours=Samples(tuple(runs), "ms"), limit=IMPORT_SECONDS_MAX
        )
        for name, runs in import_seconds(STARTS).items()
    ]
    version = Samples(tuple(version_seconds(STARTS)), "ms")
    return [*figures, Figure(name="`maildock --version`, whole process", ours=version, limit=VERSION_SECONDS_MAX)]


@contextmanager
def _directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="mdk-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def _machine(directory: Path, load: float) -> Machine:
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_octets=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        disk=_file_system(directory),
        server=f"Dovecot {_dovecot_version()} (mdbox, loopback), {mbsync_version()}",
        load=load,
        when=datetime.now(UTC).date().isoformat(),
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _file_system(directory: Path) -> str:
    """Return the type of the file system; "unknown" where df cannot tell (it is GNU's that can)."""
    told = subprocess.run(["df", "--output=fstype", str(directory)], capture_output=True, text=True)
    return told.stdout.split()[-1] if told.returncode == 0 else "unknown"


def _dovecot_version() -> str:
    if DOVECOT is None:
        return "not installed"
    return subprocess.run([DOVECOT, "--version"], capture_output=True, text=True, check=True).stdout.split()[0]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
