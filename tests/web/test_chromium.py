"""Sync Center as a person has it: in a real Chromium, with the buttons that are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from provider.testing import MemoryServer
from store import AccountId, Choice, ConflictKind, FolderPath, NewConflict, RunError, Side, Version

from .conftest import Pages
from .rig import GUARD_SECONDS, Site, message

Picture = Callable[[Page, str], None]
WORK = AccountId("work")


def busy_server() -> MemoryServer:
    """A server with enough mail to see it come."""
    server = MemoryServer()
    for number in range(120):
        seen = ["\\Seen"] if number < 108 else []
        server.append("INBOX", message(f"Lunch on day {number}?", 3_000), flags=seen)
    for folder in ("Archive", "Lists/python", "Projects/Bridge"):
        server.add_folder(folder)
        for number in range(40):
            server.append(folder, message(f"{folder} {number}", 1_500), flags=["\\Seen"])
    return server


def small_server() -> MemoryServer:
    server = MemoryServer()
    server.append("INBOX", message("Hello"))
    server.add_folder("Archive")
    server.append("Archive", message("Long ago"))
    return server


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path / "site", work=busy_server(), home=small_server(), club=small_server()) as running:
        yield running


def synchronized(site: Site) -> None:
    site.provider.SynchronizeInBackground().wait(GUARD_SECONDS)


def to(page: Page, title: str) -> None:
    """Go to a page as a person does."""
    page.get_by_role("navigation").get_by_role("link", name=title).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)


FOLDERS = ("INBOX", "Archive", "Lists/python", "Projects/Bridge")


def test_a_person_starts_a_synchronization_and_watches_it_to_its_end(
    site: Site, pages: Pages, picture: Picture
) -> None:
    """The server holds each folder back until the page has shown how far it is: steps are counted, no time is."""
    hangs = {folder: site.servers["work"].faults.hang("bodies", folder) for folder in FOLDERS}
    page = pages(site.server.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("Partnerships")
    page.get_by_role("button", name="Synchronize all").click()
    expect(page.get_by_role("status").first).to_have_text("Started.")
    to(page, "Running now")
    # What is shown on its way, as it changes: nothing is reloaded, and a button that is there stays the same one.
    page.evaluate(
        """() => {
            window.seen = []; window.stayed = true;
            const button = document.querySelector('#sync-all');
            const look = () => {
                const bar = document.querySelector('#part-running progress[aria-label="Progress of work"]');
                if (bar && bar.value !== seen.at(-1)) seen.push(bar.value);
                stayed = stayed && button === document.querySelector('#sync-all');
            };
            new MutationObserver(look).observe(
                document.body, {subtree: true, childList: true, attributes: true, characterData: true});
            look();
        }"""
    )
    waiting = dict(hangs)
    while waiting:
        folder = next((name for name, hang in waiting.items() if hang.entered.wait(0.05)), None)
        if folder is None:
            continue
        at_work = page.locator("#part-running li.step", has=page.get_by_text(folder, exact=True)).filter(
            has_text="work"
        )
        expect(at_work.locator(".badge")).to_have_text("running")
        expect(at_work.get_by_role("button", name="Cancel")).to_be_visible()
        page.wait_for_function("count => seen.length >= count", arg=len(hangs) - len(waiting) + 1)
        if len(waiting) == 2:
            picture(page, "running")
        waiting.pop(folder).release()
    to_end = page.locator("section.past", has_text="All accounts")
    expect(to_end.locator(".badge").first).to_have_text("done")
    seen = page.evaluate("() => seen")
    assert len(seen) >= len(FOLDERS) and seen == sorted(seen), "it moved, and never back"
    assert page.evaluate("() => stayed")
    to_end.locator("summary").click()
    expect(to_end.locator("li.step", has_text="INBOX").filter(has_text="work")).to_contain_text("120 of 120")
    to(page, "Partnerships")
    expect(page.locator("li.card", has_text="work")).to_contain_text("in step")
    expect(page.locator("li.card", has_text="work")).to_contain_text("240")


def test_a_person_cancels_one_item_and_the_others_go_on(site: Site, pages: Pages) -> None:
    hang = site.servers["work"].faults.hang("bodies", "Archive")
    page = pages(site.server.url)
    page.locator("li.card", has_text="work").get_by_role("button", name="Synchronize").click()
    to(page, "Running now")
    assert hang.entered.wait(GUARD_SECONDS)
    page.get_by_role("button", name="Cancel: Archive").click()
    expect(page.get_by_role("status").first).to_contain_text("Asked to stop this item")
    ended = page.locator("section.past")
    expect(ended.locator("h3 .badge")).to_be_visible()
    ended.locator("summary").click()
    expect(ended.locator("li.step", has_text="Archive")).to_contain_text("stopped")
    for folder in ("INBOX", "Lists/python", "Projects/Bridge"):
        expect(ended.locator("li.step", has_text=folder)).to_contain_text("done")
    hang.release()


def test_an_account_is_stopped_and_paused_and_goes_on(site: Site, pages: Pages) -> None:
    hang = site.servers["work"].faults.hang("bodies", "INBOX")
    page = pages(site.server.url)
    card = page.locator("li.card", has_text="work")
    card.get_by_role("button", name="Synchronize").click()
    assert hang.entered.wait(GUARD_SECONDS)
    card.get_by_role("button", name="Pause").click()
    expect(card.locator(".badge")).to_have_text("paused")
    card.get_by_role("button", name="Go on").click()
    expect(card.locator(".badge")).to_have_text("running")
    card.get_by_role("button", name="Stop").click()
    expect(card.locator(".badge")).not_to_have_text("running")
    assert site.provider.running == ()


def test_an_error_is_shown_and_tried_again_and_is_over(site: Site, pages: Pages, picture: Picture) -> None:
    site.servers["home"].faults.refuse_folder("INBOX", 1)
    site.servers["club"].faults.refuse_login(1)
    synchronized(site)
    page = pages(site.server.url)
    to(page, "Results")
    row = page.locator("li.row", has_text="home")
    expect(row).to_contain_text("The server refused to open INBOX.")
    expect(page.locator("li.row", has_text="club")).to_contain_text("refused this user or password")
    picture(page, "results")
    row.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Running now")
    expect(page.locator("section.past h3 .badge")).to_have_text("done")
    to(page, "Results")
    expect(page.locator("li.row", has_text="home")).to_have_count(0)
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Try chosen again").click()
    expect(page.locator("section.past h3 .badge").first).to_have_text("done")
    to(page, "Results")
    expect(page.get_by_role("heading", name="Nothing is wrong")).to_be_visible()
    page.get_by_role("link", name="Also what is over").click()
    expect(page.locator("li.row")).to_have_count(2)
    page.locator("li.row", has_text="club").get_by_role("button", name="Forget").click()
    page.get_by_role("link", name="Also what is over").click()
    expect(page.locator("li.row")).to_have_count(1)


def test_a_box_that_is_ticked_stays_with_its_event_when_another_one_comes_on_top(site: Site, pages: Pages) -> None:
    def goes_wrong(text: str, folder: str) -> None:
        site.store.eventlog.record(WORK, [RunError(kind="protocol", text=text, folder=folder)])

    goes_wrong("The first one.", "INBOX")
    page = pages(site.server.url)
    to(page, "Results")
    page.get_by_role("checkbox").check()
    goes_wrong("The second one.", "Archive")
    rows = page.locator("li.row")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("The second one.")
    assert not rows.nth(0).get_by_role("checkbox").is_checked()
    assert rows.nth(1).get_by_role("checkbox").is_checked()
    page.get_by_role("button", name="Forget chosen").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("The second one.")


def conflicts(site: Site, count: int) -> None:
    """Let *count* messages be moved here while they were removed there, undecided."""
    with site.store.read() as view:
        inbox = view.find_folder(WORK, FolderPath(("INBOX",)))
        archive = view.find_folder(WORK, FolderPath(("Archive",)))
        assert inbox is not None and archive is not None
        keys = [one.key for one in view.messages(inbox.id, limit=count).messages]
    with site.store.edit("move") as edit:
        edit.move(keys, archive.id)
    with site.store.read() as view:
        operations = {one.message: one.id for one in view.operations(WORK)}
    with site.store.write("conflicts") as tx:
        for key in keys:
            tx.settle.conflict(
                NewConflict(
                    kind=ConflictKind.CHANGED_AND_GONE,
                    account=WORK,
                    operation=operations[key],
                    message=key,
                    versions=(
                        Version(side=Side.MINE, place="Archive", flags=("\\Seen",)),
                        Version(side=Side.THEIRS, place="INBOX", deleted=True),
                    ),
                    choices=(Choice.KEEP_MINE, Choice.KEEP_THEIRS, Choice.KEEP_BOTH),
                )
            )


def test_conflicts_are_seen_side_by_side_and_decided_one_or_all(site: Site, pages: Pages, picture: Picture) -> None:
    synchronized(site)
    conflicts(site, 4)
    page = pages(site.server.url)
    to(page, "Conflicts")
    first = page.locator("section.conflict").first
    expect(first.get_by_role("heading", name="Here")).to_be_visible()
    expect(first.get_by_role("heading", name="On the server")).to_be_visible()
    expect(first).to_contain_text("Lunch on day 119?")
    picture(page, "conflicts")
    first.get_by_role("button", name="Keep mine").click()
    expect(page.locator("section.conflict")).to_have_count(3)
    page.locator("section.conflict").first.get_by_role("checkbox").check()
    page.locator("section.conflict").first.get_by_role("button", name="Keep theirs").click()
    expect(page.get_by_role("heading", name="Nothing to decide")).to_be_visible()
    with site.store.read() as view:
        settled = [one.resolution for one in view.conflicts(open=False)]
    assert settled == [Choice.KEEP_MINE, *[Choice.KEEP_THEIRS] * 3]


def test_schedules_and_groups_are_added_edited_and_removed(site: Site, pages: Pages, picture: Picture) -> None:
    synchronized(site)
    page = pages(site.server.url)
    to(page, "Schedules and groups")
    form = page.locator("form", has=page.get_by_role("heading", name="Add a schedule"))
    form.get_by_label("When").fill("every blue moon")
    form.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_have_text("'moon' is not one of min, hours, days.")
    expect(form.get_by_label("When")).to_have_value("every blue moon")
    form.get_by_label("When").fill("every 20 min")
    form.get_by_label("Zone").fill("Europe/Berlin")
    form.get_by_role("button", name="Add").click()
    row = page.locator("li.row", has=page.get_by_label("When"))
    row.get_by_label("When").fill("weekdays 08:00 not 22:00-07:00")
    row.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    (record,) = site.store.schedules.all()
    assert (record.text, record.zone) == ("weekdays 08:00 not 22:00-07:00", "Europe/Berlin")
    assert record.next_run is not None
    add = page.locator(".card.form", has=page.get_by_role("heading", name="Add a group"))
    add.get_by_label("Name").fill("Night")
    add.get_by_label("home").check()
    add.get_by_label("Headers only", exact=True).check()
    add.get_by_role("button", name="Add").click()
    night = page.locator("li.row", has_text="Night")
    expect(night).to_contain_text("headers only")
    picture(page, "schedules")
    night.locator("summary").click()
    night.get_by_label("club").check()
    night.get_by_label("Send", exact=True).uncheck()
    night.get_by_label("Folders, one a line; none: all").fill("INBOX\nArchive")
    night.get_by_role("button", name="Save group Night").click()
    group = site.store.schedules.group("Night")
    assert (group.accounts, group.send, len(group.folders)) == (("home", "club"), False, 2)
    row.get_by_role("button", name="Let it rest").click()
    expect(page.locator("li.row", has_text="rests")).to_be_visible()
    row.get_by_role("button", name="Let it run").click()
    row.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Nothing runs by itself yet.")).to_be_visible()
    night.get_by_role("button", name="Remove").click()
    expect(night).to_have_count(0)
    page.get_by_role("button", name="Pause schedules").click()
    assert site.store.schedules.paused
    page.get_by_role("button", name="Resume schedules").click()
    expect(page.get_by_role("button", name="Pause schedules")).to_be_visible()
    assert not site.store.schedules.paused


def test_what_is_on_its_way_out_can_be_taken_back_and_held(site: Site, pages: Pages, picture: Picture) -> None:
    synchronized(site)
    for subject in ("Minutes", "Invoice"):
        site.store.outbox.submit(WORK, message(subject))
    page = pages(site.server.url)
    to(page, "Outbox")
    expect(page.locator("li.row")).to_have_count(2)
    picture(page, "outbox")
    page.get_by_role("button", name="Suspend work").click()
    expect(page.get_by_text("The outbox of work is suspended.")).to_be_visible()
    page.get_by_role("button", name="Resume work").click()
    page.locator("li.row", has_text="Minutes").get_by_role("button", name="Take back").click()
    expect(page.locator("li.row")).to_have_count(1)
    expect(page.locator("li.row")).to_contain_text("Invoice")


def test_everything_but_the_live_updates_works_without_javascript(site: Site, pages: Pages) -> None:
    page = pages(site.server.url, scripts=False)
    page.get_by_role("button", name="Synchronize all").click()
    expect(page.get_by_role("status").first).to_have_text("Started.")
    for handle in site.provider.running:
        handle.wait(GUARD_SECONDS)
    to(page, "Running now")
    expect(page.locator("section.past h3 .badge")).to_have_text("done")
    to(page, "History")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_label("Account").select_option("home")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody tr")).to_have_count(1)


def test_everything_can_be_reached_and_pressed_by_keyboard(site: Site, pages: Pages) -> None:
    page = pages(site.server.url)
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.id") == "sync-f9"
    assert page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_have_text("Started.")
    expect(page.locator("li.card", has_text="work")).to_contain_text("in step")


def test_the_key_f9_sends_and_receives_all(site: Site, pages: Pages) -> None:
    page = pages(site.server.url)
    page.keyboard.press("F9")
    expect(page.get_by_role("status").first).to_have_text("Started.")
    for handle in site.provider.running:
        handle.wait(GUARD_SECONDS)
    with site.store.read() as view:
        assert {str(run.account) for run in view.runs()} == set(site.servers)


def test_the_line_to_the_server_is_told_when_it_is_lost(site: Site, pages: Pages) -> None:
    page = pages(site.server.url)
    site.server.stop()
    expect(page.get_by_text("Connection lost; trying again")).to_be_visible()
