"""The examples do what they say, as programs of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def ran(name: str, place: Path) -> list[str]:
    """Run an example as a program of its own; return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / name)],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_embedding_example_synchronizes_and_reads(tmp_path: Path) -> None:
    lines = ran("embed.py", tmp_path)
    assert "Lunch? from Ann" in lines
    assert lines[0] == "work: started, 0 messages"
    assert "INBOX: succeeded, 1 messages" in lines
    assert "complete: 1 new" in lines
    assert (tmp_path / "mail.db").stat().st_mode & 0o777 == 0o600


def test_the_example_of_changes_sends_what_waits_and_not_what_was_undone(tmp_path: Path) -> None:
    assert ran("change_offline.py", tmp_path) == [
        "waits: flags",
        "waits: create-folder",
        "waits: create-folder",
        "waits: move",
        "complete: 1 marked, 1 moved, 2 folders made",
    ]


@pytest.mark.parametrize("name", ["embed.py", "change_offline.py"])
def test_the_readme_shows_the_examples_as_they_are(name: str) -> None:
    code = (ROOT / "examples" / name).read_text("utf-8")

    shown = code[code.index("\nfrom ") + 1 :]
    assert f"```python\n{shown}```" in (ROOT / "README.md").read_text("utf-8")


def test_the_example_of_a_handler_mirrors_its_folders(tmp_path: Path) -> None:
    assert ran("mirror_handler.py", tmp_path) == ["mirror: succeeded", "letters: 2 files", "pictures: 1 files"]


def test_the_example_of_sending_tells_what_became_of_each_recipient(tmp_path: Path) -> None:
    assert ran("send.py", tmp_path) == [
        "filed; 1 message sent",
        "ann@example.org: accepted",
        "bob@example.org: refused",
        "archive@example.org: accepted",
        "Bcc went out: False",
        "copies in Sent: 1",
    ]


def test_the_example_with_a_window_of_its_own_draws_what_it_was_told(tmp_path: Path) -> None:
    full = "#" * 20
    assert ran("own_window.py", tmp_path) == [
        f"Archive  [{full}] succeeded",
        f"INBOX    [{full}] succeeded",
        "complete: 200 new messages",
    ]


def test_sync_center_is_mounted_into_a_host_and_leads_back_into_it(tmp_path: Path) -> None:
    assert ran("mounted.py", tmp_path) == [
        "the host's own page: 200",
        "Sync Center without its token: 403",
        "Sync Center: 200",
        "started: 303, /sync/?said=started",
        "complete: 1 new message",
    ]
