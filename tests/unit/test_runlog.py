"""The log: which events are worth a line, what a line never holds, a bounded file that several write."""

import json
import logging
import os
import stat
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from provider import Counts, ItemKind, ItemStatus, Needs, ResultStatus, Severity, SyncError, SyncProgress, SyncResult
from provider.callback import CancelRequest
from provider.errors import ErrorKind
from provider.manager import RunLog
from provider.manager.reports.loglines import LogLines
from provider.phases import Phase
from store import AccountId

from .store_kit import BEGIN

ME = AccountId("work")
HOSTILE = 'In\r\n{"level": "info"}\x1b[2J\u202e\u2028box'


def step(
    phase: Phase = Phase.CONTENTS,
    *,
    seconds: float = 0,
    folder: str | None = None,
    done: int = 0,
    total: int | None = None,
    status: ItemStatus = ItemStatus.UPDATING,
    counts: Counts | None = None,
    item: ItemKind | None = None,
) -> SyncProgress:
    return SyncProgress(
        run_id=7,
        seq=1,
        at=BEGIN + timedelta(seconds=seconds),
        account=ME,
        folder=folder,
        item=item or (ItemKind.ACCOUNT if folder is None else ItemKind.FOLDER),
        status=status,
        phase=Phase.DONE if status.terminal else phase,
        text="Subject: a secret of a person",
        messages_done=done,
        messages_total=total,
        counts=counts,
    )


def error(text: str = "It cannot be opened.", severity: Severity = Severity.ERROR) -> SyncError:
    return SyncError(
        run_id=7,
        seq=2,
        at=BEGIN,
        severity=severity,
        kind=ErrorKind.LOGIN_REFUSED,
        needs=Needs.LOGIN,
        text=text,
        account=ME,
        folder=HOSTILE,
        server_text="hunter-two is no password here",
    )


RESULT = SyncResult(run_id=7, seq=3, at=BEGIN + timedelta(seconds=9), started_at=BEGIN, status=ResultStatus.COMPLETE)


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def files_of(path: Path) -> list[Path]:
    """The file and those that were put aside."""
    return sorted({*path.parent.glob(path.name + "*")} - {path.with_name(path.name + ".lock")})


def test_an_account_has_a_line_when_it_begins_at_each_phase_and_when_it_ends_with_its_code() -> None:
    lines = LogLines("scheduled", "Office")
    events = [
        step(Phase.SYNC, status=ItemStatus.STARTED),
        step(Phase.DOWNLOAD_HIERARCHY),
        step(Phase.DOWNLOAD_HIERARCHY),
        step(Phase.CONTENTS),
        step(Phase.UPLOAD_HIERARCHY),
        step(status=ItemStatus.SUCCEEDED),
        RESULT,
    ]
    told = [line for event in events if (line := lines.of(event))]
    assert [line.get("id") for line in told] == [6701, 6704, 6705, 6706, 6702, None]
    assert (told[0]["trigger"], told[0]["group"], told[-1]["status"]) == ("scheduled", "Office", "complete")


def test_what_goes_on_says_x_of_y_every_ten_seconds_at_most() -> None:
    lines = LogLines("manual")
    lines.of(step(folder="Lists", total=480))
    assert lines.of(step(folder="Lists", seconds=9, done=100, total=480)) is None
    line = lines.of(step(Phase.DOWNLOAD_BODIES, folder="Lists", seconds=10, done=120, total=480))
    assert line is not None
    assert line["text"] == "Synchronization of work, Lists: download-bodies, 120 of 480 (25 %) messages."
    assert (line["id"], line["done"], line["total"], line["percent"]) == (6705, 120, 480, 25)
    assert lines.of(step(Phase.DOWNLOAD_BODIES, folder="Lists", seconds=30, done=120, total=480)) is None


def test_a_folder_that_nothing_happened_to_has_no_line_and_one_that_failed_or_changed_has() -> None:
    lines = LogLines("manual")
    assert lines.of(step(folder="a", status=ItemStatus.SUCCEEDED, counts=Counts())) is None
    new = lines.of(step(folder="b", status=ItemStatus.SUCCEEDED, counts=Counts(new=3)))
    assert new is not None
    assert (new["level"], new["new"]) == ("info", 3)
    failed = lines.of(step(folder="c", status=ItemStatus.FAILED))
    assert failed is not None
    assert (failed["level"], failed["id"]) == ("warning", 6703)


def test_no_line_holds_what_a_server_said_a_subject_or_an_address_and_no_name_makes_a_line(tmp_path: Path) -> None:
    path = tmp_path / "maildock.log"
    with RunLog(path) as log:
        heard = log.follow(trigger="manual")
        heard.progress(step(status=ItemStatus.STARTED, folder=HOSTILE))
        heard.progress(step(status=ItemStatus.SUCCEEDED, folder=HOSTILE, counts=Counts(new=1)))
        heard.error(error("Nobody answers to jo@example.org."))
        heard.done(RESULT)
    text = path.read_text(encoding="ascii")
    assert text.isprintable() is False  # its line ends alone are not
    assert text.replace("\n", "").isprintable()
    assert [line["event"] for line in lines_of(path)] == ["ended", "error", "request-ended"]
    for unwanted in ("hunter-two", "Subject", "jo@example.org", "\\u202e", "\\u001b", "\\n"):
        assert unwanted not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_other_callback_hears_everything_and_its_answer_counts(tmp_path: Path) -> None:
    heard: list[object] = []

    class Other:
        def progress(self, progress: SyncProgress, /) -> CancelRequest:
            heard.append(progress)
            return CancelRequest.ALL

        def done(self, result: SyncResult, /) -> None:
            heard.append(result)

    with RunLog(tmp_path / "maildock.log") as log:
        both = log.follow(trigger="manual", then=Other())  # type: ignore[arg-type]
        assert both.progress(step()) is CancelRequest.ALL
        both.error(error())
        both.done(RESULT)
    assert heard == [step(), RESULT]


def test_it_is_put_aside_when_it_is_full_and_so_many_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "maildock.log"
    with RunLog(path, octets_max=1_000, files_kept=2) as log:
        for number in range(200):
            log.write({"number": number, "text": "x" * 50})
    files = files_of(path)
    assert [one.name for one in files] == ["maildock.log", "maildock.log.1", "maildock.log.2"]
    assert all(one.stat().st_size <= 1_000 and stat.S_IMODE(one.stat().st_mode) == 0o600 for one in files)
    numbers = [line["number"] for one in (files[2], files[1], files[0]) for line in lines_of(one)]
    assert numbers == list(range(200 - len(numbers), 200))


WRITER = """
import sys, pathlib
from provider.manager import RunLog
with RunLog(pathlib.Path(sys.argv[1]), octets_max=5_000, files_kept=100) as log:
    for number in range(200):
        log.write({"who": sys.argv[2], "number": number, "text": "x" * 50})
"""


def test_two_processes_and_their_threads_lose_no_line_and_mix_none(tmp_path: Path) -> None:
    path = tmp_path / "maildock.log"
    other = subprocess.Popen([sys.executable, "-c", WRITER, str(path), "there"])
    with RunLog(path, octets_max=5_000, files_kept=100) as log:

        def write(who: str) -> None:
            for number in range(200):
                log.write({"who": who, "number": number, "text": "x" * 50})

        threads = [threading.Thread(target=write, args=(who,)) for who in ("here", "too")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert other.wait(60) == 0
    found = [line for one in files_of(path) for line in lines_of(one)]
    for who in ("here", "too", "there"):
        assert sorted(line["number"] for line in found if line["who"] == who) == list(range(200))  # type: ignore[type-var]


def test_what_the_library_logs_is_there_and_of_an_exception_its_name_alone(tmp_path: Path) -> None:
    path = tmp_path / "maildock.log"
    logger = logging.getLogger("provider.somewhere")
    with RunLog(path) as log:
        with log.listening():
            logger.info("Folder %s of jo@example.org is looked at in full.", "a\r\nb")
            logger.debug("C: LOGIN")
            try:
                raise ValueError("what-nobody-may-read")
            except ValueError:
                logger.warning("It failed.", exc_info=True)
        logger.warning("Nobody listens.")
    first, second = lines_of(path)
    assert (first["level"], first["text"]) == ("info", "Folder a b of (an address) is looked at in full.")
    assert (second["level"], second["error"]) == ("warning", "ValueError")
    assert "what-nobody-may-read" not in path.read_text()


def test_a_log_that_cannot_be_written_costs_no_run_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("of somebody else\n")
    path = tmp_path / "maildock.log"
    path.symlink_to(elsewhere)
    with RunLog(path) as log, log.listening():
        log.write({"text": "one"})
        log.write({"text": "two"})
        assert [record.getMessage() for record in caplog.records] == [
            "The log cannot be written (OSError); lines are lost."
        ]
        os.unlink(path)
        log.write({"text": "three"})
    assert elsewhere.read_text() == "of somebody else\n"
    assert lines_of(path) == [{"text": "three"}]
