"""No number of the two catalogues is forgotten: E of the edge cases, as far as reading goes, H of the hostile servers.

A number counts as proven when a test row names it: a row of ``tests/scenarios/edge.py``, a ``Hostile`` row or a
``row 9`` of the wire tests, a test named after it, or a test that is named here and exists. What cannot apply yet says
why.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from .twoway.notation import grid, scenarios

TESTS = Path(__file__).parent
EDGES = [f"E{number}" for number in (*range(1, 55), *range(56, 62), 65, 66)]
HOSTILE = [f"H{number}" for number in (*range(1, 92), *range(93, 100))]

ELSEWHERE = {
    "E44": (
        "scenarios/test_sent_copies.py",
        "test_what_the_provider_files_later_is_noticed_and_ours_goes",
    ),
    "E60": (
        "scenarios/test_outbox_life.py",
        "test_whatever_a_server_answers_a_message_stands_where_that_leaves_it",
    ),
    "E61": (
        "unit/test_outbound.py",
        "test_what_could_not_pass_is_encoded_and_means_the_same",
    ),
    "E50": (
        "unit/test_store_runs.py",
        "test_a_clock_that_jumps_blocks_nobody_and_corrupts_nothing",
    ),
    "E51": (
        "wire/test_starttls.py",
        "test_a_doubtful_upgrade_ends_before_any_secret",
    ),
    "E52": (
        "wire/test_tls_matrix.py",
        "test_a_bad_connection_is_refused_before_any_secret",
    ),
    "E53": (
        "live/test_oauth_dovecot.py",
        "test_a_token_that_dies_in_the_middle_costs_one_refresh",
    ),
    "E56": (
        "contract/test_callback_contract.py",
        "test_a_host_that_misbehaves_at_one_kind_of_event_still_hears_a_lawful_log",
    ),
    "E57": (
        "crash/test_full_disk.py",
        "test_a_synchronization_onto_a_full_disk_says_so_keeps_what_it_has_and_goes_on_with_more_room",
    ),
    "E58": (
        "contract/test_store_processes.py",
        "test_a_process_that_dies_at_any_statement_leaves_a_sound_store_between_two_transactions",
    ),
    "E59": (
        "crash/test_leases.py",
        "test_a_killed_process_is_followed_at_once_and_nothing_is_lost",
    ),
    "E39": (
        "crash/test_two_way_stops.py",
        "test_wherever_a_replay_is_stopped_the_next_one_completes_it",
    ),
    "E40": (
        "live/test_imap_writing.py",
        "test_messages_are_deleted_and_nobody_elses",
    ),
    "E41": (
        "wire/test_hostile_writing.py",
        "test_a_strange_answer_ends_as_stated",
    ),
    "H8": (
        "wire/test_starttls.py",
        "test_nothing_said_before_tls_is_believed",
    ),
    "H9": (
        "wire/test_starttls.py",
        "test_a_doubtful_upgrade_ends_before_any_secret",
    ),
}
"""Rows whose test has a table of its own."""

SCENARIOS = {
    "E37": ("refusals.toml", "a keyword that the folder does not keep is taken back"),
    "E42": ("refusals.toml", "too large: it stays here, and is told"),
    "E45": ("grid.toml", "move-a x move-b"),
    "E46": ("grid.toml", "flag x answer"),
    "E47": ("append.toml", "a draft replaced here and there"),
    "E48": ("folders.toml", "created here with mail in it, and deleted before anybody heard of it"),
    "E49": ("guards.toml", "fifty-one removed are held"),
}
"""Rows that a scenario of fixtures/scenarios plays, on the memory server and on Dovecot."""

CANNOT_APPLY: dict[str, str] = {}

NAMES = re.compile(r"[EH]\d{1,2}(?: [EH]\d{1,2})*")


def trees(*patterns: str) -> Iterator[ast.Module]:
    for pattern in patterns:
        for path in sorted(TESTS.glob(pattern)):
            yield ast.parse(path.read_text("utf-8"), str(path))


@cache
def scenario_rows() -> frozenset[str]:
    """Return what rows of whole synchronizations name, and tests that are called after a number."""
    found: set[str] = set()
    for tree in trees("scenarios/test_edges*.py", "scenarios/test_hostile_runs*.py"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAMES.fullmatch(node.value):
                found |= set(node.value.split())
            if isinstance(node, ast.FunctionDef) and (named := re.match(r"test_([eh]\d+)_", node.name)):
                found.add(named[1].upper())
    return frozenset(found)


@cache
def wire_rows() -> frozenset[str]:
    """Return what rows and tests of the wire name."""
    found: set[str] = set()
    for tree in trees("wire/test_*.py"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Hostile":
                first = node.args[0]
                assert isinstance(first, ast.Constant), "a row names its number itself"
                found.add(f"H{first.value!s}")
            if isinstance(node, ast.Dict):
                keys = [key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
                found |= {f"H{named[1]}" for key in keys if (named := re.match(r"row (\d+)\b", key))}
            if isinstance(node, ast.FunctionDef) and (named := re.match(r"test_(?:row|line)_(\d+)_", node.name)):
                found.add(f"H{named[1]}")
    return frozenset(found)


def functions_in(path: str) -> set[str]:
    tree = ast.parse((TESTS / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("number", [*EDGES, *HOSTILE])
def test_each_number_of_the_catalogues_is_named_by_a_row(number: str) -> None:
    proven = number in scenario_rows() | wire_rows() or number in ELSEWHERE or number in SCENARIOS
    assert proven is not (number in CANNOT_APPLY), f"{number}: {'both' if proven else 'neither'} proven and excused"


@pytest.mark.parametrize("place", sorted(set(ELSEWHERE.values())), ids=" ".join)
def test_what_is_proven_elsewhere_is_there(place: tuple[str, str]) -> None:
    path, name = place
    assert name in functions_in(path)


@pytest.mark.parametrize("place", sorted(SCENARIOS.values()), ids=" ".join)
def test_what_a_scenario_plays_is_among_them(place: tuple[str, str]) -> None:
    table, name = place
    assert f"{table.removesuffix('.toml')}: {name}" in {one.id for one in (*scenarios(), *grid())}


def test_no_row_names_a_number_that_the_catalogues_do_not_have() -> None:
    named = scenario_rows() | {row for row in wire_rows() if row[1:].isdigit()}
    assert named <= {*EDGES, *HOSTILE}, sorted(named - {*EDGES, *HOSTILE})
