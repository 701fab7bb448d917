"""Pages that state facts about the code: their numbers and their files are those of the code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from provider.limits import Limits
from provider.manager.pushing import watchlist
from provider.phases import NEXT, Phase
from provider.replay.guard import FREE_DELETIONS, SHARE
from provider.replay.refusals import TRIES_MAX
from provider.sources.imap import watching
from store.batch import UNDO_DAYS
from store.mail.submission import DOUBT_SECONDS, DOUBTS_MAX, Cancelled, Fate, SubmissionState
from store.mime import MimeLimits
from store.mime.outbound import LINE_OCTETS_MAX
from store.purge import FILED_KEPT

from . import two_way_page

ROOT = Path(__file__).parent.parent
SETTING = re.compile(r"^\| `([a-z_]+)` \| ([0-9.,]+) \|", re.MULTILINE)


def settings(section_from: str, section_to: str) -> dict[str, float]:
    """Return what the tables between two headings of the limits page say."""
    page = (ROOT / "docs" / "limits.md").read_text("utf-8")
    part = page[page.index(section_from) : page.index(section_to)]
    return {name: float(number.replace(",", "")) for name, number in SETTING.findall(part)}


@pytest.mark.parametrize(
    ("values", "section_from", "section_to"),
    [
        (Limits(), "## What a server may send", "## What of a message"),
        (MimeLimits(), "## What of a message", "## What is not tried"),
    ],
    ids=["provider", "mime"],
)
def test_the_limits_page_names_every_setting_with_its_default(
    values: Limits | MimeLimits, section_from: str, section_to: str
) -> None:
    defaults = {field.name: float(getattr(values, field.name)) for field in fields(values)}
    assert settings(section_from, section_to) == defaults


def test_the_standards_page_names_files_that_exist() -> None:
    page = (ROOT / "docs" / "standards.md").read_text("utf-8")
    named = set(re.findall(r"`((?:provider|store)/[\w/]+(?:\.py|/))`", page))
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_standard_that_the_code_cites_is_on_the_standards_page() -> None:
    page = (ROOT / "docs" / "standards.md").read_text("utf-8")
    on_page = set(re.findall(r"\b\d{4}\b", page))
    cited: dict[str, str] = {}
    for package in ("provider", "store"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for number in re.findall(r"RFC ?(\d{4})", path.read_text("utf-8")):
                cited[number] = path.name
    assert {number: name for number, name in cited.items() if number not in on_page} == {}


def test_the_sending_page_names_every_state_and_fate_and_the_numbers_of_the_code() -> None:
    page = " ".join((ROOT / "docs" / "sending.md").read_text("utf-8").split())
    assert [state.value for state in SubmissionState if f"| `{state.value}` |" not in page] == []
    assert [fate.value for fate in Fate if f"*{fate.value}*" not in page] == []
    assert f"{DOUBT_SECONDS // 60} minutes at least" in page and DOUBTS_MAX == 2
    assert f"more than {LINE_OCTETS_MAX} octets" in page
    assert f"kept for {FILED_KEPT // 86_400_000_000} days" in page
    assert [one.name for one in Cancelled if f"`{one.name}`" not in page] == []


@pytest.mark.parametrize("part", two_way_page.PARTS)
def test_the_two_way_page_prints_the_tables_and_the_picture_of_the_code(part: str) -> None:
    page = two_way_page.PAGE.read_text("utf-8")
    assert two_way_page.printed(part) in page, "python -m tests.two_way_page writes it anew"


def test_every_phase_is_in_one_picture_and_every_step_is_drawn() -> None:
    pictures = two_way_page.phases()
    steps = sum(len(after) for after in NEXT.values())
    drawn = set(re.findall(r"^    (\w+) --> (\w+)$", pictures, re.MULTILINE))
    assert len(drawn) == steps
    assert {phase.label.replace("-", "_") for phase in Phase} == {name for step in drawn for name in step}


def test_the_two_way_page_names_the_numbers_of_the_code() -> None:
    page = " ".join(two_way_page.PAGE.read_text("utf-8").split())
    assert f"{TRIES_MAX} times" in page
    assert f"more than max({FREE_DELETIONS}, {100 // SHARE} %)" in page
    assert f"{UNDO_DAYS:g} day" in page


def test_the_pages_about_push_name_the_numbers_of_the_code() -> None:
    page, limits = (" ".join((ROOT / "docs" / name).read_text("utf-8").split()) for name in ("manager.md", "limits.md"))
    assert f"entered again after {watching.RENEW_SECONDS / 60:g} minutes" in page
    assert f"silent for {watching.SILENCE_SECONDS / 60:g} minutes" in page
    assert f"given up {watching.ANSWER_SECONDS:g} seconds later" in page
    assert f"{watching.LINE_OCTETS:,} octets are the longest, {watching.FLOOD_OCTETS:,} between" in page
    assert f"{watching.LINE_OCTETS:,} octets a line or literal, {watching.FLOOD_OCTETS:,} between" in limits
    assert f"One line an account, {watchlist.LINES_MAX} in all" in page
    assert f"1 an account, {watchlist.LINES_MAX} in all" in limits
    assert f"every {watchlist.POLL_SECONDS / 60:g} minutes as a whole" in page
    assert f"at most {watchlist.RUNS_MAX} runs at a time" in page
    assert (
        f"one in {watchlist.SPACING_SECONDS_MAX / 60:g} minutes" in page
        and f"| {watchlist.EMPTY_RUNS} in a row" in limits
    )
    assert f"after {watchlist.LINE_BACKOFF.first_seconds:g} seconds, doubling up to" in page
    assert watchlist.REFUSED_SECONDS == 3_600 and watchlist.CONNECTING_MAX == 4 and "four at a time" in page
