"""The pages and forms of Sync Center without a browser: what is not there any more, what makes no sense, bounds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from provider.monitor.chart import HEIGHT, bars
from provider.monitor.forms import BadForm, Fields
from provider.monitor.live import LISTENERS_MAX
from provider.testing import MemoryServer
from store import AccountId, Group, Run, RunError, RunId

from .rig import Client, Site, message

WORK = AccountId("work")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    server = MemoryServer()
    server.append("INBOX", message("Hello"))
    with Site(tmp_path, work=server) as running:
        yield running


@pytest.fixture
def client(site: Site) -> Client:
    return site.entered()


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        ("/stop", {"run": "99"}, "over"),
        ("/stop", {"account": "work"}, "over"),
        ("/stop", {}, "over"),
        ("/cancel", {"run": "99", "account": "work", "folder": "INBOX"}, "over"),
        ("/pause", {"run": "99"}, "over"),
        ("/resume", {"account": "work"}, "over"),
        ("/sync", {"account": "nobody"}, "not-here"),
        ("/events/retry", {"id": "99"}, "gone"),
        ("/events/retry", {}, "nothing"),
        ("/events/forget", {"id": "99"}, "gone"),
        ("/conflicts/resolve", {"id": "99", "choice": "keep-mine"}, "gone"),
        ("/outbox/cancel", {"id": "99"}, "sent"),
        ("/outbox/retry", {"id": "99"}, "gone"),
        ("/schedules/remove", {"id": "99"}, "gone"),
        ("/schedules/enable", {"id": "99"}, "gone"),
        ("/schedules/disable", {"id": "99"}, "gone"),
        ("/schedules/change", {"id": "99", "when": "every 5 min", "zone": "UTC"}, "gone"),
        ("/groups/remove", {"name": "nothing"}, "gone"),
        ("/groups/put", {"known": "nothing", "account": "work", "send": "1"}, "gone"),
    ],
)
def test_what_is_not_there_any_more_is_said_and_harms_nothing(
    client: Client, path: str, fields: dict[str, str], said: str
) -> None:
    told = client.post(path, fields)
    assert (told.status, told.headers["location"].partition("said=")[2]) == (303, said)
    assert client.get(told.headers["location"].removeprefix(client.room)).status == 200


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("/stop", {"run": "-1"}, "This is no number: run."),
        ("/cancel", {"run": "9" * 30, "account": "work"}, "This is no number: run."),
        ("/cancel", {"account": "work"}, "This is no number: run."),
        ("/events/retry", {"id": "one"}, "This is no number: id."),
        ("/sync", {"group": "nothing"}, "There is no group"),
        ("/conflicts/resolve", {"id": "1", "choice": "toss a coin"}, "This resolves no conflict."),
        ("/outbox/suspend", {"account": "nobody"}, "There is no such account."),
        ("/schedules/add", {"group": "All accounts", "when": "sometimes", "zone": "UTC"}, "is no schedule"),
        ("/schedules/add", {"group": "All accounts", "when": "every 5 min", "zone": "Moon"}, "There is no time zone"),
        ("/schedules/add", {"group": "nothing", "when": "every 5 min", "zone": "UTC"}, "There is no such group"),
        ("/schedules/add", {"group": "All accounts", "when": "once 2020-01-01 08:00", "zone": "UTC"}, "over"),
        ("/groups/put", {"name": "Night", "send": "1"}, "A group has an account at least."),
        ("/groups/put", {"name": "Night", "account": "nobody", "send": "1"}, "There is no such account any more."),
        ("/groups/put", {"name": "Night", "account": "work"}, "A group sends, receives, or both."),
        ("/groups/put", {"name": "All accounts", "account": "work", "send": "1"}, "There is a group of this name"),
        ("/groups/put", {"name": "x" * 200, "account": "work", "send": "1"}, "printable name"),
        ("/groups/put", {"name": "Night", "account": "work", "send": "1", "size": "big"}, "This is no number: size."),
        ("/groups/remove", {"name": "All accounts"}, "The group of all accounts is always there."),
    ],
)
def test_a_form_that_makes_no_sense_is_answered_by_a_sentence_on_its_own_page(
    client: Client, path: str, fields: dict[str, str], words: str
) -> None:
    told = client.post(path, fields)
    assert told.status == 400
    assert 'role="alert"' in told.text and words in told.text


def test_what_is_said_after_a_form_is_ours_and_never_taken_from_the_address(client: Client) -> None:
    assert "Saved." in client.get("/?said=saved").text
    assert "hacked" not in client.get("/?said=hacked").text


def test_an_account_or_a_page_that_is_not_there_is_not_found(client: Client) -> None:
    assert client.get("/account?name=nobody").status == 404
    assert client.get("/account").status == 404
    assert client.get("/nothing").status == 404


def test_a_folder_is_synchronized_alone(site: Site, client: Client) -> None:
    told = client.post("/sync", {"account": "work", "folder": "INBOX", "back": "account"})
    assert told.headers["location"].endswith("/account?name=work&said=started")
    assert [one for one in site.servers["work"].calls if one.startswith("bodies")] in ([], ["bodies INBOX"])
    for handle in site.provider.running:
        handle.wait(10)
    assert "1" in client.get("/account?name=work").text


def test_send_receive_all_is_what_groups_say_and_who_is_in_none(tmp_path: Path) -> None:
    with Site(tmp_path, work=MemoryServer(), home=MemoryServer()) as site:
        client = site.entered()
        site.store.schedules.put_group(Group(name="By hand", accounts=(WORK,), on_f9=False))
        assert "Send/Receive All (F9)" in client.get("/").text
        hang = site.servers["home"].faults.hang("folders")
        assert client.post("/sync", {"f9": "1"}).headers["location"].endswith("said=started")
        assert hang.entered.wait(10)
        (handle,) = site.provider.running
        assert handle.request.accounts == (AccountId("home"),)
        handle.cancel()
        handle.wait(10)
        site.store.schedules.put_group(Group(name="Never", accounts=(AccountId("home"),), on_f9=False))
        assert "is part of Send/Receive All" in client.post("/sync", {"f9": "1"}).text


def test_an_account_is_stopped_in_every_run_that_it_is_part_of(site: Site, client: Client) -> None:
    hang = site.servers["work"].faults.hang("folders")
    client.post("/sync")
    assert hang.entered.wait(10)
    client.post("/sync", {"account": "work"})
    handles = site.provider.running
    assert len(handles) == 2
    assert client.post("/stop", {"account": "work"}).headers["location"].endswith("said=stopped")
    assert {handle.wait(10).status.value for handle in handles} == {"canceled"}


def test_a_snapshot_comes_first_and_then_what_changed(site: Site, client: Client) -> None:
    heard = client.events("partnerships")
    first = [next(heard), next(heard)]
    assert {id_ for id_, _ in first} == {"part-nav", "part-partnerships"}
    assert "never yet" in dict(first)["part-partnerships"]
    site.provider.SynchronizeInBackground().wait(10)
    for id_, html in heard:
        if id_ == "part-partnerships" and "in step" in html:
            break


def test_so_many_may_listen_and_a_place_is_given_back(client: Client) -> None:
    listening = [client.events("running") for _ in range(LISTENERS_MAX)]
    for one in listening:
        next(one)
    assert client.get("/live/running").status == 503
    for one in listening:
        one.close()
    freed = threading.Event()
    while client_is_refused(client):
        assert not freed.wait(0.05)


def client_is_refused(client: Client) -> bool:
    """Tell whether there is no place; one that is taken by asking is given back at once."""
    heard = client.events("running")
    try:
        next(heard)
    except AssertionError:
        return True
    heard.close()
    return False


def test_an_unforeseen_error_is_a_page_with_all_the_headers_and_without_its_text(
    site: Site, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("an inner detail")

    monkeypatch.setattr(type(site.store.schedules), "groups", fail)
    told = client.get("/schedules")
    assert told.status == 500
    assert "inner detail" not in told.text
    assert "default-src 'none'" in told.headers["content-security-policy"]


def test_fields_are_read_within_bounds() -> None:
    fields = Fields({"a": [" x ", "y"], "n": ["7", "7", "8"], "long": ["x" * 5_000], "lines": ["a\r\n\n b\na"]})
    assert (fields.text("a"), fields.texts("a"), fields.lines("lines")) == ("x", ("x", "y"), ("a", "b"))
    assert fields.numbers("n", 3) == (7, 8)
    assert len(fields.kept()["long"]) == 4_000
    for wrong in (lambda: fields.text("long"), lambda: fields.number("a"), lambda: fields.numbers("n", 1)):
        with pytest.raises(BadForm):
            wrong()
    for number in ("", "-1", "1.5", "١", "9223372036854775808", "0x1"):
        with pytest.raises(BadForm):
            Fields({"n": [number]}).number("n")


def run(days_ago: float, *, status: str = "succeeded", errors: int = 0, new: int = 0) -> Run:
    at = NOON - timedelta(days=days_ago)
    return Run(
        id=RunId(1),
        account=WORK,
        trigger="manual",
        flags=0,
        owner="",
        started_at=at,
        expires_at=at,
        finished_at=at if status else None,
        status=status,
        counts={"new": new},
        errors=tuple(RunError(kind="protocol", text="no") for _ in range(errors)),
    )


def test_a_bar_a_day_says_how_many_runs_went_well_and_how_many_did_not() -> None:
    drawn = bars([run(0, new=5), run(0, errors=1), run(1, status="failed"), run(99), run(0, status="")], NOON)
    assert len(drawn) == 14
    assert [(one.good, one.bad, one.new) for one in drawn[-2:]] == [(0, 1, 0), (1, 1, 5)]
    assert sum(one.good + one.bad for one in drawn) == 3
    last = drawn[-1]
    assert last.good_y + last.good_height == HEIGHT and last.bad_y + last.bad_height == last.good_y


def test_a_bar_is_seen_however_small_and_a_day_is_that_of_the_zone() -> None:
    drawn = bars([*(run(0) for _ in range(1_000)), run(0, status="failed")], NOON)
    assert drawn[-1].bad_height == 2 and drawn[-1].bad_y >= 0
    assert bars([run(0)], NOON.astimezone(timezone(timedelta(hours=13))))[-1].day.day == 25
    assert [one.good_height for one in bars([], NOON)] == [0] * 14
