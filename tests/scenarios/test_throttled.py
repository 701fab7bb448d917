"""A server that has enough of us in the middle of the work: it is left alone, and no message is blamed for it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from provider import ErrorKind, ItemStatus, Needs
from store import BodyState

from ..servers.fakeimap import FULL, NO_CONDSTORE, FakeImap
from .edge import FOLDER, MAIL, QUICK, Scene, ends, letter
from .rig import account_at, checked_store

QUOTA, LATER = 3_600.0, 300.0
TEXTS = {
    b"NO Request is throttled. Suggested Backoff Time: 299961 milliseconds": 299.961,
    b"BAD Request is throttled. Suggested Backoff Time: 2500 milliseconds": 2.5,
    b"NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)": QUOTA,
    b"NO [ALERT] Account exceeded command or bandwidth limits. (Failure)": QUOTA,
    b"NO Account exceeded command or bandwidth limits. (Failure)": QUOTA,
    b"NO [LIMIT] FETCH Rate limit hit.": LATER,
    b"NO Server Busy. 15": LATER,
}
USED_UP = b"NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)"
UNAVAILABLE = b"NO [UNAVAILABLE] try later"
ASKED = {
    "bodies": ("UID FETCH", b"BODY.PEEK[])"),
    "headers": ("UID FETCH", b"BODY.PEEK[HEADER]"),
    "open": ("EXAMINE", b"Lists"),
    "list": ("LIST", b"LIST"),
    "search": ("UID SEARCH", b"SEARCH"),
    "flags": ("UID FETCH", b"(UID FLAGS)"),
}


def throttled(
    home: Path, asked: str, completion: bytes, capabilities: Collection[str], *, met: bool, seconds: float
) -> None:
    name, part = ASKED[asked]
    with FakeImap(capabilities=capabilities) as fake, checked_store(home / "mail.db") as store:
        for folder, count in MAIL.items():
            if folder != "INBOX":
                fake.add_folder(folder)
            for number in range(1, count + 1):
                fake.append(folder, letter(number, folder))
        scene = Scene(fake, store, account_at(fake.port, fake.user, fake.password, limits=QUICK))
        if met:
            assert scene.run()[0].ok
            fake.expunge(FOLDER, 2)
            fake.append(FOLDER, letter(99))
        connections = fake.connections
        scene.lie(name, ends(completion), asks=part, folder=None)

        result, host = scene.run()

        assert 1 <= scene.lies[0] <= len(MAIL), "asked once a folder, and nothing smaller after it"
        assert fake.connections == connections + 1
        (error,) = [error for error in host.errors if error.kind is not ErrorKind.SERVER_ALERT]
        assert (error.kind, error.needs) == (ErrorKind.SERVER_BUSY, Needs.RETRY)
        assert error.next_try is not None
        assert (error.next_try - scene.clock.now()).total_seconds() == pytest.approx(seconds, abs=1.0)
        assert next(item.status for item in result.items if item.folder is None) in (
            ItemStatus.FAILED,
            ItemStatus.DISCONNECTED,
        )
        with store.read() as view:
            assert view.troubles() == ()

        fake.faults.clear()
        scene.clock.advance(seconds)
        result, host = scene.run()
        assert result.ok and host.errors == ()
        scene.equals_server()
        assert {body for _, body in scene.here().values()} == {BodyState.FULL}


@pytest.mark.parametrize(
    ("asked", "text"),
    [*(("bodies", text) for text in TEXTS), *((asked, USED_UP) for asked in ("headers", "open", "list"))],
)
def test_a_throttled_first_synchronization_goes_on_when_its_time_has_come(
    tmp_path: Path, asked: str, text: bytes
) -> None:
    throttled(tmp_path, asked, text, FULL, met=False, seconds=TEXTS[text])


@pytest.mark.parametrize("asked", ["bodies", "headers", "list"])
def test_unavailable_is_about_the_account_where_no_folder_is_named(tmp_path: Path, asked: str) -> None:
    throttled(tmp_path, asked, UNAVAILABLE, FULL, met=False, seconds=LATER)


@pytest.mark.parametrize("asked", ["search", "flags"])
@pytest.mark.parametrize("text", [USED_UP, UNAVAILABLE], ids=lambda text: text[:24].decode())
def test_a_throttled_comparison_removes_nothing(tmp_path: Path, text: bytes, asked: str) -> None:
    throttled(tmp_path, asked, text, NO_CONDSTORE, met=True, seconds=TEXTS.get(text, LATER))


def test_a_folder_that_alone_is_unavailable_costs_only_itself(tmp_path: Path) -> None:
    with FakeImap() as fake, checked_store(tmp_path / "mail.db") as store:
        for folder in ("Lists", "Sent"):
            fake.add_folder(folder)
            fake.append(folder, letter(1, folder))
        scene = Scene(fake, store, account_at(fake.port, fake.user, fake.password, limits=QUICK))
        scene.lie("EXAMINE", ends(UNAVAILABLE), asks=b"Lists", folder=None)
        result, _ = scene.run()
    status = {item.folder: item.status for item in result.items if item.folder}
    assert status == {"INBOX": ItemStatus.SUCCEEDED, "Lists": ItemStatus.FAILED, "Sent": ItemStatus.SUCCEEDED}
