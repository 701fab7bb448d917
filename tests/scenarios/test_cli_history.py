"""``maildock history``, ``maildock events``: what ran, what is wrong now, and what a success makes of it."""

import json
import signal

from provider.cli.exits import ExitCode

from ..servers.fakeimap import FakeImap
from .cli_rig import HANG_SECONDS, Cli, filled, spawned


def test_runs_are_listed_with_what_started_them_how_they_ended_and_what_they_brought(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    filled(maildock, fake_imap)
    maildock.password("wrong")
    assert maildock("sync").code == ExitCode.LOGIN

    failed, good = maildock("history", "--json").rows

    assert list(good) == [
        "id",
        "account",
        "lane",
        "trigger",
        "started_manually",
        "started",
        "ended",
        "result_code",
        "result",
        "counts",
        "errors",
    ]
    assert (good["trigger"], good["started_manually"], good["result_code"], good["errors"]) == ("manual", True, 1, [])
    assert good["counts"]["new"] == 5
    assert (failed["result_code"], failed["result"]) == (2, "failed")
    assert [error["kind"] for error in failed["errors"]] == ["login-refused"]
    assert [row["id"] for row in maildock("history", "--errors", "--json").rows] == [failed["id"]]
    assert [row["id"] for row in maildock("history", "--limit", 1, "--json").rows] == [failed["id"]]
    told = maildock("history", "--errors").out
    assert failed["errors"][0]["text"] in told


def test_an_error_that_persists_is_one_event_and_a_retry_that_works_clears_it(
    maildock: Cli, fake_imap: FakeImap
) -> None:
    filled(maildock, fake_imap)
    assert maildock("events").out == "Nothing is wrong.\n"
    maildock.password("wrong")
    for _ in range(3):
        assert maildock("sync").code == ExitCode.LOGIN

    (event,) = maildock("events", "--json").rows

    assert (event["kind"], event["count"], event["severity"], event["cleared"]) == ("login-refused", 3, "error", None)
    assert event["run"] == maildock("history", "--limit", 1, "--json").rows[0]["id"]
    assert maildock("events", "retry", event["id"]).code == ExitCode.LOGIN
    maildock.password(fake_imap.password)
    assert maildock("events", "retry", event["id"]).code == 0
    assert maildock("events", "--json").rows == []
    (over,) = maildock("events", "--all", "--json").rows
    assert (over["id"], over["count"], over["cleared"] is None) == (event["id"], 4, False)


def test_events_are_removed_by_id_and_an_unknown_id_is_refused(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    maildock.password("wrong")
    maildock("sync")
    (event,) = maildock("events", "--severity", "error", "--json").rows
    assert maildock("events", "--severity", "warning", "--json").rows == []

    assert maildock("events", "remove", event["id"] + 1).code == ExitCode.USAGE
    assert maildock("events", "remove", event["id"], "--json").rows == [
        {"verb": "remove", "ids": [event["id"]], "events": 1}
    ]
    assert maildock("events", "--all", "--json").rows == []


def test_a_dry_run_writes_no_event(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap)
    maildock.password("wrong")
    maildock("sync", "--dry-run")
    assert maildock("events", "--all", "--json").rows == []


def test_watching_tells_one_line_for_an_account_and_another_once_it_changed(maildock: Cli, fake_imap: FakeImap) -> None:
    filled(maildock, fake_imap, 2)
    process = spawned(maildock.home, "status", "--watch", "--json", start_new_session=True)
    try:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        maildock.password("wrong")
        maildock("sync")
        seen = [json.loads(process.stdout.readline())]
        while seen[-1]["state"] == "running":
            seen.append(json.loads(process.stdout.readline()))
    finally:
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=HANG_SECONDS)
    assert (first["account"], first["state_code"], first["messages"]) == ("work", 6702, 2)
    assert (seen[-1]["state_code"], seen[-1]["link_status"], seen[-1]["started_manually"]) == (6703, 2, True)
    assert "Traceback" not in told[1]


def test_status_tells_when_an_account_runs_by_itself_next(maildock: Cli) -> None:
    assert maildock("sync").code == 0
    assert maildock("status", "--json").rows[0]["next_run"] is None
    maildock("schedule", "add", "All accounts", "once 2999-12-24 18:00")

    assert maildock("status", "--json").rows[0]["next_run"] == "2999-12-24T18:00:00+00:00"

    maildock("pause")
    assert maildock("status", "--json").rows[0]["next_run"] is None
