"""What was changed offline goes back over a line with a round trip of 50 ms: flags, moves, new mail.

Room: tests/bench. The changes are made in the measured process before the clock runs; the whole session is counted,
with the look at the server that follows.
"""

from __future__ import annotations

from .child import Question
from .corpus import corpus
from .figures import Figure
from .line import line_to
from .line_figures import Runs
from .mailserver import fill_folders, mailserver
from .ours import running
from .setting import Setting

__all__ = ["replay_figures"]

FOLDERS, CHANGES = 10, 1_000
MOVES, UPLOADS = 500, 200
FLIGHTS_MAX = {"flags": FOLDERS + 8, "moves": 6, "uploads": 8}


def replay_figures(setting: Setting) -> list[Figure]:
    """Measure on a server of its own: folders of small mail, and everything is here already."""
    setting.say("changes made offline go back, over the line")
    each = max(1, setting.scale.messages // 10 // FOLDERS)
    moved = min(MOVES, each * FOLDERS // 2)
    works = {
        "flags": (f"{each * FOLDERS:,} offline flag changes in {FOLDERS} folders", each),
        "moves": (f"{moved:,} offline moves out of one folder", moved),
        "uploads": (f"{UPLOADS} new messages of 5 kB", UPLOADS),
    }
    figures: list[Figure] = []
    with mailserver() as server:
        mail = corpus(FOLDERS * max(each, 2 * moved), attachments=False, small=True)
        mailbox = fill_folders(server, "replay", mail, FOLDERS, max(each, 2 * moved))
        with setting.place() as store, line_to(mailbox) as line, running(line.address, store) as child:
            child.synchronize()
            for offline, (name, count) in works.items():
                runs = Runs()
                for _ in range(setting.rounds):
                    line.take()
                    report = child.synchronize(Question(offline=offline, count=count))
                    runs.add(report.seconds, line.take())
                    if not report.uploaded:
                        raise RuntimeError(f"nothing was sent of {name}")
                whole = f"{name}, round trip 50 ms"
                figures.append(Figure(name=whole, ours=runs.times))
                figures.append(Figure(name=f"{whole}, flights", ours=runs.flights, limit=FLIGHTS_MAX[offline]))
    return figures
