"""Pages that state facts about the code: their numbers and their files are those of the code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from provider.limits import Limits
from store.mime import MimeLimits

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
