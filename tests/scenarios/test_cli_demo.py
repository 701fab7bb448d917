"""The demo plays to its end by itself, and what it shows is true."""

import re
from pathlib import Path

import pytest

from provider.cli.__main__ import main
from provider.cli.demo_mail import demo_messages, late_messages
from provider.cli.exits import ExitCode

pytestmark = pytest.mark.servers


def test_the_demo_brings_mail_sends_what_was_changed_and_leaves_a_whole_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--home", str(tmp_path / "home"), "demo"]) == ExitCode.COMPLETE

    told = capsys.readouterr()
    assert told.err == ""
    first, second, third = re.findall(r"^demo: succeeded; (.*)$", told.out, re.MULTILINE)
    assert first.startswith(f"+{len(list(demo_messages()))} *0 .0 -0,")
    assert second.startswith(f"+{len(list(late_messages()))} *4 .0 -6,")
    assert third == "+0 *0 .0 -0, 0 bodies, 0 B; sent +3 *3 -2, folders +1"
    assert "Projects/Harbour: 2 messages" in told.out
    assert "The store is whole." in told.out
    offered = re.search(r"^  maildock --home (\S+) show (\d+)$", told.out, re.MULTILINE)
    assert offered is not None
    assert offered[1] == str(tmp_path / "home")
    assert main(["--home", str(tmp_path / "home"), "check", "--full"]) == ExitCode.COMPLETE
    assert main(["--home", str(tmp_path / "home"), "show", offered[2]]) == ExitCode.COMPLETE


def test_the_demo_does_not_touch_a_store_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mail.db").write_bytes(b"mine")

    assert main(["--home", str(tmp_path), "demo"]) == ExitCode.USAGE
    assert "holds a store already" in capsys.readouterr().err
    assert (tmp_path / "mail.db").read_bytes() == b"mine"


def test_the_mail_of_the_demo_is_always_the_same_and_fit_for_the_wire() -> None:
    messages = list(demo_messages())

    assert messages == list(demo_messages())
    assert len(messages) >= 300
    assert {"INBOX", "Sent", "Lists/python"} <= {one.folder for one in messages}
    for one in messages:
        assert b"\n" not in one.octets.replace(b"\r\n", b"")
        assert max(map(len, one.octets.split(b"\r\n"))) <= 998
        assert one.flags <= {"\\Seen", "\\Flagged", "\\Answered", "\\Draft"}
