"""``kill -9`` of a real daemon in the middle of its work: the next one picks up all that was waiting."""

from __future__ import annotations

import shlex
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from store import Choice, ConflictKind, NewConflict, RunError, Side, SubmissionState, Version
from store.mail import AccountId
from tests.bench.household import INBOX, Household, household
from tests.scenarios.rig import mail_of
from tests.servers.fakesmtp import FakeSmtp, Manners
from tests.servers.require import require_dovecot

pytestmark = pytest.mark.servers

ONE, TWO = AccountId("user00"), AccountId("user01")
LETTER = b"From: a@x.example\r\nTo: b@x.example\r\nSubject: s\r\n\r\nHello.\r\n"


def way_out(port: int) -> dict[str, object]:
    return {"host": "127.0.0.1", "port": port, "security": "none", "authenticate": False, "sent_copies": "none"}


def leave_a_conflict(house: Household) -> None:
    """Let a change of the first message wait for a person."""
    store = house.store
    first, second = mail_of(store, "INBOX", ONE)
    with store.edit("flag") as edit:
        (waits,) = edit.set_flags([first.key], add=["$Mine"])
        edit.set_flags([second.key], add=["\\Flagged"])
    sides = (Version(side=Side.MINE), Version(side=Side.THEIRS, deleted=True))
    with store.write("conflict") as tx:
        tx.settle.conflict(
            NewConflict(
                kind=ConflictKind.CHANGED_AND_GONE,
                account=ONE,
                operation=waits,
                message=first.key,
                versions=sides,
                choices=(Choice.KEEP_MINE, Choice.KEEP_THEIRS),
            )
        )


def leave_an_alert(house: Household) -> None:
    """Let something be wrong that only a person can end."""
    refused = RunError(kind="send-refused", text="A message was refused.")
    house.store.eventlog.record(ONE, [refused], item="outbox", lasting={"send-refused"})


def told(tmp_path: Path) -> list[str]:
    """Return what the program was told of alerts."""
    file = tmp_path / "told"
    return file.read_text().splitlines() if file.exists() else []


def flagged(house: Household) -> int:
    """Return how many messages of the first account the server has as flagged."""
    with house.user(ONE).client() as client:
        return sum(b"\\Flagged" in message.flags for message in client.snapshot_folder("INBOX").messages.values())


def test_a_daemon_that_is_killed_is_followed_by_one_that_picks_up_everything(tmp_path: Path) -> None:
    require_dovecot()
    held = threading.Event()
    with (
        FakeSmtp(Manners(holds={"rcpt": held})) as smtp,
        household(2, tmp_path, smtp=way_out(smtp.port)) as house,
    ):
        program = tmp_path / "tell"
        program.write_text(
            f'#!/bin/sh\necho "$MAILDOCK_ALERT $MAILDOCK_ACCOUNT" >> {shlex.quote(str(tmp_path))}/told\n'
        )
        program.chmod(0o700)
        with (tmp_path / "home" / "accounts.toml").open("a") as accounts:
            accounts.write(f"\n[alerts]\ncommand = {shlex.quote(str(program))!r}\n")
        house.start()
        house.wait_until_all_ran()
        for _ in range(2):
            house.deliver(ONE)
        house.kill()

        leave_a_conflict(house)
        leave_an_alert(house)
        assert told(tmp_path) == []
        sent = house.store.outbox.submit(ONE, LETTER).id
        waiting = house.store.schedules.add("All accounts", "every 1 day", zone="UTC", next_run=datetime.now(UTC))
        house.start()
        smtp.wait_for("rcpt")  # the schedule runs, and sends
        house.wait_until(lambda: bool(told(tmp_path)))
        house.kill()
        (claimed,) = house.store.schedules.all()
        assert claimed.last_outcome == "" and claimed.running

        held.set()
        house.deliver(TWO, wait=False)
        house.start()
        house.wait_until(lambda: house.store.schedules.all()[0].last_outcome == "complete")
        house.wait_until(lambda: house.count(TWO) == 1)
        (ran,) = house.store.schedules.all()
        assert ran.id == waiting and ran.next_run is not None and ran.next_run > datetime.now(UTC)
        with house.store.read() as view:
            (conflict,) = view.conflicts(ONE)
            assert conflict.found.kind is ConflictKind.CHANGED_AND_GONE
            assert view.submission(sent).state is SubmissionState.FILED
            assert [one.state.value for one in view.operations(ONE)] == ["conflict"]
            assert view.find_folder(ONE, INBOX) is not None
        assert told(tmp_path) == [f"raised {ONE}"] and house.store.alerts.entries()[0].cleared_at is None
        assert len(smtp.delivered) == 1
        assert flagged(house) == 1
        house.deliver(ONE)
