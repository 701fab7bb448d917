"""The suites of truth, resuming and hostility are played in more than one way: with every shortcut, and with none.

A *way* is the set of shortcuts that accounts take unless they say otherwise: the default of `Account.shortcuts` is
exchanged for one test. `make soak` plays every combination (`MAILDOCK_TEST_WAYS=every`).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

from provider import Account, Shortcuts

__all__ = ["SUITES", "WAYS", "default_way", "name_of", "taking", "way_named"]

SUITES = frozenset(
    f"tests.{name}"
    for name in (
        "crash.test_stops",
        "scenarios.test_edges",
        "scenarios.test_edges_folders",
        "scenarios.test_edges_poison",
        "scenarios.test_edges_rows",
        "scenarios.test_hostile_runs",
        "scenarios.test_hostile_runs_mail",
        "scenarios.test_second_run_changes",
        "scenarios.test_truth_dovecot",
        "scenarios.test_truth_policies",
        "scenarios.test_truth_pymap",
        "scenarios.test_truth_reset",
        "scenarios.test_truth_resume",
    )
)

# Taken at once: the hunt for secrets puts an __init__ of its own around this one.
_DEFAULTS: dict[str, Shortcuts] = Account.__init__.__kwdefaults__ or {}
_NAMES = tuple(field.name for field in fields(Shortcuts))
_EVERY = tuple(
    Shortcuts(**dict(zip(_NAMES, taken, strict=True))) for taken in itertools.product((True, False), repeat=len(_NAMES))
)
WAYS = _EVERY if os.environ.get("MAILDOCK_TEST_WAYS") == "every" else (_EVERY[0], _EVERY[-1])
"""Everything on, everything off; or each combination."""


def name_of(shortcuts: Shortcuts) -> str:
    """Return what a way is called: its shortcuts, joined by plus signs."""
    taken = [name for name in _NAMES if getattr(shortcuts, name)]
    return "all" if len(taken) == len(_NAMES) else "+".join(taken) or "none"


def way_named(name: str) -> Shortcuts:
    """Return the way that is called *name*."""
    return next(shortcuts for shortcuts in _EVERY if name_of(shortcuts) == name)


def default_way() -> Shortcuts:
    """Return what an account takes now when it does not say."""
    default: Shortcuts = _DEFAULTS["shortcuts"]
    return default


@contextmanager
def taking(shortcuts: Shortcuts) -> Iterator[None]:
    """Inside, accounts take *shortcuts* unless they say otherwise."""
    before = default_way()
    _DEFAULTS["shortcuts"] = shortcuts
    try:
        yield
    finally:
        _DEFAULTS["shortcuts"] = before
