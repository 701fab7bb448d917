"""How Sync Center looks: axe-core finds nothing serious on any page, in light and dark, wide and narrow; pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from provider.monitor.pages import PAGES
from store import AccountId

from .conftest import Pages
from .rig import GUARD_SECONDS, Site, message
from .test_chromium import busy_server, conflicts, small_server

WORK, HOME = AccountId("work"), AccountId("home")
LOOKS = {"light": {}, "dark": {"dark": True}, "narrow": {"narrow": True}, "narrow dark": {"dark": True, "narrow": True}}
"""What no pair of looks has of its own: colours and arrangement. Two of the four see each of them."""
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with something to see on every page, and one account at work for as long as it lasts."""
    servers = {"work": busy_server(), "home": small_server(), "club": small_server()}
    servers["home"].faults.refuse_folder("Archive")
    with Site(tmp_path_factory.mktemp("lived"), **servers) as site:
        site.provider.SynchronizeInBackground().wait(GUARD_SECONDS)
        site.entered().post("/sync", {"account": "home"})
        for handle in site.provider.running:
            handle.wait(GUARD_SECONDS)
        conflicts(site, 2)
        soon = datetime.now(UTC) + timedelta(minutes=9)
        for subject in ("Minutes of the meeting", "Invoice 2026-114"):
            site.store.outbox.submit(WORK, message(subject))
        site.store.schedules.add("All accounts", "every 15 min not 23:00-06:00", zone="Europe/Berlin", next_run=soon)
        for number in range(90):
            servers["club"].append("INBOX" if number % 3 else "Archive", message(f"News {number}", 5_000))
        hang = servers["club"].faults.hang("bodies", "Archive")
        site.entered().post("/sync", {"account": "club"})
        assert hang.entered.wait(GUARD_SECONDS)
        yield site
        hang.release()


@pytest.mark.parametrize("look", ["light", "narrow dark"])
def test_no_page_has_a_serious_flaw_for_whoever_cannot_see_it_well(lived: Site, pages: Pages, look: str) -> None:
    page = pages(lived.server.url, **LOOKS[look])
    found = []
    for one in PAGES:
        page.goto(f"{lived.base}{one.path}{'?name=work' if one.name == 'account' else ''}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        for summary in page.locator("summary").all():
            summary.click()
        flaws = Axe().run(page).response["violations"]
        found += [
            f"{one.name}: {flaw['id']} ({flaw['impact']}): {[node['html'][:120] for node in flaw['nodes'][:3]]}"
            for flaw in flaws
            if flaw["impact"] in SERIOUS
        ]
    assert found == []


@pytest.mark.parametrize("look", ["light", "narrow"])
def test_no_page_is_wider_than_its_window(lived: Site, pages: Pages, look: str) -> None:
    page = pages(lived.server.url, **LOOKS[look])
    for one in PAGES:
        page.goto(f"{lived.base}{one.path}{'?name=work' if one.name == 'account' else ''}")
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0, one.name


def test_axe_finds_a_planted_flaw(lived: Site, pages: Pages) -> None:
    page = pages(lived.server.url)
    page.evaluate("() => { document.querySelector('main').append(document.createElement('select')); }")
    assert "select-name" in [flaw["id"] for flaw in Axe().run(page).response["violations"]]


def test_pictures_for_the_documents(lived: Site, pages: Pages, picture: Callable[[Page, str], None]) -> None:
    wide, dark, narrow = (pages(lived.server.url, **LOOKS[look]) for look in ("light", "dark", "narrow dark"))
    expect(wide.locator("li.card")).to_have_count(3)
    picture(wide, "partnerships")
    for name in ("account?name=work", "history"):
        wide.goto(f"{lived.base}/{name}")
        picture(wide, name.partition("?")[0])
    dark.goto(f"{lived.base}/running")
    expect(dark.locator("li.step").first).to_be_visible()
    picture(dark, "running-dark")
    picture(narrow, "partnerships-narrow")
