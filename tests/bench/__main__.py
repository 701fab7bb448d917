"""`make bench`: measure, print one table, keep it as JSON and Markdown. No figure ever makes it fail.

Room: tests/bench. Start it on a machine that does nothing else; `--quick` takes a tenth of everything.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

from ..servers.dovecot import DOVECOT
from .corpus import corpus
from .figures import Figure, as_json, as_markdown
from .folder_figures import folder_figures
from .large_figures import large_figures
from .line_figures import line_figures, reset_figures
from .machine import BUSY_LOAD, this_machine
from .mail_figures import mail_figures, profile_of_first
from .mailserver import Mailbox, fill_folders, fill_inbox, mailserver
from .process_figures import cancel_figures, start_figures
from .push_figures import push_figures
from .reading import reading_figures
from .replay_figures import replay_figures
from .sending_figures import sending_figures
from .setting import PEERS, QUICK, WHOLE, Setting

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results"
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "performance.md"
MARK = "<!-- figures: written by `python -m tests.bench --document` -->"
END_MARK = "<!-- end of the figures -->"
SERVED = ("mail", "line", "folders", "large", "reset", "replay", "push")
"""Groups that need Dovecot."""
GROUPS = (*SERVED, "reading", "sending", "cancel", "start")


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for; return 1 when some of it could not be run as it has to."""
    options = _options(arguments)
    load, started = os.getloadavg()[0], time.monotonic()
    if load > BUSY_LOAD:
        _say(f"WARNING: this machine is busy (load {load:.1f}); the figures are worth little.")
    scale = QUICK if options.quick else WHOLE
    with _directory() as directory:
        setting = Setting(
            directory=directory, scale=scale, rounds=options.rounds or scale.rounds, peers=options.peers, say=_say
        )
        machine = this_machine(directory, load)
        for why in (setting.no_mbsync, setting.no_offlineimap):
            if why:
                _say(f"NOT MEASURED beside us: {why} (`make bench-peers` installs it).")
        figures, profile, broken = _measure(setting, set(options.only), profile=options.profile)
    minutes = (time.monotonic() - started) / 60
    table = as_markdown(figures, machine)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "bench.md").write_text(f"{table}\n{profile}")
    record = {
        "machine": asdict(machine),
        "quick": options.quick,
        "minutes": minutes,
        "broken": broken,
        "figures": as_json(figures),
    }
    (RESULTS / "bench.json").write_text(json.dumps(record, indent=2))
    if options.document:
        DOCUMENT.write_text(documented(DOCUMENT.read_text(), table))
    print(f"{table}\n{profile}")
    for figure in figures:
        if figure.missing:
            _say(f"NOT MEASURED: {figure.name}: {figure.missing}.")
        elif figure.held is False:
            _say(f"NOT HELD: {figure.name} {figure.peer}: {figure.measured:.4g}, target {figure.target}.")
    for what in broken:
        _say(f"COULD NOT BE MEASURED: {what}")
    _say(f"{minutes:.1f} minutes.")
    return 1 if broken else 0


def documented(text: str, table: str) -> str:
    """Return *text* with *table* between the marks."""
    before, _, rest = text.partition(MARK)
    after = rest.partition(END_MARK)[2]
    return f"{before}{MARK}\n\n{table}\n{END_MARK}{after or chr(10)}"


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, fewer rounds")
    parser.add_argument("--rounds", type=int, help=f"runs of each side (default {WHOLE.rounds}, quick {QUICK.rounds})")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=GROUPS, help="what")
    parser.add_argument("--peers", choices=PEERS, default="usual", help="all: OfflineIMAP on whole mailboxes too")
    parser.add_argument("--profile", action="store_true", help="also say where the time of a first run goes")
    parser.add_argument("--document", action="store_true", help=f"also put the table into docs/{DOCUMENT.name}")
    return parser.parse_args(arguments)


def _measure(setting: Setting, only: set[str], *, profile: bool) -> tuple[list[Figure], str, list[str]]:
    """Return all figures, the profile as Markdown (empty: not asked for), and which groups broke, and how."""
    figures: list[Figure] = []
    broken: list[str] = []
    shares = ""
    scale = setting.scale

    def attempt(group: str, measure: Callable[[], list[Figure]]) -> None:
        """One group that cannot be measured does not cost the others."""
        if group not in only:
            return
        try:
            figures.extend(measure())
        except RuntimeError as error:
            broken.append(f"{group}: {error}")

    if DOVECOT is None and (profile or only & set(SERVED)):
        broken.append("synchronization: Dovecot (Debian: dovecot-imapd) is not installed")
        only, profile = only - set(SERVED), False
    if profile or only & {"mail", "line"}:
        with _filled(partial(fill_inbox, user="a", messages=corpus(scale.messages))) as inbox:
            attempt("mail", lambda: mail_figures(setting, inbox))
            shares = profile_of_first(setting, inbox) if profile else ""
            attempt("line", lambda: line_figures(setting, inbox))
    if "folders" in only:
        mail = corpus(scale.folders * scale.each, attachments=False)
        fill = partial(fill_folders, user="b", messages=mail, folders=scale.folders, each=scale.each)
        with _filled(fill) as folders:
            attempt("folders", lambda: folder_figures(setting, folders))
    attempt("large", lambda: large_figures(setting))
    attempt("reset", lambda: reset_figures(setting))
    attempt("replay", lambda: replay_figures(setting))
    attempt("push", lambda: push_figures(setting))
    attempt("reading", lambda: reading_figures(setting))
    attempt("sending", lambda: sending_figures(setting))
    attempt("cancel", lambda: cancel_figures(setting))
    attempt("start", lambda: start_figures(setting))
    return figures, shares, broken


@contextmanager
def _filled(fill: Callable[..., Mailbox]) -> Iterator[Mailbox]:
    """A mailbox on a server of its own: what one group leaves behind is in no other one's way."""
    with mailserver() as server:
        _say("filling Dovecot")
        mailbox = fill(server)
        _say(f"{mailbox.messages:,} messages, {mailbox.octets / 1e6:,.0f} MB in {mailbox.load_seconds:.1f} s")
        yield mailbox


@contextmanager
def _directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="mdk-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
