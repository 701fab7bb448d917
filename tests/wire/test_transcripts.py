"""Transcripts of real servers, played to our session: it says exactly these octets, and reads exactly this mail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import DovecotProfiles
from tests.servers.dovecot import Profile
from tests.servers.recorder import Recorder
from tests.servers.scripted import ScriptedServer, load
from tests.wire.visit import PASSWORD, TRANSCRIPTS, USER, expected, populate, visit


@pytest.mark.parametrize(
    "path", sorted(TRANSCRIPTS.glob("*/visit*.txt")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_a_visit_says_what_the_transcript_says_and_reads_its_mail(path: Path) -> None:
    with ScriptedServer(load(path)) as server:
        assert visit(server.port) == expected()


def test_there_is_a_transcript_of_each_kind_of_server() -> None:
    names = {f"{path.parent.name.partition('-')[0]}/{path.stem}" for path in TRANSCRIPTS.glob("*/visit*.txt")}
    assert names == {
        "dovecot/visit-full",
        "dovecot/visit-no-qresync",
        "dovecot/visit-no-condstore",
        "dovecot/visit-bare",
        "pymap/visit",
    }


@pytest.mark.servers
def test_a_recording_of_a_live_server_can_be_played(dovecot_profiles: DovecotProfiles, tmp_path: Path) -> None:
    account = dovecot_profiles(Profile.FULL).server.add_user(USER, PASSWORD)
    with account.client() as client:
        populate(client)
    with Recorder(account.port) as recorder:
        live = visit(recorder.port)
    assert live == expected()
    path = tmp_path / "recorded.txt"
    path.write_bytes(recorder.transcript("live"))
    with ScriptedServer(load(path)) as server:
        assert visit(server.port) == live
